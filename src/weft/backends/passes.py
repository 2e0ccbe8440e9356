"""What a framework offers where plans reduce and copy large tensors in several calls of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from weft.backends.calls import Calls
from weft.backends.composites import Composite


class Passes(NamedTuple):
    """How a framework lets plans pass over memory.

    Attributes:
        least: how many elements there are at least where it is worth a thought.
        eager: how many elements there are at least where it is decided when a tensor comes for the first time; of a
            smaller one, deciding takes longer than a call, and is left to the second.
        rounded: the same of a reduction that rounds, of which the first call must give what the others do; of a smaller
            tensor it is one call.
        reason: why one call of the framework's is best for a tensor, as where a tracer watches it; or ``None``.
        layout: of a tensor, all that decides how it is done beside its shape, such as strides and element type;
            ``None`` where there is a reason.
        recorded: whether a gradient is recorded of what is done to a tensor.
        memory: of a tensor, its strides and the size of an element, in bytes.
        calls: of a reduction by name, an element type, and whether a gradient is recorded; ``None``: there are none.
        composite: the same of a reduction that has a centre; ``None`` where all of those are one call.
        empty: new memory of a shape, for elements of the tensor's type.
        copy: ``f(tensor, shape, parts)``: the tensor in new memory and another shape, copied part by part, which are
            given by their indices; or ``None`` where one call copies as well.
        kernel: ``f(name, shape, strides, reduced, out_strides, dtype)``: what fills memory with a copy, or a reduction
            along the last dimensions, in one pass; it says itself when it is ready. ``None`` where there is none.
        no_kernel: ``f(name, dtype)``: why there is none for a reduction, or for a copy, which has no name.
        worth: how many elements there are at least where a kernel gains something.
    """

    least: int
    reason: Callable[[Any], str | None]
    layout: Callable[[Any], Any]
    recorded: Callable[[Any], bool]
    memory: Callable[[Any], tuple[tuple[int, ...], int]]
    calls: Callable[[str, Any, bool], Calls | None]
    composite: Callable[[str, Any, bool], Composite | None] | None = None
    empty: Callable[[Any, tuple[int, ...]], Any] | None = None
    copy: Callable[[Any, tuple[int, ...], list[Any]], Any] | None = None
    kernel: Callable[..., Any] | None = None
    no_kernel: Callable[[str | None, Any], str | None] | None = None
    worth: int = 1 << 16
    eager: int = 1 << 17
    rounded: int = 1 << 14
