"""The cost model: the time that calls of a framework take, in nanoseconds, from which schedules are chosen.

``python -m benchmarks.calibrate`` measures the figures, on one thread; only their ratios matter.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

CACHE_LINE_BYTES = 64
"""The size of a cache line in bytes; elements with a larger stride share none."""


class MemoryCosts(NamedTuple):
    """The costs of reductions and copies of large tensors on one framework, in nanoseconds.

    A field named *overhead* is the cost of each call, or of each row, beyond that of its elements; one named *element*
    is the cost of each element. A *row* is the elements along the innermost loop of a loop nest.
    """

    call_overhead: float = 2500.0  # a call, including the views that are made of its operands
    reduce_row_overhead: float = 25.0  # a row in a reduction along an axis
    reduce_element: float = 0.2  # an element that is reduced along an axis
    vector_bytes: int = 0  # how many bytes of a row SIMD instructions reduce at once; 0 if that makes no difference
    vector_tail_element: float = 0.0  # extra for each element behind the last full SIMD vector of a row
    multi_axis_element: float = 0.0  # the least cost of an element in one call along several axes, unless rows are long
    # the least cost of a row along the last reduced axis in one call along several axes, if the innermost axis is kept
    multi_axis_row_overhead: float = 0.0
    # the least cost of an element in one call along a single axis that is not the innermost
    single_outer_axis_element: float = 0.0
    outer_axis_element: float = 0.0  # extra for each element that is reduced along an axis that is not the innermost
    combine_row_overhead: float = 12.0  # a row in a call that combines two tensors elementwise
    combine_element: float = 0.3  # a pair of elements that a call combines
    combine_strided_element: float = 0.8  # a pair of combined elements in rows whose elements are not adjacent
    matmul_row_overhead: float = inf  # a row that is summed by a matrix product with a vector of ones
    matmul_element: float = 0.1  # an element that is summed by a matrix product with a vector of ones
    einsum_row_overhead: float = inf  # a row that an einsum adds to other rows, elementwise
    einsum_element: float = 0.27  # an element that an einsum adds to an element of another row
    copy_row_overhead: float = 9.0  # a row in a copy
    copy_element: float = 0.2  # an element that is copied
    copy_strided_element: float = 0.45  # a copied element of a row that is not contiguous before or after the copy
    memory_byte: float = 0.06  # a byte read from main memory, or written to it
    page_fault_byte: float = 0.05  # a byte of newly allocated memory, which causes page faults
    shared_cache_line: float = 2.2  # a cache line fetched again from a farther cache
    memory_line: float = 3.0  # a cache line fetched again from main memory
    tlb_miss_line: float = 7.0  # a cache line fetched again that also misses the translation lookaside buffer
    transform_element: float = 0.4  # in a two-pass reduction, to subtract the pivot from an element and transform it
    autograd_overhead: float = 0.0  # extra, forward and backward, to record several calls as one node of the graph
    # by how much a row in the gradient of one call costs more than a row in the gradient that plait computes itself
    backward_row_overhead: float = 0.0
    backward_element: float = 0.0  # by how much an element in the gradient of one call costs more, in the same way

    # properties of the framework and of the machine
    cache_bytes: int = 1 << 18  # the size of the nearest large cache
    shared_cache_bytes: int = 1 << 23  # the size of the last cache, which other processes share
    units_stop_coalescing: bool = True  # whether a reduced axis of length 1 prevents coalescing
    has_row_major_results: bool = False  # whether one call gives a row-major result for any strides of its input
    upcast_ratio: float = 1.0  # the size of an accumulator relative to that of an element
    transform_bytes: int = 4  # the size of the memory for each element that a two-pass reduction transforms

    # limits that are set, not measured
    max_reduction_ratio: float = 0.9  # several calls are chosen if they take less than this part of the time of one
    max_copy_ratio: float = 0.75  # a copy is made in tiles if that takes less than this part of the time of one call
    # a two-pass reduction of at most `two_pass_bytes` is made in blocks if that takes less than this part of one call
    max_two_pass_ratio: float = 0.8
    block_bytes: int = 1 << 20  # a tensor is computed in blocks of this size: all calls for one, then for the next
    max_unrolled: int = 8  # the greatest length of an axis of which each element is computed by separate calls
    min_matmul_part: int = 48  # the smallest length of the parts of a row that are summed by matrix products
    max_matmul_part: int = 0  # the greatest length of parts that are summed by matrix products; 0: a row is one part
    two_pass_bytes: int = 1 << 22  # larger tensors are always computed in blocks, as temporaries do not fit the cache
    two_pass_max_row: int = 2048  # smaller tensors with longer rows are never computed in blocks: one call is fast
    min_row: int = 2048  # the smallest number of adjacent elements in a block of a two-pass reduction
    max_whole_rows: int = 16  # a kept row is not split if a tile has room for at least this many of its length
    tile_multiple: int = 128  # the length of a longer tile is a multiple of this number of elements


class KernelCosts(NamedTuple):
    """The costs of a reduction by a compiled kernel, in nanoseconds."""

    call_overhead: float = 3000.0  # a call, including the memory of its result
    element: float = 0.14  # an element that is added to its accumulator
    memory_byte: float = 0.06  # a byte read from main memory
    cache_bytes: int = 1 << 18  # the size of the nearest large cache

    def work(self, count: int, itemsize: int) -> float:
        """Return the nanoseconds to reduce ``count`` elements of ``itemsize`` bytes."""
        element = self.element
        if count * itemsize > self.cache_bytes:
            element += itemsize * self.memory_byte
        return self.call_overhead + count * element


class ContractionCosts(NamedTuple):
    """The costs of contractions on one framework for one element type, in nanoseconds.

    A field named *overhead* is the cost of a call with almost no elements. One named *row* or *item* is the cost of
    each row of elements, or of each of several products, beyond that of the elements. One named *element* is the cost
    of each element.
    """

    view_overhead: float = 250.0  # a call that returns a view
    diagonal_overhead: float = 1000.0  # a call that returns a diagonal
    pairwise_overhead: float = 800.0  # extra for each pairwise contraction if there are more than two tensors
    dot_overhead: float = 600.0  # a product of two matrices or vectors
    matmul_overhead: float = 1600.0  # a call that multiplies several pairs of matrices
    multiply_overhead: float = 1100.0  # a product of elements
    sum_overhead: float = 2200.0  # a sum along dimensions
    einsum_overhead: float = 1300.0  # a call of the framework's own einsum
    einsum_view_overhead: float = 700.0  # a call of the framework's own einsum, if it returns a view
    output_buffer_overhead: float = 1000.0  # extra to write a product into memory with another order of dimensions
    matmul_item: float = 200.0  # one of the products of matrices in a call
    vecdot_item: float = 12.0  # one of the products of vectors in a call
    flop: float = 0.012  # a multiplication or an addition in a product of matrices
    matmul_element: float = 0.35  # an element that a product of matrices reads or writes
    matvec_element: float = 0.09  # an element of a matrix that is multiplied by a vector, or of a vector by a vector
    batched_matvec_element: float = 0.09  # an element of one of several matrices that a call multiplies by vectors
    strided_vector_element: float = 1.1  # an element of a vector that is not contiguous
    einsum_element: float = 0.24  # a multiplication and an addition in einsum, if its innermost loop has no strides
    einsum_strided_element: float = 1.4  # a multiplication and an addition in einsum, if its innermost loop has strides
    einsum_row: float = 35.0  # each run of einsum's innermost loop
    copy_element: float = 0.4  # an element that is copied
    copy_row: float = 5.0  # a row that is copied: elements that are adjacent in the copy, and evenly spaced before
    copy_strided_element: float = 0.9  # the most extra for a copied element that is far from the one before it
    multiply_element: float = 0.22  # an element of an elementwise product
    multiply_into_element: float = 0.12  # an element of an elementwise product, written into the memory of an operand
    multiply_broadcast_element: float = 0.45  # an element of an elementwise product in which a tensor broadcasts
    sum_element: float = 0.1  # an element of a sum along dimensions

    # properties of the framework
    matmul_broadcasts: bool = True  # matmul takes any number of batch dimensions and broadcasts them; else exactly one
    has_vecdot: bool = True  # there is a product of vectors along the last dimension
    matmul_fills: bool = True  # matmul can write its result in another order of dimensions
    einsum_fuses: bool = True  # einsum of several tensors is one loop nest over all their axes
    multiply_reuses: bool = False  # multiply can write into the memory of an intermediate result
    matmul_folds: bool = False  # the product of two matrices takes a first operand with several dimensions of rows

    @property
    def has_only_einsum(self) -> bool:
        """Whether einsum is the only operation of the framework for contractions."""
        return self.sum_overhead == inf

    def copy_work(self, count: int, row: int, stride: int) -> float:
        """Return the nanoseconds to copy ``count`` elements in rows of ``row``, read ``stride`` elements apart."""
        scattered = self.copy_strided_element * min(1, (stride - 1) / CACHE_LINE_BYTES)
        return count * (self.copy_element + self.copy_row / max(row, 1) + scattered)

    def matmul_work(self, count: int, rows: int, columns: int, inner: int) -> float:
        """Return the nanoseconds of ``count`` products of ``rows`` × ``inner`` and ``inner`` × ``columns`` matrices."""
        if self.flop == inf:
            return inf
        read = self.matvec_element if count == 1 else self.batched_matvec_element
        if rows == columns == 1:
            return count * (self.vecdot_item + inner * read)
        if rows == 1 or columns == 1:
            return count * (self.matmul_item / 2 + rows * columns * inner * read)
        moved = rows * inner + inner * columns + rows * columns
        return count * (self.matmul_item + 2 * rows * columns * inner * self.flop + moved * self.matmul_element)


EINSUM_ONLY_COSTS = ContractionCosts(flop=inf, multiply_overhead=inf, sum_overhead=inf, einsum_fuses=False)
"""The costs on a framework that has only einsum."""


class AllocationRules(NamedTuple):
    """What the calls of a framework allocate beside their results."""

    einsum_copies: bool = False  # the framework's einsum copies its operands, and its result into another order
    matmul_copies: bool = True  # a matrix product copies an operand of whose last two dimensions none is contiguous
