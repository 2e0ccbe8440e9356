"""Drawn patterns and shapes, against the oracle; laws that hold for all of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plait
from strategies import nearly_patterns, transforms

np = pytest.importorskip("numpy")

from plait.testing import _oracle as oracle  # noqa: E402
from plait.testing._arrays import arange_array  # noqa: E402


@given(transforms("rearrange"))
@settings(max_examples=300)
def test_rearrange_is_what_the_definition_says(drawn):
    x = arange_array(drawn.shape)
    result = plait.rearrange(x, drawn.pattern, **drawn.sizes)
    np.testing.assert_array_equal(result, oracle.rearrange(drawn.pattern, x, drawn.sizes).astype(float))
    again = plait.rearrange(x, drawn.pattern, **drawn.sizes)  # by the cache this time
    np.testing.assert_array_equal(result, again)
    compiled = plait.compile(drawn.pattern, **drawn.sizes)
    np.testing.assert_array_equal(compiled.rearrange(x), result)
    assert compiled.output_shape(drawn.shape) == result.shape
    assert plait.explain(drawn.pattern, drawn.shape, **drawn.sizes).lines[-1].shape == result.shape


@given(transforms("rearrange"))
def test_the_inverse_leads_back(drawn):
    x = arange_array(drawn.shape)
    compiled = plait.compile(drawn.pattern, **drawn.sizes)
    names = {name: size for name, size in plait_sizes(drawn).items() if name not in drawn.sizes}
    there = compiled.rearrange(x)
    back = compiled.inverse(**names)
    if "(...)" in drawn.pattern:
        with pytest.raises(plait.AxisError, match="PLT208"):
            back.rearrange(there)  # nothing could tell the axes of the ellipsis apart
        return
    np.testing.assert_array_equal(back.rearrange(there), x)


def plait_sizes(drawn):
    """The size of every named axis, as the oracle finds it."""
    sizes = oracle.axis_sizes(drawn.pattern, [drawn.shape], drawn.sizes)
    return {name: size for name, size in sizes.items() if name.isidentifier()}


@given(transforms("reduce"), st.sampled_from(["sum", "max", "mean", "any", "logsumexp"]))
@settings(max_examples=200)
def test_reduce_is_what_the_definition_says(drawn, reduction):
    x = np.sin(arange_array(drawn.shape))
    result = plait.reduce(x, drawn.pattern, reduction, **drawn.sizes)
    unreduced = len(oracle.ElementMap(drawn.pattern, [drawn.shape], drawn.sizes).sources) == x.size
    if unreduced and result.dtype == x.dtype and reduction == "any":
        return  # without an axis to reduce nothing is done
    np.testing.assert_allclose(
        np.asarray(result, float),
        oracle.reduce(drawn.pattern, x, reduction, drawn.sizes).astype(float),
        rtol=1e-12,
        atol=1e-12,
    )


@given(transforms("repeat"))
@settings(max_examples=200)
def test_repeat_is_what_the_definition_says(drawn):
    x = arange_array(drawn.shape)
    result = plait.repeat(x, drawn.pattern, **drawn.sizes)
    np.testing.assert_array_equal(result, oracle.rearrange(drawn.pattern, x, drawn.sizes).astype(float))


@given(transforms("repeat"))
def test_reducing_what_was_repeated_gives_it_back(drawn):
    if 0 in drawn.sizes.values() or "(...)" in drawn.pattern:
        return
    x = arange_array(drawn.shape)
    repeated = plait.repeat(x, drawn.pattern, **drawn.sizes)
    back = plait.compile(drawn.pattern, **{**plait_sizes(drawn), **drawn.sizes}).inverse()
    np.testing.assert_array_equal(back.reduce(repeated, "max") if x.size else x, x)


@given(transforms("rearrange"))
def test_strided_inputs_make_no_difference(drawn):
    x = arange_array(drawn.shape)
    strided = np.array(x, order="F")
    wide = np.repeat(x[..., None], 2, axis=-1)[..., 0]
    result = plait.rearrange(x, drawn.pattern, **drawn.sizes)
    np.testing.assert_array_equal(plait.rearrange(strided, drawn.pattern, **drawn.sizes), result)
    np.testing.assert_array_equal(plait.rearrange(wide, drawn.pattern, **drawn.sizes), result)
    for tensor in (x, strided, wide):
        try:
            seen = plait.view(tensor, drawn.pattern, **drawn.sizes)
        except plait.CopyRequiredError:
            assert not np.shares_memory(plait.rearrange(tensor, drawn.pattern, **drawn.sizes), tensor) or not x.size
        else:
            np.testing.assert_array_equal(seen, result)
            assert np.shares_memory(seen, tensor) or not x.size


@given(
    nearly_patterns(),
    st.lists(st.integers(0, 3), max_size=4),
    st.dictionaries(st.text(max_size=2), st.integers(-1, 3), max_size=2),
)
@settings(max_examples=500)
def test_no_call_raises_anything_but_a_plait_error(pattern, shape, sizes):
    x = np.zeros(shape)
    sizes = {name: size for name, size in sizes.items() if name not in ("tensor", "pattern", "reduction")}
    for call in (
        lambda: plait.rearrange(x, pattern, **sizes),
        lambda: plait.reduce(x, pattern, "sum", **sizes),
        lambda: plait.repeat(x, pattern, **sizes),
        lambda: plait.view(x, pattern, **sizes),
        lambda: plait.einsum(x, pattern, **sizes),
        lambda: plait.einsum(pattern, x, **sizes),
        lambda: plait.einsum(x, x, pattern, **sizes),
        lambda: plait.pack([x, x], pattern),
        lambda: plait.unpack(x, [tuple(shape), (1,)], pattern),
        lambda: plait.parse_shape(x, pattern),
        lambda: plait.explain(pattern, tuple(shape), **sizes),
        lambda: plait.compile(pattern, **sizes).output_shape(tuple(shape)),
    ):
        try:
            call()
        except plait.PlaitError as error:
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
    result = plait.einsum(equation, *tensors)
    wanted = np.einsum(equation, *tensors)
    assert np.shape(result) == wanted.shape
    np.testing.assert_allclose(result, wanted, rtol=1e-10, atol=1e-10)
    torch = pytest.importorskip("torch")
    others = plait.einsum(equation, *map(torch.tensor, tensors))
    np.testing.assert_allclose(others.numpy(), wanted, rtol=1e-10, atol=1e-10)
