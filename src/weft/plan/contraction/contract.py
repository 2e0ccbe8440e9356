"""From a network to a contraction: the path, and of each meeting the cheapest way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from math import inf
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from weft.plan.contraction.arrange import Operand
from weft.plan.contraction.meeting import EINSUM, Goal, Market, Meeting, Way, goal_of
from weft.plan.contraction.network import Network
from weft.plan.contraction.path import How, Path, needed, path_of
from weft.plan.contraction.prices import Prices
from weft.plan.contraction.ways import Choice, choices, way
from weft.plan.steps import Add, Diagonal, Reshape, Step


class Contraction(NamedTuple):
    """A contraction for tensors of one size: the network, the path, and how the tensors meet along it."""

    network: Network
    path: Path
    meetings: tuple[Meeting, ...]


class Decision(NamedTuple):
    """A path, and a choice for each meeting along it.

    Of tensors that are ``prepared`` no axis stands twice in one, or in one alone and not in the result.
    """

    path: Path
    choices: tuple[Choice, ...]
    prepared: bool


Chooser: TypeAlias = "Callable[[int, tuple[int, ...], Sequence[Operand], Goal, Market], tuple[Way, Choice] | None]"
"""From the number of a meeting, its places, tensors and goal to what is done."""


def decide(network: Network, prices: Prices, how: How = "auto", limit: int | None = None) -> Decision | None:
    """The cheapest decision along a path.

    Args:
        network: what is contracted, with its tensors lying in memory row by row.
        prices: what the framework charges.
        how: how the path is found, or the path.
        limit: the most elements that an intermediate result may have.

    Returns:
        The decision, or ``None`` where there is nothing to choose: a length is 0, or there are too many letters for
        an einsum where only that is left.

    Raises:
        WeftError: W214 or W511, as `path_of`.
    """
    path = path_of(network, how, limit)
    if 0 in network.sizes:
        return None
    found = []
    apart = _along(network, path, prices, _cheapest)
    if apart is not None:
        found.append((apart[0], Decision(path, tuple([choice for _, choice in apart[1]]), prepared=True)))
    at_once: Path = (tuple(range(len(network.terms))),)
    if how == "auto" and limit is None and (len(path) > 1 or _is_unprepared(network)):
        direct = _along(network, at_once, prices, _by_einsum, prepared=False)
        if direct is not None:
            found.append((direct[0], Decision(at_once, (Choice(EINSUM),), prepared=False)))
    return min(found, key=itemgetter(0), default=(0, None))[1]


def carry_out(network: Network, prices: Prices, decision: Decision) -> Contraction:
    """A decision carried out for these lengths; it may have been made for others, as long as no length is 0 or 1."""

    def again(
        number: int, places: tuple[int, ...], tensors: Sequence[Operand], goal: Goal, market: Market
    ) -> tuple[Way, Choice]:
        choice = decision.choices[number]
        return way(choice, places, tensors, goal, market), choice

    _, ways = _along(network, decision.path, prices, again, prepared=decision.prepared) or (0, [])
    return Contraction(network, decision.path, tuple([each.meeting for each, _ in ways]))


def contract(network: Network, prices: Prices, how: How = "auto", limit: int | None = None) -> Contraction | None:
    """`decide`, and `carry_out`."""
    decision = decide(network, prices, how, limit)
    return None if decision is None else carry_out(network, prices, decision)


def _cheapest(
    _: int, places: tuple[int, ...], tensors: Sequence[Operand], goal: Goal, market: Market
) -> tuple[Way, Choice] | None:
    found = [(way(choice, places, tensors, goal, market), choice) for choice in choices(tensors, goal, market)]
    return min(found, key=lambda each: each[0].price, default=None)


def _by_einsum(
    _: int, places: tuple[int, ...], tensors: Sequence[Operand], goal: Goal, market: Market
) -> tuple[Way, Choice] | None:
    choice = Choice(EINSUM)
    return (way(choice, places, tensors, goal, market), choice) if choice in choices(tensors, goal, market) else None


def _along(
    network: Network, path: Path, prices: Prices, choose: Chooser, *, prepared: bool = True
) -> tuple[float, list[tuple[Way, Choice]]] | None:
    """The price and the ways along a path, or ``None`` where one of the meetings has none."""
    market = Market(network.sizes, prices)
    hand = [Operand(term, shape) for term, shape in zip(network.terms, network.shapes, strict=True)]
    price, ways = 0.0, []
    if prepared:
        lonely = _lonely(network)
        ready = [_prepared(tensor, lonely, market) for tensor in hand]
        price, hand = sum([each for each, _ in ready]), [tensor for _, tensor in ready]
    for number, places in enumerate(path):
        met = [hand[place] for place in places]
        kept = needed([tensor.axes for tensor in hand], network.output, places)
        goal = Goal(frozenset(kept.intersection(chain(*[tensor.axes for tensor in met]))))
        if number == len(path) - 1:
            goal = goal_of(network.output, network.result, market)
        chosen = choose(number, places, met, goal, market)
        if chosen is None or chosen[0].price == inf:
            return None
        price += chosen[0].price
        ways.append(chosen)
        hand = [*[tensor for place, tensor in enumerate(hand) if place not in places], chosen[0].left]
    return price, ways


def _lonely(network: Network) -> set[int]:
    """The axes that stand in one tensor alone, and not in the result."""
    stands = Counter([axis for axes in (*network.terms, network.output) for axis in set(axes)])
    return {axis for axis, count in stands.items() if count == 1 and axis not in network.output}


def _is_unprepared(network: Network) -> bool:
    return bool(_lonely(network)) or any(len(set(term)) < len(term) for term in network.terms)


def _prepared(tensor: Operand, lonely: set[int], market: Market) -> tuple[float, Operand]:
    """A tensor in which no axis stands twice, and that is summed over what only it has; and the price of that."""
    axes, prices = tensor.axes, market.prices
    summed = lonely.intersection(axes)
    if len(set(axes)) == len(axes) and not summed:
        return 0, tensor
    lengths = market.lengths(axes)
    steps: list[Step] = [] if lengths == tensor.shape else [Reshape(lengths)]
    while len(set(axes)) < len(axes):
        twice = next(axis for axis in axes if axes.count(axis) > 1)
        one, other = [place for place, axis in enumerate(axes) if axis == twice][:2]
        steps.append(Diagonal((one, other)))
        axes = (*[axis for place, axis in enumerate(axes) if place not in (one, other)], twice)
    price = 0.0
    if summed:
        steps.append(Add(tuple([place for place, axis in enumerate(axes) if axis in summed])))
        price = prices.add + market.length(axes) * prices.added
        axes = tuple([axis for axis in axes if axis not in summed])
    return price, Operand(axes, market.lengths(axes), tuple(steps))
