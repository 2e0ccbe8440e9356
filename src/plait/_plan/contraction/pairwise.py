"""A meeting, in which tensors become one; what it is to leave; and one way to do it, with its price."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod
from operator import mul
from typing import NamedTuple

from plait._plan.contraction.layouts import Arranged, Operand, arrange
from plait._plan.contraction.network import Axes
from plait._plan.nodes import Buffer, Node, Reshape
from plait.backends.costs import ContractionCosts

MATMUL = "matmul"
VECDOT = "vecdot"
MULTIPLY = "multiply"
EINSUM = "einsum"
NOTHING = "nothing"
"""One tensor alone: all that is done to it are its steps."""


class Meeting(NamedTuple):
    """Tensors become one.

    ``places`` are those of the tensors among the ones at hand: they are taken out, and the result becomes the last.
    ``sides`` are the steps of each tensor before, ``after`` those of the result. ``equation`` is for ``einsum``. A
    product of matrices may fill a ``buffer`` made before, and is ``batched`` where a side has more than two dimensions.
    ``rank`` is that of what the call itself leaves. A product of elements may ``reuse`` the memory of a side.
    """

    places: tuple[int, ...]
    sides: tuple[tuple[Node, ...], ...]
    how: str
    equation: str = ""
    buffer: Buffer | None = None
    after: tuple[Node, ...] = ()
    batched: bool = False
    rank: int = 1
    reuse: int | None = None


class Goal(NamedTuple):
    """What a meeting is to leave: the axes ``kept``; at the end of a contraction their ``order``, and the ``shape``.

    ``merges`` says that the shape has dimensions of several axes.
    """

    kept: frozenset[int]
    order: Axes | None = None
    shape: tuple[int, ...] = ()
    merges: bool = False


class Way(NamedTuple):
    """One way to meet: its price in microseconds, the meeting, and what it leaves."""

    price: float
    meeting: Meeting
    left: Operand


class Market(NamedTuple):
    """The lengths of the axes, and what a framework charges."""

    sizes: tuple[int, ...]
    costs: ContractionCosts

    def length(self, axes: Sequence[int]) -> int:
        """How many elements there are along these axes."""
        return prod([self.sizes[axis] for axis in axes])

    def lengths(self, axes: Sequence[int]) -> tuple[int, ...]:
        """The shape with a dimension for each of these axes."""
        return tuple([self.sizes[axis] for axis in axes])


def goal_of(output: Axes, shape: tuple[int, ...], market: Market) -> Goal:
    """The goal of the last meeting."""
    ends = {*accumulate(market.lengths(output), mul)}
    return Goal(frozenset(output), output, shape, not ends <= {*accumulate(shape, mul)})


def finish(product: Operand, goal: Goal, market: Market) -> tuple[float, tuple[Node, ...], Operand]:
    """The price and the steps from a product to the goal, and what is left then."""
    order, costs = goal.order, market.costs
    if order is None:
        return len(product.steps) * costs.view_overhead, product.steps, product._replace(steps=())
    left = Operand(order, goal.shape)
    if product.axes == order:
        steps = product.steps if product.shape == goal.shape else (*product.steps, Reshape(goal.shape))
        return len(steps) * costs.view_overhead, steps, left
    arranged = arrange(product, tuple([(axis,) for axis in order]), market.sizes)
    if goal.shape != market.lengths(order):
        arranged = arranged._replace(steps=(*arranged.steps, Reshape(goal.shape)))
        if goal.merges:
            stride = market.length(product.axes[product.axes.index(order[-1]) + 1 :])
            arranged = Arranged(arranged.steps, market.length(order), market.sizes[order[-1]], stride)
    return arranged.price(costs), arranged.steps, left
