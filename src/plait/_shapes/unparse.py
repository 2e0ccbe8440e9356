"""From axes and lengths back to the text of a pattern, and the sizes that it needs."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from itertools import chain

from plait._shapes.composition import Wiring
from plait._shapes.weave import Axes, Dims


def spelled(wire: Wiring) -> tuple[str, dict[str, int]]:
    """A pattern with the sizes of those axes that the shapes do not tell.

    >>> spelled(Wiring((((0, 1), ()),), ((1, 2), (0,)), (2, 6, 5), ("h", "p", "5")))
    ('(h p) 1 -> (p 5) h', {'p': 6})
    """
    lengths = zip(wire.labels, wire.lengths, strict=True)
    kinds = tuple([min(length, 1) if label.isidentifier() else length for label, length in lengths])
    text, untold = spelling(wire.inputs, wire.output, kinds, wire.labels)
    return text, {name: wire.lengths[axis] for name, axis in untold}


@lru_cache(maxsize=1024)
def spelling(
    inputs: tuple[Dims, ...], output: Dims, kinds: tuple[int, ...], labels: tuple[str, ...]
) -> tuple[str, tuple[tuple[str, int], ...]]:
    """The text, and the names and axes of the sizes: of a named axis it matters only whether it is empty."""
    wire = Wiring(inputs, output, kinds, labels)
    words = _words(wire)
    sides = [" ".join([_dimension(axes, words) for axes in dims]) for dims in (*inputs, output)]
    text = f"{', '.join(sides[:-1])} -> {sides[-1]}".strip()
    return text, tuple([(words[axis], axis) for axis in _untold(wire, words)])


def _dimension(axes: Axes, words: dict[int, str]) -> str:
    found = [words[axis] for axis in axes] or ["1"]
    return found[0] if len(found) == 1 else f"({' '.join(found)})"


def _words(wire: Wiring) -> dict[int, str]:
    """For each axis its label, or another name where two have the same; a length where it has none and needs none."""
    stands = Counter(chain(*chain(*wire.inputs), *wire.output))
    known = {label for label in wire.labels if label.isidentifier()}
    words: dict[int, str] = {}
    for axis, count in stands.items():
        label, length = wire.labels[axis], wire.lengths[axis]
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


def _untold(wire: Wiring, words: dict[int, str]) -> list[int]:
    """The axes whose lengths no dimension tells: in a group all but one, and all that are new."""
    named = {axis for axis, word in words.items() if word.isidentifier()}
    told = {axes[0] for dims in wire.inputs for axes in dims if len(axes) == 1}
    untold: list[int] = []
    for axes in chain(*wire.inputs):
        if len(axes) > 1 and 0 in [wire.lengths[axis] for axis in axes]:  # by which nothing can be divided
            untold += [axis for axis in axes if axis in named]
        else:
            untold += [axis for axis in axes if axis in named - told][1:]
        told.update(axes)
    untold += [axis for axis in chain(*wire.output) if axis in wire.new & named]
    return list(dict.fromkeys(untold))
