"""What calls cost, so that a plan can choose between them: in microseconds, for elements of one type on one framework.

The figures are measured once, on one thread of an ordinary machine, and need not be right on another: only the ratio of
one to another decides, and only where two ways are nearly as good. A framework gives its own where it has measured
them.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple


class Prices(NamedTuple):
    """What a framework charges.

    Attributes:
        view: a call that gives a view.
        matmul: a product of matrices, without its work.
        multiply: a product of elements, without its work.
        add: a sum along dimensions, without its work.
        einsum: the framework's own einsum, without its work.
        buffer: to make a result before it is filled, and have it filled in another order of its dimensions.
        loop: one product of matrices of many.
        vectors: one product of two vectors of many.
        flop: a multiplication or an addition in a product of matrices.
        element: to read or write an element there.
        stream: to read an element of a matrix that meets a vector, or of a vector.
        scan: a multiplication and an addition in the framework's einsum, where memory is read in order.
        stray: the same where it is not.
        row: what einsum does beside that for each run along the innermost axis.
        copy: to copy an element into another order.
        elementwise: to write an element of a product of elements.
        added: to add up an element of a sum along dimensions.
        loops: whether a product of matrices loops over any dimensions before the last two, and stretches them; else
            over one, which both have.
        fills: whether results can be filled in another order of their dimensions.
        folds: whether a matrix may have several dimensions for its rows.
    """

    view: float = 0.3
    matmul: float = 1.0
    multiply: float = 0.5
    add: float = 1.5
    einsum: float = 2.5
    buffer: float = 1.0
    loop: float = 0.2
    vectors: float = 0.015
    flop: float = 1.7e-5
    element: float = 3.5e-4
    stream: float = 9e-5
    scan: float = 3e-4
    stray: float = 1.5e-3
    row: float = 0.015
    copy: float = 6e-4
    elementwise: float = 3e-4
    added: float = 3e-4
    loops: bool = True
    fills: bool = True
    folds: bool = False

    def matrices(self, count: int, rows: int, columns: int, inner: int) -> float:
        """So many products of a matrix of ``rows`` × ``inner`` with one of ``inner`` × ``columns``."""
        if self.flop == inf:
            return inf
        if rows == columns == 1:
            return self.matmul + count * (self.vectors + inner * self.stream)
        if rows == 1 or columns == 1:
            return self.matmul + count * (self.loop / 2 + (rows * columns * inner) * self.stream)
        moved = rows * inner + inner * columns + rows * columns
        return self.matmul + count * (self.loop + 2 * rows * columns * inner * self.flop + moved * self.element)


ONLY_EINSUM = Prices(flop=inf, multiply=inf, add=inf)
"""Of a framework of which nothing is known but that it has an einsum."""
