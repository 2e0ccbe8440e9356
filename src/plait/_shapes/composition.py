"""Two solved patterns as one, so that the tensor between them is never made.

Every dimension of that tensor is a product of axes of the first pattern, and a product of axes of the second. Both are
products of their *common factors*, if each boundary between axes divides the next: of ``6*4`` and ``2*12`` these are
``2*3*4``, and of ``2*6`` and ``3*4`` there are none. In terms of common factors the first pattern's left side and the
second's right side are one pattern, which is written as text again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from math import prod
from typing import NamedTuple

from plait._caches import clearable_lru_cache
from plait._shapes.coalesce import coalesce_axes
from plait._shapes.solver import NAMELESS, Axes, Dims, SolvedPattern, dimension_text


class AxisMap(NamedTuple):
    """A pattern for known shapes: the axes in each dimension, how long they are, and what they are called."""

    inputs: tuple[Dims, ...]
    output: Dims
    lengths: tuple[int, ...]
    labels: tuple[str, ...]

    @property
    def dropped(self) -> set[int]:
        """The axes of the inputs that the output lacks."""
        return {*chain(*chain(*self.inputs))} - {*chain(*self.output)}

    @property
    def added(self) -> set[int]:
        """The axes of the output that no input has."""
        return {*chain(*self.output)} - {*chain(*chain(*self.inputs))}


def axis_map(solved: SolvedPattern, slots: Sequence[int]) -> AxisMap:
    """A solved pattern with its slots filled; an axis that is stretched to the length of another tensor is left out."""
    lengths = tuple([slots[slot] for slot in solved.slots])
    sizes = iter(slots)
    inputs = [
        tuple([() if next(sizes) == 1 and len(axes) == 1 and lengths[axes[0]] != 1 else axes for axes in dims])
        for dims in solved.inputs
    ]
    return AxisMap(tuple(inputs), solved.output, lengths, solved.labels)


def compose(first: AxisMap, second: AxisMap) -> AxisMap | str:
    """Both as one, where the result of the first is the first tensor of the second; or the reason why that cannot be.

    >>> split = AxisMap((((0, 1),),), ((0,), (1,)), (2, 6), ("h", "p"))
    >>> merge = AxisMap((((0,), (1,)),), ((0, 1),), (2, 6), ("a", "b"))
    >>> compose(split, merge)
    AxisMap(inputs=(((0,),),), output=((0,),), lengths=(12,), labels=('h_p',))
    >>> compose(merge, AxisMap((((0, 1),),), ((0,), (1,)), (3, 4), ("c", "d")))
    'dimension 0 between them is a*b = 2*6 and then c*d = 3*4, which are not made of the same parts'
    """
    between = [*chain(*second.inputs[0])]
    if len({*between}) < len(between):
        return "an axis stands twice in the tensor between them"
    kept = {*chain(*second.output), *chain(*chain(*second.inputs[1:]))}
    lengths: list[int] = []  # of the factors
    before: list[Axes] = [()] * len(first.lengths)  # the factors of each axis
    after: list[Axes] = [()] * len(second.lengths)
    units: Axes = ()
    for place, (ours, theirs) in enumerate(zip(first.output, second.inputs[0], strict=True)):
        common = common_factors([first.lengths[axis] for axis in ours], [second.lengths[axis] for axis in theirs])
        if common is None:
            shown = f"{_shown(first, ours)} and then {_shown(second, theirs)}"
            return f"dimension {place} between them is {shown}, which are not made of the same parts"
        for length, one, other in common:
            before[ours[one]] += (len(lengths),)
            after[theirs[other]] += (len(lengths),)
            lengths.append(length)
        for axis in theirs:
            if not after[axis] and axis not in kept:
                after[axis] = (len(lengths),)
                units += after[axis]
                lengths.append(1)
    for side, factors, shared in ((first, before, {*chain(*first.output)}), (second, after, {*between})):
        for axis, length in enumerate(side.lengths):
            if axis not in shared:
                factors[axis] = (len(lengths),)
                lengths.append(length)
    separate = tuple([factor for factor, length in enumerate(lengths) if length == 1])
    sides = (first._replace(lengths=()), tuple(before), second._replace(lengths=()), tuple(after))
    found = compose_axes(*sides, units, separate)
    if isinstance(found, str):
        return found
    composed, runs = found
    return composed._replace(lengths=tuple([prod([lengths[factor] for factor in run]) for run in runs]))


def common_factors(one: Sequence[int], other: Sequence[int]) -> list[tuple[int, int, int]] | None:
    """The factors that both of two equal products are made of: the length of each, and its place in both.

    A length of 1 is the factor of another 1, and else of nothing.

    >>> common_factors([6, 4], [2, 1, 12])
    [(2, 0, 0), (3, 0, 2), (4, 1, 2)]
    >>> common_factors([2, 6], [3, 4])
    """
    places = [[place for place, length in enumerate(lengths) if length == 1] for lengths in (one, other)]
    found = [(1, *pair) for pair in zip(*places, strict=False)]
    left, right = [
        [(length, place) for place, length in enumerate(lengths) if length != 1][::-1] for lengths in (one, other)
    ]
    if 0 in one and [length for length, _ in left] != [length for length, _ in right]:
        return None
    while left:
        (ours, place), (theirs, spot) = left.pop(), right.pop()
        common = min(ours, theirs)
        if ours != theirs and max(ours, theirs) % common:
            return None
        found.append((common, place, spot))
        if ours > common:
            left.append((ours // common, place))
        if theirs > common:
            right.append((theirs // common, spot))
    return found


@clearable_lru_cache(maxsize=1024)
def compose_axes(
    first: AxisMap, before: tuple[Axes, ...], second: AxisMap, after: tuple[Axes, ...], units: Axes, separate: Axes
) -> tuple[AxisMap, list[Axes]] | str:
    """The part of `compose` that needs no lengths: the one pattern, and the factors of each of its axes.

    ``before`` and ``after`` are the factors of each axis of the two patterns. ``separate`` are those of length 1, and
    ``units`` those of them that only the second pattern has, and combines, which may change the elements.
    """
    tensors = [_replaced(dims, before) for dims in first.inputs] + [
        _replaced(dims, after) for dims in second.inputs[1:]
    ]
    output = _replaced(second.output, after)
    if units:
        if not tensors[0]:
            return "the tensor has no dimension in which the unit between them could stand"
        tensors[0] = ((*tensors[0][0], *units), *tensors[0][1:])
    read, written = {*chain(*chain(*tensors))}, {*chain(*output)}
    if not (read | written).issuperset(chain(*before)):
        return "an axis that the first adds is combined by the second"
    runs = coalesce_axes((*tensors, output), separate=(read ^ written).union(separate))
    numbers: dict[int, Axes] = dict.fromkeys(chain(*runs), ())
    numbers.update({run[0]: (number,) for number, run in enumerate(runs)})
    inputs = tuple([_replaced(dims, numbers) for dims in tensors])
    labels = _run_labels(runs, [*zip(first.labels, before, strict=True), *zip(second.labels, after, strict=True)])
    return AxisMap(inputs, _replaced(output, numbers), (), labels), runs


def _replaced(dims: Dims, parts: Sequence[Axes] | dict[int, Axes]) -> Dims:
    """The same dimensions with each axis replaced by others."""
    return tuple([tuple([part for axis in axes for part in parts[axis]]) for axes in dims])


def _run_labels(runs: Iterable[Axes], axes: Sequence[tuple[str, Axes]]) -> tuple[str, ...]:
    """What each run of factors is called, from the label and the factors of each axis.

    A factor has the name of the axis that is nothing else, or else that of an axis it is a part of, with a number.
    """
    ranked: dict[int, tuple[int, str]] = {}
    whole: dict[Axes, str] = {}
    for label, factors in axes:
        whole.setdefault(factors, label)
        for number, factor in enumerate(factors, 1):
            if label.isidentifier():
                candidate = (0, label) if len(factors) == 1 else (1, f"{label}{number}")
            else:
                candidate = (2, label) if len(factors) == 1 and label != NAMELESS else (3, NAMELESS)
            if factor not in ranked or candidate[0] < ranked[factor][0]:
                ranked[factor] = candidate
    labels = []
    for run in runs:
        names = [ranked[factor][1] for factor in run]
        if len(names) > 1:
            known = whole.get(run, NAMELESS)
            names = [known] if known.isidentifier() else [name for name in names if name.isidentifier()]
        labels.append("_".join(names) or NAMELESS)
    return tuple(labels)


def _shown(side: AxisMap, axes: Axes) -> str:
    """A dimension as names and lengths: ``h*p = 2*6``."""
    if not axes:
        return "1"
    lengths = "*".join([str(side.lengths[axis]) for axis in axes])
    names = "*".join([side.labels[axis] for axis in axes])
    return lengths if names == lengths else f"{names} = {lengths}"


def pattern_text(axis_map: AxisMap) -> tuple[str, dict[str, int]]:
    """A pattern with the sizes of those axes that the shapes do not tell.

    >>> pattern_text(AxisMap((((0, 1), ()),), ((1, 2), (0,)), (2, 6, 5), ("h", "p", "5")))
    ('(h p) 1 -> (p 5) h', {'p': 6})
    """
    lengths = zip(axis_map.labels, axis_map.lengths, strict=True)
    needed = tuple([min(length, 1) if label.isidentifier() else length for label, length in lengths])
    text, untold = pattern_words(axis_map._replace(lengths=needed))
    return text, {name: axis_map.lengths[axis] for name, axis in untold}


@clearable_lru_cache(maxsize=1024)
def pattern_words(axis_map: AxisMap) -> tuple[str, tuple[tuple[str, int], ...]]:
    """The text, and the names and axes of the sizes; the length of a named axis only matters where it is 0."""
    words = _words(axis_map)
    sides = [
        " ".join([dimension_text([words[axis] for axis in axes]) for axes in dims])
        for dims in (*axis_map.inputs, axis_map.output)
    ]
    text = f"{', '.join(sides[:-1])} -> {sides[-1]}".strip()
    return text, tuple([(words[axis], axis) for axis in _untold(axis_map, words)])


def _words(axis_map: AxisMap) -> dict[int, str]:
    """For each axis its label, or another name where two have the same; a length where it has none and needs none."""
    counts = Counter(chain(*chain(*axis_map.inputs), *axis_map.output))
    known = {label for label in axis_map.labels if label.isidentifier()}
    words: dict[int, str] = {}
    for axis, count in counts.items():
        label, length = axis_map.labels[axis], axis_map.lengths[axis]
        if not label.isidentifier() and count == 1 and length != 1:
            words[axis] = str(length)
            continue
        base = word = label if label.isidentifier() else "axis"
        number = 1
        while word in words.values() or (word in known and word != label):
            number += 1
            word = f"{base}{number}"
        words[axis] = word
    return words


def _untold(axis_map: AxisMap, words: dict[int, str]) -> list[int]:
    """The axes whose lengths no dimension tells: in a group all but one, and all that are new."""
    named = {axis for axis, word in words.items() if word.isidentifier()}
    told = {axes[0] for dims in axis_map.inputs for axes in dims if len(axes) == 1}
    untold: list[int] = []
    for axes in chain(*axis_map.inputs):
        if len(axes) > 1 and 0 in [axis_map.lengths[axis] for axis in axes]:  # by which nothing can be divided
            untold += [axis for axis in axes if axis in named]
        else:
            untold += [axis for axis in axes if axis in named - told][1:]
        told.update(axes)
    untold += [axis for axis in chain(*axis_map.output) if axis in axis_map.added & named]
    return list(dict.fromkeys(untold))
