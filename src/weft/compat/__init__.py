"""The names of other libraries over weft, for code that cannot change its imports."""
