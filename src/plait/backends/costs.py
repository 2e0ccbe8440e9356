"""The cost model: what calls of a framework take, in nanoseconds, so that a plan can choose between them.

``python -m benchmarks.calibrate`` measures the figures, on one thread; only their ratios matter.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

CACHE_LINE = 64
"""Bytes that memory gives at a time; and elements that lie farther apart than this have nothing in common."""


class MemoryCosts(NamedTuple):
    """What reductions and copies of large tensors cost on a framework, and from when on a schedule is worth it.

    An *overhead* is paid once for each call or row that it names, beside the work; an *element* is the work for one.
    """

    call_overhead: float = 2500.0  # a call, with the views that it takes
    reduce_row_overhead: float = 25.0  # a row in a reduction along an axis
    reduce_element: float = 0.2  # an element of such a row
    vector_bytes: int = 0  # how much of a row is reduced at once; 0 where that makes no difference
    vector_tail_element: float = 0.0  # what an element of a row takes more beyond its last vector
    multi_axis_element: float = 0.0  # an element in one call along several axes, at least, unless the rows are long
    multi_axis_row_overhead: float = 0.0  # a row there, along the last of these axes, where the innermost is kept
    single_outer_axis_element: float = 0.0  # an element in one call along one axis that is not the innermost, at least
    outer_axis_element: float = 0.0  # what an element takes more along an axis that is not the innermost
    combine_row_overhead: float = 12.0  # a row in a call that combines two tensors
    combine_element: float = 0.3  # two elements of such rows
    combine_strided_element: float = 0.8  # the same where a row's elements lie apart
    matmul_row_overhead: float = inf  # a row in a product with ones
    matmul_element: float = 0.1  # an element that is added up there
    einsum_row_overhead: float = inf  # a row that a contraction adds to others
    einsum_element: float = 0.27  # an element of such a row
    copy_row_overhead: float = 9.0  # a row in a copy
    copy_element: float = 0.2  # an element that is copied
    copy_strided_element: float = 0.45  # the same where a row's elements lie apart on one side
    memory_byte: float = 0.06  # a byte read from main memory, or written to it
    page_fault_byte: float = 0.05  # a byte of new memory, of which the system has to give a page first
    shared_cache_line: float = 2.2  # a cache line fetched again from a cache that is not the nearest
    memory_line: float = 3.0  # the same from main memory
    tlb_miss_line: float = 7.0  # the same where the processor has to look up where it is
    transform_element: float = 0.4  # in two passes: to take the pivot out of an element, and transform what is left
    autograd_overhead: float = 0.0  # what it takes more, there and back, to have several calls recorded as one
    backward_row_overhead: float = 0.0  # a row where the gradient of one call is shared out, beyond that of several
    backward_element: float = 0.0  # an element of such a row, in the same way

    # what the framework and the machine are like
    cache_bytes: int = 1 << 18  # how much is read and written without main memory
    shared_cache_bytes: int = 1 << 23  # the same of the last cache, which others use, too
    units_stop_coalescing: bool = True  # whether a unit axis among the reduced keeps a framework from coalescing others
    upcast_ratio: float = 1.0  # how many times as large elements are while they are combined
    transform_bytes: int = 4  # what an element takes in two passes, once it is transformed

    # limits that are set, not measured
    max_reduction_ratio: float = 0.9  # what part of one call's time several may take, as estimated, to be worth it
    max_copy_ratio: float = 0.75  # the same of a copy
    max_two_pass_ratio: float = 0.8  # the same of a reduction in two passes, where memory is no question
    block_bytes: int = 1 << 20  # how much of a tensor goes through all calls at a time
    max_unrolled: int = 8  # how many elements at most have calls of their own
    min_matmul_part: int = 48  # how long at least the parts of a long row are that are added up by products
    max_matmul_part: int = 0  # and at most; 0: it stays whole
    two_pass_bytes: int = 1 << 22  # a larger tensor always goes in two passes: no temporary would stay in the cache
    two_pass_max_row: int = 2048  # of a smaller one, longer rows are nothing that one call is slow at
    min_row: int = 2048  # how many elements side by side a block in two passes has at least, if there are so many
    max_whole_rows: int = 16  # rows that are kept, and not longer than this part of a tile, are not cut
    tile_multiple: int = 128  # of so many elements longer tiles are a multiple


class ContractionCosts(NamedTuple):
    """What the calls of a contraction cost on a framework, for elements of one type.

    An *overhead* is a call without its work, a *row* or an *item* one of many within a call, beside its elements.
    """

    view_overhead: float = 250.0  # a call that gives a view
    diagonal_overhead: float = 1000.0  # a call that gives a diagonal
    pairwise_overhead: float = 800.0  # what each pair takes more where more than two tensors are contracted
    dot_overhead: float = 600.0  # a product of two matrices or vectors
    matmul_overhead: float = 1600.0  # products of several matrices
    multiply_overhead: float = 1100.0  # a product of elements
    sum_overhead: float = 2200.0  # a sum along dimensions
    einsum_overhead: float = 1300.0  # the framework's own einsum
    einsum_view_overhead: float = 700.0  # the same where it gives a view
    output_buffer_overhead: float = 1000.0  # to make a result first, and fill it in another order of its dimensions
    matmul_item: float = 200.0  # one product of matrices of many
    vecdot_item: float = 12.0  # one product of two vectors of many
    flop: float = 0.012  # a multiplication or an addition in a product of matrices
    matmul_element: float = 0.35  # an element read or written there
    matvec_element: float = 0.09  # an element of a matrix that is multiplied by a vector, or of a vector
    batched_matvec_element: float = 0.09  # the same where there are many of them
    strided_vector_element: float = 1.1  # an element of a vector whose elements lie apart
    einsum_element: float = 0.24  # a multiplication and an addition in einsum, where memory is read in order
    einsum_strided_element: float = 1.4  # the same where it is not
    einsum_row: float = 35.0  # what einsum does beside that for each run along the innermost axis
    copy_element: float = 0.4  # an element copied to another place
    copy_row: float = 5.0  # a run of elements that come to lie side by side, beside the elements
    copy_strided_element: float = 0.9  # what an element costs more where these lay far apart
    multiply_element: float = 0.22  # an element of a product of elements
    multiply_into_element: float = 0.12  # the same written into memory that is there
    multiply_broadcast_element: float = 0.45  # the same where one tensor has the same element all along a row
    sum_element: float = 0.1  # an element of a sum along dimensions

    # what the framework can do
    matmul_broadcasts: bool = True  # loops over any dimensions before the last two, and stretches them; else over one
    has_vecdot: bool = True  # a product of vectors along the last dimension
    matmul_fills: bool = True  # results filled in another order of their dimensions
    einsum_fuses: bool = True  # einsum of several tensors is one loop over all of them
    multiply_reuses: bool = False  # a product of elements can take the memory of an intermediate result
    matmul_folds: bool = False  # a matrix with several dimensions for its rows is one to the framework

    @property
    def has_only_einsum(self) -> bool:
        """Whether a framework has nothing but its einsum."""
        return self.sum_overhead == inf

    def copy_work(self, count: int, row: int, stride: int) -> float:
        """The work of a copy of so many elements, in rows of ``row`` that lay ``stride`` apart."""
        scattered = self.copy_strided_element * min(1, (stride - 1) / CACHE_LINE)
        return count * (self.copy_element + self.copy_row / max(row, 1) + scattered)

    def matmul_work(self, count: int, rows: int, columns: int, inner: int) -> float:
        """The work of so many products of a matrix of ``rows`` × ``inner`` with one of ``inner`` × ``columns``."""
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
"""Of a framework of which nothing is known but that it has an einsum."""
