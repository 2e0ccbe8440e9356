"""Which reductions of which element types have a kernel.

A `Recipe` says for each the operation, how elements are converted when they are read, and the type of the accumulators.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from plait.backends.kernels.reducing import LANES
from plait.backends.numpy.dtypes import is_builtin_dtype

SUM, EXACT, PROD, MAX, MIN = range(5)
"""The operations. ``EXACT`` is a sum of float64 that also adds up the rounding errors, since no type is wider."""

PLAIN, HALF, RANK, TRUTH, TRUTH_OF_HALF, LATEST = range(6)
"""How an element is converted when it is read. ``PLAIN``: not at all; ``HALF``: from half precision to float32;
``RANK``: from half precision to an integer of the same order; ``TRUTH`` and ``TRUTH_OF_HALF``: to whether it is not
zero; ``LATEST``: minus 1, so that NaT, the least integer, becomes the greatest."""

_OPS = {"sum": SUM, "mean": SUM, "prod": PROD, "max": MAX, "min": MIN, "any": MAX, "all": MIN}


@dataclass(frozen=True)
class Recipe:
    """What the kernel of a reduction computes.

    Attributes:
        key: the reduction and the element type as text, from which another process finds the same recipe.
        op: the operation, such as ``SUM``.
        how: how elements are converted when they are read, and back when results are written, such as ``PLAIN``.
        unit, total, result: the types of the numbers in the source, of the accumulators and of the result.
        parts: how many numbers an element has: 2 for a complex element that is read as two real numbers, else 1.
    """

    key: str
    op: int
    how: int
    unit: str
    total: str
    result: str
    parts: int = 1

    @property
    def lanes(self) -> int:
        """The largest number of accumulators: those that fit into `LANES` bytes.

        A float64 sum has half as many, since each also has a rounding error.
        """
        return LANES // np.dtype(self.total).itemsize // (2 if self.op == EXACT else 1)


@lru_cache(maxsize=256)
def recipe_of(key: str) -> Recipe | None:
    """Return the recipe of a reduction and an element type, such as ``"max float32"``; ``None`` if it has no kernel."""
    name, word = key.split()
    dtype: Any = np.dtype(word)
    size, find = dtype.itemsize, {"min": _extreme, "max": _extreme, "any": _truth, "all": _truth}.get(name, _total)
    return find(name, dtype, size, key)


def key_of(name: str, dtype: Any) -> str | None:
    """Return the key of a reduction of that type, such as ``"max float32"``.

    The key is ``None`` if the reduction has no kernel, for types that are not built into NumPy, and for those in the
    byte order of another machine.
    """
    known = is_builtin_dtype(dtype) and dtype.isnative and dtype.kind in "biufcmM" and dtype.char not in "gG"
    known = known or (dtype.kind in "mM" and dtype.isnative)  # NumPy does not call these built in
    return f"{name} {'datetime64' if dtype.kind in 'mM' else dtype.name}" if known and name in _OPS else None


def _extreme(name: str, dtype: Any, size: int, key: str) -> Recipe | None:
    """Return the recipe of ``max`` or ``min``; ``None`` for complex numbers."""
    if dtype.kind == "c":
        return None
    if dtype.kind == "f":
        return Recipe(
            key, _OPS[name], *((RANK, "uint16", "int16", "uint16") if size == 2 else (PLAIN, *[dtype.name] * 3))
        )
    unit = {"b": "uint8", "M": "int64"}.get(dtype.kind, dtype.name)
    return Recipe(key, _OPS[name], LATEST if dtype.kind == "M" and name == "max" else PLAIN, unit, unit, unit)


def _truth(name: str, dtype: Any, size: int, key: str) -> Recipe | None:
    """Return the recipe of ``any`` or ``all``, computed as the maximum or minimum of 0 and 1."""
    # a complex number is true if one of its parts is: `any` may read the parts as two elements, `all` may not
    if dtype.kind == "M" or (dtype.kind == "c" and name == "all"):
        return None
    units = {"f2": "uint16", "c8": "float32", "c16": "float64"}
    unit = units.get(f"{dtype.kind}{size}", dtype.name if dtype.kind == "f" else f"uint{8 * size}")
    how = TRUTH_OF_HALF if dtype.kind == "f" and size == 2 else TRUTH
    return Recipe(key, _OPS[name], how, unit, "uint8", "uint8", 2 if dtype.kind == "c" else 1)


def _total(name: str, dtype: Any, size: int, key: str) -> Recipe | None:
    """Return the recipe of ``sum``, ``mean`` or ``prod``."""
    op, wanted = _OPS[name], name
    name = "sum" if name == "mean" else name  # one kernel: it divides by a count, which is 1 for a sum
    key = f"{name} {dtype.name}"
    if dtype.kind == "M" or (dtype.kind in "biu" and wanted == "mean"):
        return None
    if dtype.kind in "biu":
        result = np.add.reduce(np.ones(1, dtype)).dtype.name  # the type of such a sum depends on the platform
        unit = "uint8" if dtype.kind == "b" else dtype.name
        return Recipe(key, op, PLAIN, unit, "uint64" if dtype.kind == "u" else "int64", result)
    if dtype.kind == "c" and op == PROD:
        return Recipe(key, op, PLAIN, dtype.name, "complex128", dtype.name)
    if dtype.kind == "f" and size == 2:
        return Recipe(key, op, HALF, "uint16", "float64", "uint16")
    parts = 2 if dtype.kind == "c" else 1
    unit = f"float{8 * size // parts}"
    op = EXACT if op == SUM and unit == "float64" else op
    return Recipe(f"{name} {unit}", op, PLAIN, unit, "float64", unit, parts)
