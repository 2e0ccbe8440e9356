"""Pipelines of random patterns: one call of the pipeline equals separate calls of its stages."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import plait

np = pytest.importorskip("numpy")

from pipelines import assert_equal_arrays, compose_all, integers_modulo_7, pattern_chains, to_pattern  # noqa: E402


def run_stages_separately(operations, patterns, x, *more):
    """Return the result of one call of plait's functions for each pattern."""
    for operation, pattern in zip(operations, patterns, strict=True):
        x = getattr(plait, operation)(x, pattern.text, *(more if operation == "reduce" else ()), **pattern.sizes)
    return x


@given(pattern_chains("rearrange", "rearrange"))
@settings(max_examples=100, deadline=None)
def test_rearrange_pipeline_equals_separate_calls(drawn):
    shape, patterns = drawn
    x = integers_modulo_7(*shape)
    expected = run_stages_separately(["rearrange"] * 2, patterns, x)
    composed = compose_all(patterns)
    for _ in range(2):
        assert_equal_arrays(composed.rearrange(x), expected)
    assert composed.output_shape(shape) == expected.shape
    assert composed.explain(shape).lines[-1].shape == expected.shape
    try:
        seen = patterns[1].view(patterns[0].view(x))
    except plait.CopyRequiredError:
        return
    assert_equal_arrays(composed.view(x), seen)


@given(pattern_chains("rearrange", "rearrange", "rearrange"))
@settings(max_examples=60, deadline=None)
def test_three_stage_pipeline_equals_separate_calls(drawn):
    shape, patterns = drawn
    one, two, three = patterns
    x = integers_modulo_7(*shape)
    expected = run_stages_separately(["rearrange"] * 3, patterns, x)
    assert_equal_arrays((one >> two >> three).rearrange(x), expected)
    assert (one >> two) >> three == one >> (two >> three)


@given(
    st.sampled_from([("repeat", "rearrange"), ("rearrange", "repeat"), ("repeat", "repeat")]).flatmap(
        lambda k: pattern_chains(*k)
    )
)
@settings(max_examples=100, deadline=None)
def test_repeat_pipeline_equals_separate_calls(drawn):
    shape, patterns = drawn
    x = integers_modulo_7(*shape)
    assert_equal_arrays(compose_all(patterns).repeat(x), run_stages_separately(["repeat"] * 2, patterns, x))


REDUCE_PIPELINE_OPERATIONS = [
    ("rearrange", "reduce"),
    ("reduce", "rearrange"),
    ("reduce", "reduce"),
    ("repeat", "reduce"),
    ("reduce", "repeat"),
]
REDUCTIONS = ["sum", "prod", "min", "max", "any", "all"]


@given(
    st.sampled_from(REDUCE_PIPELINE_OPERATIONS).flatmap(
        lambda kinds: st.tuples(st.just(kinds), pattern_chains(*kinds))
    ),
    st.sampled_from(REDUCTIONS),
)
@settings(max_examples=150, deadline=None)
def test_reduce_pipeline_equals_separate_calls(drawn, reduction):
    kinds, (shape, patterns) = drawn
    x = integers_modulo_7(*shape)
    steps = ["repeat" if kind == "repeat" else "reduce" for kind in kinds]
    composed = compose_all(patterns)
    try:
        expected = run_stages_separately(steps, patterns, x, reduction)
    except plait.PlaitError as error:
        with pytest.raises(type(error), match=error.code):
            composed.reduce(x, reduction)
        return
    for _ in range(2):
        assert_equal_arrays(composed.reduce(x, reduction), expected)


@given(pattern_chains("reduce", "reduce"), st.sampled_from(["mean", "var", "std", "logsumexp"]))
@settings(max_examples=60, deadline=None)
def test_reduce_pipeline_of_floats_is_close(drawn, reduction):
    shape, patterns = drawn
    x = np.sin(integers_modulo_7(*shape))
    expected = run_stages_separately(["reduce"] * 2, patterns, x, reduction)
    np.testing.assert_allclose(compose_all(patterns).reduce(x, reduction), expected, atol=1e-12)


@given(pattern_chains("rearrange", "reduce"), st.data())
@settings(max_examples=60, deadline=None)
def test_einsum_pipeline_equals_separate_calls(drawn, data):
    shape, (first, last) = drawn
    assume("..." not in last.text)
    x = integers_modulo_7(*shape)
    left, _, right = last.text.partition("->")
    names = [word for word in left.replace("(", " ").replace(")", " ").split() if word.isidentifier()]
    shared = [name for name in names if data.draw(st.booleans())]
    other = integers_modulo_7(*[last.sizes[name] for name in shared], 3)
    product = to_pattern(f"{left}, {' '.join(shared)} other -> other {right}", **last.sizes)
    middle = first.rearrange(x)
    assert_equal_arrays((first >> product).einsum(x, other), product.einsum(middle, other))
    assert_equal_arrays((first >> last).einsum(x), last.einsum(middle))
    after = to_pattern("... -> (...)")
    assert_equal_arrays((first >> product >> after).einsum(x, other), after.rearrange(product.einsum(middle, other)))
