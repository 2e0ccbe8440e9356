"""Multi-head attention, written with plait in four ways."""
