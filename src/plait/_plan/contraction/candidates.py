"""How tensors meet: the ways that may be the cheapest, each as a choice that can be made again for other lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import dropwhile
from string import ascii_letters
from typing import NamedTuple

from plait._plan.contraction.layouts import Operand, arrange
from plait._plan.contraction.matmul import Groups, groups_of, is_unit, matmul
from plait._plan.contraction.network import Axes
from plait._plan.contraction.pairwise import EINSUM, MATMUL, MULTIPLY, NOTHING, Goal, Market, Meeting, Way, finish
from plait._plan.nodes import Sum

Places = tuple[int, ...]


class Choice(NamedTuple):
    """How tensors meet, whatever their lengths: by which call; for a product of matrices by which groups, and whether
    the second tensor comes first; for a product of elements in which order of its axes.
    """

    how: str
    groups: Groups | None = None
    turned: bool = False
    order: Axes = ()


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
    if len(tensors) != 2:
        return
    one, other = tensors
    both = {*one.axes} & {*other.axes}
    if both <= goal.kept or both == {*one.axes, *other.axes}:
        yield from [Choice(MULTIPLY, order=order) for order in _orders(one, other, goal)]
    if not both <= goal.kept:
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
        return _multiplied(places, tensors, choice.order, goal, market)
    price, steps, left = finish(tensors[0], goal, market)
    return Way(price, Meeting(places, (steps,), NOTHING), left)


def einsum(places: Places, tensors: Sequence[Operand], goal: Goal, market: Market) -> Way:
    """The framework's own einsum."""
    axes = tuple(dict.fromkeys([axis for tensor in tensors for axis in tensor.axes]))
    order = tuple([axis for axis in axes if axis in goal.kept]) if goal.order is None else goal.order
    letter = dict(zip(axes, ascii_letters, strict=False))
    texts = ["".join([letter[axis] for axis in term]) for term in (*[tensor.axes for tensor in tensors], order)]
    sides = [arrange(tensor, tuple([(axis,) for axis in tensor.axes]), market.sizes) for tensor in tensors]
    more, after, left = finish(Operand(order, market.lengths(order)), goal, market)
    price = _scanned(axes, tensors, order, market) + more + sum([side.price(market.costs) for side in sides])
    equation = f"{','.join(texts[:-1])}->{texts[-1]}"
    meeting = Meeting(places, tuple([side.steps for side in sides]), EINSUM, equation, after=after, rank=len(order))
    return Way(price, meeting, left)


def _scanned(axes: Axes, tensors: Sequence[Operand], order: Axes, market: Market) -> float:
    """The price of the framework's einsum: a loop over all axes, the best of them innermost."""
    costs, terms = market.costs, [tensor.axes for tensor in tensors]
    if len(terms) == 1 and len(axes) == len(order):
        return costs.einsum_view_overhead
    total = market.length(axes)
    innermost = {term[-1] for term in terms if term}
    rows = [market.sizes[axis] for axis in innermost if all(_is_last(axis, term) for term in (*terms, order))]
    rate = costs.einsum_element if rows else costs.einsum_strided_element
    row = max([1, *(rows or market.lengths(axes))])
    beside = costs.einsum_row if len(axes) > len(order) else costs.einsum_row / 4
    return costs.einsum_overhead + total * rate * max(1, len(terms) - 1) + total // row * beside


def _is_last(axis: int, term: Axes) -> bool:
    return axis not in term or term.index(axis) == len(term) - 1


def _orders(one: Operand, other: Operand, goal: Goal) -> list[Axes]:
    """The orders in which a product of elements may have its axes; what is summed after it comes last."""
    if goal.order is not None:
        return [(*goal.order, *[axis for axis in one.axes if axis not in goal.kept])]
    own = tuple([axis for axis in one.axes if axis not in other.axes])
    others = tuple([axis for axis in other.axes if axis not in one.axes])
    found = [(*one.axes, *others), (*own, *other.axes), (*other.axes, *own), (*others, *one.axes)]
    return list(dict.fromkeys([tuple(sorted(order, key=lambda axis: axis not in goal.kept)) for order in found]))


def _multiplied(places: Places, tensors: Sequence[Operand], order: Axes, goal: Goal, market: Market) -> Way:
    """A product of elements, each tensor stretched along the axes that only the other has; sums come after it."""
    costs = market.costs
    summed = [axis for axis in order if axis not in goal.kept]
    sides, price = [], costs.multiply_overhead
    for tensor in tensors:
        dims = tuple(dropwhile(is_unit, [(axis,) if axis in tensor.axes else () for axis in order]))
        side = arrange(tensor, dims, market.sizes)
        sides.append(side.steps)
        price += side.price(costs)
    same = [number for number, tensor in enumerate(tensors) if tensor.ours and tensor.axes == order]
    reuse = same[0] if same and order and costs.multiply_reuses and not any(sides) else None
    price += market.length(order) * (_rate(order, tensors, market) if reuse is None else costs.multiply_into_element)
    product = Operand(order, market.lengths(order))
    if summed:
        kept = order[: -len(summed)]
        product = Operand(kept, market.lengths(kept), (Sum(tuple(range(len(kept), len(order)))),))
        price += costs.sum_overhead + market.length(order) * costs.sum_element
    more, after, left = finish(product, goal, market)
    meeting = Meeting(places, tuple(sides), MULTIPLY, after=after, rank=len(order), reuse=reuse)
    return Way(price + more, meeting, left)


def _rate(order: Axes, tensors: Sequence[Operand], market: Market) -> float:
    """What an element costs: most where one of the tensors is read across memory."""
    last = order[-1:]
    if any({*last} & {*tensor.axes} and tensor.axes[-1:] != last for tensor in tensors):
        return market.costs.einsum_strided_element
    return (
        market.costs.multiply_element
        if all({*last} <= {*tensor.axes} for tensor in tensors)
        else market.costs.multiply_broadcast_element
    )
