"""A tensor network: the axes of each tensor of an einsum, and their lengths.

Axes of length 1 and broadcast dimensions of an ellipsis are left out; axes that are adjacent in every tensor are
coalesced to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from math import prod
from typing import NamedTuple

from plait._shapes.coalesce import group_adjacent_axes
from plait._shapes.solver import Axes, Dims, SolvedPattern

_flatten = chain.from_iterable


class TensorNetwork(NamedTuple):
    """The tensors to contract, as axes that are numbered from 0."""

    terms: tuple[Axes, ...]  # the axes of each tensor, in row-major order
    output: Axes  # the axes of the result
    labels: tuple[str, ...]  # for each axis its text in the pattern
    sizes: tuple[int, ...]  # the length of each axis
    shapes: tuple[tuple[int, ...], ...]  # the shapes of the tensors that the caller gives
    result_shape: tuple[int, ...]


def build_network_of_single_axes(solved: SolvedPattern, slots: Sequence[int]) -> tuple[TensorNetwork, tuple[Dims, ...]]:
    """Return the network of a solved einsum without coalescing, in which axes have their numbers in the pattern.

    Return also the dimensions of each tensor, and then those of the result, without axes of length 1.
    """
    all_dims = _without_unit_axes(solved, slots)
    *terms, output = [tuple(_flatten(dims)) for dims in all_dims]
    sizes = tuple([slots[slot] for slot in solved.slots])
    ends = accumulate(solved.ranks)
    shapes = tuple([tuple(slots[end - rank : end]) for rank, end in zip(solved.ranks, ends, strict=True)])
    result_shape = tuple([_product(sizes, axes) for axes in solved.output])
    return TensorNetwork(tuple(terms), output, solved.labels, sizes, shapes, result_shape), all_dims


def build_network(solved: SolvedPattern, slots: Sequence[int], *, across: bool = True) -> TensorNetwork:
    """Return the network of a solved einsum; ``slots`` are all its sizes, evaluated.

    If ``across``, axes of different dimensions may be coalesced, which requires a reshape. If nothing is summed, they
    are not, since an elementwise product needs no reshape.
    """
    all_dims = (*solved.inputs, solved.output)
    if 1 in slots:
        all_dims = _without_unit_axes(solved, slots)
    terms = tuple([tuple(_flatten(dims)) for dims in all_dims])
    is_sum = {*_flatten(terms[:-1])} > {*terms[-1]}
    groups = group_adjacent_axes(all_dims, across=across and is_sum)
    labels, sizes = solved.labels, tuple([slots[slot] for slot in solved.slots])
    result_shape = tuple([sizes[axes[0]] if len(axes) == 1 else _product(sizes, axes) for axes in solved.output])
    if len(groups) < len(labels):  # without groups of several axes, the numbers stay as they are
        numbers = {group[0]: number for number, group in enumerate(groups)}
        terms = tuple([tuple([numbers[axis] for axis in term if axis in numbers]) for term in terms])
        labels = tuple([" ".join([labels[axis] for axis in group]) for group in groups])
        sizes = tuple([_product(sizes, group) for group in groups])
    ends = accumulate(solved.ranks)
    shapes = tuple([tuple(slots[end - rank : end]) for rank, end in zip(solved.ranks, ends, strict=True)])
    return TensorNetwork(terms[:-1], terms[-1], labels, sizes, shapes, result_shape)


def _without_unit_axes(solved: SolvedPattern, slots: Sequence[int]) -> tuple[Dims, ...]:
    """Return the dimensions of the tensors and of the result without axes of length 1."""
    is_not_unit = {axis for axis, slot in enumerate(solved.slots) if slots[slot] != 1}.__contains__
    tensor_dims: list[Dims] = []
    position = 0
    for dims in solved.inputs:
        long_dims: list[Axes] = []
        for axes in dims:  # a dimension of length 1 gets no axis, even if its axis is longer in a broadcast
            long_dims.append(() if slots[position] == 1 else tuple(filter(is_not_unit, axes)))
            position += 1
        tensor_dims.append(tuple(long_dims))
    return *tensor_dims, tuple([tuple(filter(is_not_unit, axes)) for axes in solved.output])


def _product(sizes: Sequence[int], axes: Axes) -> int:
    """Return the product of the lengths of some axes."""
    return prod([sizes[axis] for axis in axes])
