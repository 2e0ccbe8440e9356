"""From a network to a contraction: the path, and of each meeting the cheapest way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from math import inf
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from plait._plan.contraction.candidates import Choice, choices, way
from plait._plan.contraction.layouts import Operand
from plait._plan.contraction.network import Network
from plait._plan.contraction.pairwise import EINSUM, Goal, Market, Meeting, Way, goal_of
from plait._plan.contraction.paths import How, Path, needed, path_of
from plait._plan.nodes import Diagonal, Node, Reshape, Sum
from plait.backends.costs import ContractionCosts


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


Chooser: TypeAlias = "Callable[[int, tuple[int, ...], Sequence[Operand], Goal, Market], Iterable[Choice]]"
"""From the number of a meeting, its places, tensors and goal to the choices that are looked at."""

LAYOUTS = 3
"""How many layouts of an intermediate result are kept in sight: the cheapest way to it may make the next one dear."""


class _State(NamedTuple):
    """What there is after some meetings: the price until then, the ways taken, and the tensors at hand."""

    price: float
    ways: tuple[tuple[Way, Choice], ...]
    hand: tuple[Operand, ...]


def decide(network: Network, costs: ContractionCosts, how: How = "auto", limit: int | None = None) -> Decision | None:
    """The cheapest decision along a path.

    Args:
        network: what is contracted, with its tensors lying in memory row by row.
        costs: what the framework charges.
        how: how the path is found, or the path.
        limit: the most elements that an intermediate result may have.

    Returns:
        The decision, or ``None`` where there is nothing to choose: there are too many letters for an einsum, and
        nothing else.

    Raises:
        PlaitError: PLT214 or PLT511, as `path_of`.
    """
    path = path_of(network, how, limit)
    found = []
    prepared = not costs.only_einsum
    apart = _along(network, path, costs, _any if prepared else _by_einsum, prepared)
    if apart is not None:
        found.append((apart.price, Decision(path, tuple([choice for _, choice in apart.ways]), prepared)))
    is_loop = len(network.terms) == 1 or (costs.einsum_fuses and (len(path) > 1 or _is_unprepared(network)))
    if how == "auto" and limit is None and is_loop:
        at_once: Path = (tuple(range(len(network.terms))),)
        direct = _along(network, at_once, costs, _by_einsum, prepared=False)
        if direct is not None:
            found.append((direct.price, Decision(at_once, (Choice(EINSUM),), prepared=False)))
    return min(found, key=itemgetter(0), default=(0, None))[1]


def carry_out(network: Network, costs: ContractionCosts, decision: Decision) -> Contraction:
    """A decision carried out for these lengths; it may have been made for others, as long as the same are 0 and 1."""
    state = _along(network, decision.path, costs, lambda number, *_: [decision.choices[number]], decision.prepared)
    return Contraction(network, decision.path, tuple([way.meeting for way, _ in state.ways]) if state else ())


def contract(
    network: Network, costs: ContractionCosts, how: How = "auto", limit: int | None = None
) -> Contraction | None:
    """`decide`, and `carry_out`."""
    decision = decide(network, costs, how, limit)
    return None if decision is None else carry_out(network, costs, decision)


def _any(_: int, __: tuple[int, ...], tensors: Sequence[Operand], goal: Goal, market: Market) -> Iterable[Choice]:
    return choices(tensors, goal, market)


def _by_einsum(_: int, __: tuple[int, ...], tensors: Sequence[Operand], goal: Goal, market: Market) -> Iterable[Choice]:
    return [choice for choice in choices(tensors, goal, market) if choice.how == EINSUM]


def _along(
    network: Network, path: Path, costs: ContractionCosts, choose: Chooser, prepared: bool = True
) -> _State | None:
    """The cheapest ways along a path, or ``None`` where one of the meetings has none."""
    market = Market(network.sizes, costs)
    tensors = [Operand(term, shape) for term, shape in zip(network.terms, network.shapes, strict=True)]
    price = 0.0
    if prepared:
        lonely = _lonely(network)
        ready = [_prepared(tensor, lonely, market) for tensor in tensors]
        price, tensors = sum([each for each, _ in ready]), [tensor for _, tensor in ready]
    states = [_State(price, (), tuple(tensors))]
    for number, places in enumerate(path):
        terms = [tensor.axes for tensor in states[0].hand]
        kept = needed(terms, network.output, places)
        goal = Goal(frozenset(kept.intersection(chain(*[terms[place] for place in places]))))
        if number == len(path) - 1:
            goal = goal_of(network.output, network.result, market)
        states = _met(states, number, places, goal, market, choose)
        if not states:
            return None
    return states[0]


def _met(
    states: Sequence[_State], number: int, places: tuple[int, ...], goal: Goal, market: Market, choose: Chooser
) -> list[_State]:
    """What there may be after one more meeting, the cheapest first, each with another layout of the result."""
    best: dict[tuple[int, ...], _State] = {}
    for state in states:
        met = [state.hand[place] for place in places]
        rest = [tensor for place, tensor in enumerate(state.hand) if place not in places]
        more = state.price + (market.costs.pairwise_overhead if rest or number else 0)
        for choice in choose(number, places, met, goal, market):
            found = way(choice, places, met, goal, market)
            known = best.get(found.left.axes)
            if more + found.price < (inf if known is None else known.price):
                ways = (*state.ways, (found, choice))
                left = found.left._replace(ours=len(met) > 1)
                best[left.axes] = _State(more + found.price, ways, (*rest, left))
    return sorted(best.values(), key=itemgetter(0))[:LAYOUTS]


def _lonely(network: Network) -> set[int]:
    """The axes that stand in one tensor alone, and not in the result."""
    stands = Counter([axis for axes in (*network.terms, network.output) for axis in set(axes)])
    return {axis for axis, count in stands.items() if count == 1 and axis not in network.output}


def _is_unprepared(network: Network) -> bool:
    return bool(_lonely(network)) or any(len(set(term)) < len(term) for term in network.terms)


def _prepared(tensor: Operand, lonely: set[int], market: Market) -> tuple[float, Operand]:
    """A tensor in which no axis stands twice, and that is summed over what only it has; and the price of that."""
    axes, costs = tensor.axes, market.costs
    summed = lonely.intersection(axes)
    if len(set(axes)) == len(axes) and not summed:
        return 0, tensor
    lengths = market.lengths(axes)
    steps: list[Node] = [] if lengths == tensor.shape else [Reshape(lengths)]
    while len(set(axes)) < len(axes):
        twice = next(axis for axis in axes if axes.count(axis) > 1)
        one, other = [place for place, axis in enumerate(axes) if axis == twice][:2]
        steps.append(Diagonal((one, other)))
        axes = (*[axis for place, axis in enumerate(axes) if place not in (one, other)], twice)
    price = costs.diagonal_overhead * (len(tensor.axes) - len(axes))
    if summed:
        steps.append(Sum(tuple([place for place, axis in enumerate(axes) if axis in summed])))
        rate = costs.sum_element if len(tensor.axes) == len(axes) else costs.strided_vector_element
        price += costs.sum_overhead + market.length(axes) * rate
        axes = tuple([axis for axis in axes if axis not in summed])
    return price, Operand(axes, market.lengths(axes), tuple(steps))
