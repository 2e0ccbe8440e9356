"""What the tests of compositions share: patterns drawn one after the other, and how results are compared."""

from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

import plait
from strategies import NAMES, grouped, transforms

C = plait.compile


def counted(*shape):
    return np.asarray(np.arange(math.prod(shape)).reshape(shape) % 7)


def same(ours, theirs):
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


@st.composite
def followers(draw, shape, kind):
    """A pattern that takes a tensor of this shape: dimensions of several axes, named, numbered, units and dots."""
    names = itertools.chain(draw(st.permutations(NAMES)), (f"y{number}" for number in itertools.count()))
    left, axes, sizes = [], [], {}
    dots = draw(st.sampled_from([None, None, 0, 1]))
    for place, length in enumerate(shape):
        if place == dots:
            left.append("...")
            axes.append("...")
            continue
        parts = draw(st.sampled_from([parts for parts in factored(length) if len(parts) <= 3]))
        words = []
        for part in parts:
            word = str(part) if kind == "reduce" and part > 1 and draw(st.integers(0, 4)) == 0 else next(names)
            words.append(word)
            if word.isidentifier():
                axes.append(word)
                sizes[word] = part
        left.append(words[0] if len(words) == 1 else f"({' '.join(words)})")
    if kind == "reduce":
        axes = [axis for axis in axes if draw(st.booleans())]
    if kind == "repeat":
        for _ in range(draw(st.integers(0, 2))):
            name = next(names)
            axes.append(name)
            sizes[name] = draw(st.sampled_from([0, 1, 2, 3]))
    right, _ = draw(grouped(list(draw(st.permutations(axes)))))
    return C(f"{' '.join(left)} -> {right}", **sizes)


def factored(length):
    """The ways to write a length as a product of at most three, units among them."""
    if length == 0:
        return [(0,), (0, 2), (1, 0), (2, 0)]
    divisors = [part for part in range(1, length + 1) if length % part == 0]
    two = [(part, length // part) for part in divisors]
    three = [
        (part, *rest)
        for part in divisors
        for rest in [(d, length // part // d) for d in divisors]
        if _fits(part, rest, length)
    ]
    return [(length,), (length,), *two, *three]


def _fits(part, rest, length):
    return part * rest[0] * rest[1] == length


@st.composite
def chains(draw, *kinds):
    """Patterns one after the other, with the shape of the first input."""
    drawn = draw(transforms(kinds[0]))
    patterns = [C(drawn.pattern, **drawn.sizes)]
    shape = patterns[0].output_shape(drawn.shape)
    for kind in kinds[1:]:
        patterns.append(draw(followers(shape, kind)))
        shape = patterns[-1].output_shape(shape)
    assume(math.prod(drawn.shape) < 10_000 and math.prod(shape) < 10_000)
    return drawn.shape, patterns


def whole(patterns):
    composed = patterns[0]
    for pattern in patterns[1:]:
        composed = composed >> pattern
    return composed
