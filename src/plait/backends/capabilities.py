"""What a framework offers where a plan takes an operation apart: the functions of its own that it is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from plait.backends.costs import ContractionCosts, MemoryCosts
from plait.backends.interface import as_it_is

if TYPE_CHECKING:
    from plait.backends.kernels import Filler

Empty: TypeAlias = Callable[[Any, tuple[int, ...]], Any]
"""``f(tensor, shape)``: new memory of a shape, where the tensor is."""

Unary: TypeAlias = Callable[[Any], Any]
Product: TypeAlias = Callable[[Any, Any], Any]

StepFunction: TypeAlias = Callable[[Any, Any], Any]
"""A function of a tensor and of a constant, or of memory for its result, or of ``None``."""


class LoopView(NamedTuple):
    """A reduction as loops over the memory of its tensors, for its gradient."""

    axes: tuple[int, ...]  # the dimensions of a tensor that are reduced
    shape: tuple[int, ...]  # of the loops
    reduced: tuple[int, ...]  # the loops that are reduced
    to_loops: Unary  # a tensor, as the loops see it
    result_to_loops: Unary  # a result, as the loops see it, with one element where they reduce
    from_loops: Unary  # what the loops see, as a tensor
    reduce: Callable[[Any, ReductionOps], Any]  # the loops of another reduction, by its own operations


class ReductionOps(NamedTuple):
    """One reduction of elements of one type; ``out`` is memory for the result, or ``None``."""

    empty: Empty  # memory for the result
    scratch: Empty  # memory for what is between
    combine: Callable[..., Any]  # f(one, other, out=None): two tensors made one, element by element
    reduce_axis: Callable[[Any, Any, Any], Any]  # f(tensor, axis, out): along one axis, or several in one call
    upcast: Unary | None  # to the type in which elements are combined; None where that is their own
    finish: Callable[[Any, int], Any] | None  # f(result, count): what is left to do, for so many elements
    downcast: bool  # whether what the calls give is of another type than the result
    itemsize: int  # bytes of an element of the result
    costs: MemoryCosts
    matmul_ones: Callable[[Any, Any], Any] | None = None  # f(tensor, out): the last axis times ones
    reduce_rows: Callable[[Any, int, Any], Any] | None = None  # f(tensor, axis, out): another axis added up by einsum
    autograd_wrap: Callable[[StepFunction, LoopView], StepFunction] | None = None  # records a gradient of its own


class TwoPassOps(NamedTuple):
    """A reduction made of two: one finds a pivot, the other adds up what each element is transformed into by it."""

    pivot: ReductionOps  # finds the pivot, of elements of the type in which it is taken out
    fix_pivot: Unary | None  # the pivot as it is taken out, which may be the same memory
    upcast: Unary | None  # to the type in which the pivot is taken out; None where that is the elements' own
    scratch: Empty  # memory for what a part of the tensor is transformed into
    transform: Callable[[Any, Any, Any], Any]  # f(part, pivot, memory): what is added up, in that memory or in other
    total: ReductionOps  # the sum
    empty: Empty  # memory for the result
    errstate: Callable[[], AbstractContextManager[Any]]  # entered for all of it: nothing is said of what is meant
    finish: Callable[[Any, Any, int], Any]  # f(total, pivot, count): the result; of so many elements each

    @property
    def costs(self) -> MemoryCosts:
        """Those of the sum, and of the transformation."""
        return self.total.costs


class LargeTensorOps(NamedTuple):
    """What the schedules of large tensors are made of on a framework, and what that costs."""

    layout: Unary  # all that decides beside a tensor's shape, such as its strides and type; None where one call is best
    memory: Callable[[Any], tuple[tuple[int, ...], int]]  # strides and the size of an element, in bytes
    reduction_ops: Callable[[str, Any, bool], ReductionOps | TwoPassOps | None]
    """Of a reduction by name, an element type, and whether a gradient is recorded; ``None``: it is one call."""
    why_not_decompose: Callable[[Any], str | None] = lambda _: None  # why one call is best, as where a tracer watches
    requires_grad: Callable[[Any], bool] = lambda _: False  # whether a gradient is recorded of what is done to a tensor
    empty: Empty | None = None  # memory for elements of the tensor's type
    copy: Callable[[Any, tuple[int, ...], list[Any]], Any] | None = None
    """``f(tensor, shape, parts)``: the tensor in new memory and another shape, copied part by part, each an index."""
    copy_costs: MemoryCosts | None = None
    kernel: Callable[[str | None, Sequence[int], Sequence[int], int, Sequence[int], Any], Filler | None] | None = None
    """``f(name, shape, strides, reduced, out_strides, dtype)`` reduces the last dimensions; with no name it copies."""
    why_no_kernel: Callable[[str | None, Any], str | None] | None = None  # f(name, dtype)
    min_kernel_elements: int = 1 << 16  # how many elements there are at least where a kernel gains something


class ContractionOps(NamedTuple):
    """What contractions of elements of some types are made of, and what that costs."""

    einsum: Callable[..., Any]  # the framework's own, for tensors of this kind alone
    dot: Product  # of two tensors of at most two dimensions
    matmul: Product  # of matrices, where a tensor has more dimensions
    multiply: Product  # of elements, with broadcasting
    copy: Callable[[Any, None], Any]  # the same elements in memory of their own; the second argument is not used
    add: Callable[[Any, tuple[int, ...]], Any]  # the sum along some dimensions, in the tensor's own type
    diagonal: Callable[[Any, tuple[int, int]], Any]  # of two dimensions, as a new last one
    costs: ContractionCosts
    vecdot: Product | None = None  # of vectors along the last dimension
    multiply_into: Product | None = None  # of elements, into the memory of the first tensor
    matmul_into: Callable[[Sequence[int], Sequence[int]], Product] | None = None
    """``f(shape, order)``: `matmul` into new memory of a shape, whose dimensions the result has in that order."""
    wrap: Callable[[Callable[..., Any]], Callable[..., Any]] = as_it_is
    """Makes of the whole contraction what is called: one in a wider type, for instance."""
