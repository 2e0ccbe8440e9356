"""What a framework offers where a plan takes an operation apart: the functions of its own that it is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, TypeAlias

from plait.backends.costs import ContractionCosts, MemoryCosts
from plait.backends.interface import as_it_is

Empty: TypeAlias = Callable[[Any, tuple[int, ...]], Any]
"""``f(tensor, shape)``: new memory of a shape, where the tensor is."""


class LoopView(NamedTuple):
    """A reduction as loops over the memory of its tensors, for the way back from its result.

    Attributes:
        axes: the dimensions of a tensor that are reduced.
        shape: of the loops.
        reduced: the loops that are reduced.
        to_loops: ``f(tensor)``: as the loops see it.
        result_to_loops: ``f(result)``: what is left of a tensor, as the loops see it, with one element where they
            reduce.
        from_loops: ``f(tensor)``: what the loops see, as a tensor.
        reduce: ``f(tensor, ops)``: the loops of another reduction, by its own operations.
    """

    axes: tuple[int, ...]
    shape: tuple[int, ...]
    reduced: tuple[int, ...]
    to_loops: Callable[[Any], Any]
    result_to_loops: Callable[[Any], Any]
    from_loops: Callable[[Any], Any]
    reduce: Callable[[Any, ReductionOps], Any]


class ReductionOps(NamedTuple):
    """One reduction of elements of one type; ``out`` is memory for the result, or ``None``.

    Attributes:
        empty: new memory for the result.
        scratch: the same for what is between.
        combine: ``f(one, other, out=None)``: two tensors made one, element by element.
        reduce_axis: ``f(tensor, axis, out)``: the tensor reduced along one axis, or several in one call.
        matmul_ones: ``f(tensor, out)``: the tensor added up along its last axis by a product with ones, or ``None``.
        reduce_rows: ``f(tensor, axis, out)``: the tensor added up along an axis that is not the last, by einsum, or
            ``None``.
        upcast: the elements in the type in which they are combined, or ``None`` where that is their own.
        finish: ``f(result, count)``: what is left to do, in memory if it can; each element is made of so many.
        downcast: whether what the calls give is of another type than the result.
        itemsize: bytes of an element of the result.
        costs: what all this costs.
        autograd_wrap: ``f(reduce, loops)``: the same reduction with a gradient of its own; ``None`` where none is
            recorded.
    """

    empty: Empty
    scratch: Empty
    combine: Callable[..., Any]
    reduce_axis: Callable[[Any, Any, Any], Any]
    matmul_ones: Callable[[Any, Any], Any] | None
    reduce_rows: Callable[[Any, int, Any], Any] | None
    upcast: Callable[[Any], Any] | None
    finish: Callable[[Any, int], Any] | None
    downcast: bool
    itemsize: int
    costs: MemoryCosts
    autograd_wrap: Callable[[Callable[[Any, Any], Any], LoopView], Callable[[Any, Any], Any]] | None = None


class TwoPassOps(NamedTuple):
    """A reduction made of two: one finds a pivot, the other adds up what each element is transformed into by it.

    Attributes:
        pivot: the reduction that finds the pivot, of elements of the type in which it is taken out.
        fix_pivot: ``f(pivot)``: the pivot as it is taken out, which may be the same memory; or ``None``.
        upcast: the elements in the type in which the pivot is taken out; ``None`` where that is their own.
        scratch: new memory for what a part of the tensor is transformed into.
        transform: ``f(part, pivot, memory)``: what is to be added up, in that memory or in other.
        total: the sum, with what the transformation costs.
        empty: new memory for the result.
        errstate: what is entered for all of it, so that nothing is said of what is meant to happen.
        finish: ``f(total, pivot, count)``: the result; each element is made of so many.
    """

    pivot: ReductionOps
    fix_pivot: Callable[[Any], Any] | None
    upcast: Callable[[Any], Any] | None
    scratch: Empty
    transform: Callable[[Any, Any, Any], Any]
    total: ReductionOps
    empty: Empty
    errstate: Callable[[], AbstractContextManager[Any]]
    finish: Callable[[Any, Any, int], Any]


class Filler(Protocol):
    """A compiled kernel that fills memory, for tensors of one shape and layout."""

    @property
    def ready(self) -> Any:
        """``None`` until it may be called."""

    @property
    def why(self) -> str:
        """What ``explain`` says of it until then."""

    def start(self) -> None:
        """See that it becomes ready, in its own time."""

    def __call__(self, source: Any, out: Any) -> None:
        """Fill memory."""


class LargeTensorOps(NamedTuple):
    """What the schedules of large tensors are made of on a framework, and what that costs.

    Attributes:
        why_not_decompose: why one call of the framework's is best for a tensor, as where a tracer watches; or ``None``.
        layout: of a tensor, all that decides how it is done beside its shape, such as strides and element type;
            ``None`` where one call is best.
        requires_grad: whether a gradient is recorded of what is done to a tensor.
        memory: of a tensor, its strides and the size of an element, in bytes.
        reduction_ops: of a reduction by name, an element type, and whether a gradient is recorded; ``None``: it is one
            call.
        two_pass_ops: the same of a reduction in two passes; ``None`` where all of those are one call.
        empty: new memory for elements of the tensor's type.
        copy: ``f(tensor, shape, parts)``: the tensor in new memory and another shape, copied part by part, which are
            given by their indices; or ``None`` where one call copies as well.
        copy_costs: what copies cost, where there is such a copy.
        kernel: ``f(name, shape, strides, reduced, out_strides, dtype)``: what fills memory with a copy, or a reduction
            along the last dimensions, in one pass. ``None`` where there is none.
        why_no_kernel: ``f(name, dtype)``: why there is none for a reduction, or for a copy, which has no name.
        min_kernel_elements: how many elements there are at least where a kernel gains something.
    """

    why_not_decompose: Callable[[Any], str | None]
    layout: Callable[[Any], Any]
    requires_grad: Callable[[Any], bool]
    memory: Callable[[Any], tuple[tuple[int, ...], int]]
    reduction_ops: Callable[[str, Any, bool], ReductionOps | None]
    two_pass_ops: Callable[[str, Any, bool], TwoPassOps | None] | None = None
    empty: Empty | None = None
    copy: Callable[[Any, tuple[int, ...], list[Any]], Any] | None = None
    copy_costs: MemoryCosts | None = None
    kernel: Callable[[str | None, Sequence[int], Sequence[int], int, Sequence[int], Any], Filler | None] | None = None
    why_no_kernel: Callable[[str | None, Any], str | None] | None = None
    min_kernel_elements: int = 1 << 16


Product: TypeAlias = Callable[[Any, Any], Any]


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
