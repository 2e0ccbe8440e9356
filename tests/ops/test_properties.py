"""Drawn patterns and shapes, against the oracle; laws that hold for all of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle
import weft
from strategies import nearly_patterns, transforms

np = pytest.importorskip("numpy")


def distinct(shape):
    return np.arange(math.prod(shape), dtype=np.float64).reshape(shape)


def expected(found):
    shape, elements = found
    array = np.empty(shape)
    for place, value in elements.items():
        array[place] = value
    return array


@given(transforms("rearrange"))
@settings(max_examples=300)
def test_rearrange_is_what_the_definition_says(drawn):
    x = distinct(drawn.shape)
    result = weft.rearrange(x, drawn.pattern, **drawn.sizes)
    np.testing.assert_array_equal(result, expected(oracle.move(drawn.pattern, x, drawn.sizes)))
    again = weft.rearrange(x, drawn.pattern, **drawn.sizes)  # by the cache this time
    np.testing.assert_array_equal(result, again)
    compiled = weft.compile(drawn.pattern, **drawn.sizes)
    np.testing.assert_array_equal(compiled.rearrange(x), result)
    assert compiled.output_shape(drawn.shape) == result.shape
    assert weft.explain(drawn.pattern, drawn.shape, **drawn.sizes).lines[-1].shape == result.shape


@given(transforms("rearrange"))
def test_the_inverse_leads_back(drawn):
    x = distinct(drawn.shape)
    compiled = weft.compile(drawn.pattern, **drawn.sizes)
    names = {name: size for name, size in weft_sizes(drawn).items() if name not in drawn.sizes}
    there = compiled.rearrange(x)
    back = compiled.inverse(**names)
    if "(...)" in drawn.pattern:
        with pytest.raises(weft.AxisError, match="W208"):
            back.rearrange(there)  # nothing could tell the axes of the ellipsis apart
        return
    np.testing.assert_array_equal(back.rearrange(there), x)


def weft_sizes(drawn):
    """The size of every named axis, as the oracle finds it."""
    left, _, _ = drawn.pattern.partition("->")
    dims = oracle.read(left, "<")
    dims = oracle.spread(dims, len(drawn.shape) - len(dims) + 1)
    sizes = oracle.solve([dims], [drawn.shape], drawn.sizes)
    return {name: size for name, size in sizes.items() if name.isidentifier()}


@given(transforms("reduce"), st.sampled_from(["sum", "max", "mean", "any", "logsumexp"]))
@settings(max_examples=200)
def test_reduce_is_what_the_definition_says(drawn, reduction):
    x = np.sin(distinct(drawn.shape))
    result = weft.reduce(x, drawn.pattern, reduction, **drawn.sizes)
    unreduced = len(oracle.Meaning(drawn.pattern, [drawn.shape], drawn.sizes).sources) == x.size
    if unreduced and result.dtype == x.dtype and reduction == "any":
        return  # without an axis to reduce nothing is done
    np.testing.assert_allclose(
        np.asarray(result, float),
        expected(oracle.reduce(drawn.pattern, x, reduction, drawn.sizes)).astype(float),
        rtol=1e-12,
        atol=1e-12,
    )


@given(transforms("repeat"))
@settings(max_examples=200)
def test_repeat_is_what_the_definition_says(drawn):
    x = distinct(drawn.shape)
    result = weft.repeat(x, drawn.pattern, **drawn.sizes)
    np.testing.assert_array_equal(result, expected(oracle.move(drawn.pattern, x, drawn.sizes)))


@given(transforms("repeat"))
def test_reducing_what_was_repeated_gives_it_back(drawn):
    if 0 in drawn.sizes.values() or "(...)" in drawn.pattern:
        return
    x = distinct(drawn.shape)
    repeated = weft.repeat(x, drawn.pattern, **drawn.sizes)
    back = weft.compile(drawn.pattern, **{**weft_sizes(drawn), **drawn.sizes}).inverse()
    np.testing.assert_array_equal(back.reduce(repeated, "max") if x.size else x, x)


@given(transforms("rearrange"))
def test_strided_inputs_make_no_difference(drawn):
    x = distinct(drawn.shape)
    strided = np.array(x, order="F")
    wide = np.repeat(x[..., None], 2, axis=-1)[..., 0]
    result = weft.rearrange(x, drawn.pattern, **drawn.sizes)
    np.testing.assert_array_equal(weft.rearrange(strided, drawn.pattern, **drawn.sizes), result)
    np.testing.assert_array_equal(weft.rearrange(wide, drawn.pattern, **drawn.sizes), result)
    for tensor in (x, strided, wide):
        try:
            seen = weft.view(tensor, drawn.pattern, **drawn.sizes)
        except weft.CopyNeeded:
            assert not np.shares_memory(weft.rearrange(tensor, drawn.pattern, **drawn.sizes), tensor) or not x.size
        else:
            np.testing.assert_array_equal(seen, result)
            assert np.shares_memory(seen, tensor) or not x.size


@given(
    nearly_patterns(),
    st.lists(st.integers(0, 3), max_size=4),
    st.dictionaries(st.text(max_size=2), st.integers(-1, 3), max_size=2),
)
@settings(max_examples=500)
def test_no_call_raises_anything_but_a_weft_error(pattern, shape, sizes):
    x = np.zeros(shape)
    sizes = {name: size for name, size in sizes.items() if name not in ("tensor", "pattern", "reduction")}
    for call in (
        lambda: weft.rearrange(x, pattern, **sizes),
        lambda: weft.reduce(x, pattern, "sum", **sizes),
        lambda: weft.repeat(x, pattern, **sizes),
        lambda: weft.view(x, pattern, **sizes),
        lambda: weft.einsum(x, pattern, **sizes),
        lambda: weft.einsum(pattern, x, **sizes),
        lambda: weft.einsum(x, x, pattern, **sizes),
        lambda: weft.pack([x, x], pattern),
        lambda: weft.unpack(x, [tuple(shape), (1,)], pattern),
        lambda: weft.parse_shape(x, pattern),
        lambda: weft.explain(pattern, tuple(shape), **sizes),
        lambda: weft.compile(pattern, **sizes).output_shape(tuple(shape)),
    ):
        try:
            call()
        except weft.WeftError as error:
            assert error.code
            assert str(error)


@given(st.data())
def test_classical_einsum_agrees_with_numpy(data):
    letters = data.draw(st.permutations("abcdE"))[:4]
    lengths = dict(zip(letters, data.draw(st.lists(st.integers(1, 3), min_size=4, max_size=4)), strict=True))
    terms = data.draw(st.lists(st.lists(st.sampled_from(letters), max_size=3), min_size=1, max_size=3))
    equation = ",".join("".join(term) for term in terms)
    if data.draw(st.booleans()):
        present = sorted({letter for term in terms for letter in term})
        equation += "->" + "".join(data.draw(st.permutations(present))[: data.draw(st.integers(0, len(present)))])
    rng = np.random.default_rng(0)
    tensors = [rng.normal(size=[lengths[letter] for letter in term]) for term in terms]
    result = weft.einsum(equation, *tensors)
    wanted = np.einsum(equation, *tensors)
    assert np.shape(result) == wanted.shape
    np.testing.assert_allclose(result, wanted, rtol=1e-10, atol=1e-10)
    torch = pytest.importorskip("torch")
    others = weft.einsum(equation, *map(torch.tensor, tensors))
    np.testing.assert_allclose(others.numpy(), wanted, rtol=1e-10, atol=1e-10)
