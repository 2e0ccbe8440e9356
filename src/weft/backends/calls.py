"""What a framework offers where a reduction of a large tensor is made of several calls of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Loops(NamedTuple):
    """A reduction as loops over the memory of its tensors, for the way back from its result.

    Attributes:
        axes: the dimensions of a tensor that are reduced.
        shape: of the loops.
        reduced: the loops that are reduced.
        into: ``f(tensor)``: as the loops see it.
        left: ``f(result)``: what is left of a tensor, as the loops see it, with one element where they reduce.
        back: ``f(tensor)``: what the loops see, as a tensor.
        fold: ``f(tensor, calls)``: the loops of another reduction, by its own calls.
    """

    axes: tuple[int, ...]
    shape: tuple[int, ...]
    reduced: tuple[int, ...]
    into: Callable[[Any], Any]
    left: Callable[[Any], Any]
    back: Callable[[Any], Any]
    fold: Callable[[Any, Calls], Any]


class Calls(NamedTuple):
    """The calls of one reduction over elements of one type; ``out`` is memory for the result, or ``None``.

    Attributes:
        empty: new memory for the result, of a shape, where the tensor is.
        room: the same for what is between.
        combine: ``f(one, other, out)``: two tensors made one, element by element.
        along: ``f(tensor, axis, out)``: the tensor reduced along one axis, or several in one call.
        product: ``f(tensor, out)``: the tensor added up along its last axis by a product with ones, or ``None``.
        rows: ``f(tensor, axis, out)``: the tensor added up along an axis that is not the last, by einsum, or ``None``.
        widen: the elements in the type in which they are combined, or ``None`` where that is their own.
        finish: ``f(result, count)``: what is left to do, in memory if it can; each element is made of so many.
        narrow: whether what the calls give is of another type than the result.
        itemsize: bytes of an element of the result.
        prices: the prices of weft's planner that differ from its own.
        recorded: ``f(reduce, loops)``: the same reduction with a gradient of its own; ``None`` where none is recorded.
    """

    empty: Callable[[Any, tuple[int, ...]], Any]
    room: Callable[[Any, tuple[int, ...]], Any]
    combine: Callable[[Any, Any, Any], Any]
    along: Callable[[Any, Any, Any], Any]
    product: Callable[[Any, Any], Any] | None
    rows: Callable[[Any, int, Any], Any] | None
    widen: Callable[[Any], Any] | None
    finish: Callable[[Any, int], Any] | None
    narrow: bool
    itemsize: int
    prices: tuple[tuple[str, Any], ...]
    recorded: Callable[[Callable[[Any, Any], Any], Loops], Callable[[Any, Any], Any]] | None = None
