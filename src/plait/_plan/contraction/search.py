"""The search for a contraction of a network: the path, and the cheapest strategy for each step of the path."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import inf, prod
from operator import attrgetter
from typing import NamedTuple

from plait._plan.contraction.candidates import (
    EINSUM_STRATEGY,
    ContractionCandidate,
    Strategy,
    apply_strategy,
    list_strategies,
)
from plait._plan.contraction.layouts import Operand, ResultSpec, SizesAndCosts, final_result_spec
from plait._plan.contraction.network import TensorNetwork
from plait._plan.contraction.paths import Path, PathOrAlgorithm, find_path, operands_and_rest_by_step
from plait._plan.graph import NodeWithOperands, Plan
from plait._plan.nodes import Diagonal, Node, Reshape, Sum
from plait._shapes.solver import Axes, SolvedPattern
from plait.backends.costs import ContractionCosts

MAX_LAYOUTS_PER_STEP = 3
"""How many layouts of an intermediate result are kept: the cheapest one may make the next step expensive."""


class NetworkContraction(NamedTuple):
    """A contraction for given shapes, complete or up to some step of its path."""

    network: TensorNetwork
    path: Path
    operands: tuple[Operand, ...]  # the input tensors, then the result of each step
    is_simplified: bool  # whether repeated axes, and axes of one tensor alone, were removed first
    cost: float = 0.0  # nanoseconds, as estimated
    pairs: tuple[ContractionCandidate, ...] = ()  # the nodes of each step of the path
    strategies: tuple[Strategy, ...] = ()  # the strategy chosen for each step


def search_contraction(
    network: TensorNetwork, costs: ContractionCosts, optimize: PathOrAlgorithm = "auto", memory_limit: int | None = None
) -> NetworkContraction | None:
    """Return the cheapest contraction of row-major tensors along the path of `find_path`.

    Return ``None`` if a step has more axes than an einsum has letters, and no other strategy applies to it.
    """
    path = find_path(network, optimize, memory_limit)
    single_step: Path = (tuple(range(len(network.terms))),)
    initial = initial_state(network, single_step)
    if costs.has_only_einsum:
        start = initial._replace(path=path)
        cheapest = _search_strategies(start, costs, (EINSUM_STRATEGY,) * len(path))
    else:
        start = simplified_state(network, path, costs)
        cheapest = _search_strategies(start, costs)
    may_be_one_loop = len(network.terms) == 1 or (
        costs.einsum_fuses and (path != single_step or start.operands != initial.operands)
    )
    if optimize == "auto" and memory_limit is None and may_be_one_loop:
        one_einsum = _search_strategies(initial, costs, (EINSUM_STRATEGY,))
        if one_einsum is not None and (cheapest is None or one_einsum.cost < cheapest.cost):
            return one_einsum
    return cheapest


def reuse_strategies(
    contraction: NetworkContraction, network: TensorNetwork, costs: ContractionCosts
) -> NetworkContraction | None:
    """Return the contraction for other lengths by the same strategies; the same axes must have length 0 or 1."""
    path = contraction.path
    start = simplified_state(network, path, costs) if contraction.is_simplified else initial_state(network, path)
    return _search_strategies(start, costs, contraction.strategies)


def initial_state(network: TensorNetwork, path: Path) -> NetworkContraction:
    """Return the state from which a search follows the path: no pair is contracted, and each operand is as given."""
    return NetworkContraction(network, path, tuple(map(Operand, network.terms, network.shapes)), is_simplified=False)


def simplified_state(network: TensorNetwork, path: Path, costs: ContractionCosts) -> NetworkContraction:
    """Return the start of a search in which diagonals and sums of single operands are already taken.

    No operand then has a repeated axis, or an axis that neither another operand nor the result has.
    """
    seen_axes: set[int] = set()
    needed_axes = {*network.output}
    for term in network.terms:
        needed_axes |= seen_axes.intersection(term)
        seen_axes.update(term)
    cost, operands = 0.0, []
    for term, shape in zip(network.terms, network.shapes, strict=True):
        more, operand = _cost_and_simplified_operand(
            Operand(term, shape), seen_axes - needed_axes, network.sizes, costs
        )
        cost += more
        operands.append(operand)
    return NetworkContraction(network, path, tuple(operands), is_simplified=True, cost=cost)


def _cost_and_simplified_operand(
    operand: Operand, unneeded_axes: set[int], sizes: Sequence[int], costs: ContractionCosts
) -> tuple[float, Operand]:
    """Return the cost and the operand with diagonals of repeated axes taken, and summed over unneeded axes."""
    axes, shape, *_ = operand
    if len(set(axes)) == len(axes) and unneeded_axes.isdisjoint(axes):
        return 0.0, operand
    size, rank = sizes.__getitem__, len(axes)
    lengths = tuple(map(size, axes))
    steps: list[Node] = [] if lengths == shape else [Reshape(lengths)]
    while len(set(axes)) < len(axes):
        repeated_axis = next(axis for axis in axes if axes.count(axis) > 1)
        first_dim, second_dim = [dim for dim, axis in enumerate(axes) if axis == repeated_axis][:2]
        steps.append(Diagonal((first_dim, second_dim)))
        axes = (*[axis for dim, axis in enumerate(axes) if dim not in (first_dim, second_dim)], repeated_axis)
    cost = costs.diagonal_overhead * (rank - len(axes))
    if not unneeded_axes.isdisjoint(axes):
        steps.append(Sum(tuple([dim for dim, axis in enumerate(axes) if axis in unneeded_axes])))
        element = costs.sum_element if rank == len(axes) else costs.strided_vector_element
        cost += costs.sum_overhead + prod(map(size, axes)) * element
        axes = tuple([axis for axis in axes if axis not in unneeded_axes])
    return cost, Operand(axes, tuple(map(size, axes)), tuple(steps))


def _search_strategies(
    start: NetworkContraction, costs: ContractionCosts, chosen_strategies: Sequence[Strategy] | None = None
) -> NetworkContraction | None:
    """Return the cheapest contraction along a path, or ``None`` if no strategy applies to a step.

    ``chosen_strategies`` has the strategy of each step; without it, all strategies are compared.
    """
    network, path = start.network, start.path
    sizes_and_costs = SizesAndCosts(network.sizes, costs)
    states = [start]  # sorted by cost, each with another layout of the last result
    for step, (numbers, remaining) in enumerate(operands_and_rest_by_step(path, len(network.terms))):
        terms = [operand.axes for operand in states[0].operands]
        needed = {*network.output}.union(*[terms[number] for number in remaining])
        kept = needed.intersection(chain.from_iterable([terms[number] for number in numbers]))
        spec = final_result_spec(network) if step == len(path) - 1 else ResultSpec(frozenset(kept))
        overhead = costs.pairwise_overhead if remaining or step else 0
        best: dict[Axes, NetworkContraction] = {}
        for _, _, tensors_so_far, is_simplified, cost_so_far, pairs, strategies_so_far in states:
            operands = [tensors_so_far[number] for number in numbers]
            for strategy in (chosen_strategies[step],) if chosen_strategies else list_strategies(operands, spec, costs):
                pair = apply_strategy(strategy, operands, spec, sizes_and_costs)
                if pair is None:
                    continue
                cost = cost_so_far + overhead + pair.cost
                axes, shape, *_ = pair.result
                if cost < (best[axes].cost if axes in best else inf):
                    tensors = (*tensors_so_far, Operand(axes, shape, is_temporary=len(operands) > 1))
                    found = (*pairs, pair), (*strategies_so_far, strategy)
                    best[axes] = NetworkContraction(network, path, tensors, is_simplified, cost, *found)
        if not best:
            return None
        states = sorted(best.values(), key=attrgetter("cost"))[:MAX_LAYOUTS_PER_STEP]
    return states[0]


def build_contraction_plan(solved: SolvedPattern, contraction: NetworkContraction) -> Plan:
    """Return a contraction as a plan whose nodes hold lengths instead of slots."""
    steps: list[NodeWithOperands] = []
    input_count = len(solved.ranks)
    path = operands_and_rest_by_step(contraction.path, input_count)
    plan_numbers = [*range(input_count)]  # for each tensor and result of a step its number in the plan

    def add_node(node: Node, *operands: int) -> int:
        steps.append((node, operands))
        return input_count + len(steps) - 1

    for (numbers, _), strategy, pair in zip(path, contraction.strategies, contraction.pairs, strict=True):
        operands = [plan_numbers[number] for number in (numbers[::-1] if strategy.is_swapped else numbers)]
        for position, nodes in enumerate(pair.operand_steps):
            for node in nodes:
                operands[position] = add_node(node, operands[position])
        result = operands[0] if pair.node is None else add_node(pair.node, *operands)
        for node in pair.epilogue:
            result = add_node(node, result)
        plan_numbers.append(result)
    return Plan(solved, (), tuple(steps), (plan_numbers[-1],))
