"""What a framework offers where a reduction of a large tensor is made of several calls of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from plait.backends.costs import ContractionCosts, MemoryCosts


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
        costs: what the calls cost.
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
    costs: MemoryCosts
    recorded: Callable[[Callable[[Any, Any], Any], Loops], Callable[[Any, Any], Any]] | None = None


class Composite(NamedTuple):
    """A reduction that is made of two: one finds a centre, the other adds up what is made of each element without it.

    Attributes:
        centre: the calls that find the centre, of elements of the type in which it is taken out.
        settle: ``f(centre)``: the centre as it is taken out, which may be the same memory; or ``None``.
        widen: the elements in the type in which the centre is taken out; ``None`` where that is their own.
        room: new memory of a shape, for what is made of a part of the tensor.
        deviate: ``f(part, centre, memory)``: what is to be added up, in that memory or in other.
        total: the calls that add it up.
        empty: new memory for the result, of a shape.
        quiet: what is entered for all of it, so that nothing is said of what is meant to happen.
        finish: ``f(total, centre, count)``: the result; each element is made of so many.
        costs: those of adding up, with what it takes to make it.
    """

    centre: Calls
    settle: Callable[[Any], Any] | None
    widen: Callable[[Any], Any] | None
    room: Callable[[Any, tuple[int, ...]], Any]
    deviate: Callable[[Any, Any, Any], Any]
    total: Calls
    empty: Callable[[Any, tuple[int, ...]], Any]
    quiet: Callable[[], AbstractContextManager[Any]]
    finish: Callable[[Any, Any, int], Any]
    costs: MemoryCosts


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
        copy_costs: what copies cost, where there is such a copy.
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
    copy_costs: MemoryCosts | None = None
    kernel: Callable[..., Any] | None = None
    no_kernel: Callable[[str | None, Any], str | None] | None = None
    worth: int = 1 << 16
    eager: int = 1 << 17
    rounded: int = 1 << 14


Product: TypeAlias = Callable[[Any, Any], Any]


def as_it_is(call: Callable[..., Any]) -> Callable[..., Any]:
    """What nothing is done to: `Products.around` of most types, `Backend.wrap_callable` of most frameworks."""
    return call


def no_products(dtypes: tuple[Any, ...]) -> Products | None:  # noqa: ARG001  # a `Backend.products`
    """What a framework whose einsum is the best way to contract has for `Backend.products`."""
    return None


class Products(NamedTuple):
    """The calls for elements of some types, and what they cost.

    Attributes:
        einsum: the framework's own einsum, for tensors of this kind alone.
        dot: a product of two tensors of rank 1 or 2.
        matmul: a product of matrices, of which at least one tensor has several.
        vecdot: products of vectors along the last dimension, where there is such a function.
        multiply: a product of elements, stretched as broadcasting does.
        update: the same, into the memory of the first.
        copy: the same elements in memory of their own; the second argument is nothing.
        add: the sum along some dimensions, in the tensor's own type.
        diagonal: the elements with equal indices in two dimensions, as a new last one.
        fill: makes a product of matrices that fills memory of a shape, whose dimensions it has in that order.
        costs: what the calls cost.
        around: what becomes of the whole call: one in a wider type, for instance.
    """

    einsum: Callable[..., Any]
    dot: Product
    matmul: Product
    vecdot: Product | None
    multiply: Product
    update: Product | None
    copy: Callable[[Any, None], Any]
    add: Callable[[Any, tuple[int, ...]], Any]
    diagonal: Callable[[Any, tuple[int, int]], Any]
    fill: Callable[[Sequence[int], Sequence[int]], Product] | None
    costs: ContractionCosts
    around: Callable[[Callable[..., Any]], Callable[..., Any]] = as_it_is
