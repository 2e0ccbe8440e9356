"""The search for the cheapest layouts and strategies along a contraction path.

A tensor may have several layouts, that is, orders of its axes in memory. The strategies are chosen step by step; of an
intermediate result those layouts are kept that may make a later step cheaper than the cheapest layout does. A
comparison of strategies takes time too, so that a cheap step of a long path has a strategy by default, and more are
compared the more is to be gained.
"""

from __future__ import annotations

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
    default_strategy,
    find_direct_product,
    least_cost,
    list_split_strategies,
    list_strategies,
    separates_axes,
)
from plait._plan.contraction.layouts import Operand, ResultSpec, SizesAndCosts, final_result_spec
from plait._plan.contraction.network import TensorNetwork
from plait._plan.contraction.paths import Path, Step, numbered_steps
from plait._shapes.solver import Axes
from plait.backends.costs import CACHE_LINE_BYTES, ContractionCosts

MAX_STEPS_OF_SHORT_PATH = 3
"""In a path of at most this many steps, almost all strategies are compared that may be cheaper."""

MIN_GAIN_IN_SHORT_PATH, MIN_GAIN_OF_MANY_IN_SHORT_PATH = 200.0, 750.0
"""By how many nanoseconds a strategy must be able to be cheaper there, and many strategies or several layouts."""

MIN_WORK_FOR_LAYOUTS, MIN_GAIN_OF_MANY_IF_TINY = 20000.0, 4000.0
"""If the products of a short path take fewer nanoseconds, many strategies or several layouts must save more."""

MAX_PRODUCT_COUNT_FOR_DEFAULT = 1 << 18
MAX_SIZE_FOR_DEFAULT = 1 << 14
"""In a longer path, a step of at most this many products, of tensors of at most this many elements, has a strategy by
default."""

MIN_GAIN, MIN_PART = 4000.0, 0.002
"""In a longer path, another strategy is compared if it may save more than this number of nanoseconds, and more than
this part of the time of the whole contraction."""

MIN_GAIN_OF_MANY, MIN_PART_OF_MANY = 50000.0, 0.2
"""The same for many strategies, or for strategies for several layouts."""

MAX_PRODUCT_COUNT = 10**290
"""No machine computes more products, and their cost would exceed the range of a float."""

MAX_LAYOUTS, MAX_LAYOUTS_IN_SHORT_PATH = 2, 3
"""How many layouts of an intermediate result are kept, in a longer path and in a short one."""

MAX_SPLIT_STRATEGIES = 3
"""In a longer path, how many products that merge only some own axes are compared, those of the lowest least cost."""


class NetworkContraction(NamedTuple):
    """A contraction for given shapes."""

    network: TensorNetwork
    path: Path
    steps: tuple[Step, ...]  # the path with the numbers of its tensors
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


class PathStep:
    """One step of a path, independent of layouts.

    Attributes:
        operands: the numbers of the tensors.
        spec: what the result must be.
        product_count: the product of the lengths of all axes.
        next_step: the step that takes the result; ``None`` for the last step.
    """

    __slots__ = ("next_step", "operands", "product_count", "spec")

    def __init__(self, operands: Step, spec: ResultSpec, product_count: int) -> None:
        self.operands, self.spec, self.product_count = operands, spec, product_count
        self.next_step: PathStep | None = None

    @property
    def axes_summed_next(self) -> frozenset[int]:
        """The axes of the result over which the next step sums."""
        return frozenset() if self.next_step is None else self.spec.kept_axes - self.next_step.spec.kept_axes


