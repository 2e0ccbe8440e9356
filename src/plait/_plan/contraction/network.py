"""A contraction of tensors of one size, reduced to what matters: which axes each tensor has, and how long they are.

Axes of length 1 are gone, an ellipsis has no dimensions that are stretched, and axes that are neighbours wherever they
stand are one: nothing is taken apart that nobody needs apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, chain, pairwise
from math import prod
from typing import NamedTuple, TypeAlias

from plait._shapes.solver import SolvedPattern

Axes: TypeAlias = tuple[int, ...]
Dims: TypeAlias = tuple[Axes, ...]
"""The dimensions of a tensor, each as the axes in it."""

_NOBODY = -1
"""Stands for no neighbour, or for several."""


class Network(NamedTuple):
    """What is contracted.

    ``terms`` are the axes of each tensor in row-major order, ``output`` those of the result, ``sizes`` their lengths
    and ``labels`` their names. ``shapes`` are the shapes of the tensors as they come, ``result`` is that of the result.
    """

    terms: tuple[Axes, ...]
    output: Axes
    sizes: tuple[int, ...]
    labels: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    result: tuple[int, ...]


def network(solved: SolvedPattern, registers: Sequence[int], *, across: bool = True) -> Network:
    """The network of a solved einsum.

    Args:
        solved: the solved pattern.
        registers: its registers, filled.
        across: whether axes of different dimensions may become one, which takes a reshape. Where nothing is summed none
            do: elements meet as they are.
    """
    lengths = [registers[register] for register in solved.slots]
    firsts = accumulate(solved.ranks, initial=0)
    shapes = tuple([tuple(registers[first : first + rank]) for first, rank in zip(firsts, solved.ranks)])  # noqa: B905
    inputs = [
        tuple([() if _is_unit(axes, length, lengths) else axes for axes, length in zip(dims, shape, strict=True)])
        for dims, shape in zip(solved.inputs, shapes, strict=True)
    ]
    long = tuple([_without_units(dims, lengths) for dims in (*inputs, solved.output)])
    is_sum = {axis for dims in long for axis in chain(*dims)} > {*chain(*long[-1])}
    runs = neighbours(long, across=across and is_sum)
    number = {run[0]: place for place, run in enumerate(runs)}
    terms = [tuple([number[axis] for axis in chain(*dims) if axis in number]) for dims in long]
    return Network(
        tuple(terms[:-1]),
        terms[-1],
        tuple([prod([lengths[axis] for axis in run]) for run in runs]),
        tuple([" ".join([solved.labels[axis] for axis in run]) for run in runs]),
        shapes,
        tuple([prod([lengths[axis] for axis in axes]) for axes in solved.output]),
    )


def _is_unit(axes: Axes, length: int, lengths: Sequence[int]) -> bool:
    """Whether an axis of an ellipsis has length 1 here, and is stretched by another tensor."""
    return length == 1 and len(axes) == 1 and lengths[axes[0]] != 1


def _without_units(dims: Dims, lengths: Sequence[int]) -> Dims:
    return tuple([tuple([axis for axis in axes if lengths[axis] != 1]) for axes in dims])


@lru_cache(maxsize=512)
def neighbours(tensors: tuple[Dims, ...], *, across: bool) -> tuple[Axes, ...]:
    """The longest runs of axes that stand side by side, in this order, in every tensor that has one of them.

    Args:
        tensors: each as its dimensions.
        across: whether side by side may mean in two dimensions.

    >>> neighbours((((0, 1), (2,)), ((2,), (3,)), ((0, 1), (3,))), across=True)
    ((0, 1), (2,), (3,))
    """
    after: dict[int, int] = {}
    before: dict[int, int] = {}
    for dims in tensors:
        places = [(axis, place) for place, axes in enumerate(dims) for axis in axes]
        for (one, here), (other, there) in pairwise([(_NOBODY, _NOBODY), *places, (_NOBODY, _NOBODY)]):
            apart = not across and here != there
            _note(after, one, _NOBODY if apart else other)
            _note(before, other, _NOBODY if apart else one)
    heads = [axis for axis in after if axis != _NOBODY and not _follows(axis, after, before)]
    return tuple([_run(axis, after, before) for axis in heads])


def _note(known: dict[int, int], axis: int, neighbour: int) -> None:
    known[axis] = neighbour if known.get(axis, neighbour) == neighbour else _NOBODY


def _follows(axis: int, after: dict[int, int], before: dict[int, int]) -> bool:
    leader = before[axis]
    return leader != _NOBODY and after[leader] == axis


def _run(axis: int, after: dict[int, int], before: dict[int, int]) -> Axes:
    run = [axis]
    while (following := after[run[-1]]) != _NOBODY and before[following] == run[-1]:
        run.append(following)
    return tuple(run)
