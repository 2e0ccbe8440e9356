"""Helpers of the tests of pipelines: chains of random patterns, and the comparison of results."""

from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from pattern_strategies import AXIS_NAMES, grouped_axes, transform_patterns

import plait

to_pattern = plait.compile


def integers_modulo_7(*shape):
    """Return an array of the integers 0 to 6, repeated in order."""
    return np.asarray(np.arange(math.prod(shape)).reshape(shape) % 7)


def assert_equal_arrays(ours, theirs):
    """Assert that two arrays have the same shape, dtype and elements."""
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


@st.composite
def patterns_for_shape(draw, shape, kind):
    """Draw a pattern for a tensor of this shape, with groups, names, numbers, unit axes, or an ellipsis."""
    names = itertools.chain(draw(st.permutations(AXIS_NAMES)), (f"y{number}" for number in itertools.count()))
    left, axes, sizes = [], [], {}
    dots = draw(st.sampled_from([None, None, 0, 1]))
    for position, length in enumerate(shape):
        if position == dots:
            left.append("...")
            axes.append("...")
            continue
        parts = draw(st.sampled_from([parts for parts in list_factorizations(length) if len(parts) <= 3]))
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
    right, _ = draw(grouped_axes(list(draw(st.permutations(axes)))))
    return to_pattern(f"{' '.join(left)} -> {right}", **sizes)


def list_factorizations(length):
    """Return the ways to write a length as a product of at most three factors, which may be 1."""
    if length == 0:
        return [(0,), (0, 2), (1, 0), (2, 0)]
    divisors = [part for part in range(1, length + 1) if length % part == 0]
    two = [(part, length // part) for part in divisors]
    three = [
        (part, *rest)
        for part in divisors
        for rest in [(d, length // part // d) for d in divisors]
        if _is_factorization(part, rest, length)
    ]
    return [(length,), (length,), *two, *three]


def _is_factorization(part, rest, length):
    return part * rest[0] * rest[1] == length


@st.composite
def pattern_chains(draw, *kinds):
    """Draw patterns that follow each other, and the shape of the first input."""
    drawn = draw(transform_patterns(kinds[0]))
    patterns = [to_pattern(drawn.pattern, **drawn.sizes)]
    shape = patterns[0].output_shape(drawn.shape)
    for kind in kinds[1:]:
        patterns.append(draw(patterns_for_shape(shape, kind)))
        shape = patterns[-1].output_shape(shape)
    assume(math.prod(drawn.shape) < 10_000 and math.prod(shape) < 10_000)
    return drawn.shape, patterns


def compose_all(patterns):
    """Return the pipeline of all patterns."""
    composed = patterns[0]
    for pattern in patterns[1:]:
        composed = composed >> pattern
    return composed
