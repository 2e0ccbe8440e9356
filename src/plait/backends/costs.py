"""The cost model: what calls of a framework take, so that a plan can choose between them. Every time is in nanoseconds.

The figures are measured once, on one thread of an ordinary machine, and need not be right on another: only the ratio of
one to another decides, and only where two ways are nearly as good. ``python -m benchmarks.calibrate`` measures them
anew. A framework that differs says so with a table of its own, made by ``_replace`` or by the constructor.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

CACHE_LINE = 64
"""Bytes that memory gives at a time; and elements that lie farther apart than this have nothing in common."""


class MemoryCosts(NamedTuple):
    """What reductions and copies of large tensors cost on a framework.

    An *overhead* is paid once for each call, row or element that it names, beside the work; an *element* or a *byte* is
    the work itself, for one of them.

    Attributes:
        call_overhead: one call, with the views that it takes.
        reduce_row_overhead: to begin a row in a reduction along an axis.
        reduce_element: to reduce an element of such a row.
        vector_bytes: how many bytes of a row are reduced at once; 0 where that makes no difference.
        vector_tail_element: what it takes more to reduce an element of a row beyond its last vector.
        multi_axis_element: to reduce an element along several axes in one call, at least, unless such rows are long.
        multi_axis_row_overhead: to begin a row in such a call, along the last of these axes, where the innermost of all
            is kept.
        single_outer_axis_element: to reduce an element along one axis that is not the innermost in one call, at least.
        outer_axis_element: what it takes more to reduce an element along an axis that is not the innermost.
        combine_row_overhead: to begin a row in a call that combines elements.
        combine_element: to combine two elements of such rows.
        combine_strided_element: the same where a row's elements lie apart.
        matmul_row_overhead: to begin a row in a product with ones.
        matmul_element: to add up an element there.
        einsum_row_overhead: to begin a row in a contraction that adds it to others.
        einsum_element: to add an element of such a row.
        max_matmul_part: how long at most the parts of a long row are that are added up by products; 0: it stays whole.
        copy_row_overhead: to begin a row in a copy.
        copy_element: to copy an element.
        copy_strided_element: the same where a row's elements lie apart on one side.
        memory_byte: to read a byte from main memory, or to write one.
        page_fault_byte: to write a byte of new memory, of which the system has to give a page first.
        shared_cache_line: to fetch a cache line again that is still in a cache, though not in the nearest.
        memory_line: the same from where it is larger than any.
        tlb_miss_line: the same where it is so far apart that the processor has to look up where it is.
        cache_bytes: how many bytes are at hand without main memory.
        shared_cache_bytes: the same of the last cache, which others use, too.
        block_bytes: how many bytes of a tensor go through all calls at a time.
        units_stop_coalescing: whether a unit axis among the reduced keeps a framework from coalescing the others.
        upcast_ratio: how many times as large elements are while they are combined.
        transform_element: to transform an element in a two-pass reduction: to take the pivot out, and to make of the
            rest what is added up.
        transform_bytes: how many bytes that takes, for each element.
        max_unrolled: how many elements at most have calls of their own.
        autograd_overhead: what it takes more, there and back, to have several calls recorded as one.
        backward_row_overhead: to begin a row where the gradient of one call is shared out, beyond what that takes after
            several.
        backward_element: to share it out to an element of such a row, in the same way.
        max_reduction_ratio: what part of one call's time several may take, as estimated, to be worth it.
        max_copy_ratio: the same of a copy.
        max_two_pass_ratio: the same of a reduction in two passes, where memory is no question.
        min_matmul_part: how long at least the parts of a long row are that are added up by products.
        two_pass_bytes: a tensor of more bytes is reduced in two passes at any rate: neither it nor what one call makes
            of it would stay at hand.
        two_pass_max_row: of a smaller one, longer rows are nothing that one call is slow at.
        min_row: how many elements side by side a block in two passes has at least, if there are so many.
        max_whole_rows: rows that are kept, and not longer than this part of a tile, are not cut.
        tile_multiple: of so many elements longer tiles are a multiple.
    """

    call_overhead: float = 2500.0
    reduce_row_overhead: float = 25.0
    reduce_element: float = 0.2
    vector_bytes: int = 0
    vector_tail_element: float = 0.0
    multi_axis_element: float = 0.0
    multi_axis_row_overhead: float = 0.0
    single_outer_axis_element: float = 0.0
    outer_axis_element: float = 0.0
    combine_row_overhead: float = 12.0
    combine_element: float = 0.3
    combine_strided_element: float = 0.8
    matmul_row_overhead: float = inf
    matmul_element: float = 0.1
    einsum_row_overhead: float = inf
    einsum_element: float = 0.27
    max_matmul_part: int = 0
    copy_row_overhead: float = 9.0
    copy_element: float = 0.2
    copy_strided_element: float = 0.45
    memory_byte: float = 0.06
    page_fault_byte: float = 0.05
    shared_cache_line: float = 2.2
    memory_line: float = 3.0
    tlb_miss_line: float = 7.0
    cache_bytes: int = 1 << 18
    shared_cache_bytes: int = 1 << 23
    block_bytes: int = 1 << 20
    units_stop_coalescing: bool = True
    upcast_ratio: float = 1.0
    transform_element: float = 0.4
    transform_bytes: int = 4
    max_unrolled: int = 8
    autograd_overhead: float = 0.0
    backward_row_overhead: float = 0.0
    backward_element: float = 0.0
    max_reduction_ratio: float = 0.9
    max_copy_ratio: float = 0.75
    max_two_pass_ratio: float = 0.8
    min_matmul_part: int = 48
    two_pass_bytes: int = 1 << 22
    two_pass_max_row: int = 2048
    min_row: int = 2048
    max_whole_rows: int = 16
    tile_multiple: int = 128


class ContractionCosts(NamedTuple):
    """What the calls of a contraction cost on a framework, for elements of one type.

    An *overhead* is a call without its work, a *row* or an *item* one of many within a call, beside its elements.

    Attributes:
        view_overhead: a call that gives a view.
        diagonal_overhead: a call that gives a diagonal.
        pairwise_overhead: what it takes more, for each pair, to contract more than two tensors pair by pair.
        dot_overhead: a product of two matrices or vectors.
        matmul_overhead: products of several matrices.
        multiply_overhead: a product of elements.
        sum_overhead: a sum along dimensions.
        einsum_overhead: the framework's own einsum.
        einsum_view_overhead: the same where it gives a view.
        output_buffer_overhead: to make a result before it is filled, and have it filled in another order of its
            dimensions.
        matmul_item: one product of matrices of many.
        vecdot_item: one product of two vectors of many.
        flop: a multiplication or an addition in a product of matrices.
        matmul_element: to read or write an element there.
        matvec_element: to read an element of a matrix that is multiplied by a vector, or of a vector.
        batched_matvec_element: the same where there are many of them.
        strided_vector_element: to read an element of a vector whose elements lie apart.
        einsum_element: a multiplication and an addition in the framework's einsum, where memory is read in order.
        einsum_strided_element: the same where it is not.
        einsum_row: what einsum does beside that for each run along the innermost axis.
        copy_element: to copy an element to another place.
        copy_row: to copy a run of elements that come to lie side by side, beside the elements.
        copy_strided_element: what an element costs more where these lay far apart.
        multiply_element: to write an element of a product of elements.
        multiply_into_element: the same into memory that is there.
        multiply_broadcast_element: the same where one tensor has the same element all along a row.
        sum_element: to add up an element of a sum along dimensions.
        matmul_broadcasts: whether a product of matrices loops over any dimensions before the last two, and stretches
            them; else over one, which both have.
        has_vecdot: whether there is a product of vectors along the last dimension.
        matmul_fills: whether results can be filled in another order of their dimensions.
        einsum_fuses: whether einsum of several tensors is one loop over all of them.
        multiply_reuses: whether a product of elements can take the memory of an intermediate result.
        matmul_folds: whether a matrix with several dimensions for its rows is one to the framework.
    """

    view_overhead: float = 250.0
    diagonal_overhead: float = 1000.0
    pairwise_overhead: float = 800.0
    dot_overhead: float = 600.0
    matmul_overhead: float = 1600.0
    multiply_overhead: float = 1100.0
    sum_overhead: float = 2200.0
    einsum_overhead: float = 1300.0
    einsum_view_overhead: float = 700.0
    output_buffer_overhead: float = 1000.0
    matmul_item: float = 200.0
    vecdot_item: float = 12.0
    flop: float = 0.012
    matmul_element: float = 0.35
    matvec_element: float = 0.09
    batched_matvec_element: float = 0.09
    strided_vector_element: float = 1.1
    einsum_element: float = 0.24
    einsum_strided_element: float = 1.4
    einsum_row: float = 35.0
    copy_element: float = 0.4
    copy_row: float = 5.0
    copy_strided_element: float = 0.9
    multiply_element: float = 0.22
    multiply_into_element: float = 0.12
    multiply_broadcast_element: float = 0.45
    sum_element: float = 0.1
    matmul_broadcasts: bool = True
    has_vecdot: bool = True
    matmul_fills: bool = True
    einsum_fuses: bool = True
    multiply_reuses: bool = False
    matmul_folds: bool = False

    @property
    def only_einsum(self) -> bool:
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


ONLY_EINSUM = ContractionCosts(flop=inf, multiply_overhead=inf, sum_overhead=inf, einsum_fuses=False)
"""Of a framework of which nothing is known but that it has an einsum."""