def contract_along_path(
    network: TensorNetwork,
    path: Path,
    inputs: Sequence[TensorLayout],
    costs: ContractionCosts,
    strategies: Sequence[Strategy] | None = None,
) -> NetworkContraction | None:
    """Return the cheapest contraction along a path.

    Return ``None`` if no strategy applies to a step, or if a step has more products than a float can count.
    ``strategies`` has the strategy of each step; without it, the cheapest is chosen.
    """
    numbered = numbered_steps(path, len(inputs))
    steps = _describe_steps(network, inputs, numbered)
    if max([step.product_count for step in steps]) > MAX_PRODUCT_COUNT:
        return None
    search = _LayoutSearch(SizesAndCosts(network.sizes, costs), steps)
    layouts = [[layout] for layout in inputs]  # of each tensor and result
    for number, step in enumerate(steps):
        sources = [layouts[operand] for operand in step.operands]
        found = search.cheapest_layouts(sources, step, None if strategies is None else strategies[number])
        if not found:
            return None
        layouts.append(found)
    results = _collect_results(steps, layouts[-1][0], len(inputs))
    return NetworkContraction(
        network,
        path,
        tuple(numbered),
        results[-1].cost + (costs.pairwise_overhead * len(steps) if len(steps) > 1 else 0.0),
        tuple([result.candidate for result in results if result.candidate is not None]),
        tuple([result.strategy for result in results]),
    )


def _describe_steps(network: TensorNetwork, inputs: Sequence[TensorLayout], numbered: Sequence[Step]) -> list[PathStep]:
    """Return the steps of a path with what their results must be."""
    terms = [frozenset(layout.operand.axes) for layout in inputs]
    use_counts = [0] * len(network.sizes)  # by the tensors that are left, and by the result of the network
    for axis in chain(network.output, *terms):
        use_counts[axis] += 1
    last_spec = final_result_spec(network)
    size = network.sizes.__getitem__
    steps: list[PathStep] = []
    for number, operands in enumerate(numbered, 1):
        axes = terms[operands[0]]
        for operand in operands[1:]:
            for axis in axes & terms[operand]:
                use_counts[axis] -= 1
            axes = axes | terms[operand]
        spec = last_spec
        if number < len(numbered):
            kept = frozenset([axis for axis in axes if use_counts[axis] > 1])
            terms.append(kept)
            spec = ResultSpec(kept)
        steps.append(PathStep(operands, spec, prod(map(size, axes))))
    for step in steps:
        for operand in step.operands:
            if operand >= len(inputs):
                steps[operand - len(inputs)].next_step = step
    return steps


def _collect_results(steps: Sequence[PathStep], result: TensorLayout, input_count: int) -> list[TensorLayout]:
    """Return the layout of the result of each step, given that of the last one."""
    chosen = {input_count + len(steps) - 1: result}
    for number in range(input_count + len(steps) - 1, input_count - 1, -1):
        chosen.update(zip(steps[number - input_count].operands, chosen[number].sources, strict=True))
    return [chosen[input_count + number] for number in range(len(steps))]


