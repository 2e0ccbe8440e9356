"""The search for a contraction of a network: the path, and along it the cheapest strategy for each step."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from plait._plan.contraction.candidates import EINSUM_STRATEGY
from plait._plan.contraction.layout_search import (
    MAX_PRODUCT_COUNT,
    NetworkContraction,
    TensorLayout,
    contract_along_path,
)
from plait._plan.contraction.layouts import Operand
from plait._plan.contraction.network import TensorNetwork
from plait._plan.contraction.paths import Path, PathOrAlgorithm, normalize_path
from plait._plan.graph import NodeWithOperands, Plan
from plait._plan.nodes import Diagonal, Node, Reshape, Sum
from plait._shapes.solver import SolvedPattern
from plait.backends.costs import ContractionCosts

MAX_TENSORS_IN_ONE_LOOP = 16
"""Up to this many tensors, one loop over all axes is compared; NumPy takes no more than 32 operands or 64."""


def search_contraction(
    network: TensorNetwork, costs: ContractionCosts, optimize: PathOrAlgorithm = "auto", memory_limit: int | None = None
) -> NetworkContraction | None:
    """Return the cheapest contraction of row-major tensors along the path of `find_path_if_needed`.

    Return ``None`` if a step has more axes than an einsum has letters and no other strategy applies to it, or if no
    machine could compute it.
    """
    path = find_path_if_needed(network, optimize, memory_limit, costs)
    if costs.has_only_einsum:
        start = _inputs_as_they_are(network)
        cheapest = contract_along_path(network, path, start, costs, (EINSUM_STRATEGY,) * len(path))
    else:
        start = simplify_inputs(network, costs)
        cheapest = contract_along_path(network, path, start, costs)
    count = len(network.terms)
    may_be_one_loop = count == 1 or (
        costs.einsum_fuses
        and count <= MAX_TENSORS_IN_ONE_LOOP
        and (len(path) > 1 or any(layout.operand.steps for layout in start))
    )
    is_free = optimize == "auto" or isinstance(optimize, float)
    least = _least_cost_of_one_loop(network, costs)
    if is_free and memory_limit is None and may_be_one_loop and (cheapest is None or least < cheapest.cost):
        single_step: Path = (tuple(range(count)),)
        inputs = _inputs_as_they_are(network)
        one_einsum = contract_along_path(network, single_step, inputs, costs, (EINSUM_STRATEGY,))
        if one_einsum is not None and (cheapest is None or one_einsum.cost < cheapest.cost):
            return one_einsum
    return cheapest


def _inputs_as_they_are(network: TensorNetwork) -> list[TensorLayout]:
    """Return the inputs, which may have repeated axes."""
    return [TensorLayout(0.0, operand) for operand in map(Operand, network.terms, network.shapes)]


def find_path_if_needed(
    network: TensorNetwork, optimize: PathOrAlgorithm, memory_limit: int | None, costs: ContractionCosts
) -> Path:
    """Return the contraction path; the module that searches for one is loaded only if there is a choice.

    The arguments are those of `plait._plan.contraction.path_search.find_path`.
    """
    count = len(network.terms)
    if isinstance(optimize, tuple):
        return normalize_path(optimize, count)
    if count <= 2:
        return (tuple(range(count)),)
    from plait._plan.contraction.path_search import find_path

    return find_path(network, optimize, memory_limit, costs)


def _least_cost_of_one_loop(network: TensorNetwork, costs: ContractionCosts) -> float:
    """Return the cost of one einsum of all tensors if each reads its elements in order."""
    products = prod(network.sizes)
    if len(network.terms) == 1 or products > MAX_PRODUCT_COUNT:
        return 0.0
    rows = products // max([1, *network.sizes])
    row_cost = costs.einsum_row if len(network.output) < len(network.sizes) else costs.einsum_row / 4
    return costs.einsum_overhead + products * costs.einsum_element * (len(network.terms) - 1) + rows * row_cost


def simplify_inputs(network: TensorNetwork, costs: ContractionCosts) -> list[TensorLayout]:
    """Return the inputs with diagonals and sums of single tensors taken.

    No operand then has a repeated axis, or an axis that neither another operand nor the result has.
    """
    use_counts = [0] * len(network.sizes)
    for term in (network.output, *network.terms):
        for axis in dict.fromkeys(term):
            use_counts[axis] += 1
    unneeded_axes = {axis for axis, count in enumerate(use_counts) if count == 1}
    inputs = []
    for term, shape in zip(network.terms, network.shapes, strict=True):
        cost, operand = 0.0, Operand(term, shape)
        if len({*term}) < len(term) or not unneeded_axes.isdisjoint(term):
            cost, operand = _cost_and_simplified_operand(operand, unneeded_axes, network.sizes, costs)
        inputs.append(TensorLayout(cost, operand))
    return inputs


def _cost_and_simplified_operand(
    operand: Operand, unneeded_axes: set[int], sizes: Sequence[int], costs: ContractionCosts
) -> tuple[float, Operand]:
    """Return the cost and the operand with diagonals of repeated axes taken, and summed over unneeded axes."""
    axes, shape, *_ = operand
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


def build_contraction_plan(solved: SolvedPattern, contraction: NetworkContraction) -> Plan:
    """Return a contraction as a plan whose nodes hold lengths instead of slots."""
    steps: list[NodeWithOperands] = []
    input_count = len(solved.ranks)
    plan_numbers = [*range(input_count)]  # for each tensor and result of a step its number in the plan

    def add_node(node: Node, *operands: int) -> int:
        steps.append((node, operands))
        return input_count + len(steps) - 1

    for numbers, strategy, pair in zip(contraction.steps, contraction.strategies, contraction.pairs, strict=True):
        operands = [plan_numbers[number] for number in (numbers[::-1] if strategy.is_swapped else numbers)]
        for position, nodes in enumerate(pair.operand_steps):
            for node in nodes:
                operands[position] = add_node(node, operands[position])
        result = operands[0] if pair.node is None else add_node(pair.node, *operands)
        for node in pair.epilogue:
            result = add_node(node, result)
        plan_numbers.append(result)
    return Plan(solved, (), tuple(steps), (plan_numbers[-1],))
