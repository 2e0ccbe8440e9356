"""The tensor networks of `benchmarks.networks`, made by generators: the same ones in every run.

The constants of plait's path search were chosen by looking at `NETWORKS`, and at the operations of the paths of those
that `draw_networks` makes with the seeds 1 to 13. Other seeds make networks that nobody has looked at: they show
whether the constants are good for these too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, product
from random import Random

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class NetworkCase:
    """A tensor network, with axes that are numbered from 0.

    Attributes:
        name: what the network is.
        terms: the axes of each tensor.
        output: the axes of the result.
        sizes: the length of each axis.
    """

    name: str
    terms: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def case(self) -> str:
        """The name, as `benchmarks.targets` asks for it."""
        return self.name

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of each tensor."""
        return [tuple([self.sizes[axis] for axis in term]) for term in self.terms]

    @property
    def pattern(self) -> str:
        """The pattern for plait, with a name for each axis."""
        terms = [" ".join([f"x{axis}" for axis in term]) for term in (*self.terms, self.output)]
        return f"{', '.join(terms[:-1])} -> {terms[-1]}"

    @property
    def equation(self) -> str:
        """The equation for opt_einsum, with a character for each axis."""
        terms = ["".join([_axis_character(axis) for axis in term]) for term in (*self.terms, self.output)]
        return f"{','.join(terms[:-1])}->{terms[-1]}"

    def draw_tensors(self) -> list[NDArray[np.float64]]:
        """Return tensors of random numbers, scaled so that sums neither overflow nor vanish."""
        generator = np.random.default_rng(0)
        degree = [0] * len(self.sizes)
        for axis in chain(*self.terms):
            degree[axis] += 1
        tensors = []
        for term, shape in zip(self.terms, self.shapes, strict=True):
            scale = np.prod([self.sizes[axis] ** (-1 / degree[axis]) for axis in term if degree[axis] > 1])
            tensors.append(generator.uniform(0.5, 1.5, shape) * scale)
        return tensors


def _axis_character(axis: int) -> str:
    """Return a letter of opt_einsum: ASCII letters first, then other characters without surrogates."""
    return chr(ord("a") + axis) if axis < 26 else chr(0x100 + axis)


def _from_edges(
    name: str, count: int, edges: Iterable[Sequence[int]], sizes: Sequence[int], output: Sequence[int] = ()
) -> NetworkCase:
    """Return the network of ``count`` tensors in which each edge is an axis of the tensors that it lists."""
    terms: list[list[int]] = [[] for _ in range(count)]
    for axis, tensors in enumerate(edges):
        for tensor in tensors:
            terms[tensor].append(axis)
    return NetworkCase(name, tuple(map(tuple, terms)), tuple(output), tuple(sizes))


def matrix_chain(name: str, lengths: Sequence[int]) -> NetworkCase:
    """Return a product of matrices, of which each has two consecutive ``lengths``."""
    count = len(lengths) - 1
    return NetworkCase(name, tuple(pairwise(range(count + 1))), (0, count), tuple(lengths))


def matrix_ring(name: str, lengths: Sequence[int]) -> NetworkCase:
    """Return the trace of a product of square and other matrices."""
    count = len(lengths)
    return NetworkCase(name, tuple([(axis, (axis + 1) % count) for axis in range(count)]), (), tuple(lengths))


def lattice(name: str, lengths: Sequence[int], bond: int, *, is_periodic: bool = False) -> NetworkCase:
    """Return a lattice of tensors that share an axis with each neighbour."""
    sites = {site: number for number, site in enumerate(product(*map(range, lengths)))}
    edges = []
    for site, number in sites.items():
        for dim, length in enumerate(lengths):
            if site[dim] + 1 < length or is_periodic:
                neighbour = (*site[:dim], (site[dim] + 1) % length, *site[dim + 1 :])
                edges.append((number, sites[neighbour]))
    return _from_edges(name, len(sites), edges, [bond] * len(edges))


def mps_overlap(name: str, sites: int, bond: int, physical: int) -> NetworkCase:
    """Return the scalar product of two matrix product states."""
    edges, sizes = [], []
    for layer in range(2):
        for site in range(sites - 1):
            edges.append((layer * sites + site, layer * sites + site + 1))
            sizes.append(bond)
    edges += [(site, sites + site) for site in range(sites)]
    return _from_edges(name, 2 * sites, edges, sizes + [physical] * sites)