class _LayoutSearch:
    """The search for the layouts of the result of each step of a path."""

    def __init__(self, sizes_and_costs: SizesAndCosts, steps: Sequence[PathStep]) -> None:
        self._sizes_and_costs = sizes_and_costs
        self._is_short = len(steps) <= MAX_STEPS_OF_SHORT_PATH
        self._max_layouts = MAX_LAYOUTS_IN_SHORT_PATH if self._is_short else MAX_LAYOUTS
        costs = sizes_and_costs.costs
        work = sum([step.product_count for step in steps]) * min(2 * costs.flop, costs.einsum_element)
        if self._is_short:
            self._min_gain = MIN_GAIN_IN_SHORT_PATH
            is_tiny = work < MIN_WORK_FOR_LAYOUTS and len(steps) > 1
            self._min_gain_of_many = MIN_GAIN_OF_MANY_IF_TINY if is_tiny else MIN_GAIN_OF_MANY_IN_SHORT_PATH
        else:
            self._min_gain = max(MIN_GAIN, work * MIN_PART)
            self._min_gain_of_many = max(MIN_GAIN_OF_MANY, work * MIN_PART_OF_MANY)

    def cheapest_layouts(
        self, sources: Sequence[Sequence[TensorLayout]], step: PathStep, strategy: Strategy | None
    ) -> list[TensorLayout]:
        """Return the layouts of the result of a step that may be the best for later steps, the cheapest first.

        ``sources`` has the layouts of each operand. If a strategy is given, no others are tried.
        """
        spec, costs = step.spec, self._sizes_and_costs.costs
        if strategy is not None:
            layout = self._apply(strategy, sources, step)
            return [] if layout is None else [layout]
        if not self._is_short and len(sources) == 2 and self._is_cheap(sources, step):
            layout = self._apply_default(sources, step)
            return [] if layout is None else [layout]
        tolerance = 0.0  # by how much a more expensive layout may be better for later steps
        if spec.order is None:
            size = self._sizes_and_costs.size_of[tuple(spec.kept_axes)]
            tolerance = costs.copy_work(size, 1, CACHE_LINE_BYTES)
            tolerance = tolerance + 2 * costs.view_overhead if tolerance > self._min_gain_of_many else 0.0
        if not tolerance and len(sources) == 2 and len(sources[0]) == len(sources[1]) == 1:
            if self._is_short:
                strategy = find_direct_product(
                    sources[0][0].operand, sources[1][0].operand, spec, self._sizes_and_costs
                )
                layout = strategy and self._apply(strategy, sources, step)
            else:
                layout = self._apply_default(sources, step)
            if layout and layout.candidate and self._is_nearly_best(layout, step):
                return [layout]
        best = _BestLayouts(step, self._sizes_and_costs, tolerance, 0.0 if tolerance else self._min_gain)
        for layouts in product(*sources):
            operands = [layout.operand for layout in layouts]
            excess = best.compare(layouts, list_strategies(operands, spec, costs, all_inner_orders=self._is_short))
            if len(operands) == 2 and excess > self._min_gain_of_many:
                splits = list_split_strategies(operands, spec, self._sizes_and_costs, all_inner_orders=self._is_short)
                best.compare(layouts, splits, None if self._is_short else MAX_SPLIT_STRATEGIES)
        found = sorted(best.by_axes.values(), key=attrgetter("cost"))[: self._max_layouts]
        return [layout for layout in found if layout.cost <= found[0].cost + tolerance]

    def _apply(
        self, strategy: Strategy, sources: Sequence[Sequence[TensorLayout]], step: PathStep
    ) -> TensorLayout | None:
        """Return the result of a strategy for the cheapest layouts of the operands; ``None`` if it does not apply."""
        layouts = tuple([choices[0] for choices in sources])
        operands = [layout.operand for layout in layouts]
        candidate = apply_strategy(strategy, operands, step.spec, self._sizes_and_costs, step.product_count)
        return None if candidate is None else _result_layout(layouts, strategy, candidate)

    def _apply_default(self, sources: Sequence[Sequence[TensorLayout]], step: PathStep) -> TensorLayout | None:
        """Return the result of the default strategy; ``None`` if it does not apply."""
        first, second = sources[0][0].operand, sources[1][0].operand
        strategy = default_strategy(first, second, step.spec, step.product_count, self._sizes_and_costs.costs)
        return self._apply(strategy, sources, step)

    def _is_nearly_best(self, layout: TensorLayout, step: PathStep) -> bool:
        """Whether no other strategy can be much cheaper, for the same layouts of the operands."""
        candidate, axes = layout.candidate, layout.strategy.axes
        if candidate is None or axes is None:
            return False
        least = self._least_einsum_cost(step)
        if not self._is_short:
            costs, size_of = self._sizes_and_costs.costs, self._sizes_and_costs.size_of
            row_count, column_count, depth = size_of[axes.rows], size_of[axes.columns], size_of[axes.inner]
            batch_size = step.product_count // (row_count * column_count * depth or 1)
            least = min(least, costs.matmul_work(batch_size, row_count, column_count, depth)) + self._min_gain
        return candidate.cost <= least

    def _least_einsum_cost(self, step: PathStep) -> float:
        """Return the cost of the framework's einsum of two tensors if it reads their elements in order."""
        costs = self._sizes_and_costs.costs
        return costs.einsum_overhead + step.product_count * costs.einsum_element

    def _is_cheap(self, sources: Sequence[Sequence[TensorLayout]], step: PathStep) -> bool:
        """Whether a step is so cheap that a comparison of strategies does not pay."""
        if step.product_count > MAX_PRODUCT_COUNT_FOR_DEFAULT:
            return False
        if step.product_count <= MAX_SIZE_FOR_DEFAULT:
            return True
        first, second = sources
        return prod(first[0].operand.shape) <= MAX_SIZE_FOR_DEFAULT >= prod(second[0].operand.shape)


