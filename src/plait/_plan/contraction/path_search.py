"""The search for a contraction path: which algorithms run, and for how long.

For few tensors, dynamic programming finds the best path. For more, a greedy search, a sweep and a recursive bisection
find a few paths, in about linear time. Parts of these paths are replaced by better ones, and random paths follow as
long as time is left. The search takes a part of the estimated time of the contraction, and more only while it makes the
path much better. Its time is not measured but counted in units of work, so that a network always has the same path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING

from plait._plan.contraction.bisection import contract_by_bisection
from plait._plan.contraction.contraction_tree import ContractionTree
from plait._plan.contraction.dynamic_programming import (
    MAX_FEW_TENSORS,
    find_best_contractions,
    find_best_contractions_of_few,
    steps_of_group,
)
from plait._plan.contraction.greedy import (
    PairOfNeighbours,
    ShrunkNetwork,
    contract_all_greedily,
    contract_smallest_first,
    list_pairs,
    shrink_network,
)
from plait._plan.contraction.other_optimizers import (
    find_path_with_cotengra,
    find_path_with_function,
    find_path_with_opt_einsum,
    list_paths_of_installed_packages,
)
from plait._plan.contraction.paths import (
    Path,
    PathOrAlgorithm,
    Step,
    normalize_path,
    numbered_steps,
    path_from_numbered_steps,
)
from plait._plan.contraction.subtree_refinement import SubtreeRefinement
from plait._plan.contraction.sweep import breadth_first_order, contract_by_sweep
from plait._plan.contraction.tensor_graph import PartialContraction, TensorGraph, total_cost
from plait.backends.costs import ContractionCosts

if TYPE_CHECKING:
    from plait._plan.contraction.network import TensorNetwork

SECONDS_PER_WORK = 8e-7
"""The time of a unit of work, in which dynamic programming compares a pair of groups of tensors."""

AXES_THAT_DOUBLE_WORK = 2500
"""With this many axes a unit of work takes twice as long, since the sets of axes are larger."""

FIRST_PATH_WORK_PER_PAIR, BISECTION_WORK_PER_PAIR = 6, 12
"""The work of a greedy search or of a sweep, and of a bisection, for each pair of tensors that share an axis."""

MAX_TENSORS_TO_BEGIN_EXACTLY, MAX_TENSORS_TO_BEGIN_EXACTLY_IF_TREE_OR_RING = 8, 16
"""Up to this many tensors, dynamic programming searches for the best path without outer products before any refinement;
in a tree or a ring fewer groups are connected."""

MAX_TENSORS_FOR_EXACT_SEARCH = 64
"""Up to this many tensors, it does so after the refinement, if there is work left: for a network that is no tree and no
ring, enough work to look at most groups of tensors."""

EXACT_WORK_FACTOR = 2
"""How many units of work it takes to compare two groups of many tensors, since these are kept in dictionaries."""

EXACT_WORK_PER_PAIR = 160
"""The most work of dynamic programming before any refinement, for each pair of tensors that share an axis."""

WORK_PER_PAIR_IN_TURN, EXTRA_PAIRS_IN_TURN = 5, 15
"""The work after which a refinement pauses for another one, for each pair of tensors that share an axis, and how many
pairs more are counted, so that small networks get enough of it."""

MIN_GAIN_DIVISOR, MIN_GAIN_DIVISOR_OF_BEST = 8, 160
"""A refinement goes on beyond the allowed time if its turn lowers the cost by more than the cost divided by this; the
second is for the best tree."""

MAX_OF_BEST_TO_BEGIN = 400
"""A tree that costs more than this many times the best one is not refined."""

MAX_OF_BEST = 4
"""Nor does it go on beyond that time if its next turn would leave the cost above this many times the best cost."""

PART_OF_CONTRACTION = 0.05
"""The part of the estimated time of the contraction that the search may take."""

MAX_SECONDS = 10.0
MAX_SECONDS_IF_TOO_LARGE = 0.25
"""The longest search, and the longest one for a contraction that does not fit into the memory of any machine."""

MAX_ELEMENTS = 2**40
"""A contraction with a larger result does not fit into the memory of any machine."""

MAX_TENSORS_FOR_OUTER_PRODUCTS = 4
"""Up to this many tensors all paths are compared, with all outer products."""

FIRST_WEIGHT, LARGE_WEIGHT = 2, 48
"""The weights of the first greedy searches: a small weight suits trees and chains, a large one large lattices."""

MIN_TENSORS_FOR_FOUR_TREES, MAX_FIRST_TREES = 20, 3
"""For fewer tensors, only the first greedy search and the sweep make first paths. Of more than three first paths, the
three with the lowest cost are refined."""

AGREEMENT_DIVISOR = 8
"""Two algorithms that know nothing of each other nearly agree if their costs differ by less than a cost divided by
this. Then both are close to the optimum, as a rule."""

RANDOM_WEIGHTS_AND_NOISES = ((4, 0.1), (16, 0.1), (48, 0.3), (8, 0.3), (32, 1.0), (4, 0.5))
"""The weights and the noise of random greedy searches, which are used in turn."""

RANDOM_GREEDY_TRIALS = 32
"""The number of paths that ``"random-greedy"`` compares, as in opt_einsum."""

SMALL_PARTS, LARGE_PARTS, PARTS_OF_TREE_OR_RING = (3, 5), (8,), (3, 5, 8, 12)
"""How many leaves the parts have that are replaced; large ones are only tried for the best path. In a tree or a ring
they may be larger, since few groups of their leaves are connected."""


def find_path(
    network: TensorNetwork,
    optimize: PathOrAlgorithm = "auto",
    memory_limit: int | None = None,
    costs: ContractionCosts | None = None,
) -> Path:
    """Return the path of a contraction.

    Args:
        network: The tensors.
        optimize: The path, or the function or the algorithm that finds one, or the seconds that a search may take.
        memory_limit: The largest number of elements of an intermediate result; if no path keeps it, the remaining
            tensors are contracted at once.
        costs: The costs of the framework, from which the time of the contraction is estimated.

    Raises:
        AxisError: PLT214, the path does not fit.
        BackendError: PLT511, the algorithm needs a package that is not installed.
    """
    tensor_count = len(network.terms)
    if isinstance(optimize, tuple):
        return normalize_path(optimize, tensor_count)
    if tensor_count <= 2:
        return (tuple(range(tensor_count)),)
    if callable(optimize):
        return find_path_with_function(network, optimize, memory_limit)
    if optimize == "cotengra":
        return find_path_with_cotengra(network)
    find_steps = _STEP_FINDERS.get(optimize) if isinstance(optimize, str) else None
    if isinstance(optimize, str) and optimize != "auto" and find_steps is None:
        return find_path_with_opt_einsum(network, optimize, memory_limit)
    graph = TensorGraph.from_network(network)
    if find_steps is not None:
        return path_from_numbered_steps(find_steps(graph, memory_limit), tensor_count)
    steps_of_few = _find_steps_of_few(graph, memory_limit)
    if steps_of_few:
        return path_from_numbered_steps(steps_of_few, tensor_count)
    search = PathSearch(graph, memory_limit, costs, None if isinstance(optimize, str) else optimize)
    search.run()
    best_steps = search.best_steps()
    seconds = search.seconds_for_other_packages()
    if seconds > 0 and memory_limit is None:
        for path in list_paths_of_installed_packages(network, seconds):
            steps = numbered_steps(path, tensor_count)
            if total_cost(network, steps) < total_cost(network, best_steps):
                best_steps = steps
    return path_from_numbered_steps(best_steps, tensor_count)


class PathSearch:
    """A search for the path with the lowest cost.

    Attributes:
        best: the best path so far; ``None`` if no path of pairs keeps the memory limit.
        work: the units of work so far.
    """

    def __init__(
        self,
        graph: TensorGraph,
        memory_limit: int | None = None,
        costs: ContractionCosts | None = None,
        seconds: float | None = None,
    ) -> None:
        self.best: ContractionTree | None = None
        self.work = 0.0
        self._graph, self._memory_limit, self._seconds = graph, memory_limit, seconds
        self._costs = ContractionCosts() if costs is None or costs.flop == inf else costs
        self._neighbours: list[set[int]] = []
        self._pairs: list[PairOfNeighbours] = []
        self._pair_count = 0
        self._work_factor = 1 + len(graph.use_counts) / AXES_THAT_DOUBLE_WORK
        self._shrunk: ShrunkNetwork | None = None
        self._steps_of_several: list[Step] = []  # of a path whose last step contracts the remaining tensors at once

    def run(self) -> None:
        """Search as long as it pays."""
        tensor_count = len(self._graph.terms)
        steps = _find_steps_of_few(self._graph, self._memory_limit)
        if steps:
            self._keep_best(ContractionTree.from_steps(self._graph, steps))
            return
        self._neighbours = self._graph.find_neighbours()
        self._pairs = list_pairs(self._graph, self._neighbours)
        self._pair_count = max(len(self._pairs), tensor_count)
        linking_axes = ~self._graph.output
        self._greedy_tree(FIRST_WEIGHT)
        may_be_exact = tensor_count <= MAX_TENSORS_FOR_EXACT_SEARCH and (
            len(breadth_first_order(self._neighbours, 0)) == tensor_count
        )
        max_tensors = (
            MAX_TENSORS_TO_BEGIN_EXACTLY_IF_TREE_OR_RING if self._is_tree_or_ring else MAX_TENSORS_TO_BEGIN_EXACTLY
        )
        if may_be_exact and tensor_count <= max_tensors:
            first_work = self._pair_count * EXACT_WORK_PER_PAIR
            if self.find_exactly(linking_axes, first_work):
                return
        self._refine_in_turn(self._first_trees())
        exact_work = self._work_left() / 2
        least_work = 0 if self._is_tree_or_ring else 1 << tensor_count
        if may_be_exact and exact_work > least_work and self.find_exactly(linking_axes, exact_work):
            return
        for tree in self._further_trees():
            if self._work_left() <= 0:
                break
            for part_sizes in (SMALL_PARTS, LARGE_PARTS):
                if part_sizes == SMALL_PARTS or tree is self.best:
                    self._refine(SubtreeRefinement(tree, part_sizes, self._memory_limit), self._work_left())

    @property
    def _is_tree_or_ring(self) -> bool:
        """Whether the network has at most one cycle, or few in several connected parts."""
        return self._pair_count <= len(self._graph.terms)

    def _first_trees(self) -> list[ContractionTree]:
        """Return the trees to refine: the best ones of several algorithms, or only one if two algorithms agree."""
        greedy_tree, trees = self.best, [self.best]
        if not self._is_tree_or_ring:  # in a tree or a ring the greedy search and refinement suffice
            sweep_tree = self._sweep_tree(0)
            if greedy_tree is not None and sweep_tree is not None:
                low, high = sorted([greedy_tree.cost, sweep_tree.cost])
                if high - low <= low // AGREEMENT_DIVISOR:
                    return [min(greedy_tree, sweep_tree, key=attrgetter("cost"))]
            trees.append(sweep_tree)
            if len(self._graph.terms) >= MIN_TENSORS_FOR_FOUR_TREES:
                trees += [self._bisection_tree(), self._greedy_tree(LARGE_WEIGHT, max_cost=self._best_cost)]
        return sorted([tree for tree in trees if tree is not None], key=attrgetter("cost"))[:MAX_FIRST_TREES]

    def _refine_in_turn(self, trees: list[ContractionTree]) -> None:
        """Refine some trees in turn: each as long as it gets much better, or as there is work left."""
        part_sizes = PARTS_OF_TREE_OR_RING if self._is_tree_or_ring else SMALL_PARTS
        pending = [SubtreeRefinement(tree, part_sizes, self._memory_limit) for tree in trees]
        for refinement in pending:  # the list gets those again that go on
            cost = refinement.tree.cost
            if cost > MAX_OF_BEST_TO_BEGIN * self._best_cost:
                continue
            self._refine(refinement, (self._pair_count + EXTRA_PAIRS_IN_TURN) * WORK_PER_PAIR_IN_TURN)
            gain_divisor = MIN_GAIN_DIVISOR_OF_BEST if refinement.tree is self.best else MIN_GAIN_DIVISOR
            is_gaining = refinement.tree.cost < cost - cost // gain_divisor and self._may_become_best(
                refinement.tree, cost
            )
            if not refinement.is_finished and (is_gaining or self._work_left() > 0):
                pending.append(refinement)

    def _may_become_best(self, tree: ContractionTree, cost_before: int) -> bool:
        """Whether a tree will be nearly the best if its next turn lowers its cost by the same factor as the last."""
        return tree is self.best or tree.cost * tree.cost <= MAX_OF_BEST * cost_before * self._best_cost

    def best_steps(self) -> list[Step]:
        """Return the steps of the best path."""
        return self._steps_of_several if self.best is None else self.best.steps()

    def seconds_for_other_packages(self) -> float:
        """Return how long other packages may search for a better path."""
        total = self._allowed_seconds()
        return 0.0 if total < 1 else total - self.work * SECONDS_PER_WORK

    def _allowed_seconds(self) -> float:
        """Return how long the whole search may take; the better the best path is, the shorter the time."""
        if self._seconds is not None:
            return self._seconds
        if self.best is None:
            return 0.0
        overhead = len(self._graph.terms) * (self._costs.pairwise_overhead + self._costs.dot_overhead)
        estimated = (min(self.best.cost, 10**30) * self._costs.flop + overhead) * 1e-9
        limit = MAX_SECONDS if self.best.largest_result <= MAX_ELEMENTS else MAX_SECONDS_IF_TOO_LARGE
        return min(estimated * PART_OF_CONTRACTION, limit)

    def _work_left(self) -> float:
        """Return how much more work plait's own search may do; other packages get half of a long time."""
        seconds = self._allowed_seconds()
        own = seconds if seconds < 1 else seconds / 2
        return own / SECONDS_PER_WORK - self.work

    def find_exactly(self, linking_axes: int | None, max_work: float = inf) -> bool:
        """Find the best path by dynamic programming; return whether the work sufficed.

        The other arguments are those of `find_best_contractions`.
        """
        graph = self._graph
        found = find_best_contractions(
            graph.terms,
            graph.output,
            graph.size_of,
            linking_axes=linking_axes,
            max_cost=self._best_cost,
            max_work=max_work / EXACT_WORK_FACTOR,
            max_size=inf if self._memory_limit is None else self._memory_limit,
        )
        self.work += found.work * EXACT_WORK_FACTOR
        all_tensors = (1 << len(graph.terms)) - 1
        if all_tensors in found.parts:
            numbers = range(len(graph.terms))
            steps = steps_of_group(found, all_tensors, numbers, len(graph.terms))
            self._keep_best(ContractionTree.from_steps(graph, steps))
        return found.is_complete and self.best is not None

    @property
    def _best_cost(self) -> float:
        """The cost of the best path so far."""
        return inf if self.best is None else self.best.cost

    def _greedy_tree(
        self, weight: int, noise: float = 0.0, seed: int = 0, max_cost: float = inf
    ) -> ContractionTree | None:
        """Return the tree of a greedy path; ``None`` if it costs too much, or is not a path of pairs."""
        state = contract_all_greedily(
            self._graph,
            self._neighbours,
            self._pairs,
            weight=weight,
            noise=noise,
            seed=seed,
            memory_limit=self._memory_limit,
            max_cost=max_cost,
        )
        self.work += self._pair_count * FIRST_PATH_WORK_PER_PAIR
        if state is None:
            return None
        if len(state.steps[-1]) > 2:  # the memory limit leaves several tensors to the last step
            self._steps_of_several = self._steps_of_several or state.steps
            return None
        return self._keep_best(ContractionTree(state))

    def _bisection_tree(self) -> ContractionTree | None:
        """Return the tree of a recursive bisection; ``None`` if a result exceeds the memory limit."""
        self.work += self._pair_count * BISECTION_WORK_PER_PAIR
        return self._keep_best_within_limit(ContractionTree(contract_by_bisection(self._shrunk_network())))

    def _sweep_tree(self, start_rank: int) -> ContractionTree | None:
        """Return the tree of a sweep; ``None`` if a result exceeds the memory limit."""
        self.work += self._pair_count * FIRST_PATH_WORK_PER_PAIR
        return self._keep_best_within_limit(ContractionTree(contract_by_sweep(self._shrunk_network(), start_rank)))

    def _shrunk_network(self) -> ShrunkNetwork:
        """Return the network in which pairs with small results are contracted; it is computed once."""
        if self._shrunk is None:
            self._shrunk = shrink_network(self._graph, self._neighbours, self._pairs)
        return self._shrunk

    def _keep_best_within_limit(self, tree: ContractionTree) -> ContractionTree | None:
        """Return a tree, which becomes the best if it is; ``None`` if a result exceeds the memory limit."""
        if self._memory_limit is not None and tree.largest_intermediate > self._memory_limit:
            return None
        return self._keep_best(tree)

    def _further_trees(self) -> Iterator[ContractionTree]:
        """Yield the best tree, to refine it further, and then random ones without end."""
        if self.best is None:
            return
        yield self.best
        for seed in count(1):
            weight, noise = RANDOM_WEIGHTS_AND_NOISES[seed % len(RANDOM_WEIGHTS_AND_NOISES)]
            for tree in (self._greedy_tree(weight, noise, seed), self._sweep_tree(seed)):
                if tree is not None:
                    yield tree

    def _refine(self, refinement: SubtreeRefinement, max_work: float) -> None:
        """Run a refinement."""
        self.work += self._work_factor * refinement.run(max_work / self._work_factor)
        self._keep_best(refinement.tree)

    def _keep_best(self, tree: ContractionTree) -> ContractionTree:
        """Return a tree, which becomes the best if it is."""
        if tree.cost < self._best_cost:
            self.best = tree
        return tree


