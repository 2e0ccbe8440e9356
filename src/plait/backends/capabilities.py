"""The operations that a backend can offer beyond `Backend`: for contractions and for large tensors.

A backend returns them from `Backend.contraction_functions` and `LargeTensorSettings.load`. All are optional: without
them plait calls the framework's einsum, and one function for each reduction and copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, TypeAlias

from plait.backends.costs import AllocationRules, ContractionCosts, MemoryCosts
from plait.backends.interface import identity
from plait.backends.kernels import KernelFunctions

AllocateFunction: TypeAlias = Callable[[Any, tuple[int, ...]], Any]
"""``f(tensor, shape)`` returns uninitialised memory of that shape on the device of the tensor."""

UnaryFunction: TypeAlias = Callable[[Any], Any]
"""``f(tensor)`` returns a tensor."""

ProductFunction: TypeAlias = Callable[[Any, Any], Any]
"""``f(left, right)`` returns a product of two tensors."""

StepFunction: TypeAlias = Callable[[Any, Any], Any]
"""``f(tensor, argument)`` executes a step of a plan; the argument is a constant, memory for the result, or ``None``."""


class ReductionLoopNest(NamedTuple):
    """A reduction of one tensor as a loop nest over its memory; the gradient of the reduction has the same loops.

    Attributes:
        axes: the indices of the dimensions of the tensor that are reduced.
        shape: the length of each loop, the outermost first.
        reduced_loops: the indices of the loops over reduced dimensions.
        to_loops: ``f(tensor)`` permutes and reshapes a tensor of the shape of the reduced tensor, so that it has one
            dimension for each loop.
        result_to_loops: ``f(tensor)`` does the same with a tensor of the result's shape, which gets length 1 for each
            reduced loop.
        from_loops: the inverse of ``to_loops``.
        reduce: ``f(tensor, functions)`` reduces a tensor that has one dimension for each loop, with the functions of
            any reduction.
    """

    axes: tuple[int, ...]
    shape: tuple[int, ...]
    reduced_loops: tuple[int, ...]
    to_loops: UnaryFunction
    result_to_loops: UnaryFunction
    from_loops: UnaryFunction
    reduce: Callable[[Any, ReductionFunctions], Any]


class ReductionFunctions(NamedTuple):
    """The operations that one reduction of one element type is made of.

    Each operation with an argument ``out`` writes its result there and returns it, or returns new memory if ``out`` is
    ``None``. All together must give what one call of the framework gives, up to rounding.

    Attributes:
        empty: allocates memory for the result, in its element type.
        scratch: allocates memory for intermediate results, in the type of the accumulator.
        combine: ``f(left, right, out=None)`` reduces two tensors of one shape to one, element by element.
        reduce_axis: ``f(tensor, axis, out)`` reduces along one dimension, or along a tuple of them.
        upcast: casts a tensor to the type of the accumulator; ``None`` if that is its own type.
        finish: ``f(result, count)`` completes the result in place, after ``count`` elements were reduced to each
            element, as a mean divides; ``None`` if nothing is left to do.
        needs_downcast: whether the operations give the type of the accumulator and the result has a narrower one.
        itemsize: the size of an element of the result, in bytes.
        costs: what the operations cost, in nanoseconds.
        matmul_ones: ``f(tensor, out)`` sums the last dimension by a matrix product with a vector of ones, if that is
            faster for some tensors.
        reduce_rows: ``f(tensor, axis, out)`` sums another dimension by einsum, if that is faster for some tensors.
        autograd_wrap: ``f(reduce, loops)`` wraps the function of the whole reduction, so that its gradient is recorded.
    """

    empty: AllocateFunction
    scratch: AllocateFunction
    combine: Callable[..., Any]
    reduce_axis: Callable[[Any, Any, Any], Any]
    upcast: UnaryFunction | None
    finish: Callable[[Any, int], Any] | None
    needs_downcast: bool
    itemsize: int
    costs: MemoryCosts
    matmul_ones: Callable[[Any, Any], Any] | None = None
    reduce_rows: Callable[[Any, int, Any], Any] | None = None
    autograd_wrap: Callable[[StepFunction, ReductionLoopNest], StepFunction] | None = None


class TwoPassFunctions(NamedTuple):
    """The operations of a two-pass reduction: find a pivot, transform each element by it, and sum.

    The variance has the mean for its pivot and sums squared deviations; ``logsumexp`` has the maximum, and sums
    exponentials of the differences.

    Attributes:
        pivot: the reduction that finds the pivot, of elements in the type of the accumulator.
        fix_pivot: replaces pivots that cannot be subtracted, such as infinity; ``None`` if there are none.
        upcast: casts a tensor to the type of the accumulator; ``None`` if that is its own type.
        scratch: allocates memory for the transformed elements.
        transform: ``f(block, pivot, memory)`` returns the transformed elements of a block; it may write them to
            ``memory``.
        total: the sum of the transformed elements.
        empty: allocates memory for the result, in its element type.
        errstate: a context manager that is entered for both passes, to silence warnings of intended infinities.
        finish: ``f(total, pivot, count)`` returns the result, where ``count`` elements were reduced to each.
    """

    pivot: ReductionFunctions
    fix_pivot: UnaryFunction | None
    upcast: UnaryFunction | None
    scratch: AllocateFunction
    transform: Callable[[Any, Any, Any], Any]
    total: ReductionFunctions
    empty: AllocateFunction
    errstate: Callable[[], AbstractContextManager[Any]]
    finish: Callable[[Any, Any, int], Any]

    @property
    def costs(self) -> MemoryCosts:
        """The costs of the sum and of the transformation, in nanoseconds."""
        return self.total.costs


class LargeTensorFunctions(NamedTuple):
    """The operations that schedules of large tensors are made of on one framework, and their costs.

    Attributes:
        layout_key: ``f(tensor)`` returns a hashable value of everything besides the shape that the choice of a
            schedule depends on, such as strides and element type; ``None`` where one call of the framework is fastest.
        byte_strides_and_itemsize: ``f(tensor)`` returns the strides and the size of an element, both in bytes.
        strides_of_result: ``f(call, tensor)`` returns strides of the same order as those of ``call(tensor)``. For this
            it calls ``call`` with the first two elements along each dimension of the tensor.
        reduction_functions: ``f(name, dtype, requires_grad)`` returns the functions of a reduction, or ``None``
            where one call of the framework is fastest.
        why_not_decompose: ``f(tensor)`` returns why one call is fastest for this tensor, or ``None`` if it need not be.
        requires_grad: ``f(tensor)`` returns whether the framework records a gradient of what is done to the tensor.
        empty: allocates memory in the element type of the tensor.
        copy: ``f(tensor, shape, blocks)`` copies a tensor to new memory of another shape, block by block; a block is an
            index of a tensor of that shape.
        copy_costs: what copies cost, in nanoseconds; ``None`` where one call is fastest.
        kernels: what compiled kernels need to know of the tensors; ``None`` where they cannot serve.
    """

    layout_key: UnaryFunction
    byte_strides_and_itemsize: Callable[[Any], tuple[tuple[int, ...], int]]
    strides_of_result: Callable[[UnaryFunction, Any], tuple[int, ...]]
    reduction_functions: Callable[[str, Any, bool], ReductionFunctions | TwoPassFunctions | None]
    why_not_decompose: Callable[[Any], str | None] = lambda _: None
    requires_grad: Callable[[Any], bool] = lambda _: False
    empty: AllocateFunction | None = None
    copy: Callable[[Any, tuple[int, ...], list[Any]], Any] | None = None
    copy_costs: MemoryCosts | None = None
    kernels: KernelFunctions | None = None


class LongSumCasts(NamedTuple):
    """The conversions with which long sums of products are computed: blocks in single precision, added in double.

    Attributes:
        block_dtype: the element type in which the blocks are computed, as the framework's own object.
        to_block_dtype: casts a tensor to that type.
        widen: casts the sum of a block to double precision.
        narrow: casts the result to the element type that an einsum of the tensors has.
        can_divide: ``f(tensor)`` returns whether a tensor may be processed in blocks: not while a gradient or a graph
            is recorded.
    """

    block_dtype: Any
    to_block_dtype: UnaryFunction
    widen: UnaryFunction
    narrow: UnaryFunction
    can_divide: Callable[[Any], bool] = lambda _: True


class ContractionFunctions(NamedTuple):
    """The operations that pairwise contractions of some element types are made of on one framework, and their costs.

    Attributes:
        einsum: ``f(equation, *tensors)`` is the framework's einsum, which need only support these element types.
        dot: the product of two tensors of at most two dimensions, as ``numpy.dot``.
        matmul: the products of the matrices in the last two dimensions, batched over the others, as ``numpy.matmul``.
        multiply: the product of elements, with broadcasting.
        copy: ``f(tensor, None)`` returns the same elements in contiguous memory.
        add: ``f(tensor, axes)`` returns the sum along some dimensions, in the tensor's element type.
        diagonal: ``f(tensor, axes)`` returns the diagonal of a pair of dimensions as a new last dimension.
        costs: what the operations cost, in nanoseconds.
        vecdot: the products of the vectors in the last dimension, if the framework has them.
        multiply_into: the product of elements, written into the memory of the first tensor, if the framework can.
        build_matmul_with_output_order: ``f(shape, order)`` returns a `matmul` that writes into new memory of that
            shape, if the framework can; dimension ``i`` of the product is dimension ``order[i]`` of the memory.
        dot_of_slices: the same as `dot`, for operands that are slices, if `dot` copies these.
        wrap: wraps the function of a whole contraction, for example to cast its operands and its result.
        long_sum_casts: the conversions for long sums in single precision; ``None`` if sums need no wider type.
        to_compute_dtype: casts a tensor of floats to the element type in which the whole contraction is computed, so
            that a part of it can be computed alone; ``None`` if it cannot.
        to_result_dtype: casts a tensor of floats from that type to the one of the result.
    """

    einsum: Callable[..., Any]
    dot: ProductFunction
    matmul: ProductFunction
    multiply: ProductFunction
    copy: Callable[[Any, None], Any]
    add: Callable[[Any, tuple[int, ...]], Any]
    diagonal: Callable[[Any, tuple[int, int]], Any]
    costs: ContractionCosts
    vecdot: ProductFunction | None = None
    multiply_into: ProductFunction | None = None
    build_matmul_with_output_order: Callable[[Sequence[int], Sequence[int]], ProductFunction] | None = None
    dot_of_slices: ProductFunction | None = None
    wrap: Callable[[Callable[..., Any]], Callable[..., Any]] = identity
    long_sum_casts: LongSumCasts | None = None
    to_compute_dtype: UnaryFunction | None = None
    to_result_dtype: UnaryFunction = identity


class BlockFunctions(NamedTuple):
    """The operations with which an einsum under a limit of memory is computed block by block.

    Attributes:
        compute_and_result_dtypes: ``f(dtypes)`` returns the element type in which tensors of these types are
            contracted, and that of the result.
        itemsize: ``f(dtype)`` returns the bytes of an element.
        cast: ``f(tensor, dtype)`` casts a tensor.
        can_widen: ``f(dtype)`` returns whether `allocate` has a wider type for sums of this type.
        allocate: ``f(value, shape, is_wide)`` allocates memory for the result, on the device and in the element type of
            the result of a block, or in the wider type.
        store: ``f(result, index, value)`` writes the result of a block to its place, and returns the whole result.
        add: ``f(result, index, value)`` adds it to what is there.
        finish: ``f(result, dtype)`` returns the complete result in its element type.
        strides: ``f(tensor)`` returns the strides in elements, or ``None`` if there are none.
        is_on_disk: ``f(tensor)`` returns whether the elements of a tensor are in a file.
        why_not: ``f(tensor)`` returns what hides the memory of a tensor, as a tracer does, or ``None``.
        run: ``f(call, blocks)`` contracts blocks, and returns when the result is there.
        rules: what the calls of the framework allocate.
        compiled_bytes: ``f(call, shapes, dtypes)`` returns how many bytes a compiled call allocates, its result
            included; ``None`` where the rules say that.
        slices_are_copies: whether a slice of a tensor takes memory.
    """

    compute_and_result_dtypes: Callable[[tuple[Any, ...]], tuple[Any, Any]]
    itemsize: Callable[[Any], int]
    cast: Callable[[Any, Any], Any]
    can_widen: Callable[[Any], bool]
    allocate: Callable[[Any, tuple[int, ...], bool], Any]
    store: Callable[[Any, tuple[slice, ...], Any], Any]
    add: Callable[[Any, tuple[slice, ...], Any], Any]
    finish: Callable[[Any, Any], Any]
    strides: Callable[[Any], tuple[int, ...] | None] = lambda _: None
    is_on_disk: Callable[[Any], bool] = lambda _: False
    why_not: Callable[[Any], str | None] = lambda _: None
    run: Callable[[Callable[..., Any], Sequence[Any]], Any] = lambda call, blocks: call(*blocks)
    rules: AllocationRules = AllocationRules()
    compiled_bytes: Callable[[Callable[..., Any], Sequence[tuple[int, ...]], Sequence[Any]], int] | None = None
    slices_are_copies: bool = False
