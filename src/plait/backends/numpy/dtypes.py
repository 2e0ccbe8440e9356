"""The element types of NumPy's arrays: which NumPy itself defines, and of which kind each is."""

from __future__ import annotations

from typing import Any

from plait.backends.interface import kind_by_name

_BUILTIN_TYPE_COUNT = 24
"""The element types that NumPy itself defines have the numbers below; those of other packages have others."""

_KIND_BY_CODE = {"b": "bool", "i": "integer", "u": "integer", "f": "floating", "c": "complex"}


def is_builtin_dtype(dtype: Any) -> bool:
    """Whether NumPy itself defines an element type; ``dtype.isbuiltin`` denies it of one that comes from a pickle."""
    return 0 <= dtype.num < _BUILTIN_TYPE_COUNT


def kind_of_dtype(dtype: Any) -> str:
    """Return the kind of an element type, as `Backend.kind` defines it."""
    return _KIND_BY_CODE.get(dtype.kind) or (kind_by_name(dtype) if dtype.kind == "V" and not dtype.names else "other")