def _find_steps_of_few(graph: TensorGraph, memory_limit: int | None) -> list[Step]:
    """Return the steps of the best path of few tensors, of very few with outer products; none if there is no path."""
    count = len(graph.terms)
    if count > MAX_FEW_TENSORS:
        return []
    found = find_best_contractions_of_few(
        graph.terms,
        graph.output,
        graph.size_of,
        inf,
        inf if memory_limit is None else memory_limit,
        with_outer_products=count <= MAX_TENSORS_FOR_OUTER_PRODUCTS,
    )
    all_tensors = (1 << count) - 1
    return steps_of_group(found, all_tensors, range(count), count) if all_tensors in found.parts else []


def _find_single_greedy_steps(graph: TensorGraph, memory_limit: int | None) -> list[Step]:
    """Return the steps of ``"greedy"``: the pair with the least size of the result minus the sizes of both."""
    neighbours = graph.find_neighbours()
    state = contract_all_greedily(graph, neighbours, list_pairs(graph, neighbours), memory_limit=memory_limit)
    return [] if state is None else state.steps


def _find_random_greedy_steps(graph: TensorGraph, memory_limit: int | None) -> list[Step]:
    """Return the steps of ``"random-greedy"``: the best of several greedy paths."""
    best_steps = _find_single_greedy_steps(graph, memory_limit)
    if len(best_steps[-1]) > 2:
        return best_steps
    neighbours = graph.find_neighbours()
    pairs = list_pairs(graph, neighbours)
    best_cost = ContractionTree.from_steps(graph, best_steps).cost
    for seed in range(1, RANDOM_GREEDY_TRIALS):
        weight, noise = RANDOM_WEIGHTS_AND_NOISES[seed % len(RANDOM_WEIGHTS_AND_NOISES)]
        state = contract_all_greedily(
            graph,
            neighbours,
            pairs,
            weight=weight,
            noise=noise,
            seed=seed,
            memory_limit=memory_limit,
            max_cost=best_cost,
        )
        if state is not None and len(state.steps[-1]) == 2 and state.cost < best_cost:
            best_steps, best_cost = state.steps, state.cost
    return best_steps