def mps_mpo_mps(name: str, sites: int, bond: int, mpo_bond: int, physical: int) -> NetworkCase:
    """Return the expectation value of a matrix product operator between two matrix product states."""
    edges, sizes = [], []
    for layer, size in enumerate((bond, mpo_bond, bond)):
        edges += [(layer * sites + site, layer * sites + site + 1) for site in range(sites - 1)]
        sizes += [size] * (sites - 1)
    for layer in range(2):
        edges += [(layer * sites + site, (layer + 1) * sites + site) for site in range(sites)]
        sizes += [physical] * sites
    return _from_edges(name, 3 * sites, edges, sizes)


def tree_tensor_network(name: str, depth: int, seed: int, *, is_norm: bool) -> NetworkCase:
    """Return a binary tree tensor network, with vectors at its leaves or, if ``is_norm``, with its conjugate there."""
    random = Random(seed)
    count = 2**depth - 1
    tree_edges = [((node - 1) // 2, node) for node in range(1, count)]
    bonds = [random.randint(3, 24) for _ in tree_edges]
    leaves = range(count // 2, count)
    physical = [random.randint(2, 6) for _ in range(2 * len(leaves))]
    if not is_norm:
        ends = [(leaf, count + 2 * number + side) for number, leaf in enumerate(leaves) for side in range(2)]
        return _from_edges(name, count + len(ends), tree_edges + ends, bonds + physical)
    mirrored = [(count + one, count + other) for one, other in tree_edges]
    joined = [(leaf, count + leaf) for leaf in leaves for _ in range(2)]
    return _from_edges(name, 2 * count, tree_edges + mirrored + joined, bonds + bonds + physical)


def random_tree(name: str, count: int, seed: int) -> NetworkCase:
    """Return a random tree of tensors with bonds of 2 to 12."""
    random = Random(seed)
    edges = [(random.randrange(max(0, node - 6), node), node) for node in range(1, count)]
    return _from_edges(name, count, edges, [random.randint(2, 12) for _ in edges])


def peps_norm(name: str, length: int, bond: int, physical: int) -> NetworkCase:
    """Return the norm of a square PEPS: two layers of a lattice that share the physical axes."""
    layer = lattice("", (length, length), bond)
    edge_count, sites = len(layer.sizes), length**2
    terms = []
    for number in range(2):
        for site, term in enumerate(layer.terms):
            terms.append((*[axis + number * edge_count for axis in term], 2 * edge_count + site))
    return NetworkCase(name, tuple(terms), (), (*layer.sizes, *layer.sizes, *[physical] * sites))


def random_regular(name: str, count: int, degree: int, bond: int, seed: int) -> NetworkCase:
    """Return a random network in which each tensor shares an axis with ``degree`` others."""
    random = Random(seed)
    while True:
        ends = [tensor for tensor in range(count) for _ in range(degree)]
        random.shuffle(ends)
        edges = list(zip(ends[::2], ends[1::2], strict=True))
        if all(one != other for one, other in edges):
            return _from_edges(name, count, edges, [bond] * len(edges))


def random_network(name: str, count: int, degree: float, open_count: int, seed: int) -> NetworkCase:
    """Return a random connected network with drawn lengths and some axes in the result."""
    random = Random(seed)
    edges: list[tuple[int, ...]] = [(random.randrange(node), node) for node in range(1, count)]
    while len(edges) < count * degree / 2:
        one, other = random.sample(range(count), 2)
        edges.append((one, other))
    output = range(len(edges), len(edges) + open_count)
    edges += [(random.randrange(count),) for _ in output]
    return _from_edges(name, count, edges, [random.randint(2, 9) for _ in edges], output)


def hyper_network(name: str, count: int, seed: int) -> NetworkCase:
    """Return a random network in which many axes belong to three or four tensors, and one to the result too."""
    random = Random(seed)
    edges = [tuple(random.sample(range(count), random.choice((2, 2, 3, 4)))) for _ in range(count)]
    edges += pairwise(range(count))
    return _from_edges(name, count, edges, [random.randint(2, 6) for _ in edges], (0, 1))


def canonical_polyadic(name: str, order: int, length: int, rank: int) -> NetworkCase:
    """Return the scalar product of two tensors in canonical polyadic form: two axes that all their factors share."""
    terms = [(order, mode) for mode in range(order)] + [(order + 1, mode) for mode in range(order)]
    return NetworkCase(name, tuple(terms), (), (*[length] * order, rank, rank))


def brickwork_circuit(name: str, qubits: int, layers: int) -> NetworkCase:
    """Return an amplitude of a circuit of gates of two qubits in a brickwork pattern."""
    terms: list[tuple[int, ...]] = [(qubit,) for qubit in range(qubits)]
    wire, axis_count = list(range(qubits)), qubits
    for layer in range(layers):
        for qubit in range(layer % 2, qubits - 1, 2):
            new = (axis_count, axis_count + 1)
            terms.append((wire[qubit], wire[qubit + 1], *new))
            wire[qubit : qubit + 2] = new
            axis_count += 2
    terms += [(axis,) for axis in wire]
    return NetworkCase(name, tuple(terms), (), (2,) * axis_count)


def _drawn_lengths(count: int, low: int, high: int, seed: int) -> list[int]:
    """Return random lengths."""
    random = Random(seed)
    return [random.randint(low, high) for _ in range(count)]


NETWORKS: tuple[NetworkCase, ...] = (
    matrix_chain("3 matrices", (182, 38, 64, 185)),
    matrix_chain("chain of 10 matrices", (238, 90, 300, 148, 268, 278, 242, 188, 52, 2, 176)),
    matrix_chain("chain of 30 matrices", _drawn_lengths(31, 8, 200, 1)),
    matrix_chain("chain of 100 matrices", _drawn_lengths(101, 4, 100, 2)),
    matrix_ring("ring of 12 matrices", _drawn_lengths(12, 20, 120, 3)),
    matrix_ring("ring of 54 matrices", _drawn_lengths(54, 8, 80, 4)),
    mps_overlap("MPS overlap, 20 sites", 20, 16, 2),
    mps_overlap("MPS overlap, 100 sites", 100, 32, 2),
    mps_mpo_mps("MPS-MPO-MPS, 24 sites", 24, 24, 5, 2),
    mps_mpo_mps("MPS-MPO-MPS, 40 sites", 40, 24, 5, 2),
    tree_tensor_network("TTN of depth 5", 5, 5, is_norm=False),
    tree_tensor_network("TTN norm of depth 3", 3, 6, is_norm=True),
    tree_tensor_network("TTN norm of depth 4", 4, 7, is_norm=True),
    random_tree("tree of 40 tensors", 40, 8),
    random_tree("tree of 100 tensors", 100, 9),
    lattice("lattice 4x4", (4, 4), 4),
    lattice("lattice 6x6", (6, 6), 3),
    lattice("lattice 8x8", (8, 8), 2),
    lattice("lattice 16x16", (16, 16), 2),
    lattice("lattice 5x5, periodic", (5, 5), 2, is_periodic=True),
    lattice("lattice 3x3x3", (3, 3, 3), 2),
    lattice("lattice 4x4x4", (4, 4, 4), 2),
    peps_norm("PEPS norm 3x3", 3, 4, 2),
    peps_norm("PEPS norm 4x4", 4, 3, 2),
    peps_norm("PEPS norm 6x6", 6, 2, 2),
    random_regular("3-regular, 20 tensors", 20, 3, 4, 10),
    random_regular("3-regular, 50 tensors", 50, 3, 2, 11),
    random_regular("3-regular, 100 tensors", 100, 3, 2, 12),
    random_regular("4-regular, 30 tensors", 30, 4, 2, 13),
    random_network("random, 12 tensors", 12, 3.5, 3, 14),
    random_network("random, 300 tensors", 300, 2.5, 2, 15),
    hyper_network("hyper-edges, 12 tensors", 12, 16),
    hyper_network("hyper-edges, 24 tensors", 24, 17),
    canonical_polyadic("CP overlap of order 8", 8, 60, 40),
    brickwork_circuit("circuit, 16 qubits, 8 layers", 16, 8),
)
"""35 networks by which the constants of plait's path search were chosen."""


def draw_networks(seed: int) -> tuple[NetworkCase, ...]:
    """Return 36 networks of the same generators as `NETWORKS`, with sizes and seeds that are drawn."""
    draw = Random(seed).randint

    def draw_seed() -> int:
        return draw(0, 10**6)

    def chain_of_matrices(count: int) -> NetworkCase:
        return matrix_chain(f"chain of {count} matrices", _drawn_lengths(count + 1, 8, draw(200, 800), draw_seed()))

    def ring_of_matrices(count: int) -> NetworkCase:
        return matrix_ring(f"ring of {count} matrices", _drawn_lengths(count, 8, draw(100, 400), draw_seed()))

    def mps(sites: int) -> NetworkCase:
        return mps_overlap(f"MPS overlap, {sites} sites", sites, draw(16, 128), draw(2, 4))

    def mpo(sites: int) -> NetworkCase:
        return mps_mpo_mps(f"MPS-MPO-MPS, {sites} sites", sites, draw(16, 64), draw(3, 8), draw(2, 3))

    def tree(count: int) -> NetworkCase:
        return random_tree(f"tree of {count} tensors", count, draw_seed())

    def ttn(depth: int, *, is_norm: bool) -> NetworkCase:
        return tree_tensor_network(f"TTN {'norm ' * is_norm}of depth {depth}", depth, draw_seed(), is_norm=is_norm)

    def grid(*lengths: int, bond: int, is_periodic: bool = False) -> NetworkCase:
        name = f"lattice {'x'.join(map(str, lengths))}{', periodic' * is_periodic}"
        return lattice(f"{name}, bond {bond}", lengths, bond, is_periodic=is_periodic)

    def peps(length: int, bond: int) -> NetworkCase:
        return peps_norm(f"PEPS norm {length}x{length}, bond {bond}", length, bond, draw(2, 3))

    def regular(count: int, degree: int, bond: int) -> NetworkCase:
        count += count * degree % 2
        return random_regular(f"{degree}-regular, {count} tensors", count, degree, bond, draw_seed())

    def connected(count: int, degree: float) -> NetworkCase:
        return random_network(f"random, {count} tensors", count, degree, draw(0, 3), draw_seed())

    def hyper(count: int) -> NetworkCase:
        return hyper_network(f"hyper-edges, {count} tensors", count, draw_seed())

    def circuit(qubits: int, layers: int) -> NetworkCase:
        return brickwork_circuit(f"circuit, {qubits} qubits, {layers} layers", qubits, layers)

    order = draw(4, 10)
    return (
        *[chain_of_matrices(draw(*counts)) for counts in ((4, 6), (7, 20), (50, 150))],
        *[ring_of_matrices(draw(*counts)) for counts in ((6, 20), (30, 80))],
        *[mps(draw(*counts)) for counts in ((10, 40), (60, 120))],
        *[mpo(draw(*counts)) for counts in ((8, 20), (30, 50))],
        *[tree(draw(*counts)) for counts in ((20, 60), (70, 150))],
        *[ttn(4, is_norm=False), ttn(6, is_norm=False), ttn(3, is_norm=True), ttn(5, is_norm=True)],
        *[grid(draw(3, 5), draw(3, 5), bond=draw(3, 12)), grid(draw(6, 9), draw(6, 9), bond=draw(2, 3))],
        *[grid(draw(10, 14), draw(10, 14), bond=2), grid(draw(4, 6), draw(4, 6), bond=2, is_periodic=True)],
        *[grid(draw(2, 3), draw(3, 4), draw(3, 4), bond=draw(2, 3)), grid(4, 4, draw(3, 5), bond=2)],
        *[peps(3, draw(3, 7)), peps(4, draw(2, 4)), peps(5, 2)],
        *[regular(draw(16, 30), 3, draw(2, 9)), regular(draw(40, 70), 3, 2), regular(draw(80, 120), 3, 2)],
        *[regular(draw(20, 36), 4, 2), regular(draw(14, 24), 5, 2)],
        *[connected(draw(8, 16), 3.5), connected(draw(30, 60), 3), connected(300, 2.5)],
        *[hyper(draw(8, 14)), hyper(draw(16, 24))],
        canonical_polyadic(f"CP overlap of order {order}", order, draw(20, 100), draw(10, 60)),
        circuit(draw(10, 20), draw(4, 10)),
    )


FIRST_CALL_EQUATIONS = (
    "ij,jk->ik",
    "bhid,bhjd->bhij",
    "ij,jk,kl->il",
    "abc,ai,bj,ck->ijk",
    "ij,jk,kl,lm,mn->in",
    "ab,bc,cd,de,ef,fa->",
    "ab,bcd,de,efg,gh,hij,jk->acfik",
)
"""Equations of two to seven tensors of a few elements, whose first call is measured."""
