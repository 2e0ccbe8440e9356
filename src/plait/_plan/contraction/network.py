"""A contraction of tensors of given shapes, reduced to its axes: which of them each tensor has, and their lengths.

Axes of length 1 are left out, and so are dimensions of an ellipsis that are stretched; axes that are adjacent in every
tensor are coalesced.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from math import prod
from typing import NamedTuple

from plait._shapes.coalesce import coalesce_axes
from plait._shapes.solver import Axes, Dims, SolvedPattern

_flat = chain.from_iterable


class Network(NamedTuple):
    """What is contracted."""

    terms: tuple[Axes, ...]  # the axes of each tensor, in row-major order
    output: Axes  # the axes of the result
    groups: tuple[Axes, ...]  # for each axis the axes of the pattern that it coalesces
    labels: tuple[str, ...]  # the axes in the words of the pattern
    sizes: tuple[int, ...]  # the length of each axis
    shapes: tuple[tuple[int, ...], ...]  # of the tensors as they are given
    result: tuple[int, ...]  # the shape of the result


def build_network(solved: SolvedPattern, slots: Sequence[int], *, across: bool = True) -> Network:
    """The network of a solved einsum whose slots are filled.

    Axes of different dimensions may be coalesced ``across`` them, which takes a reshape. They are not where nothing is
    summed: elements are multiplied as they are.
    """
    is_long = {axis for axis, slot in enumerate(solved.slots) if slots[slot] != 1}.__contains__
    tensors: list[Dims] = []
    position = 0
    for dims in solved.inputs:
        kept: list[Axes] = []
        for axes in dims:  # an axis of an ellipsis may be longer in another tensor
            kept.append(() if slots[position] == 1 else tuple(filter(is_long, axes)))
            position += 1
        tensors.append(tuple(kept))
    output = tuple([tuple(filter(is_long, axes)) for axes in solved.output])
    is_sum = {*_flat(_flat(tensors))} > {*_flat(output)}
    groups = coalesce_axes([*tensors, output], across=across and is_sum)
    number = {group[0]: place for place, group in enumerate(groups)}
    terms = [tuple([number[axis] for axis in _flat(dims) if axis in number]) for dims in (*tensors, output)]
    labels = tuple([" ".join([solved.labels[axis] for axis in group]) for group in groups])
    network = Network(tuple(terms[:-1]), terms[-1], tuple(groups), labels, (), (), ())
    return with_lengths(network, solved, slots)


def with_lengths(network: Network, solved: SolvedPattern, slots: Sequence[int]) -> Network:
    """The network for tensors of other shapes; the same lengths must be 1."""
    length = [slots[slot] for slot in solved.slots].__getitem__
    sizes = tuple([prod(map(length, group)) for group in network.groups])
    ends = accumulate(solved.ranks)
    shapes = tuple([tuple(slots[end - rank : end]) for rank, end in zip(solved.ranks, ends, strict=True)])
    result = tuple([prod(map(length, axes)) for axes in solved.output])
    return network._replace(sizes=sizes, shapes=shapes, result=result)
