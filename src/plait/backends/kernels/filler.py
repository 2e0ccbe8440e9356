"""The interface of the kernels: `filling` makes a `Filler`, which computes one copy or reduction with its kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from plait.backends.kernels.background import ask
from plait.backends.kernels.copying import Copy, copy_plan, word_of
from plait.backends.kernels.kinds import key_of, recipe_of
from plait.backends.kernels.reducing import Reduction, reduce_plan
from plait.backends.kernels.state import Kernel, kernel, unavailable
from plait.backends.kernels.threads import shared


class Filler:
    """Fills an array with the copy or the reduction of another.

    Both arrays must have the shapes and strides for which it was made; their addresses may differ.
    """

    __slots__ = ("_kernel", "_plan", "_tables")

    def __init__(self, wanted: Kernel, plan: Copy | Reduction, tables: tuple[Any, ...]) -> None:
        self._kernel, self._plan, self._tables = wanted, plan, tables

    @property
    def ready(self) -> Any:
        """The compiled function; ``None`` until the kernel is ready."""
        return self._kernel.function

    @property
    def why(self) -> str:
        """The state of the kernel as text, which ``explain`` prints."""
        return self._kernel.why

    @property
    def key(self) -> str:
        """The kernel's name, such as ``"max float32"``."""
        return self._kernel.key

    def start(self) -> None:
        """Request the kernel from the background thread; later calls do nothing."""
        if not self._kernel.asked:
            ask(self._kernel)

    def __call__(self, source: Any, out: Any) -> None:
        """Fill ``out``; may be called only if `ready` is not ``None``."""
        plan = self._plan
        first = source.__array_interface__["data"][0] + plan.source
        to = out.__array_interface__["data"][0] + plan.out
        shared(self._kernel.function, (first, to, *self._tables), plan.tasks, plan.size)


def filling(
    name: str | None, shape: Sequence[int], strides: Sequence[int], reduced: int, out_strides: Sequence[int], dtype: Any
) -> Filler | None:
    """Return what fills an array with a copy or a reduction of another.

    It is ``None`` if there is no kernel (see `why_not`), if the source is empty, or if elements of the result overlap.

    Args:
        name: the reduction, or ``None`` for a copy.
        shape: the shape of the source, of which the last dimensions are reduced.
        strides: the strides of the source in bytes, which may be negative or 0.
        reduced: how many dimensions are reduced; 0 for a copy.
        out_strides: the strides of the result in bytes, for the dimensions of the source that are not reduced.
        dtype: the element type of the source.
    """
    kept = shape[: len(shape) - reduced]
    overlapping = any(size > 1 and not stride for size, stride in zip(kept, out_strides, strict=True))
    if why_not(name, dtype) or 0 in shape or overlapping or (name is None) != (not reduced):
        return None
    if name is None:
        copy = copy_plan(shape, strides, out_strides, dtype.itemsize)
        return Filler(
            kernel(f"copy {word_of(dtype.itemsize)}"),
            copy,
            (_row(copy.head), _table(copy.axes, 4), _table(copy.loops, 7)),
        )
    recipe: Any = recipe_of(key_of(name, dtype) or "")
    if recipe.parts == 2:
        half = dtype.itemsize // 2
        if name in ("sum", "mean"):  # the real and imaginary parts are separate results
            shape, strides = (2, *shape), (half, *strides)
            out_strides = (half, *out_strides)
        else:
            shape, strides = (*shape, 2), (*strides, half)
    plan = reduce_plan(shape, strides, out_strides, np.dtype(recipe.unit).itemsize, recipe.lanes)
    tables = (_row(plan.head), _table(plan.outer, 5), _table(plan.inner, 3), plan.count if name == "mean" else 1)
    return Filler(kernel(recipe.key), plan, tables)


def why_not(name: str | None, dtype: Any) -> str | None:
    """Return why there is no kernel for a reduction of this type, or for a copy; ``None`` if there is one."""
    absent = unavailable()
    if absent:
        return absent
    if dtype.hasobject or not dtype.itemsize:
        return f"no kernel copies {dtype}"
    if name is None:
        return None
    key = key_of(name, dtype)
    return None if key and recipe_of(key) else f"no kernel computes {name} of {dtype}"


def _row(numbers: Sequence[int]) -> Any:
    return np.array(numbers, np.int64)


def _table(rows: Sequence[Sequence[int]], columns: int) -> Any:
    return np.array(rows, np.int64).reshape(len(rows), columns)