def _result_layout(
    sources: tuple[TensorLayout, ...], strategy: Strategy, candidate: ContractionCandidate
) -> TensorLayout:
    """Return the layout of the result of a step whose operands have these layouts."""
    cost = candidate.cost
    for source in sources:
        cost += source.cost
    return TensorLayout(cost, candidate.result, candidate, strategy, sources)


class _BestLayouts:
    """The cheapest known way to each layout of the result of a step.

    A way that costs more than the cheapest one and ``tolerance`` is not compared: it takes no longer to change the
    layout afterwards. Nor is one that can save at most ``min_gain``.
    """

    def __init__(self, step: PathStep, sizes_and_costs: SizesAndCosts, tolerance: float, min_gain: float) -> None:
        self.by_axes: dict[Axes, TensorLayout] = {}
        self._step, self._sizes_and_costs = step, sizes_and_costs
        self._tolerance, self._min_gain = tolerance, min_gain
        self._max_cost = inf

    def compare(
        self, sources: tuple[TensorLayout, ...], strategies: Sequence[Strategy], max_count: int | None = None
    ) -> float:
        """Apply strategies to operands, in the order of their least costs.

        At most ``max_count`` strategies are applied. Return by how much the cheapest one exceeds this least cost.
        """
        operands = [source.operand for source in sources]
        source_cost = sum([source.cost for source in sources])
        ranked = self._rank(operands, strategies)[:max_count]
        cheapest, least = inf, ranked[0][0] if ranked else inf
        for bound, strategy in ranked:
            if source_cost + bound >= self._max_cost - self._min_gain:
                break
            candidate = apply_strategy(strategy, operands, self._step.spec, self._sizes_and_costs)
            if candidate is None:
                continue
            cheapest = min(cheapest, candidate.cost)
            known = self.by_axes.get(candidate.result.axes)
            if known is None or source_cost + candidate.cost < known.cost:
                layout = _result_layout(sources, strategy, candidate)
                self.by_axes[candidate.result.axes] = layout
                self._max_cost = min(self._max_cost, layout.cost + self._tolerance)
        return cheapest - least if cheapest < inf else 0.0

    def _rank(self, operands: Sequence[Operand], strategies: Sequence[Strategy]) -> list[tuple[float, Strategy]]:
        """Return strategies with their least costs, in ascending order."""
        if len(strategies) == 1:
            return [(0.0, strategies[0])]
        spec, count = self._step.spec, self._step.product_count
        ranked = [
            (least_cost(strategy, operands, spec, count, self._sizes_and_costs), strategy) for strategy in strategies
        ]
        summed_next = self._step.axes_summed_next
        if summed_next:  # of equal strategies, that one comes first whose result suits the next step
            ranked.sort(key=lambda pair: separates_axes(pair[1], summed_next))
        return sorted(ranked, key=_bound)


def _bound(ranked: tuple[float, Strategy]) -> float:
    """Return the least cost of a ranked strategy, as a key."""
    return ranked[0]
