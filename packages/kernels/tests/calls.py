"""Calls of the library with arrays of NumPy."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
from elements import Element
from plait_kernels import Array, Library, Task, load

LIBRARY: Library = load()
INSTRUCTION_SETS = [name for name in ("baseline", "avx2", "avx512") if LIBRARY.set_instruction_set(name)]
"""The instruction sets of this CPU; the last one is the default."""


def is_softmax(operation: str) -> bool:
    """Return whether the result of an operation has every dimension of the source."""
    return operation in {"softmax", "log_softmax"}


def result_shape(operation: str, shape: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of the result."""
    return tuple(n for axis, n in enumerate(shape) if is_softmax(operation) or axis not in axes)


def memory_of(array: np.ndarray) -> Array:
    """Return an array as the library takes it; it may touch the bytes from its lowest to its highest element alone."""
    low, high = np.lib.array_utils.byte_bounds(array)
    return Array(array.__array_interface__["data"][0], low, high)


def make_task(
    operation: str, element: str, source: np.ndarray, result: np.ndarray, axes: Sequence[int] = (), threads: int = 0
) -> Task:
    """Return a task for a source and a result that exist."""
    strides = iter(result.strides)
    keeps_all = operation == "copy" or is_softmax(operation)
    out_strides = [0 if axis in axes and not keeps_all else next(strides) for axis in range(source.ndim)]
    return Task.create(operation, element, source.itemsize, source.shape, source.strides, out_strides, axes, threads)


def run(task: Task, source: Array | None, result: Array | None) -> int:
    """Run a task and return the status; `None` is a null pointer."""
    return LIBRARY.run(
        ctypes.byref(task), None if source is None else ctypes.byref(source), result and ctypes.byref(result)
    )


def call(
    operation: str,
    element: Element | str,
    source: np.ndarray,
    result: np.ndarray,
    axes: Sequence[int] = (),
    threads: int = 0,
) -> int:
    """Compute a result, and return the status."""
    name = element if isinstance(element, str) else element.name
    return run(make_task(operation, name, source, result, axes, threads), memory_of(source), memory_of(result))
