"""Property tests: random patterns and shapes, compared with the reference implementation in `oracle`."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pattern_strategies import malformed_patterns, transform_patterns

import plait

np = pytest.importorskip("numpy")

from plait.testing import _oracle as oracle  # noqa: E402
from plait.testing._arrays import arange_array  # noqa: E402


@given(transform_patterns("rearrange"))
@settings(max_examples=300)
def test_rearrange_equals_the_reference_implementation(drawn):
    x = arange_array(drawn.shape)
    result = plait.rearrange(x, drawn.pattern, **drawn.sizes)
    np.testing.assert_array_equal(result, oracle.rearrange(drawn.pattern, x, drawn.sizes).astype(float))
    again = plait.rearrange(x, drawn.pattern, **drawn.sizes)  # the second call uses the cache
    np.testing.assert_array_equal(result, again)
    compiled = plait.compile(drawn.pattern, **drawn.sizes)
    np.testing.assert_array_equal(compiled.rearrange(x), result)
    assert compiled.output_shape(drawn.shape) == result.shape
    assert plait.explain(drawn.pattern, drawn.shape, **drawn.sizes).lines[-1].shape == result.shape


@given(transform_patterns("rearrange"))
def test_inverse_undoes_rearrange(drawn):
    x = arange_array(drawn.shape)
    compiled = plait.compile(drawn.pattern, **drawn.sizes)
    names = {name: size for name, size in axis_sizes_by_oracle(drawn).items() if name not in drawn.sizes}
    there = compiled.rearrange(x)
    back = compiled.inverse(**names)
    if "(...)" in drawn.pattern:
        with pytest.raises(plait.AxisError, match="PLT208"):
            back.rearrange(there)  # the lengths in the ellipsis cannot be inferred from its product
        return
    np.testing.assert_array_equal(back.rearrange(there), x)


def axis_sizes_by_oracle(drawn):
    """The size of every named axis, computed by the reference implementation."""
    sizes = oracle.axis_sizes(drawn.pattern, [drawn.shape], drawn.sizes)
    return {name: size for name, size in sizes.items() if name.isidentifier()}


@given(transform_patterns("reduce"), st.sampled_from(["sum", "max", "mean", "any", "logsumexp"]))
@settings(max_examples=200)
def test_reduce_equals_the_reference_implementation(drawn, reduction):
    x = np.sin(arange_array(drawn.shape))
    result = plait.reduce(x, drawn.pattern, reduction, **drawn.sizes)
    unreduced = len(oracle.ElementMap(drawn.pattern, [drawn.shape], drawn.sizes).sources) == x.size
    if unreduced and result.dtype == x.dtype and reduction == "any":
        return  # without an axis to reduce the input is returned unchanged
    np.testing.assert_allclose(
        np.asarray(result, float),
        oracle.reduce(drawn.pattern, x, reduction, drawn.sizes).astype(float),
        rtol=1e-12,
        atol=1e-12,
    )


@given(transform_patterns("repeat"))
@settings(max_examples=200)
def test_repeat_equals_the_reference_implementation(drawn):
    x = arange_array(drawn.shape)
    result = plait.repeat(x, drawn.pattern, **drawn.sizes)
    np.testing.assert_array_equal(result, oracle.rearrange(drawn.pattern, x, drawn.sizes).astype(float))


@given(transform_patterns("repeat"))
def test_reducing_a_repeated_tensor_restores_it(drawn):
    if 0 in drawn.sizes.values() or "(...)" in drawn.pattern:
        return
    x = arange_array(drawn.shape)
    repeated = plait.repeat(x, drawn.pattern, **drawn.sizes)
    back = plait.compile(drawn.pattern, **{**axis_sizes_by_oracle(drawn), **drawn.sizes}).inverse()
    np.testing.assert_array_equal(back.reduce(repeated, "max") if x.size else x, x)


@given(transform_patterns("rearrange"))
def test_results_do_not_depend_on_input_strides(drawn):
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
    malformed_patterns(),
    st.lists(st.integers(0, 3), max_size=4),
    st.dictionaries(st.text(max_size=2), st.integers(-1, 3), max_size=2),
)
@settings(max_examples=500)
def test_calls_with_random_arguments_raise_only_plait_errors(pattern, shape, sizes):
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
def test_classical_einsum_equals_numpy(data):
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
