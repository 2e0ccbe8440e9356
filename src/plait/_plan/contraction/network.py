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


def build_network(solved: SolvedPattern, slots: Sequence[int], *, across: bool = True) -> TensorNetwork:
    """Return the network of a solved einsum; ``slots`` are all its sizes, evaluated.

    If ``across``, axes of different dimensions may be coalesced, which requires a reshape. If nothing is summed, they
    are not, since an elementwise product needs no reshape.
    """
    *tensor_dims, output = dimensions_of_long_axes(solved, slots)
    is_sum = {*_flatten(_flatten(tensor_dims))} > {*_flatten(output)}
    groups = group_adjacent_axes([*tensor_dims, output], across=across and is_sum)
    numbers = {group[0]: number for number, group in enumerate(groups)}
    terms = [tuple([numbers[axis] for axis in _flatten(dims) if axis in numbers]) for dims in (*tensor_dims, output)]
    length = [slots[slot] for slot in solved.slots].__getitem__
    return TensorNetwork(
        terms=tuple(terms[:-1]),
        output=terms[-1],
        labels=tuple([" ".join([solved.labels[axis] for axis in group]) for group in groups]),
        sizes=tuple([prod(map(length, group)) for group in groups]),
        shapes=_shapes_of_tensors(solved, slots),
        result_shape=tuple([prod(map(length, axes)) for axes in solved.output]),
    )


def build_network_of_single_axes(solved: SolvedPattern, slots: Sequence[int]) -> TensorNetwork:
    """Return the network of a solved einsum without coalescing, in which axes have their numbers in the pattern."""
    *terms, output = [tuple(_flatten(dims)) for dims in dimensions_of_long_axes(solved, slots)]
    sizes = tuple([slots[slot] for slot in solved.slots])
    result_shape = tuple([prod([sizes[axis] for axis in axes]) for axes in solved.output])
    return TensorNetwork(tuple(terms), output, solved.labels, sizes, _shapes_of_tensors(solved, slots), result_shape)


def dimensions_of_long_axes(solved: SolvedPattern, slots: Sequence[int]) -> list[Dims]:
    """Return the dimensions of each tensor, and then those of the result, without the axes of length 1."""
    is_not_unit = {axis for axis, slot in enumerate(solved.slots) if slots[slot] != 1}.__contains__
    tensor_dims: list[Dims] = []
    position = 0
    for dims in solved.inputs:
        long_dims: list[Axes] = []
        for axes in dims:  # a dimension of length 1 gets no axis, even if its axis is longer in a broadcast
            long_dims.append(() if slots[position] == 1 else tuple(filter(is_not_unit, axes)))
            position += 1
        tensor_dims.append(tuple(long_dims))
    tensor_dims.append(tuple([tuple(filter(is_not_unit, axes)) for axes in solved.output]))
    return tensor_dims


def _shapes_of_tensors(solved: SolvedPattern, slots: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of the tensors, which are the first slots."""
    ends = accumulate(solved.ranks)
    return tuple([tuple(slots[end - rank : end]) for rank, end in zip(solved.ranks, ends, strict=True)])
