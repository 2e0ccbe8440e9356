"""Arrays in files, such as datasets of h5py and arrays of zarr; einsums under a limit of memory read their blocks."""

from __future__ import annotations

from typing import Any

STORED_ARRAY_TYPES = {"h5py": "Dataset", "zarr": "Array"}
"""By package, the name of its class of arrays in files."""


class StoredArray:
    """An array in a file. It is read by indexing it with slices, which returns NumPy arrays."""

    __slots__ = ("array", "dtype", "shape")

    def __init__(self, array: Any) -> None:
        self.array, self.shape, self.dtype = array, tuple(array.shape), array.dtype

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]


def is_stored_array(operand: Any) -> bool:
    """Whether an operand is an array in a file; no package is imported to find out."""
    cls = type(operand)
    return any(STORED_ARRAY_TYPES.get(base.__module__.partition(".")[0]) == base.__name__ for base in cls.__mro__)
