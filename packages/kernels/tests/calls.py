"""Calls of the library with arrays of NumPy."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
from elements import Element
from plait_kernels import Array, GradientTask, Library, Task, load

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


def make_gradient_task(
    operation: str,
    element: str,
    source: np.ndarray,
    result: np.ndarray,
    result_gradient: np.ndarray,
    gradient: np.ndarray,
    axes: Sequence[int],
    threads: int = 0,
) -> GradientTask:
    """Return the task of a gradient, for arrays that exist."""

    def wide_strides(array: np.ndarray) -> list[int]:
        strides = iter(array.strides)
        return [0 if axis in axes else next(strides) for axis in range(source.ndim)]

    return GradientTask.create(
        operation,
        element,
        source.shape,
        source.strides,
        wide_strides(result),
        wide_strides(result_gradient),
        gradient.strides,
        axes,
        threads,
    )


def run_gradient(task: GradientTask | None, *arrays: Array | None) -> int:
    """Run the task of a gradient and return the status; `None` is a null pointer."""
    return LIBRARY.run_gradient(task and ctypes.byref(task), *[array and ctypes.byref(array) for array in arrays])


def call_gradient(
    operation: str,
    element: Element | str,
    source: np.ndarray,
    result: np.ndarray,
    result_gradient: np.ndarray,
    gradient: np.ndarray,
    axes: Sequence[int] = (),
    threads: int = 0,
) -> int:
    """Compute the gradient of a reduction, and return the status."""
    name = element if isinstance(element, str) else element.name
    arrays = (source, result, result_gradient, gradient)
    return run_gradient(make_gradient_task(operation, name, *arrays, axes, threads), *map(memory_of, arrays))
