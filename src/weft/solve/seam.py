"""Two solved patterns as one: what lies between them is never seen.

At the *seam*, every dimension is a product of axes of the first pattern, and one of axes of the second. Cut wherever
either has a border, it is a product of *atoms* that both are made of, if each border divides the next: of ``6*4`` and
``2*12`` the atoms are ``2*3*4``, and of ``2*6`` and ``3*4`` there are none. In terms of atoms the first pattern's left
side and the second's right side are one pattern.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from math import prod
from operator import mul
from typing import NamedTuple, TypeAlias

from weft.solve.template import Template

Axes: TypeAlias = "tuple[int, ...]"
Dims: TypeAlias = "tuple[Axes, ...]"

NAMELESS = "..."
"""The label of an axis that no pattern names."""


class Wiring(NamedTuple):
    """A pattern and the shapes of its tensors: which axes stand where, how long they are, and what they are called."""

    inputs: tuple[Dims, ...]
    output: Dims
    lengths: tuple[int, ...]
    labels: tuple[str, ...]

    @property
    def lost(self) -> set[int]:
        """The axes that stand on the left only."""
        return {*chain(*chain(*self.inputs))} - {*chain(*self.output)}

    @property
    def new(self) -> set[int]:
        """The axes that stand on the right only."""
        return {*chain(*self.output)} - {*chain(*chain(*self.inputs))}


def wiring(solved: Template, registers: Sequence[int]) -> Wiring:
    """A template with its registers filled; where an ellipsis is stretched, a tensor has a unit and no axis."""
    lengths = tuple([registers[register] for register in solved.registers])
    sizes = iter(registers)
    inputs = [
        tuple([() if next(sizes) == 1 and len(axes) == 1 and lengths[axes[0]] != 1 else axes for axes in dims])
        for dims in solved.inputs
    ]
    return Wiring(tuple(inputs), solved.output, lengths, solved.labels)


def joined(first: Wiring, second: Wiring) -> Wiring | str:
    """Both as one, where the result of the first is the first tensor of the second; or the reason why there is none.

    >>> split = Wiring((((0, 1),),), ((0,), (1,)), (2, 6), ("h", "p"))
    >>> merge = Wiring((((0,), (1,)),), ((0, 1),), (2, 6), ("a", "b"))
    >>> joined(split, merge)
    Wiring(inputs=(((0,),),), output=((0,),), lengths=(12,), labels=('h_p',))
    >>> joined(merge, Wiring((((0, 1),),), ((0,), (1,)), (3, 4), ("c", "d")))
    'dimension 0 between them is a*b = 2*6 and then c*d = 3*4, which are not made of the same parts'
    """
    stands = Counter(chain(*second.inputs[0]))
    if stands and max(stands.values()) > 1:
        return "an axis stands twice in the tensor between them"
    seam = _Seam(first, second)
    for place, (ours, theirs) in enumerate(zip(first.output, second.inputs[0], strict=True)):
        if not seam.meet(ours, theirs):
            shown = f"{_shown(first, ours)} and then {_shown(second, theirs)}"
            return f"dimension {place} between them is {shown}, which are not made of the same parts"
    return seam.close()


class _Seam:
    """The atoms found so far, and which of them each axis of the two patterns is."""

    def __init__(self, first: Wiring, second: Wiring) -> None:
        self.first, self.second = first, second
        self.lengths: list[int] = []
        self.before: dict[int, Axes] = {}
        self.after: dict[int, Axes] = {}
        self.loose: Axes = ()
        """Units that only the second pattern has, and combines."""

    def meet(self, ours: Axes, theirs: Axes) -> bool:
        """Find the atoms of one dimension; or there are none."""
        self._meet_units(
            [axis for axis in ours if self.first.lengths[axis] == 1],
            [axis for axis in theirs if self.second.lengths[axis] == 1],
        )
        ours = tuple([axis for axis in ours if self.first.lengths[axis] != 1])
        theirs = tuple([axis for axis in theirs if self.second.lengths[axis] != 1])
        one = [self.first.lengths[axis] for axis in ours]
        other = [self.second.lengths[axis] for axis in theirs]
        if one == other:
            for axis, twin, length in zip(ours, theirs, one, strict=True):
                self.before[axis] = self.after[twin] = (self._atom(length),)
            return True
        ends, borders = [*accumulate(one, mul)], [*accumulate(other, mul)]
        cuts = sorted({*ends, *borders})
        if 0 in cuts or any(large % small for small, large in pairwise(cuts)):
            return False
        atoms = [self._atom(large // small) for small, large in pairwise([1, *cuts])]
        for axes, found, stops in ((ours, self.before, ends), (theirs, self.after, borders)):
            places = [0, *[cuts.index(stop) + 1 for stop in stops]]
            found.update({axis: tuple(atoms[a:b]) for axis, (a, b) in zip(axes, pairwise(places), strict=True)})
        return True

    def _meet_units(self, ours: list[int], theirs: list[int]) -> None:
        """A unit is a place for a name, and nothing else, unless it is to be combined: that may change the elements."""
        kept = {*chain(*self.second.output), *chain(*chain(*self.second.inputs[1:]))}
        while ours and theirs:
            self.before[ours.pop(0)] = self.after[theirs.pop(0)] = (self._atom(1),)
        self.before.update(dict.fromkeys(ours, ()))
        for axis in theirs:
            self.after[axis] = () if axis in kept else (self._atom(1),)
            self.loose += self.after[axis]

    def _atom(self, length: int) -> int:
        self.lengths.append(length)
        return len(self.lengths) - 1

    def close(self) -> Wiring | str:
        """The one pattern, in terms of atoms and of the axes that are not at the seam."""
        first, second = self.first, self.second
        labels = _labels(self)
        for wire, found in ((first, self.before), (second, self.after)):
            for axis, label in enumerate(wire.labels):
                if axis not in found:
                    found[axis] = (self._atom(wire.lengths[axis]),)
                    labels.append(label)
        inputs = [_rewritten(dims, self.before) for dims in first.inputs]
        inputs += [_rewritten(dims, self.after) for dims in second.inputs[1:]]
        output = _rewritten(second.output, self.after)
        if self.loose:
            if not inputs[0]:
                return "the tensor has no dimension in which the unit between them could stand"
            inputs[0] = ((*inputs[0][0], *self.loose), *inputs[0][1:])
        stands = {*chain(*chain(*inputs)), *chain(*output)}
        if not stands.issuperset(chain(*self.before.values())):
            return "an axis that the first adds is combined by the second"
        whole = {atoms: second.labels[axis] for axis, atoms in self.after.items()}
        whole |= {atoms: first.labels[axis] for axis, atoms in self.before.items()}
        return _coarse(Wiring(tuple(inputs), output, tuple(self.lengths), tuple(labels)), whole)


def _rewritten(dims: Dims, atoms: dict[int, Axes]) -> Dims:
    return tuple([tuple([atom for axis in axes for atom in atoms[axis]]) for axes in dims])


def _labels(seam: _Seam) -> list[str]:
    """What the atoms are called: as the axis that is no more than this atom, or else as a part of one."""
    labels = [NAMELESS] * len(seam.lengths)
    sides = [(seam.first.labels, seam.before), (seam.second.labels, seam.after)]
    parts: dict[int, str] = {}
    for spelled, found in sides:
        for axis, atoms in found.items():
            label = spelled[axis]
            for number, atom in enumerate(atoms, 1):
                if len(atoms) == 1 and not labels[atom].isidentifier():
                    labels[atom] = label if label.isidentifier() or labels[atom] == NAMELESS else labels[atom]
                elif label.isidentifier():
                    parts.setdefault(atom, f"{label}{number}")
    return [label if label.isidentifier() else parts.get(atom, label) for atom, label in enumerate(labels)]


def _coarse(wire: Wiring, whole: dict[Axes, str]) -> Wiring:
    """The same with neighbours as one axis that are neighbours wherever they stand; numbered anew."""
    everywhere = [*chain(*wire.inputs), *wire.output]
    stands = Counter(chain(*everywhere))
    pairs = Counter([pair for axes in everywhere for pair in pairwise(axes)])
    apart = wire.lost | wire.new | {axis for axis, length in enumerate(wire.lengths) if length == 1}
    follower = {
        one: other
        for (one, other), count in pairs.items()
        if count == stands[one] == stands[other] and not {one, other} & apart
    }
    runs: dict[int, Axes] = {}
    for axis in stands:
        if axis not in follower.values():
            run = [axis]
            while run[-1] in follower:
                run.append(follower[run[-1]])
            runs[axis] = tuple(run)
    renumbered: dict[int, Axes] = dict.fromkeys(follower.values(), ())
    renumbered.update({axis: (number,) for number, axis in enumerate(runs)})
    lengths = [prod([wire.lengths[axis] for axis in run]) for run in runs.values()]
    labels = [_together([wire.labels[axis] for axis in run], whole.get(run, NAMELESS)) for run in runs.values()]
    inputs = tuple([_rewritten(dims, renumbered) for dims in wire.inputs])
    return Wiring(inputs, _rewritten(wire.output, renumbered), tuple(lengths), tuple(labels))


def _together(labels: list[str], whole: str) -> str:
    if len(labels) == 1:
        return labels[0]
    if whole.isidentifier():
        return whole
    return "_".join([label for label in labels if label.isidentifier()]) or NAMELESS


def _shown(wire: Wiring, axes: Axes) -> str:
    """A dimension as names and lengths: ``h*p = 2*6``."""
    if not axes:
        return "1"
    lengths = "*".join([str(wire.lengths[axis]) for axis in axes])
    names = "*".join([wire.labels[axis] for axis in axes])
    return lengths if names == lengths else f"{names} = {lengths}"
