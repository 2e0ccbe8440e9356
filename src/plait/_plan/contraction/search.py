"""From a network to a contraction: the path, and the cheapest strategy for each step along it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import inf, prod
from operator import attrgetter
from typing import NamedTuple

from plait._plan.contraction.candidates import EINSUM, PairwiseContraction, Strategy, candidate, strategies
from plait._plan.contraction.layouts import CostModel, Operand, Target, final_target
from plait._plan.contraction.network import Network
from plait._plan.contraction.paths import Optimize, Path, find_path, walk_path
from plait._plan.graph import Plan, Step
from plait._plan.nodes import Diagonal, Node, Reshape, Sum
from plait._shapes.solver import Axes, SolvedPattern
from plait.backends.costs import ContractionCosts

LAYOUTS = 3
"""How many layouts of an intermediate result are compared: the cheapest way to it may make the next step dear."""


class Contraction(NamedTuple):
    """A contraction of tensors of given shapes, or the first steps of one."""

    network: Network
    path: Path
    operands: tuple[Operand, ...]  # the tensors, and then the result of each step
    is_prepared: bool  # whether axes that appear twice in a tensor, or in one tensor alone, are dealt with first
    cost: float = 0.0  # nanoseconds, as estimated
    pairs: tuple[PairwiseContraction, ...] = ()  # how the tensors are contracted along the path
    strategies: tuple[Strategy, ...] = ()  # what was chosen for each of these, whatever the lengths


def plan_contraction(
    network: Network, costs: ContractionCosts, optimize: Optimize = "auto", memory_limit: int | None = None
) -> Contraction | None:
    """The cheapest contraction of row-major tensors along the path of `find_path`.

    It is ``None`` where there is nothing to choose: there are too many letters for an einsum, and nothing else.
    """
    path = find_path(network, optimize, memory_limit)
    at_once: Path = (tuple(range(len(network.terms))),)
    given = unprepared(network, at_once)
    if costs.has_only_einsum:
        start = given._replace(path=path)
        found = _search(start, costs, (EINSUM,) * len(path))
    else:
        start = prepare(network, path, costs)
        found = _search(start, costs)
    is_loop = len(network.terms) == 1 or (costs.einsum_fuses and (path != at_once or start.operands != given.operands))
    if optimize == "auto" and memory_limit is None and is_loop:
        direct = _search(given, costs, (EINSUM,))
        if direct is not None and (found is None or direct.cost < found.cost):
            return direct
    return found


def instantiate(contraction: Contraction, network: Network, costs: ContractionCosts) -> Contraction | None:
    """The same strategies for other lengths, of which the same are 0 and 1."""
    path = contraction.path
    start = prepare(network, path, costs) if contraction.is_prepared else unprepared(network, path)
    return _search(start, costs, contraction.strategies)


def unprepared(network: Network, path: Path) -> Contraction:
    """The start of a search in which each operand is as it is given."""
    return Contraction(network, path, tuple(map(Operand, network.terms, network.shapes)), is_prepared=False)


def prepare(network: Network, path: Path, costs: ContractionCosts) -> Contraction:
    """The start of a search in which no axis appears twice in an operand, or in one alone and not in the result."""
    seen: set[int] = set()
    shared = {*network.output}
    for term in network.terms:
        shared |= seen.intersection(term)
        seen.update(term)
    cost, operands = 0.0, []
    for term, shape in zip(network.terms, network.shapes, strict=True):
        more, operand = _prepare_operand(Operand(term, shape), seen - shared, network.sizes, costs)
        cost += more
        operands.append(operand)
    return Contraction(network, path, tuple(operands), is_prepared=True, cost=cost)


def _prepare_operand(
    operand: Operand, alone: set[int], sizes: Sequence[int], costs: ContractionCosts
) -> tuple[float, Operand]:
    """The diagonal of an operand with repeated axes, summed over the axes that only it has; and what that costs."""
    axes, shape, *_ = operand
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
    start: Contraction, costs: ContractionCosts, chosen: Sequence[Strategy] | None = None
) -> Contraction | None:
    """The cheapest way along a path, by the strategies that are chosen or by any; ``None`` where there is none."""
    network, path = start.network, start.path
    model = CostModel(network.sizes, costs)
    states = [start]  # the cheapest first, each with another layout of the last result
    for step, (numbers, left) in enumerate(walk_path(path, len(network.terms))):
        terms = [operand.axes for operand in states[0].operands]
        needed = {*network.output}.union(*[terms[number] for number in left])
        kept = needed.intersection(chain.from_iterable([terms[number] for number in numbers]))
        target = final_target(network) if step == len(path) - 1 else Target(frozenset(kept))
        overhead = costs.pairwise_overhead if left or step else 0
        best: dict[Axes, Contraction] = {}
        for _, _, known, is_prepared, before, pairs, taken in states:
            operands = [known[number] for number in numbers]
            for strategy in (chosen[step],) if chosen else strategies(operands, target, costs):
                pair = candidate(strategy, operands, target, model)
                if pair is None:
                    continue
                cost = before + overhead + pair.cost
                axes, shape, *_ = pair.result
                if cost < (best[axes].cost if axes in best else inf):
                    tensors = (*known, Operand(axes, shape, is_temporary=len(operands) > 1))
                    found = (*pairs, pair), (*taken, strategy)
                    best[axes] = Contraction(network, path, tensors, is_prepared, cost, *found)
        if not best:
            return None
        states = sorted(best.values(), key=attrgetter("cost"))[:LAYOUTS]
    return states[0]


def contraction_plan(solved: SolvedPattern, contraction: Contraction) -> Plan:
    """A contraction as a plan, with lengths in the place of slots."""
    steps: list[Step] = []
    count = len(solved.ranks)
    path = walk_path(contraction.path, count)
    values = [*range(count)]  # for each operand of the pairs its number in the plan

    def add(node: Node, *operands: int) -> int:
        steps.append((node, operands))
        return count + len(steps) - 1

    for (numbers, _), strategy, pair in zip(path, contraction.strategies, contraction.pairs, strict=True):
        operands = [values[number] for number in (numbers[::-1] if strategy.swapped else numbers)]
        for place, nodes in enumerate(pair.sides):
            for node in nodes:
                operands[place] = add(node, operands[place])
        result = operands[0] if pair.node is None else add(pair.node, *operands)
        for node in pair.after:
            result = add(node, result)
        values.append(result)
    return Plan(solved, (), tuple(steps), (values[-1],))
