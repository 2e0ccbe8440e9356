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
from typing import NamedTuple

from plait._shapes.solver import SolvedPattern
from plait._shapes.weave import Axes, Dims, woven


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


def wiring(solved: SolvedPattern, slots: Sequence[int]) -> Wiring:
    """A solved pattern with its slots filled; where an ellipsis is stretched, a tensor has a unit and no axis."""
    lengths = tuple([slots[slot] for slot in solved.slots])
    sizes = iter(slots)
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
        if len(ours) == len(theirs) == 1 and self.first.lengths[ours[0]] == self.second.lengths[theirs[0]]:
            self.before[ours[0]] = self.after[theirs[0]] = (self._atom(self.first.lengths[ours[0]]),)
            return True
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
        for wire, found in ((self.first, self.before), (self.second, self.after)):
            for axis, length in enumerate(wire.lengths):
                if axis not in found:
                    found[axis] = (self._atom(length),)
        units = tuple([atom for atom, length in enumerate(self.lengths) if length == 1])
        before, after = [tuple([found[axis] for axis in sorted(found)]) for found in (self.before, self.after)]
        first, second = self.first, self.second
        theirs = (second.inputs, second.output, second.labels, after)
        result = woven(first.inputs, first.labels, before, *theirs, units, self.loose)
        if isinstance(result, str):
            return result
        lengths = tuple([prod([self.lengths[atom] for atom in run]) for run in result.runs])
        return Wiring(result.inputs, result.output, lengths, result.labels)


def _shown(wire: Wiring, axes: Axes) -> str:
    """A dimension as names and lengths: ``h*p = 2*6``."""
    if not axes:
        return "1"
    lengths = "*".join([str(wire.lengths[axis]) for axis in axes])
    names = "*".join([wire.labels[axis] for axis in axes])
    return lengths if names == lengths else f"{names} = {lengths}"
