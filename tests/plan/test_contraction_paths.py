"""Contraction paths, compared with definitions: all paths of small networks, and the classical matrix chain."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plait
from plait._plan.contraction.bisection import contract_by_bisection
from plait._plan.contraction.contraction_tree import ContractionTree
from plait._plan.contraction.greedy import contract_all_greedily, list_pairs, shrink_network
from plait._plan.contraction.path_search import find_path
from plait._plan.contraction.paths import numbered_steps, path_from_numbered_steps
from plait._plan.contraction.subtree_refinement import SubtreeRefinement
from plait._plan.contraction.sweep import contract_by_sweep
from plait._plan.contraction.tensor_graph import TensorGraph, total_cost

BUILTIN_ALGORITHMS = ("auto", "greedy", "optimal", "dp", "random-greedy", 0.001)


class Network:
    """A network without a pattern, as the path search needs it."""

    def __init__(self, terms, output, sizes):
        self.terms, self.output, self.sizes = tuple(map(tuple, terms)), tuple(output), tuple(sizes)


def make_chain_network(*lengths):
    """Return a product of matrices."""
    return Network(itertools.pairwise(range(len(lengths))), (0, len(lengths) - 1), lengths)


def make_ring_network(*lengths):
    """Return a trace of a product of matrices."""
    count = len(lengths)
    return Network([(axis, (axis + 1) % count) for axis in range(count)], (), lengths)


def make_lattice_network(width, height, bond=2):
    """Return a square lattice whose tensors share an axis with each neighbour."""
    edges = [(site, site + 1) for site in range(width * height) if (site + 1) % width]
    edges += [(site, site + width) for site in range(width * (height - 1))]
    terms = [[axis for axis, ends in enumerate(edges) if site in ends] for site in range(width * height)]
    return Network(terms, (), [bond] * len(edges))


@st.composite
def networks(draw, max_tensors=5, min_tensors=1):
    """Draw a network with hyper-edges, repeated axes, scalars and disconnected parts, of axes of length 1 to 8."""
    sizes = [draw(st.sampled_from([1, 2, 3, 5, 8])) for _ in range(7)]
    count = draw(st.integers(min_tensors, max_tensors))
    terms = [draw(st.lists(st.integers(0, 6), max_size=4)) for _ in range(count)]
    present = sorted({axis for term in terms for axis in term})
    output = draw(st.permutations(present))[: draw(st.integers(0, len(present)))]
    return Network(terms, output, sizes)


def count_cost(network, path):
    """Count the multiplications and additions along a path, by definition; axes of one tensor are summed before."""
    remaining = [set(term) for term in network.terms]

    def users(axis):
        return sum(axis in term for term in remaining) + (axis in network.output)

    remaining = [{axis for axis in term if users(axis) > 1} for term in remaining]
    total = 0
    for positions in path:
        contracted = [remaining[position] for position in positions]
        remaining = [term for position, term in enumerate(remaining) if position not in positions]
        axes = set().union(*contracted)
        kept = {axis for axis in axes if users(axis)}
        total += math.prod(network.sizes[axis] for axis in axes) * (max(1, len(contracted) - 1) + (kept != axes))
        remaining.append(kept)
    return total


def largest_intermediate(network, path):
    """Return the number of elements of the largest result of a path, except the last one."""
    remaining = [set(term) for term in network.terms]
    largest = 0
    for positions in path[:-1]:
        axes = set().union(*[remaining[position] for position in positions])
        remaining = [term for position, term in enumerate(remaining) if position not in positions]
        kept = axes & set(network.output).union(*remaining)
        largest = max(largest, math.prod(network.sizes[axis] for axis in kept))
        remaining.append(kept)
    return largest


def all_paths(count):
    """Yield every path that contracts ``count`` tensors two at a time."""
    if count == 1:
        yield ()
        return
    for pair in itertools.combinations(range(count), 2):
        for rest in all_paths(count - 1):
            yield (pair, *rest)


def matrix_chain_cost(lengths):
    """Return the least cost of a product of matrices by the classical algorithm, in multiplications and additions."""
    count = len(lengths) - 1
    best = [[0] * count for _ in range(count)]
    for span in range(1, count):
        for first in range(count - span):
            last = first + span
            best[first][last] = min(
                best[first][split] + best[split + 1][last] + 2 * lengths[first] * lengths[split + 1] * lengths[last + 1]
                for split in range(first, last)
            )
    return best[0][-1]


def ring_cost(lengths):
    """Return the least cost of a trace of matrices: the best pair of arcs, each a chain, and their product."""
    count, best = len(lengths), math.inf
    for first, second in itertools.combinations(range(count), 2):
        arcs = [*lengths[first : second + 1]], [*lengths[second:], *lengths[: first + 1]]
        best = min(best, sum(map(matrix_chain_cost, arcs)) + 2 * lengths[first] * lengths[second])
    return best


@given(networks(max_tensors=4))
@settings(max_examples=200)
def test_optimal_path_is_the_cheapest_of_all_paths(network):
    found = find_path(network, "optimal")
    if len(network.terms) > 1:
        cheapest = min(count_cost(network, path) for path in all_paths(len(network.terms)))
        assert count_cost(network, found) == cheapest
        assert count_cost(network, find_path(network, "auto")) == cheapest


@given(networks(max_tensors=5, min_tensors=5))
@settings(max_examples=30, deadline=None)
def test_optimal_path_of_five_tensors_is_the_cheapest_of_all_paths(network):
    cheapest = min(count_cost(network, path) for path in all_paths(5))
    assert count_cost(network, find_path(network, "optimal")) == cheapest


@given(networks(max_tensors=9), st.sampled_from(BUILTIN_ALGORITHMS))
@settings(max_examples=200, deadline=None)
def test_path_contracts_every_tensor_once(network, algorithm):
    remaining = len(network.terms)
    for positions in find_path(network, algorithm):
        assert len(set(positions)) == len(positions)
        assert all(0 <= position < remaining for position in positions)
        remaining -= len(positions) - 1
    assert remaining == 1


@given(networks(max_tensors=9), st.sampled_from(BUILTIN_ALGORITHMS))
@settings(max_examples=100, deadline=None)
def test_cost_of_a_path_is_counted_by_definition(network, algorithm):
    path = find_path(network, algorithm)
    steps = numbered_steps(path, len(network.terms))
    assert total_cost(network, steps) == count_cost(network, path)
    assert path_from_numbered_steps(steps, len(network.terms)) == tuple(tuple(sorted(step)) for step in path)
    if len(network.terms) > 1 and all(len(step) == 2 for step in steps):
        assert ContractionTree.from_steps(TensorGraph.from_network(network), steps).cost == count_cost(network, path)


@given(networks(max_tensors=7, min_tensors=3), st.sampled_from([1, 8, 64]), st.sampled_from(BUILTIN_ALGORITHMS))
@settings(max_examples=200, deadline=None)
def test_paths_respect_the_memory_limit(network, limit, algorithm):
    assert largest_intermediate(network, find_path(network, algorithm, limit)) <= limit


@given(st.lists(st.integers(2, 60), min_size=4, max_size=14))
@settings(deadline=None)
def test_best_path_of_a_chain_is_that_of_the_classical_algorithm(lengths):
    network = make_chain_network(*lengths)
    assert count_cost(network, find_path(network, "dp")) == matrix_chain_cost(lengths)
    if len(lengths) <= 9:
        assert count_cost(network, find_path(network, "auto")) == matrix_chain_cost(lengths)


@given(st.lists(st.integers(2, 60), min_size=3, max_size=10))
@settings(max_examples=30, deadline=None)
def test_best_path_of_a_ring_is_the_best_pair_of_arcs(lengths):
    network = make_ring_network(*lengths)
    assert count_cost(network, find_path(network, "dp")) == ring_cost(lengths)


def test_chain_of_ten_matrices_has_its_optimal_path():
    lengths = (238, 90, 300, 148, 268, 278, 242, 188, 52, 2, 176)
    network = make_chain_network(*lengths)
    assert count_cost(network, find_path(network)) == matrix_chain_cost(lengths)


def test_lengths_are_not_rounded():
    network = make_chain_network(182, 38, 64, 185)
    assert find_path(network) == ((1, 2), (0, 1))
    assert count_cost(network, find_path(network)) == matrix_chain_cost((182, 38, 64, 185))


def test_long_chain_costs_little_more_than_the_classical_algorithm():
    lengths = [5 + number * 37 % 89 for number in range(61)]
    network = make_chain_network(*lengths)
    assert count_cost(network, find_path(network)) <= 1.2 * matrix_chain_cost(lengths)
    assert count_cost(network, find_path(network, "dp")) == matrix_chain_cost(lengths)


def test_lattice_is_contracted_along_a_narrow_front():
    """Row by row, no result of an 8x8 lattice has more than nine axes."""
    network = make_lattice_network(8, 8)
    assert largest_intermediate(network, find_path(network)) <= 2**9


def test_sandwich_of_matrix_product_states_is_contracted_site_by_site():
    """An operator of bond 5 between two states of bond 24: the result of each site has 24 * 5 * 24 elements."""
    sites, bonds = 24, (24, 5, 24)
    edges, sizes = [], []
    for layer, bond in enumerate(bonds):
        edges += [(layer * sites + site, layer * sites + site + 1) for site in range(sites - 1)]
        sizes += [bond] * (sites - 1)
    for layer in range(2):
        edges += [(layer * sites + site, (layer + 1) * sites + site) for site in range(sites)]
        sizes += [2] * sites
    terms = [[axis for axis, ends in enumerate(edges) if tensor in ends] for tensor in range(3 * sites)]
    network = Network(terms, (), sizes)
    path = find_path(network)
    assert largest_intermediate(network, path) <= 24 * 5 * 24 * 6
    assert count_cost(network, path) <= 2.5e7


@given(networks(max_tensors=9, min_tensors=3))
@settings(max_examples=100, deadline=None)
def test_refinement_never_makes_a_path_worse(network):
    graph = TensorGraph.from_network(network)
    neighbours = graph.find_neighbours()
    pairs = list_pairs(graph, neighbours)
    shrunk = shrink_network(graph, neighbours, pairs)
    for state in (
        contract_by_sweep(shrunk),
        contract_by_bisection(shrunk),
        contract_all_greedily(graph, neighbours, pairs),
    ):
        tree = ContractionTree(state)
        before = tree.cost
        SubtreeRefinement(tree, (3, 4, 5, 6)).run(math.inf)
        path = path_from_numbered_steps(tree.steps(), len(network.terms))
        assert tree.cost == count_cost(network, path) <= before


@given(networks(max_tensors=30, min_tensors=12))
@settings(max_examples=50, deadline=None)
def test_bisection_contracts_every_tensor_once(network):
    graph = TensorGraph.from_network(network)
    neighbours = graph.find_neighbours()
    steps = contract_by_bisection(shrink_network(graph, neighbours, list_pairs(graph, neighbours))).steps
    contracted = [number for step in steps for number in step]
    assert sorted(contracted) == list(range(2 * len(network.terms) - 2))
    path = path_from_numbered_steps(steps, len(network.terms))
    assert ContractionTree.from_steps(graph, steps).cost == count_cost(network, path)


def test_bisection_cuts_two_clusters_at_the_edge_between_them():
    """Two lattices of 16 tensors, joined by one axis: it is the only axis of the last step."""
    one = make_lattice_network(4, 4).terms
    axis_count = 1 + max(axis for term in one for axis in term)
    terms = [[*term] for term in one] + [[axis + axis_count for axis in term] for term in one]
    terms[0].append(2 * axis_count)
    terms[-1].append(2 * axis_count)
    network = Network(terms, (), [2] * (2 * axis_count + 1))
    graph = TensorGraph.from_network(network)
    neighbours = graph.find_neighbours()
    shrunk = shrink_network(graph, neighbours, list_pairs(graph, neighbours))
    tree = ContractionTree(contract_by_bisection(shrunk))
    assert [tree.axes[node] for node in tree.children[-1]] == [1 << 2 * axis_count] * 2


def test_more_time_finds_a_better_path():
    network = make_lattice_network(6, 6, bond=3)
    short, long = (count_cost(network, find_path(network, seconds)) for seconds in (0.0, 0.2))
    assert long <= short


def test_random_greedy_is_at_least_as_good_as_greedy():
    network = make_lattice_network(5, 5)
    greedy, random_greedy = (count_cost(network, find_path(network, name)) for name in ("greedy", "random-greedy"))
    assert random_greedy <= greedy


PATHS_PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from plan.test_contraction_paths import make_lattice_network
from plait._plan.contraction.path_search import find_path
for contract in ("auto", "greedy", "random-greedy", 0.02):
    print(find_path(make_lattice_network(5, 6), contract))
"""


