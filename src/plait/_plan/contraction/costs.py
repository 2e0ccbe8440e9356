"""What calls cost, so that a plan can choose between them: in microseconds, for elements of one type on one framework.

The figures are measured once, on one thread of an ordinary machine, and need not be right on another: only the ratio of
one to another decides, and only where two ways are nearly as good. A framework gives its own where it has measured
them.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

_CACHE_LINE = 64
"""Elements that lie farther apart than this have nothing in common."""


class Prices(NamedTuple):
    """What a framework charges.

    Attributes:
        view: a call that gives a view.
        diagonal: a call that gives a diagonal.
        meeting: what it takes to let more than two tensors meet one after the other, for each meeting.
        dot: a product of two matrices or vectors, without its work.
        matmul: products of several matrices, without their work.
        multiply: a product of elements, without its work.
        add: a sum along dimensions, without its work.
        einsum: the framework's own einsum, without its work.
        glance: the same where it gives a view.
        buffer: to make a result before it is filled, and have it filled in another order of its dimensions.
        loop: one product of matrices of many.
        vectors: one product of two vectors of many.
        flop: a multiplication or an addition in a product of matrices.
        element: to read or write an element there.
        stream: to read an element of a matrix that meets a vector, or of a vector.
        streams: the same where there are many of them.
        jump: to read an element of a vector whose elements lie apart.
        scan: a multiplication and an addition in the framework's einsum, where memory is read in order.
        stray: the same where it is not.
        row: what einsum does beside that for each run along the innermost axis.
        copy: to copy an element to another place.
        copied_row: to copy a run of elements that come to lie side by side, beside the elements.
        scatter: what an element costs more where these lay far apart.
        elementwise: to write an element of a product of elements.
        reused: the same into memory that is there.
        stretched: the same where one tensor has the same element all along a row.
        added: to add up an element of a sum along dimensions.
        loops: whether a product of matrices loops over any dimensions before the last two, and stretches them; else
            over one, which both have.
        rows: whether there is a product of vectors along the last dimension.
        fills: whether results can be filled in another order of their dimensions.
        together: whether einsum of several tensors is one loop over all of them.
        reuses: whether a product of elements can take the memory of an intermediate result.
        folds: whether a matrix with several dimensions for its rows is one to the framework.
    """

    view: float = 0.25
    diagonal: float = 1.0
    meeting: float = 0.8
    dot: float = 0.6
    matmul: float = 1.6
    multiply: float = 1.1
    add: float = 2.2
    einsum: float = 1.3
    glance: float = 0.7
    buffer: float = 1.0
    loop: float = 0.2
    vectors: float = 0.012
    flop: float = 1.2e-5
    element: float = 3.5e-4
    stream: float = 9e-5
    streams: float = 9e-5
    jump: float = 1.1e-3
    scan: float = 2.4e-4
    stray: float = 1.4e-3
    row: float = 0.035
    copy: float = 4e-4
    copied_row: float = 5e-3
    scatter: float = 9e-4
    elementwise: float = 2.2e-4
    reused: float = 1.2e-4
    stretched: float = 4.5e-4
    added: float = 1e-4
    loops: bool = True
    rows: bool = True
    fills: bool = True
    together: bool = True
    reuses: bool = False
    folds: bool = False

    @property
    def only_einsum(self) -> bool:
        """Whether a framework has nothing but its einsum."""
        return self.add == inf

    def copies(self, count: int, row: int, stride: int) -> float:
        """The work of a copy of so many elements, in rows of ``row`` that lay ``stride`` apart."""
        return count * (self.copy + self.copied_row / max(row, 1) + self.scatter * min(1, (stride - 1) / _CACHE_LINE))

    def matrices(self, count: int, rows: int, columns: int, inner: int) -> float:
        """The work of so many products of a matrix of ``rows`` × ``inner`` with one of ``inner`` × ``columns``."""
        if self.flop == inf:
            return inf
        stream = self.stream if count == 1 else self.streams
        if rows == columns == 1:
            return count * (self.vectors + inner * stream)
        if rows == 1 or columns == 1:
            return count * (self.loop / 2 + rows * columns * inner * stream)
        moved = rows * inner + inner * columns + rows * columns
        return count * (self.loop + 2 * rows * columns * inner * self.flop + moved * self.element)


ONLY_EINSUM = Prices(flop=inf, multiply=inf, add=inf, together=False)
"""Of a framework of which nothing is known but that it has an einsum."""
