"""The techniques by which a schedule makes a large reduction or copy faster, by the name that `explain` prints.

``python -m benchmarks.memory_bound`` measures each of them.
"""

from __future__ import annotations

COALESCED = "coalesced axes"
AXIS_AT_A_TIME = "one axis at a time"
TREE_REDUCTION = "tree reduction"
MATMUL_WITH_ONES = "matmul with ones"
EINSUM_OVER_ROWS = "einsum over rows"
UNROLLED_SHORT_AXIS = "unrolled short axis"
FOLDED_ROWS = "folded rows"
TWO_PASSES = "two passes"
BLOCKING = "blocking"

REASONS = {
    COALESCED: "one loop over one long axis, instead of one over each of several",
    AXIS_AT_A_TIME: "each call reads whole rows of memory and leaves less for the next",
    TREE_REDUCTION: (
        "a few calls over whole halves of a short axis, instead of a short loop for each element of the result"
    ),
    MATMUL_WITH_ONES: "the linear algebra library sums short rows faster than a reduction",
    EINSUM_OVER_ROWS: "it starts a short row in a fraction of the time of a sum along an axis",
    UNROLLED_SHORT_AXIS: "a loop over a long axis for each of a few elements, instead of a short loop for each of many",
    FOLDED_ROWS: "a loop over long rows starts less often than a loop over short ones",
    TWO_PASSES: (
        "the mean or the maximum is removed one block at a time, without a temporary tensor as large as the input"
    ),
    BLOCKING: "the next call reads what one call wrote while it is still in the cache",
}
"""For each technique why it is faster than one call of the framework."""
