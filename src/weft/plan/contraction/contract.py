"""From a network to a contraction: the path, and of each meeting the cheapest way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from math import prod
from operator import attrgetter
from typing import NamedTuple

from weft.plan.contraction.arrange import Operand
from weft.plan.contraction.meeting import Goal, Meeting, einsums, goal_of, ways
from weft.plan.contraction.network import Network
from weft.plan.contraction.path import How, Path, needed, path_of
from weft.plan.contraction.prices import Prices
from weft.plan.steps import Add, Diagonal, Reshape, Step


class Contraction(NamedTuple):
    """A contraction for tensors of one size: the network, the path, and how the tensors meet along it."""

    network: Network
    path: Path
    meetings: tuple[Meeting, ...]


def contract(network: Network, prices: Prices, how: How = "auto", limit: int | None = None) -> Contraction | None:
    """The cheapest contraction along a path.

    Args:
        network: what is contracted, with its tensors lying in memory row by row.
        prices: what the framework charges.
        how: how the path is found, or the path.
        limit: the most elements that an intermediate result may have.

    Returns:
        The contraction, or ``None`` where there is nothing to choose: a length is 0, or there are too many letters for
        an einsum where only that is left.

    Raises:
        WeftError: W214 or W511, as `path_of`.
    """
    path = path_of(network, how, limit)
    if 0 in network.sizes:
        return None
    tensors = [Operand(term, shape) for term, shape in zip(network.terms, network.shapes, strict=True)]
    goal = goal_of(network.output, network.result, network.sizes)
    apart = _along(network, path, tensors, goal, prices)
    at_once: Path = (tuple(range(len(tensors))),)
    if how == "auto" and limit is None:
        for direct in einsums(at_once[0], tensors, goal, network.sizes, prices):
            if apart is None or direct.price <= apart[0]:
                return Contraction(network, at_once, (direct.meeting,))
    return apart and Contraction(network, path, apart[1])


def _along(
    network: Network, path: Path, tensors: Sequence[Operand], goal: Goal, prices: Prices
) -> tuple[float, tuple[Meeting, ...]] | None:
    """The price and the meetings along a path."""
    sizes = network.sizes
    stands = Counter([axis for axes in (*network.terms, network.output) for axis in set(axes)])
    price, hand = 0.0, []
    for tensor in tensors:
        alone, prepared = _prepared(tensor, {axis for axis in tensor.axes if stands[axis] == 1}, sizes, prices)
        price += alone
        hand.append(prepared)
    meetings = []
    for number, places in enumerate(path):
        met = [hand[place] for place in places]
        kept = needed([tensor.axes for tensor in hand], network.output, places)
        aim = goal if number == len(path) - 1 else Goal(frozenset(kept.intersection(chain(*[tensor.axes for tensor in met]))))
        found = ways(places, met, aim, sizes, prices)
        if not found:
            return None
        best = min(found, key=attrgetter("price"))
        price += best.price
        meetings.append(best.meeting)
        hand = [tensor for place, tensor in enumerate(hand) if place not in places] + [best.left]
    return price, tuple(meetings)


def _prepared(tensor: Operand, lonely: set[int], sizes: Sequence[int], prices: Prices) -> tuple[float, Operand]:
    """A tensor in which no axis stands twice, and that is summed over what only it has; and the price of that."""
    axes = tensor.axes
    if len(set(axes)) == len(axes) and not lonely:
        return 0, tensor
    lengths = tuple([sizes[axis] for axis in axes])
    steps: list[Step] = [] if lengths == tensor.shape else [Reshape(lengths)]
    while len(set(axes)) < len(axes):
        twice = next(axis for axis in axes if axes.count(axis) > 1)
        one, other = [place for place, axis in enumerate(axes) if axis == twice][:2]
        steps.append(Diagonal((one, other)))
        axes = (*[axis for place, axis in enumerate(axes) if place not in (one, other)], twice)
    price = len(steps) * prices.view
    if lonely:
        steps.append(Add(tuple([place for place, axis in enumerate(axes) if axis in lonely])))
        price += prices.add + prod([sizes[axis] for axis in axes]) * prices.added
        axes = tuple([axis for axis in axes if axis not in lonely])
    return price, Operand(axes, tuple([sizes[axis] for axis in axes]), tuple(steps))
