"""How tensors meet: the ways that may be the cheapest, each as a choice that can be made again for other lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import dropwhile
from string import ascii_letters
from typing import NamedTuple

from weft.plan.contraction.arrange import Operand, arrange
from weft.plan.contraction.matrices import Groups, groups_of, is_unit, matmul
from weft.plan.contraction.meeting import EINSUM, MATMUL, MULTIPLY, NOTHING, Goal, Market, Meeting, Way, finish
from weft.plan.contraction.network import Axes

Places = tuple[int, ...]


class Choice(NamedTuple):
    """How tensors meet, whatever their lengths: by which call; for a product of matrices by which groups, and whether
    the second tensor comes first.
    """

    how: str
    groups: Groups | None = None
    turned: bool = False


def choices(tensors: Sequence[Operand], goal: Goal, market: Market) -> Iterator[Choice]:
    """The choices that are worth a look.

    Args:
        tensors: those that meet. In two no axis stands twice, or in one alone and not in the goal.
        goal: what they are to leave.
        market: the lengths of the axes, and what the framework charges.
    """
    if len({axis for tensor in tensors for axis in tensor.axes}) <= len(ascii_letters):
        yield Choice(EINSUM)
    if len(tensors) == 1 and goal.kept == {*tensors[0].axes}:
        yield Choice(NOTHING)
    if len(tensors) == 2:
        one, other = tensors
        if {*one.axes} & {*other.axes} <= goal.kept:
            yield Choice(MULTIPLY)
            return
        for groups in groups_of(one, other, goal, market):
            yield Choice(MATMUL, groups)
        for groups in groups_of(other, one, goal, market):
            yield Choice(MATMUL, groups, turned=True)


def way(choice: Choice, places: Places, tensors: Sequence[Operand], goal: Goal, market: Market) -> Way:
    """A choice carried out."""
    if choice.groups is not None:
        one, other = reversed(tensors) if choice.turned else tensors
        return matmul(places[::-1] if choice.turned else places, one, other, choice.groups, goal, market)
    if choice.how == EINSUM:
        return einsum(places, tensors, goal, market)
    if choice.how == MULTIPLY:
        return _multiplied(places, tensors, goal, market)
    price, steps, left = finish(tensors[0], goal, market)
    return Way(price, Meeting(places, (steps,), NOTHING), left)


def einsum(places: Places, tensors: Sequence[Operand], goal: Goal, market: Market) -> Way:
    """The framework's own einsum."""
    prices = market.prices
    axes = tuple(dict.fromkeys([axis for tensor in tensors for axis in tensor.axes]))
    order = tuple([axis for axis in axes if axis in goal.kept]) if goal.order is None else goal.order
    letter = dict(zip(axes, ascii_letters, strict=False))
    texts = ["".join([letter[axis] for axis in term]) for term in (*[tensor.axes for tensor in tensors], order)]
    sides = [arrange(tensor, tuple([(axis,) for axis in tensor.axes]), market.sizes).steps for tensor in tensors]
    total = market.length(axes)
    innermost = {tensor.axes[-1] for tensor in tensors if tensor.axes}
    row = max([market.sizes[axis] for axis in innermost if _is_innermost(axis, tensors, order)], default=1)
    work = total * (prices.scan if row > 1 else prices.stray) * max(1, len(tensors) - 1) + total // row * prices.row
    more, after, left = finish(Operand(order, market.lengths(order)), goal, market)
    equation = f"{','.join(texts[:-1])}->{texts[-1]}"
    price = prices.einsum + work + more + prices.view * sum(map(len, sides))
    return Way(price, Meeting(places, tuple(sides), EINSUM, equation, after=after, rank=len(order)), left)


def _is_innermost(axis: int, tensors: Sequence[Operand], order: Axes) -> bool:
    return all(axis not in term or axis == term[-1] for term in (*[tensor.axes for tensor in tensors], order))


def _multiplied(places: Places, tensors: Sequence[Operand], goal: Goal, market: Market) -> Way:
    """Nothing is summed: a product of elements, each tensor stretched along the axes that only the other has."""
    prices = market.prices
    one, other = tensors
    own = tuple([axis for axis in other.axes if axis not in one.axes])
    order = (*one.axes, *own) if goal.order is None else goal.order
    sides, price = [], prices.multiply
    for tensor in tensors:
        dims = tuple(dropwhile(is_unit, [(axis,) if axis in tensor.axes else () for axis in order]))
        steps, copied = arrange(tensor, dims, market.sizes)
        sides.append(steps)
        price += len(steps) * prices.view + copied * prices.copy
    in_order = all(tensor.axes[-1:] == order[-1:] or not {*order[-1:]} & {*tensor.axes} for tensor in tensors)
    price += market.length(order) * (prices.elementwise if in_order else prices.stray)
    more, after, left = finish(Operand(order, market.lengths(order)), goal, market)
    return Way(price + more, Meeting(places, tuple(sides), MULTIPLY, after=after, rank=len(order)), left)
