"""The part of a seam that needs no lengths: which atom stands where, and what it is called. So it is remembered."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from itertools import chain, pairwise
from typing import NamedTuple, TypeAlias

Axes: TypeAlias = "tuple[int, ...]"
Dims: TypeAlias = "tuple[Axes, ...]"

Labels: TypeAlias = "dict[int, str]"

NAMELESS = "..."
"""The label of an axis that no pattern names."""


class Woven(NamedTuple):
    """Two patterns as one; ``runs`` are the atoms that each of its axes is the product of."""

    inputs: tuple[Dims, ...]
    output: Dims
    labels: tuple[str, ...]
    runs: tuple[Axes, ...]


@lru_cache(maxsize=1024)
def woven(
    inputs: tuple[Dims, ...],
    labels: tuple[str, ...],
    before: tuple[Axes, ...],
    others: tuple[Dims, ...],
    result: Dims,
    theirs: tuple[str, ...],
    after: tuple[Axes, ...],
    units: Axes,
    loose: Axes,
) -> Woven | str:
    """Two patterns in terms of atoms, or the reason why they are not one.

    Args:
        inputs: the tensors of the first pattern, whose result is not seen any more.
        labels: what its axes are called.
        before: the atoms of each.
        others: the tensors of the second pattern; the first of them is the seam.
        result: its result.
        theirs: what its axes are called.
        after: the atoms of each.
        units: the atoms of length 1.
        loose: those that only the second pattern has, and combines.
    """
    tensors = [_rewritten(dims, before) for dims in inputs] + [_rewritten(dims, after) for dims in others[1:]]
    end = _rewritten(result, after)
    if loose:
        if not tensors[0]:
            return "the tensor has no dimension in which the unit between them could stand"
        tensors[0] = ((*tensors[0][0], *loose), *tensors[0][1:])
    if not {*chain(*chain(*tensors)), *chain(*end)}.issuperset(chain(*before)):
        return "an axis that the first adds is combined by the second"
    names = _labels(labels, before, theirs, after)
    whole = dict(zip(after, theirs, strict=True)) | dict(zip(before, labels, strict=True))
    return _coarse(tuple(tensors), end, names, whole, units)


def _rewritten(dims: Dims, atoms: tuple[Axes, ...]) -> Dims:
    return tuple([tuple([atom for axis in axes for atom in atoms[axis]]) for axes in dims])


def _labels(
    ours: tuple[str, ...], before: tuple[Axes, ...], theirs: tuple[str, ...], after: tuple[Axes, ...]
) -> Labels:
    """What the atoms are called: as the axis that is no more than this atom, or else as a part of one."""
    labels: Labels = {}
    parts: Labels = {}
    for label, atoms in [*zip(ours, before, strict=True), *zip(theirs, after, strict=True)]:
        for number, atom in enumerate(atoms, 1):
            if len(atoms) == 1 and (label.isidentifier() or labels.get(atom, NAMELESS) == NAMELESS):
                kept = labels.get(atom, NAMELESS)
                labels[atom] = kept if kept.isidentifier() else label
            elif label.isidentifier():
                parts.setdefault(atom, f"{label}{number}")
    return {
        atom: labels[atom] if labels.get(atom, NAMELESS).isidentifier() else parts.get(atom, labels.get(atom, NAMELESS))
        for atom in chain(*before, *after)
    }


def _coarse(inputs: tuple[Dims, ...], output: Dims, labels: Labels, whole: dict[Axes, str], units: Axes) -> Woven:
    """The same with neighbours as one axis that are neighbours wherever they stand; numbered anew."""
    everywhere = [*chain(*inputs), *output]
    stands = Counter(chain(*everywhere))
    pairs = Counter([pair for axes in everywhere for pair in pairwise(axes)])
    apart = {*chain(*chain(*inputs))} ^ {*chain(*output)} | {*units}  # what one side lacks stays as it is written
    follower = {
        one: other
        for (one, other), count in pairs.items()
        if count == stands[one] == stands[other] and not {one, other} & apart
    }
    inner = {*follower.values()}
    runs: list[Axes] = []
    for axis in stands:
        if axis not in inner:
            run = [axis]
            while run[-1] in follower:
                run.append(follower[run[-1]])
            runs.append(tuple(run))
    numbers = {run[0]: number for number, run in enumerate(runs)}
    tensors = tuple([_renumbered(dims, numbers) for dims in inputs])
    names = tuple([_together([labels[axis] for axis in run], whole.get(run, NAMELESS)) for run in runs])
    return Woven(tensors, _renumbered(output, numbers), names, tuple(runs))


def _renumbered(dims: Dims, numbers: dict[int, int]) -> Dims:
    return tuple([tuple([numbers[axis] for axis in axes if axis in numbers]) for axes in dims])


def _together(labels: list[str], whole: str) -> str:
    if len(labels) == 1:
        return labels[0]
    if whole.isidentifier():
        return whole
    return "_".join([label for label in labels if label.isidentifier()]) or NAMELESS
