"""Hypothesis strategies for equations and patterns of ``einsum`` with shapes that fit, and their expected results."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from string import ascii_letters

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pattern_strategies import grouped_axes

import plait
from plait.testing import _oracle as oracle

MAX_EXAMPLES_BY_FRAMEWORK = {"ndonnx": 10, "pytensor": 4, "jax": 20, "tinygrad": 40, "keras": 50, "sparse": 50}
"""By framework that is slow, the number of drawn examples; elsewhere 100."""

LETTERS = "abijkzABKZ"
AXIS_NAMES = ["a", "b", "c", "long_name", "in", "ß"]
AXIS_LENGTHS = st.sampled_from([1, 2, 2, 2, 3, 3, 0])


@dataclass(frozen=True)
class DrawnEinsum:
    """An equation or a pattern, the shapes of its tensors, and the sizes that must be given."""

    text: str
    shapes: tuple[tuple[int, ...], ...]
    sizes: dict[str, int] = field(default_factory=dict)


def random_integer_array(shape, seed=0, dtype="float64"):
    """Return an array of integers so small that sums of their products are exact in 24 bits."""
    return np.random.default_rng(seed).integers(0 if dtype == "uint8" else -8, 9, shape).astype(dtype)


@st.composite
def classical_equations(draw, most=4):
    """Draw equations of one to ``most`` tensors in the form of NumPy.

    They have repeated letters, summed letters, ``...``, or no arrow.
    """
    letters = draw(st.lists(st.sampled_from(LETTERS), min_size=2, max_size=4, unique=True))
    lengths = {letter: draw(AXIS_LENGTHS) for letter in letters}
    ellipsis_shape = draw(_ellipsis_shape_or_none_strategy())
    terms, shapes = [], []
    for _ in range(draw(st.integers(1, most))):
        term = draw(_tensor_axes(letters))
        shape = [lengths[letter] for letter in term]
        if ellipsis_shape is not None and draw(st.integers(0, 3)):
            position = draw(st.integers(0, len(term)))
            term.insert(position, "...")
            shape[position:position] = draw(_broadcastable_shape(ellipsis_shape))
        terms.append(term)
        shapes.append(tuple(shape))
    text = ",".join([draw(_randomly_spaced_term(term)) for term in terms])
    if draw(st.booleans()):
        words = {word for term in terms for word in term}
        present = sorted(words - {"..."})
        output = draw(st.lists(st.sampled_from(present), unique=True)) if present else []
        if "..." in words:
            output.insert(draw(st.integers(0, len(output))), "...")
        text += f"->{draw(_randomly_spaced_term(output))}"
    return DrawnEinsum(text, tuple(shapes))


@st.composite
def stretched_equations(draw, most=3):
    """Draw equations in which letters and ``...`` of some tensors have length 1, and ``...`` may be summed.

    Only few frameworks support that.
    """
    case = draw(classical_equations(most))
    left, arrow, output = case.text.partition("->")
    shapes = []
    for term, shape in zip(left.split(","), case.shapes, strict=True):
        letters = letter_of_each_dimension(term, len(shape))
        stretched = {letter for letter in sorted({*letters}) if draw(st.integers(0, 3)) == 0}
        shapes.append(
            tuple([1 if letter in stretched else length for letter, length in zip(letters, shape, strict=True)])
        )
    if arrow and draw(st.booleans()):
        output = output.replace("...", "")
    return DrawnEinsum(f"{left}{arrow}{output}", tuple(shapes))


def letter_of_each_dimension(term, rank):
    """Return the letter of each dimension of a tensor of this rank; for ``...`` its index from the right, as text."""
    letters = term.replace("...", "").replace(" ", "")
    before = len(term.partition("...")[0].replace(" ", "")) if "..." in term else len(letters)
    dots = [str(index) for index in reversed(range(rank - len(letters)))]
    return [*letters[:before], *dots, *letters[before:]]


def numpy_einsum_of_explicit_letters(equation, arrays):
    """Return NumPy's result for an equation with letters of any script, and with ``...`` that may be summed.

    NumPy gets letters from a to Z for all dimensions.
    """
    left, arrow, output = equation.partition("->")
    terms = [letter_of_each_dimension(term, array.ndim) for term, array in zip(left.split(","), arrays, strict=True)]
    dots = max((sum(letter.isdigit() for letter in term) for term in terms), default=0)
    if arrow:
        kept = letter_of_each_dimension(
            output, len(output.replace("...", "").replace(" ", "")) + dots * ("..." in output)
        )
    else:
        counts = Counter(letter for term in terms for letter in term if not letter.isdigit())
        kept = [*map(str, reversed(range(dots))), *sorted(letter for letter, count in counts.items() if count == 1)]
    names = dict(zip(dict.fromkeys([letter for term in terms for letter in term]), ascii_letters, strict=False))
    text = ",".join("".join(names[letter] for letter in term) for term in terms)
    return np.einsum(f"{text}->{''.join(names[letter] for letter in kept)}", *arrays)


@st.composite
def _randomly_spaced_term(draw, words):
    """Draw the text of a term of these letters, with blanks between all of them or between none, and perhaps around."""
    blanks = st.sampled_from(["", "", "", " ", "  "])
    return f"{draw(blanks)}{draw(blanks).join(words)}{draw(blanks)}"


@st.composite
def einsum_patterns(draw, most=3):
    """Draw patterns of one to ``most`` tensors with named axes.

    They have groups on both sides, numbers, unit axes, ``...``, repeated and summed axes.
    """
    names = draw(st.lists(st.sampled_from(AXIS_NAMES), min_size=1, max_size=3, unique=True))
    lengths = {name: draw(AXIS_LENGTHS) for name in names} | {"1": 1, "2": 2, "3": 3}
    ellipsis_shape = draw(_ellipsis_shape_or_none_strategy())
    terms, shapes, dims = [], [], []
    for _ in range(draw(st.integers(1, most))):
        axes = draw(_tensor_axes([*names * 4, "2", "1", "3"]))
        position = draw(st.integers(0, len(axes)))
        (before, left), (after, right) = draw(grouped_axes(axes[:position])), draw(grouped_axes(axes[position:]))
        dotted = ellipsis_shape is not None and draw(st.integers(0, 3)) > 0
        middle = draw(_broadcastable_shape(ellipsis_shape)) if dotted else []
        terms.append(f"{before} {'...' if dotted else ''} {after}")
        shapes.append((*_dim_lengths(left, lengths), *middle, *_dim_lengths(right, lengths)))
        dims += [*left, *right]
    present = sorted({name for dim in dims for name in dim if name in names})
    kept = draw(st.lists(st.sampled_from(present), unique=True)) if present else []
    if any("..." in term for term in terms):
        kept.insert(draw(st.integers(0, len(kept))), "...")
    output, _ = draw(grouped_axes(kept))
    sizes = draw(_sufficient_sizes(dims, {name: lengths[name] for name in present}))
    return DrawnEinsum(f"{','.join(terms)} -> {output}", tuple(shapes), sizes)


@st.composite
def _tensor_axes(draw, axes):
    """Draw at most four axes of one tensor from ``axes``, some of them repeated; rarely none."""
    return draw(st.lists(st.sampled_from(axes), min_size=draw(st.sampled_from([0, 1, 1, 1])), max_size=4))


def _ellipsis_shape_or_none_strategy():
    """Draw the dimensions that ``...`` stands for, or ``None`` for no ellipsis in any tensor."""
    return st.sampled_from([None, (), (1,), (2,), (3,), (2, 3), (3, 1), (2, 2)])


@st.composite
def _broadcastable_shape(draw, ellipsis_shape):
    """Draw the dimensions that ``...`` stands for in one tensor: the last of ``ellipsis_shape``, some with length 1."""
    rank = len(ellipsis_shape) - draw(st.sampled_from([0, 0, *range(len(ellipsis_shape) + 1)]))
    return [draw(st.sampled_from([length, 1])) for length in ellipsis_shape[len(ellipsis_shape) - rank :]]


def _dim_lengths(dims, lengths):
    return [math.prod(lengths[axis] for axis in dim) for dim in dims]


@st.composite
def _sufficient_sizes(draw, dims, lengths):
    """Draw the sizes that a pattern requires, and sometimes others.

    ``dims`` are the dimensions of all tensors, each as its axes; ``lengths`` has the length of each named axis.
    """
    if 0 in lengths.values():
        return {name: lengths[name] for dim in dims if len(dim) > 1 for name in dim if name in lengths}
    ungrouped = {dim[0] for dim in dims if len(dim) == 1}
    given = {name for name in lengths if draw(st.integers(0, 5)) == 0}
    for dim in dims:
        hidden = [name for name in dim if name in lengths and name not in ungrouped]
        if hidden:
            inferred = draw(st.sampled_from(hidden))
            given.update(name for name in hidden if name != inferred or dim.count(name) > 1)
    return {name: lengths[name] for name in sorted(given)}


def shapes_with_broadcast_ellipsis(pattern, shapes):
    """Return the shapes with the dimensions of ``...`` broadcast to those of the longest tensor."""
    terms = [oracle.parse_dimensions(term, "") for term in pattern.partition("->")[0].split(",")]
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


def expected_einsum(pattern, arrays, sizes):
    """Return the result of ``einsum`` computed by its definition, as float64."""
    full_shapes = shapes_with_broadcast_ellipsis(pattern, [array.shape for array in arrays])
    return oracle.einsum(pattern, list(map(np.broadcast_to, arrays, full_shapes)), sizes).astype(float)


def expected_gradients(pattern, arrays, sizes, weights):
    """Return the gradient of the weighted sum of the result with respect to each array, by definition."""
    full_shapes = shapes_with_broadcast_ellipsis(pattern, [array.shape for array in arrays])
    broadcast_arrays = list(map(np.broadcast_to, arrays, full_shapes))
    gradients = list(map(np.zeros, full_shapes))
    for position, sources in oracle.ElementMap(pattern, full_shapes, sizes).sources.items():
        for source in sources:
            factors = [array[index] for array, index in zip(broadcast_arrays, source, strict=True)]
            for number, index in enumerate(source):
                gradients[number][index] += weights[position] * math.prod(factors[:number] + factors[number + 1 :])
    for number, (array, shape) in enumerate(zip(arrays, full_shapes, strict=True)):
        axes = tuple(axis for axis, size in enumerate(array.shape) if size != shape[axis])
        # the gradient of a broadcast element is the sum over its copies
        gradients[number] = gradients[number].sum(axes, keepdims=True)
    return gradients


def given_for_framework(framework, *strategies):
    """Return a decorator that runs a check on drawn examples, as many as suit the framework."""
    # Hypothesis fails if the recursion limit changes, which tinygrad and PyTensor raise at their first use.
    plait.asnumpy(plait.einsum(framework.make(np.ones((2, 2))), "a b -> b"))

    phases = [Phase.explicit, Phase.reuse, Phase.generate]
    if framework.name not in MAX_EXAMPLES_BY_FRAMEWORK:  # on the others it would take minutes
        phases.append(Phase.shrink)

    def run(check):
        settings(max_examples=MAX_EXAMPLES_BY_FRAMEWORK.get(framework.name, 100), phases=phases)(
            given(*strategies)(check)
        )()

    return run


def integer_arrays(shapes, dtype="float64"):
    return [random_integer_array(shape, seed, dtype) for seed, shape in enumerate(shapes)]


def assert_equal(result, expected):
    actual = plait.asnumpy(result)
    assert actual.shape == np.shape(expected)
    np.testing.assert_array_equal(actual, expected)
