"""Why a plan does not do what the pattern says in one call: the rewrites by name, each with its reason.

Every one has its line in the table of ``python -m benchmarks.movements``, which shows that it pays.
"""

from __future__ import annotations

MERGED = "neighbours made one"
ONE_BY_ONE = "one axis after the other"
HALVES = "halves of a short axis"
PRODUCT = "a product with ones"
ROWS = "rows added up by einsum"
APART = "short rows one element at a time"
FOLDED = "rows joined to longer ones"
CENTRE = "the centre first"
BLOCKS = "blocks that fit the cache"

REASONS = {
    MERGED: "one loop over one long axis, instead of one over each of several and over units",
    ONE_BY_ONE: "each call runs along whole rows of memory, and what is left is smaller for the next",
    HALVES: "a few calls over everything instead of one short loop for each element of the result",
    PRODUCT: "the library of linear algebra adds up short rows faster than anything else",
    ROWS: "it begins a short row in a fraction of the time that a sum along an axis takes for that",
    APART: "a loop over a long axis for each of a few elements, instead of a short loop for each of many",
    FOLDED: "a loop over long rows takes less time to start than many over short ones",
    CENTRE: "the mean, or the largest, is taken out of a block at a time, and no tensor as large as the input is made",
    BLOCKS: "what one call leaves is read by the next before it goes back to main memory",
}
