"""Multi-head attention, written with weft in four ways."""
