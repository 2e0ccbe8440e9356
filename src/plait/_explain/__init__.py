"""What plait would do with a pattern, without doing it.

The room is not called ``explain``: it would hide the function `plait.explain`.
"""
