"""The names of other libraries over plait, for code that cannot change its imports."""
