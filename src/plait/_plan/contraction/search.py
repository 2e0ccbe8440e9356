"""From a network to a contraction: the path, and the cheapest strategy for each step along it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import inf, prod
from operator import itemgetter
from typing import NamedTuple

from plait._plan.contraction.candidates import EINSUM, Strategy, candidate, strategies
from plait._plan.contraction.layouts import Operand
from plait._plan.contraction.network import Axes, Network
from plait._plan.contraction.pairwise import CostModel, PairwiseContraction, Target, final_target
from plait._plan.contraction.paths import Optimize, Path, find_path, walk_path
from plait._plan.graph import Plan, Step
from plait._plan.nodes import Diagonal, Node, Reshape, Sum
from plait._shapes.solver import SolvedPattern
from plait.backends.costs import ContractionCosts

LAYOUTS = 3
"""How many layouts of an intermediate result are compared: the cheapest way to it may make the next step dear."""


class Contraction(NamedTuple):
    """A contraction of tensors of given shapes.

    Attributes:
        network: what is contracted.
        path: the order.
        pairs: how the tensors are contracted along it.
        strategies: what was chosen for each of these, whatever the lengths.
        is_prepared: whether axes that appear twice in a tensor, or in one tensor alone, are dealt with first.
    """

    network: Network
    path: Path
    pairs: tuple[PairwiseContraction, ...]
    strategies: tuple[Strategy, ...]
    is_prepared: bool


class SearchState(NamedTuple):
    """What there is after some steps: the cost until then, what was done, and all operands by number."""

    cost: float
    pairs: tuple[PairwiseContraction, ...]
    strategies: tuple[Strategy, ...]
    operands: tuple[Operand, ...]


def plan_contraction(
    network: Network, costs: ContractionCosts, optimize: Optimize = "auto", memory_limit: int | None = None
) -> Contraction | None:
    """The cheapest contraction along a path.

    Args:
        network: what is contracted, with its tensors in row-major order.
        costs: what the framework's calls cost.
        optimize: how the path is found, or the path.
        memory_limit: the most elements that an intermediate result may have.

    Returns:
        The contraction, or ``None`` where there is nothing to choose: there are too many letters for an einsum, and
        nothing else.

    Raises:
        PlaitError: PLT214 or PLT511, as `find_path`.
    """
    path = find_path(network, optimize, memory_limit)
    count = len(network.terms)
    model = CostModel(network.sizes, costs)
    given = _given(network)
    only = (EINSUM,) * len(path) if costs.only_einsum else None
    start = given if only else prepare(network, model)
    state = _search(network, path, start, model, only)
    found = state and Contraction(network, path, state.pairs, state.strategies, is_prepared=only is None)
    is_loop = count == 1 or (costs.einsum_fuses and (len(path) > 1 or start != given))
    if optimize == "auto" and memory_limit is None and is_loop:
        at_once: Path = (tuple(range(count)),)
        direct = _search(network, at_once, given, model, (EINSUM,))
        if direct is not None and (state is None or direct.cost < state.cost):
            found = Contraction(network, at_once, direct.pairs, direct.strategies, is_prepared=False)
    return found


def instantiate(contraction: Contraction, network: Network, costs: ContractionCosts) -> Contraction:
    """The same strategies for other lengths, of which the same are 0 and 1."""
    model = CostModel(network.sizes, costs)
    start = prepare(network, model) if contraction.is_prepared else _given(network)
    state = _search(network, contraction.path, start, model, contraction.strategies)
    return contraction._replace(network=network, pairs=state.pairs if state else ())


def _given(network: Network) -> SearchState:
    operands = map(Operand, network.terms, network.shapes)
    return SearchState(0.0, (), (), tuple(operands))


def prepare(network: Network, model: CostModel) -> SearchState:
    """The start of a search in which no axis appears twice in an operand, or in one alone and not in the result."""
    seen: set[int] = set()
    shared = {*network.output}
    for term in network.terms:
        shared |= seen.intersection(term)
        seen.update(term)
    cost, operands = 0.0, []
    for term, shape in zip(network.terms, network.shapes, strict=True):
        more, operand = _prepare_operand(Operand(term, shape), seen - shared, model)
        cost += more
        operands.append(operand)
    return SearchState(cost, (), (), tuple(operands))


def _prepare_operand(operand: Operand, alone: set[int], model: CostModel) -> tuple[float, Operand]:
    """The diagonal of an operand with repeated axes, summed over the axes that only it has; and what that costs."""
    (sizes, costs), (axes, shape, *_) = model, operand
    if len(set(axes)) == len(axes) and alone.isdisjoint(axes):
        return 0.0, operand
    size, rank = sizes.__getitem__, len(axes)
    lengths = tuple(map(size, axes))
    steps: list[Node] = [] if lengths == shape else [Reshape(lengths)]
    while len(set(axes)) < len(axes):
        twice = next(axis for axis in axes if axes.count(axis) > 1)
        one, other = [place for place, axis in enumerate(axes) if axis == twice][:2]
        steps.append(Diagonal((one, other)))
        axes = (*[axis for place, axis in enumerate(axes) if place not in (one, other)], twice)
    cost = costs.diagonal_overhead * (rank - len(axes))
    if not alone.isdisjoint(axes):
        steps.append(Sum(tuple([place for place, axis in enumerate(axes) if axis in alone])))
        element = costs.sum_element if rank == len(axes) else costs.strided_vector_element
        cost += costs.sum_overhead + prod(map(size, axes)) * element
        axes = tuple([axis for axis in axes if axis not in alone])
    return cost, Operand(axes, tuple(map(size, axes)), tuple(steps))


def _search(
    network: Network, path: Path, start: SearchState, model: CostModel, chosen: Sequence[Strategy] | None = None
) -> SearchState | None:
    """The cheapest way along a path, by the strategies that are chosen or by any; ``None`` where there is none."""
    states = [start]
    for step, (numbers, left) in enumerate(walk_path(path, len(network.terms))):
        terms = [operand.axes for operand in states[0].operands]
        needed = {*network.output}.union(*[terms[number] for number in left])
        kept = needed.intersection(chain.from_iterable([terms[number] for number in numbers]))
        target = final_target(network) if step == len(path) - 1 else Target(frozenset(kept))
        overhead = model.costs.pairwise_overhead if left or step else 0
        states = _extend_states(states, numbers, target, model, overhead, chosen[step] if chosen else None)
        if not states:
            return None
    return states[0]


def _extend_states(
    states: Sequence[SearchState],
    numbers: tuple[int, ...],
    target: Target,
    model: CostModel,
    overhead: float,
    chosen: Strategy | None,
) -> list[SearchState]:
    """What there may be after one more step, the cheapest first, each with another layout of the result."""
    best: dict[Axes, SearchState] = {}
    for state in states:
        operands = [state.operands[number] for number in numbers]
        for strategy in (chosen,) if chosen else strategies(operands, target, model.costs):
            found = candidate(strategy, numbers, operands, target, model)
            if found is None:
                continue
            cost = state.cost + overhead + found.cost
            axes, shape, *_ = found.result
            if cost < (best[axes].cost if axes in best else inf):
                result = Operand(axes, shape, is_temporary=len(operands) > 1)
                pairs, taken = (*state.pairs, found.contraction), (*state.strategies, strategy)
                best[axes] = SearchState(cost, pairs, taken, (*state.operands, result))
    return sorted(best.values(), key=itemgetter(0))[:LAYOUTS]


def contraction_plan(solved: SolvedPattern, contraction: Contraction) -> Plan:
    """A contraction as a plan, with lengths in the place of slots."""
    steps: list[Step] = []
    count = len(solved.ranks)
    values = [*range(count)]  # for each operand of the pairs its number in the plan

    def add(node: Node, operands: tuple[int, ...]) -> int:
        steps.append((node, operands))
        return count + len(steps) - 1

    for numbers, sides, node, after in contraction.pairs:
        operands = [values[number] for number in numbers]
        for place, nodes in enumerate(sides):
            for each in nodes:
                operands[place] = add(each, (operands[place],))
        result = operands[0] if node is None else add(node, tuple(operands))
        for each in after:
            result = add(each, (result,))
        values.append(result)
    return Plan(solved, (), tuple(steps), (values[-1],))
