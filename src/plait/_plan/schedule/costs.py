"""What calls over much memory cost on a framework, so that a plan can choose between them: in nanoseconds.

The figures are measured once, on one thread of an ordinary machine. They need not be right on another: only the ratio
of one to another decides, and only where two ways are nearly as good.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple


class PassPrices(NamedTuple):
    """What a framework charges.

    Attributes:
        call: one call, with the views that it takes.
        reduced_row: to begin a row in a reduction along an axis.
        reduced: to reduce an element of such a row.
        vector: how many bytes of a row are reduced at once; 0 where that makes no difference.
        loose: what it takes more to reduce an element of a row beyond its last vector.
        several: to reduce an element along several axes in one call, at least, unless such rows are long.
        jump: to begin a row in such a call, along the last of these axes, where the innermost of all is kept.
        across: to reduce an element along one axis that is not the innermost in one call, at least.
        outer: what it takes more to reduce an element along an axis that is not the innermost.
        row: to begin a row in a call that combines elements.
        combined: to combine two elements of such rows.
        strided: the same where a row's elements lie apart.
        product_row: to begin a row in a product with ones.
        product: to add up an element there.
        added_row: to begin a row in a contraction that adds it to others.
        added: to add an element of such a row.
        part: how long at most the parts of a long row are that are added up by products; 0: it is left whole.
        copied_row: to begin a row in a copy.
        copied: to copy an element.
        scattered: the same where a row's elements lie apart on one side.
        byte: to read a byte from main memory, or to write one.
        fault: to write a byte of new memory, of which the system has to give a page first.
        near: to fetch a cache line again that is still in a cache, though not in the nearest.
        line: the same from where it is larger than any.
        page: the same where it is so far apart that the processor has to look up where it is.
        cache: how many bytes are at hand without main memory.
        shared: the same of the last cache, which others use, too.
        block: how many bytes of a tensor go through all calls at a time.
        stopped: whether a unit axis among the reduced keeps a framework from making neighbours one.
        widened: how many times as large elements are while they are combined.
        deviated: to take the centre out of an element, and to make of the rest what is added up.
        held: how many bytes that takes, for each element.
        longest: how many elements at most have calls of their own.
        recorded: what it takes more, there and back, to have several calls recorded as one.
        tied_row: to begin a row where the gradient of one call is shared out, beyond what that takes after several.
        tied: to share it out to an element of such a row, in the same way.
    """

    call: float = 2500.0
    reduced_row: float = 25.0
    reduced: float = 0.2
    vector: int = 0
    loose: float = 0.0
    several: float = 0.0
    jump: float = 0.0
    across: float = 0.0
    outer: float = 0.0
    row: float = 12.0
    combined: float = 0.3
    strided: float = 0.8
    product_row: float = inf
    product: float = 0.1
    added_row: float = inf
    added: float = 0.27
    part: int = 0
    copied_row: float = 9.0
    copied: float = 0.2
    scattered: float = 0.45
    byte: float = 0.06
    fault: float = 0.05
    near: float = 2.2
    line: float = 3.0
    page: float = 7.0
    cache: int = 1 << 18
    shared: int = 1 << 23
    block: int = 1 << 20
    stopped: bool = True
    widened: float = 1.0
    deviated: float = 0.4
    held: int = 4
    longest: int = 8
    recorded: float = 0.0
    tied_row: float = 0.0
    tied: float = 0.0
