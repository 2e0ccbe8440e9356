"""From axes and lengths back to the text of a pattern, and the sizes that it needs."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from itertools import chain

from plait._notation.unparse import dimension_text
from plait._shapes.composition import AxisMap


def pattern_text(axis_map: AxisMap) -> tuple[str, dict[str, int]]:
    """A pattern with the sizes of those axes that the shapes do not tell.

    >>> pattern_text(AxisMap((((0, 1), ()),), ((1, 2), (0,)), (2, 6, 5), ("h", "p", "5")))
    ('(h p) 1 -> (p 5) h', {'p': 6})
    """
    lengths = zip(axis_map.labels, axis_map.lengths, strict=True)
    needed = tuple([min(length, 1) if label.isidentifier() else length for label, length in lengths])
    text, untold = pattern_words(axis_map._replace(lengths=needed))
    return text, {name: axis_map.lengths[axis] for name, axis in untold}


@lru_cache(maxsize=1024)
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
