"""The search for a contraction of a network: the path, and along it the cheapest strategy for each step.

The strategies are chosen step by step. A tensor may have several layouts, that is, orders of its axes in memory; of an
intermediate result those are kept that may make a later step cheaper than the cheapest layout does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain, product
from math import inf, prod
from operator import attrgetter
from typing import NamedTuple

from plait._plan.contraction.candidates import (
    EINSUM_STRATEGY,
    ContractionCandidate,
    Strategy,
    apply_strategy,
    least_cost,
    list_split_strategies,
    list_strategies,
)
from plait._plan.contraction.layouts import Operand, ResultSpec, SizesAndCosts, final_result_spec
from plait._plan.contraction.network import TensorNetwork
from plait._plan.contraction.paths import Path, PathOrAlgorithm, Step, normalize_path, numbered_steps
from plait._plan.graph import NodeWithOperands, Plan
from plait._plan.nodes import Diagonal, Node, Reshape, Sum
from plait._shapes.solver import Axes, SolvedPattern
from plait.backends.costs import CACHE_LINE_BYTES, ContractionCosts

WORTH = 2000.0
WORTH_SEVERAL = 10000.0
MATTERING_PART = 0.01

MAX_LAYOUTS = 2
"""How many layouts of an intermediate result are kept: the cheapest one may make the next step expensive."""


class NetworkContraction(NamedTuple):
    """A contraction for given shapes."""

    network: TensorNetwork
    path: Path
    cost: float  # nanoseconds, as estimated
    pairs: tuple[ContractionCandidate, ...]  # the nodes of each step of the path
    strategies: tuple[Strategy, ...]  # the strategy chosen for each step


class TensorLayout(NamedTuple):
    """A tensor in one of its layouts, and how it is computed."""

    cost: float  # nanoseconds, of all steps that it depends on
    operand: Operand
    candidate: ContractionCandidate | None = None  # of the step whose result it is; ``None`` for an input
    strategy: Strategy = EINSUM_STRATEGY
    sources: tuple[TensorLayout, ...] = ()  # the operands of this step


def search_contraction(
    network: TensorNetwork, costs: ContractionCosts, optimize: PathOrAlgorithm = "auto", memory_limit: int | None = None
) -> NetworkContraction | None:
    """Return the cheapest contraction of row-major tensors along the path of `find_path`.

    Return ``None`` if a step has more axes than an einsum has letters, and no other strategy applies to it.
    """
    path = find_path_if_needed(network, optimize, memory_limit, costs)
    single_step: Path = (tuple(range(len(network.terms))),)
    inputs = [TensorLayout(0.0, operand) for operand in map(Operand, network.terms, network.shapes)]
    if costs.has_only_einsum:
        start = inputs
        cheapest = contract_along_path(network, path, start, costs, (EINSUM_STRATEGY,) * len(path))
    else:
        start = simplify_inputs(network, costs)
        cheapest = contract_along_path(network, path, start, costs)
    may_be_one_loop = len(network.terms) == 1 or (costs.einsum_fuses and (path != single_step or start != inputs))
    if optimize == "auto" and memory_limit is None and may_be_one_loop:
        one_einsum = contract_along_path(network, single_step, inputs, costs, (EINSUM_STRATEGY,))
        if one_einsum is not None and (cheapest is None or one_einsum.cost < cheapest.cost):
            return one_einsum
    return cheapest


def find_path_if_needed(
    network: TensorNetwork, optimize: PathOrAlgorithm, memory_limit: int | None, costs: ContractionCosts
) -> Path:
    """Return the path of `find_path`, whose module is loaded only if there is a choice."""
    count = len(network.terms)
    if isinstance(optimize, tuple):
        return normalize_path(optimize, count)
    if count <= 2:
        return (tuple(range(count)),)
    from plait._plan.contraction.path_search import find_path

    return find_path(network, optimize, memory_limit, costs)


def simplify_inputs(network: TensorNetwork, costs: ContractionCosts) -> list[TensorLayout]:
    """Return the inputs with diagonals and sums of single tensors taken.

    No operand then has a repeated axis, or an axis that neither another operand nor the result has.
    """
    use_counts = Counter(chain(network.output, *map(frozenset, network.terms)))
    inputs = []
    for term, shape in zip(network.terms, network.shapes, strict=True):
        unneeded = {axis for axis in term if use_counts[axis] == 1}
        inputs.append(
            TensorLayout(*_cost_and_simplified_operand(Operand(term, shape), unneeded, network.sizes, costs))
        )
    return inputs


def contract_along_path(
    network: TensorNetwork,
    path: Path,
    inputs: Sequence[TensorLayout],
    costs: ContractionCosts,
    strategies: Sequence[Strategy] | None = None,
) -> NetworkContraction | None:
    """Return the cheapest contraction along a path, or ``None`` if no strategy applies to a step.

    ``strategies`` has the strategy of each step; without it, the cheapest is chosen.
    """
    sizes_and_costs = SizesAndCosts(network.sizes, costs)
    use_counts = Counter(chain(network.output, *[frozenset(layout.operand.axes) for layout in inputs]))
    layouts = [[layout] for layout in inputs]  # of each tensor and result
    steps = numbered_steps(path, len(network.terms))
    for number, step in enumerate(steps):
        terms = [frozenset(layouts[operand][0].operand.axes) for operand in step]
        axes = terms[0].union(*terms[1:])
        for term in terms:
            use_counts.subtract(term)
        kept = frozenset([axis for axis in axes if use_counts[axis]])
        use_counts.update(kept)
        is_last = number == len(steps) - 1
        spec = final_result_spec(network) if is_last else ResultSpec(kept)
        sources = [layouts[operand] for operand in step]
        found = _cheapest_layouts(
            sources, spec, axes, sizes_and_costs, None if strategies is None else (strategies[number],)
        )
        if not found:
            return None
        layouts.append(found)
    overhead = costs.pairwise_overhead * len(steps) if len(steps) > 1 else 0.0
    return _collect_steps(network, path, steps, layouts[-1][0], overhead)


def _cheapest_layouts(
    sources: Sequence[Sequence[TensorLayout]],
    spec: ResultSpec,
    axes: frozenset[int],
    sizes_and_costs: SizesAndCosts,
    strategies: Sequence[Strategy] | None,
) -> list[TensorLayout]:
    """Return the layouts of the result of a step that may be the best for later steps, the cheapest first.

    ``sources`` has the layouts of each operand, and ``axes`` are the axes of all operands. If ``strategies`` are given,
    no others are used.
    """
    sizes, costs = sizes_and_costs
    product_count = prod([sizes[axis] for axis in axes])
    tolerance = 0.0
    if spec.order is None and strategies is None:
        tolerance = costs.copy_work(prod([sizes[axis] for axis in spec.kept_axes]), 1, CACHE_LINE_BYTES)
        tolerance = 0.0 if tolerance < WORTH_SEVERAL else tolerance + 2 * costs.view_overhead
    best = _BestLayouts(spec, sizes_and_costs, product_count, tolerance)
    for layouts in product(*sources):
        if strategies is not None:
            best.compare(layouts, strategies)
            continue
        operands = [layout.operand for layout in layouts]
        excess = best.compare(layouts, list_strategies(operands, spec, costs))
        if len(operands) == 2 and excess > WORTH_SEVERAL:
            best.compare(layouts, list_split_strategies(operands, spec, sizes_and_costs))
    found = sorted(best.by_axes.values(), key=attrgetter("cost"))[:MAX_LAYOUTS]
    return [layout for layout in found if layout.cost <= found[0].cost + tolerance]


class _BestLayouts:
    """The cheapest known way to each layout of the result of a step.

    A way that costs more than the cheapest one and ``tolerance`` is not compared: it takes no longer to change the
    layout afterwards.
    """

    def __init__(
        self, spec: ResultSpec, sizes_and_costs: SizesAndCosts, product_count: int, tolerance: float
    ) -> None:
        self.by_axes: dict[Axes, TensorLayout] = {}
        self._spec, self._sizes_and_costs, self._product_count = spec, sizes_and_costs, product_count
        self._tolerance = tolerance
        self._most = inf

    def compare(self, sources: tuple[TensorLayout, ...], strategies: Sequence[Strategy]) -> float:
        """Apply strategies to operands, those first whose cost would be least if no layout had to be changed.

        Return by how much the cheapest one exceeds this least cost.
        """
        operands = [source.operand for source in sources]
        source_cost = sum([source.cost for source in sources])
        ranked = [
            (least_cost(strategy, operands, self._product_count, self._sizes_and_costs), position, strategy)
            for position, strategy in enumerate(strategies)
        ]
        ranked.sort()
        cheapest = inf
        for least, _, strategy in ranked:
            if source_cost + least > self._most:
                break
            candidate = apply_strategy(strategy, operands, self._spec, self._sizes_and_costs)
            if candidate is None:
                continue
            cost = source_cost + candidate.cost
            cheapest = min(cheapest, candidate.cost)
            excess = cheapest - ranked[0][0]
            axes, shape, *_ = candidate.result
            known = self.by_axes.get(axes)
            if known is None or cost < known.cost:
                result = Operand(axes, shape, is_temporary=len(operands) > 1)
                self.by_axes[axes] = TensorLayout(cost, result, candidate, strategy, sources)
                self._most = min(self._most, cost + self._tolerance)
            if not self._tolerance and excess < WORTH:
                return excess
        return cheapest - ranked[0][0] if ranked else 0.0


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


def _collect_steps(
    network: TensorNetwork, path: Path, steps: Sequence[Step], result: TensorLayout, overhead: float
) -> NetworkContraction:
    """Return the contraction whose result has the chosen layout; ``overhead`` is added to its cost."""
    input_count = len(network.terms)
    chosen = {input_count + len(steps) - 1: result}
    for number in range(len(steps) - 1, -1, -1):
        chosen.update(zip(steps[number], chosen[input_count + number].sources, strict=True))
    results = [chosen[input_count + number] for number in range(len(steps))]
    return NetworkContraction(
        network,
        path,
        result.cost + overhead,
        tuple([layout.candidate for layout in results]),
        tuple([layout.strategy for layout in results]),
    )


def build_contraction_plan(solved: SolvedPattern, contraction: NetworkContraction) -> Plan:
    """Return a contraction as a plan whose nodes hold lengths instead of slots."""
    steps: list[NodeWithOperands] = []
    input_count = len(solved.ranks)
    numbered = numbered_steps(contraction.path, input_count)
    plan_numbers = [*range(input_count)]  # for each tensor and result of a step its number in the plan

    def add_node(node: Node, *operands: int) -> int:
        steps.append((node, operands))
        return input_count + len(steps) - 1

    for numbers, strategy, pair in zip(numbered, contraction.strategies, contraction.pairs, strict=True):
        operands = [plan_numbers[number] for number in (numbers[::-1] if strategy.is_swapped else numbers)]
        for position, nodes in enumerate(pair.operand_steps):
            for node in nodes:
                operands[position] = add_node(node, operands[position])
        result = operands[0] if pair.node is None else add_node(pair.node, *operands)
        for node in pair.epilogue:
            result = add_node(node, result)
        plan_numbers.append(result)
    return Plan(solved, (), tuple(steps), (plan_numbers[-1],))