def test_paths_do_not_depend_on_the_hash_seed():
    tests = str(Path(__file__).resolve().parent.parent)
    outputs = set()
    for seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", PATHS_PROGRAM.format(tests=tests)]
        outputs.add(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)
    assert len(outputs) == 1


@pytest.mark.parametrize("count", [54, 3000])
def test_ring_of_many_matrices(count):
    """More matrices than there are letters, and than Python's recursion limit allows calls."""
    np = pytest.importorskip("numpy")
    matrices = [np.eye(2) + 1e-3 * np.array([[0, number % 7], [number % 5, 0]]) for number in range(count)]
    pattern = ", ".join(f"x{n} x{(n + 1) % count}" for n in range(count)) + " ->"
    expected = np.eye(2)
    for matrix in matrices:
        expected = expected @ matrix
    np.testing.assert_allclose(plait.einsum(*matrices, pattern), np.trace(expected), rtol=1e-9)


def test_ten_thousand_tensors_have_a_path():
    count = 10_000
    chain = make_chain_network(*[2 + number % 3 for number in range(count + 1)])
    star = Network([(0,)] * count, (0,), (2,))
    scalars = Network([()] * count, (), ())
    for network in (chain, star, scalars):
        path = find_path(network)
        assert len(path) == count - 1


@given(networks(max_tensors=8))
@settings(max_examples=100, deadline=None)
def test_values_equal_those_of_numpy(network):
    np = pytest.importorskip("numpy")
    letters = "abcdefg"
    equation = ",".join("".join(letters[axis] for axis in term) for term in network.terms)
    equation += "->" + "".join(letters[axis] for axis in network.output)
    rng = np.random.default_rng(0)
    tensors = [rng.normal(size=[network.sizes[axis] for axis in term]) for term in network.terms]
    expected = np.einsum(equation, *tensors)
    np.testing.assert_allclose(plait.einsum(equation, *tensors), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("contract", [*BUILTIN_ALGORITHMS, 1, [(0, 1), (0, 1), (0, 1), (0, 1)]])
def test_every_option_gives_the_result(contract):
    np = pytest.importorskip("numpy")
    rng = np.random.default_rng(0)
    tensors = [rng.normal(size=(3, 3)) for _ in range(5)]
    with plait.options(contract=contract):
        found = plait.einsum(*tensors, "a b, b c, c d, d e, e f -> a f")
    np.testing.assert_allclose(found, np.linalg.multi_dot(tensors), rtol=1e-12)


@pytest.mark.parametrize("package", ["opt_einsum", "cotengra"])
def test_optimizers_of_other_packages_find_paths(package):
    np = pytest.importorskip("numpy")
    module = pytest.importorskip(package)
    rng = np.random.default_rng(0)
    tensors = [rng.normal(size=(3, 3)) for _ in range(6)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about optional packages that cotengra misses
        if package == "opt_einsum":
            paths = module.paths
            optimizers = [module.RandomGreedy(max_repeats=4), module.DynamicProgramming(), paths.greedy, "branch-1"]
        else:
            optimizers = [module.HyperOptimizer(max_repeats=4, parallel=False), "cotengra"]
        for optimizer in optimizers:
            with plait.options(contract=optimizer):
                found = plait.einsum(*tensors, "a b, b c, c d, d e, e f, f g -> a g")
            np.testing.assert_allclose(found, np.linalg.multi_dot(tensors), rtol=1e-12)


@pytest.mark.parametrize("seconds", [True, -1, math.inf, math.nan, 1j])
def test_time_that_is_no_number_of_seconds_is_an_error(seconds):
    with pytest.raises(plait.AxisError, match=r"PLT214.*a number of seconds"):
        plait.options(contract=seconds)
