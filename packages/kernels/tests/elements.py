"""The element types of the library: how NumPy stores them, and the numbers that they stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from plait_kernels import ELEMENTS, OPERATIONS, load

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "bfloat16", "float32", "float64")
COMPLEX = ("complex64", "complex128")


@dataclass(frozen=True)
class Element:
    """An element type: its name, and the type in which NumPy stores it, which for ``bfloat16`` is ``uint16``."""

    name: str
    stored: np.dtype

    def values(self, array: np.ndarray) -> np.ndarray:
        """Return the numbers of an array of this type, in a type that NumPy computes with."""
        if self.name == "bfloat16":
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array.astype(np.float32) if self.name == "float16" else array

    def round(self, numbers: np.ndarray) -> np.ndarray:
        """Return numbers in double precision as this type stores them, each rounded once to the nearest one."""
        with np.errstate(all="ignore"):
            if self.name != "bfloat16":
                return np.asarray(numbers).astype(self.stored)
            # first to an odd last bit, which the second rounding cannot mistake for a tie
            doubles = np.asarray(numbers, dtype=np.float64)
            singles = doubles.astype(np.float32)
            bits = singles.view(np.uint32).copy()
            too_far = np.abs(singles.astype(np.float64)) > np.abs(doubles)
            bits = np.where(too_far, bits - 1, bits)
            inexact = bits.view(np.float32).astype(np.float64) != doubles
            bits = np.where(inexact & np.isfinite(doubles), bits | 1, bits)
            rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
            return np.where(np.isnan(doubles), 0x7FC0, rounded).astype(np.uint16)

    @property
    def epsilon(self) -> float:
        """The distance from 1 to the next number of the type in which the library computes exponentials."""
        return float(np.finfo(np.float64 if self.name == "float64" else np.float32).eps)


STORED = {name: np.dtype(name) for name in ELEMENTS if name not in {"bfloat16", "datetime64"}}
STORED |= {"bfloat16": np.dtype(np.uint16), "datetime64": np.dtype("datetime64[s]")}
ELEMENT_TYPES = {name: Element(name, STORED[name]) for name in ELEMENTS}
REDUCTIONS = [name for name in OPERATIONS if name != "copy"]
SUPPORTED = [
    (operation, element) for operation in REDUCTIONS for element in ELEMENTS if load().supports(operation, element)
]
"""Each reduction with each element type that there is a kernel for."""
SUPPORTED_GRADIENTS = [
    (operation, element)
    for operation in REDUCTIONS
    for element in ELEMENTS
    if load().supports_gradient(operation, element)
]
"""Each reduction with each element type that there is a kernel for the gradient of."""


def result_dtype(operation: str, element: Element) -> np.dtype:
    """Return the type in which NumPy stores the result of an operation."""
    if operation in {"any", "all"}:
        return np.dtype(bool)
    if operation in {"argmin", "argmax"}:
        return np.dtype(np.int64)
    if operation in {"sum", "prod"} and element.name in {"bool", *INTEGERS}:
        return np.dtype(np.uint64 if element.name.startswith("u") else np.int64)
    return element.stored
