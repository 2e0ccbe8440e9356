"""Which reductions have a kernel, for which types, and what it computes with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from plait.backends.kernels.reducing import LANES

SUM, EXACT, PROD, MAX, MIN = range(5)
"""The operations. An exact sum keeps what rounding loses, for want of a wider type."""

PLAIN, HALF, RANK, TRUTH, TRUTH_OF_HALF, LATEST = range(6)
"""How values are read: as they are; from half precision; as the rank that half precision has; as whether they are not
zero; so that NaT is the greatest."""

_OPS = {"sum": SUM, "mean": SUM, "prod": PROD, "max": MAX, "min": MIN, "any": MAX, "all": MIN}


@dataclass(frozen=True)
class Recipe:
    """One kernel.

    Attributes:
        key: reduction and type as text, by which another process finds the same recipe.
        op: the operation.
        how: how values are read, and results written.
        unit, total, result: the types of the source, of the accumulators and of the result.
        parts: how many numbers an element is: 2 for a complex one, whose parts are added up each by itself.
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
        """How many accumulators there are at most; exact ones need twice the memory."""
        return LANES // np.dtype(self.total).itemsize // (2 if self.op == EXACT else 1)


@lru_cache(maxsize=256)
def recipe_of(key: str) -> Recipe | None:
    """The recipe for a reduction and a type, such as ``"max float32"``, or none."""
    name, word = key.split()
    dtype: Any = np.dtype(word)
    size, find = dtype.itemsize, {"min": _extreme, "max": _extreme, "any": _truth, "all": _truth}.get(name, _total)
    return find(name, dtype, size, key)


def key_of(name: str, dtype: Any) -> str | None:
    """The text for a reduction of that type; ``None`` for types that are not NumPy's own, or not this machine's."""
    known = dtype.isbuiltin == 1 and dtype.isnative and dtype.kind in "biufcmM" and dtype.char not in "gG"
    known = known or (dtype.kind in "mM" and dtype.isnative)  # those with a unit are not built in
    return f"{name} {'datetime64' if dtype.kind in 'mM' else dtype.name}" if known and name in _OPS else None


def _extreme(name: str, dtype: Any, size: int, key: str) -> Recipe | None:
    if dtype.kind == "c":
        return None
    if dtype.kind == "f":
        return Recipe(
            key, _OPS[name], *((RANK, "uint16", "int16", "uint16") if size == 2 else (PLAIN, *[dtype.name] * 3))
        )
    unit = {"b": "uint8", "M": "int64"}.get(dtype.kind, dtype.name)
    return Recipe(key, _OPS[name], LATEST if dtype.kind == "M" and name == "max" else PLAIN, unit, unit, unit)


def _truth(name: str, dtype: Any, size: int, key: str) -> Recipe | None:
    if dtype.kind == "M" or (dtype.kind == "c" and name == "all"):  # a number is not zero when one of its parts is not
        return None
    units = {"f2": "uint16", "c8": "float32", "c16": "float64"}
    unit = units.get(f"{dtype.kind}{size}", dtype.name if dtype.kind == "f" else f"uint{8 * size}")
    how = TRUTH_OF_HALF if dtype.kind == "f" and size == 2 else TRUTH
    return Recipe(key, _OPS[name], how, unit, "uint8", "uint8", 2 if dtype.kind == "c" else 1)


def _total(name: str, dtype: Any, size: int, key: str) -> Recipe | None:
    op, wanted = _OPS[name], name
    name = "sum" if name == "mean" else name  # a mean is a sum that the kernel divides by a count other than 1
    key = f"{name} {dtype.name}"
    if dtype.kind == "M" or (dtype.kind in "biu" and wanted == "mean"):
        return None
    if dtype.kind in "biu":
        result = np.add.reduce(np.ones(1, dtype)).dtype.name  # the type is the platform's
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