def _find_connected_optimum(graph: TensorGraph, memory_limit: int | None) -> list[Step]:
    """Return the steps of ``"dp"``: the best path of each connected part, and then the products of the parts.

    If a shorter search finds a path with outer products that costs less, its steps are returned.
    """
    search = PathSearch(graph, memory_limit)
    search.run()
    if search.best is None:
        return search.best_steps()
    neighbours = graph.find_neighbours()
    state = PartialContraction(graph)
    results = []
    is_seen = [False] * len(graph.terms)
    for first in range(len(graph.terms)):
        if is_seen[first]:
            continue
        numbers = breadth_first_order(neighbours, first)
        for number in numbers:
            is_seen[number] = True
        result = first
        if len(numbers) > 1:
            found = find_best_contractions(
                [graph.terms[number] for number in numbers],
                graph.output,
                graph.size_of,
                linking_axes=~graph.output,
                max_cost=search.best.cost,
                max_size=inf if memory_limit is None else memory_limit,
            )
            whole_part = (1 << len(numbers)) - 1
            if whole_part not in found.parts:
                return search.best_steps()
            for step in steps_of_group(found, whole_part, numbers, len(state.axes)):
                result = state.contract(*step)
        results.append(result)
    contract_smallest_first(state, results)
    tree = ContractionTree(state)
    is_within_limit = memory_limit is None or tree.largest_intermediate <= memory_limit
    return state.steps if is_within_limit and tree.cost < search.best.cost else search.best_steps()


def _find_optimum(graph: TensorGraph, memory_limit: int | None) -> list[Step]:
    """Return the steps of ``"optimal"``: the best of all paths, outer products included."""
    search = PathSearch(graph, memory_limit)
    search.run()
    search.find_exactly(None)
    return search.best_steps()


_STEP_FINDERS: dict[str, Callable[[TensorGraph, int | None], list[Step]]] = {
    "greedy": _find_single_greedy_steps,
    "random-greedy": _find_random_greedy_steps,
    "dp": _find_connected_optimum,
    "optimal": _find_optimum,
}
"""The algorithms of plait by name, apart from ``"auto"``."""
