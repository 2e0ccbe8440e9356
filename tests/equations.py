"""Equations and patterns of ``einsum`` drawn at random, with shapes that fit, and what the definition makes of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from plait.testing import _oracle as oracle
from strategies import grouped

LETTERS = "abijkzABKZ"
NAMES = ["a", "b", "c", "long_name", "in", "ß"]
LENGTHS = st.sampled_from([1, 2, 2, 2, 3, 3, 0])


@dataclass(frozen=True)
class Drawn:
    """An equation or a pattern, the shapes of its tensors, and the sizes that must be given."""

    text: str
    shapes: tuple[tuple[int, ...], ...]
    sizes: dict[str, int] = field(default_factory=dict)


def whole(shape, seed=0, dtype="float64"):
    """An array of whole numbers so small that the sums of their products here are exact in 24 bits."""
    return np.random.default_rng(seed).integers(0 if dtype == "uint8" else -8, 9, shape).astype(dtype)


@st.composite
def equations(draw, most=4):
    """The classical form: letters that stand twice in a tensor or in one tensor alone, ``...``, or no arrow."""
    letters = draw(st.lists(st.sampled_from(LETTERS), min_size=2, max_size=4, unique=True))
    lengths = {letter: draw(LENGTHS) for letter in letters}
    longest = draw(_ellipses())
    terms, shapes = [], []
    for _ in range(draw(st.integers(1, most))):
        term = draw(_few(letters))
        shape = [lengths[letter] for letter in term]
        if longest is not None and draw(st.integers(0, 3)):
            place = draw(st.integers(0, len(term)))
            term.insert(place, "...")
            shape[place:place] = draw(_part(longest))
        terms.append(term)
        shapes.append(tuple(shape))
    words = [word for term in terms for word in (",", *term)][1:]
    if draw(st.booleans()):
        present = sorted({*words} - {",", "..."})
        output = draw(st.lists(st.sampled_from(present), unique=True)) if present else []
        if "..." in words:
            output.insert(draw(st.integers(0, len(output))), "...")
        words += ["->", *output]
    spaces = draw(st.lists(st.sampled_from(["", "", "", " ", "  "]), min_size=len(words), max_size=len(words)))
    return Drawn("".join(space + word for space, word in zip(spaces, words, strict=True)), tuple(shapes))


@st.composite
def patterns(draw, most=3):
    """The named form: groups on both sides, numbers, units, ``...``, axes that stand twice or in one tensor alone."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    lengths = {name: draw(LENGTHS) for name in names} | {"1": 1, "2": 2, "3": 3}
    longest = draw(_ellipses())
    terms, shapes, dims = [], [], []
    for _ in range(draw(st.integers(1, most))):
        axes = draw(_few([*names * 4, "2", "1", "3"]))
        place = draw(st.integers(0, len(axes)))
        (before, left), (after, right) = draw(grouped(axes[:place])), draw(grouped(axes[place:]))
        dotted = longest is not None and draw(st.integers(0, 3)) > 0
        middle = draw(_part(longest)) if dotted else []
        terms.append(f"{before} {'...' if dotted else ''} {after}")
        shapes.append((*_lengths(left, lengths), *middle, *_lengths(right, lengths)))
        dims += [*left, *right]
    present = sorted({name for dim in dims for name in dim if name in names})
    kept = draw(st.lists(st.sampled_from(present), unique=True)) if present else []
    if any("..." in term for term in terms):
        kept.insert(draw(st.integers(0, len(kept))), "...")
    output, _ = draw(grouped(kept))
    sizes = draw(_sizes(dims, {name: lengths[name] for name in present}))
    return Drawn(f"{','.join(terms)} -> {output}", tuple(shapes), sizes)


@st.composite
def _few(draw, axes):
    """The axes of one tensor, some of them twice; rarely none at all."""
    return draw(st.lists(st.sampled_from(axes), min_size=draw(st.sampled_from([0, 1, 1, 1])), max_size=4))


def _ellipses():
    """The dimensions that ``...`` stands for, or that no tensor has any."""
    return st.sampled_from([None, (), (1,), (2,), (3,), (2, 3), (3, 1), (2, 2)])


@st.composite
def _part(draw, longest):
    """The dimensions of one tensor that stand for ``...``: the last of the longest, some of length 1."""
    rank = len(longest) - draw(st.sampled_from([0, 0, *range(len(longest) + 1)]))
    return [draw(st.sampled_from([length, 1])) for length in longest[len(longest) - rank :]]


def _lengths(dims, lengths):
    return [math.prod(lengths[axis] for axis in dim) for dim in dims]


@st.composite
def _sizes(draw, dims, lengths):
    """The sizes that a pattern cannot do without, and sometimes others."""
    if 0 in lengths.values():
        return {name: lengths[name] for dim in dims if len(dim) > 1 for name in dim if name in lengths}
    alone = {dim[0] for dim in dims if len(dim) == 1}
    given = {name for name in lengths if draw(st.integers(0, 5)) == 0}
    for dim in dims:
        hidden = [name for name in dim if name in lengths and name not in alone]
        if hidden:
            inferred = draw(st.sampled_from(hidden))
            given.update(name for name in hidden if name != inferred or dim.count(name) > 1)
    return {name: lengths[name] for name in sorted(given)}


def stretched(pattern, shapes):
    """The shapes with every dimension of ``...`` as long as the longest tensor has it."""
    terms = [oracle.read_side(term, "") for term in pattern.partition("->")[0].split(",")]
    spans = [
        (term.index(["..."]), len(shape) - len(term) + 1) if ["..."] in term else (0, 0)
        for term, shape in zip(terms, shapes, strict=True)
    ]
    dots = [shape[start : start + rank] for shape, (start, rank) in zip(shapes, spans, strict=True)]
    longest = np.broadcast_shapes(*dots)
    return [
        (*shape[:start], *longest[len(longest) - rank :], *shape[start + rank :])
        for shape, (start, rank) in zip(shapes, spans, strict=True)
    ]


def meant(pattern, arrays, sizes):
    """What the definition makes of a pattern."""
    full = stretched(pattern, [array.shape for array in arrays])
    return oracle.einsum(pattern, list(map(np.broadcast_to, arrays, full)), sizes).astype(float)


def slopes(pattern, arrays, sizes, weights):
    """The gradient of the weighted sum of the result with respect to each array, by the definition."""
    full = stretched(pattern, [array.shape for array in arrays])
    wide = list(map(np.broadcast_to, arrays, full))
    found = list(map(np.zeros, full))
    for position, sources in oracle.ElementMap(pattern, full, sizes).sources.items():
        for source in sources:
            factors = [array[index] for array, index in zip(wide, source, strict=True)]
            for number, index in enumerate(source):
                found[number][index] += weights[position] * math.prod(factors[:number] + factors[number + 1 :])
    for number, (array, shape) in enumerate(zip(arrays, full, strict=True)):
        axes = tuple(axis for axis, size in enumerate(array.shape) if size != shape[axis])
        found[number] = found[number].sum(axes, keepdims=True)  # a stretched element counts wherever it stands
    return found
