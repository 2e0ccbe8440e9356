"""MLX's transformations (compile, grad, vmap) and streams, and its graphs compared with those of hand-written code."""

from __future__ import annotations

import io
import re
from collections import Counter

import numpy as np
import pytest

import plait

mx = pytest.importorskip("mlx.core")

SHAPE = (2, 3, 4, 6)
OTHER_SHAPE = (5, 3, 8, 6)


def native_space_to_depth(x):
    b, c, h, w = x.shape
    x = mx.reshape(x, (b, c, h // 2, 2, w // 2, 2))
    return mx.reshape(mx.transpose(x, (0, 1, 3, 5, 2, 4)), (b, c * 4, h // 2, w // 2))


def native_repeat(x):
    b, c, h, w = x.shape
    return mx.reshape(mx.broadcast_to(mx.reshape(x, (b, c, h, 1, w)), (b, c, h, 2, w)), (b, c, h * 2, w))


PLAIT_AND_NATIVE_CALLS = {
    "identity": (lambda x: plait.rearrange(x, "... -> ..."), lambda x: x),
    "permute": (lambda x: plait.rearrange(x, "b c h w -> b h w c"), lambda x: mx.transpose(x, (0, 2, 3, 1))),
    "merge": (lambda x: plait.rearrange(x, "b c h w -> b (c h w)"), lambda x: mx.reshape(x, (x.shape[0], -1))),
    "space to depth": (
        lambda x: plait.rearrange(x, "b c (h p) (w q) -> b (c p q) h w", p=2, q=2),
        native_space_to_depth,
    ),
    "max": (
        lambda x: plait.reduce(x, "b c (h 2) w -> b c h w", "max"),
        lambda x: mx.max(mx.reshape(x, (*x.shape[:2], x.shape[2] // 2, 2, x.shape[3])), (3,)),
    ),
    "mean": (lambda x: plait.reduce(x, "b c h w -> b c", "mean"), lambda x: mx.mean(x, (2, 3))),
    "logsumexp": (
        lambda x: plait.reduce(x, "b c h w -> b (c h)", "logsumexp"),
        lambda x: mx.reshape(mx.logsumexp(x, (3,)), (x.shape[0], -1)),
    ),
    "callable": (lambda x: plait.reduce(x, "b c h w -> h w", mx.min), lambda x: mx.min(x, (0, 1))),
    "repeat": (lambda x: plait.repeat(x, "b c h w -> b c (h r) w", r=2), native_repeat),
    "einsum": (
        lambda x: plait.einsum(x, x, "b c h w, b d h w -> b c d"),
        lambda x: mx.einsum("bchw,bdhw->bcd", x, x),
    ),
    "classical einsum": (lambda x: plait.einsum("...i,...i", x, x), lambda x: mx.einsum("...i,...i->...", x, x)),
    "list": (
        lambda x: plait.rearrange([x, x + 1], "k b c h w -> b (k c) h w"),
        lambda x: mx.reshape(
            mx.transpose(mx.stack([x, x + 1]), (1, 0, 2, 3, 4)), (x.shape[0], 2 * x.shape[1], *x.shape[2:])
        ),
    ),
    "pack": (
        lambda x: plait.pack([x, x[:, :, 0]], "b c * w")[0],
        lambda x: mx.concatenate([x, mx.reshape(x[:, :, 0], (*x.shape[:2], 1, x.shape[3]))], 2),
    ),
    "unpack": (
        lambda x: plait.unpack(x, [(), (2, -1), (1,)], "b c h *")[1],
        lambda x: mx.reshape(x[..., 1:5], (*x.shape[:3], 2, 2)),
    ),
    "size": (
        lambda x: plait.rearrange(x, "b c (h p) w -> b c h p w", p=x.shape[2] // 2),
        lambda x: mx.reshape(x, (*x.shape[:2], 2, x.shape[2] // 2, x.shape[3])),
    ),
}

each_call = pytest.mark.parametrize(
    ("call", "native"), PLAIT_AND_NATIVE_CALLS.values(), ids=PLAIT_AND_NATIVE_CALLS.keys()
)


def random_array(shape, seed=0):
    return mx.random.normal(shape, key=mx.random.key(seed))


def assert_equal(one, other):
    assert one.shape == other.shape
    assert one.dtype == other.dtype
    np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def assert_close(one, other):
    assert one.shape == other.shape
    np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-5, atol=1e-6)


def count_primitives(call, x):
    """How often each of MLX's primitives is in the graph that a call builds."""
    mx.eval(x)
    text = io.StringIO()
    mx.export_to_dot(text, call(x))
    return Counter(re.findall(r'label ="(\w+)", shape=rectangle', text.getvalue()))


@each_call
def test_eager_calls_equal_native_calls(call, native):
    x = random_array(SHAPE)
    assert_equal(call(x), native(x))


@each_call
def test_the_graph_is_that_of_the_hand_written_code(call, native):
    x = random_array(SHAPE)
    assert count_primitives(call, x) == count_primitives(native, x)


def test_the_graph_of_an_identity_is_empty():
    assert count_primitives(lambda x: plait.rearrange(x, "a ... -> a ..."), random_array(SHAPE)) == {}


def test_building_a_graph_computes_nothing():
    before = mx.get_peak_memory()
    x = mx.zeros((1 << 12, 1 << 14))  # 256 MiB if it were computed
    y = plait.repeat(plait.reduce(plait.rearrange(x, "a b -> b a"), "b a -> a", "mean"), "a -> a r", r=1 << 14)
    assert y.shape == (1 << 12, 1 << 14)
    assert mx.get_peak_memory() == before


@each_call
def test_compiled_calls_equal_native_calls(call, native):
    compiled = mx.compile(call)
    for shape in (SHAPE, OTHER_SHAPE, SHAPE):  # each shape is traced once
        x = random_array(shape)
        assert_close(compiled(x), native(x))


SHAPELESS_CALL_NAMES = ("identity", "permute", "mean", "callable")
"""Calls whose steps name no size, which MLX's graphs without shapes can hold."""


@pytest.mark.parametrize("name", SHAPELESS_CALL_NAMES)
def test_shapeless_compile_of_plans_without_sizes(name):
    call, native = PLAIT_AND_NATIVE_CALLS[name]
    traces = []
    compiled = mx.compile(lambda x: traces.append(1) or call(x), shapeless=True)
    for shape in (SHAPE, OTHER_SHAPE):
        x = random_array(shape)
        assert_close(compiled(x), native(x))
    assert len(traces) == 1


@pytest.mark.parametrize("name", ["merge", "space to depth", "repeat", "einsum"])
def test_shapeless_compile_of_plans_with_sizes_refuses_other_shapes(name):
    for call in PLAIT_AND_NATIVE_CALLS[name]:
        if name == "merge" and call is PLAIT_AND_NATIVE_CALLS[name][1]:
            continue  # for another batch the native reshape to (2, -1) gives a wrong shape instead of an error
        compiled = mx.compile(call, shapeless=True)
        assert_close(compiled(random_array(SHAPE)), call(random_array(SHAPE)))
        with pytest.raises(ValueError, match=r"Cannot reshape|cannot be broadcast"):
            mx.eval(compiled(random_array(OTHER_SHAPE)))


@each_call
def test_gradients_equal_native_gradients(call, native):
    x = random_array(SHAPE)
    weights = random_array(native(x).shape, seed=1)
    value, gradient = mx.value_and_grad(lambda x: (call(x) * weights).sum())(x)
    expected_value, expected = mx.value_and_grad(lambda x: (native(x) * weights).sum())(x)
    assert_close(value, expected_value)
    assert_close(gradient, expected)


@pytest.mark.parametrize("name", ["space to depth", "max"])
def test_compile_of_grad(name):
    call, native = PLAIT_AND_NATIVE_CALLS[name]
    x = random_array(SHAPE)
    gradient = mx.compile(mx.grad(lambda x: call(x).sum()))(x)
    assert_close(gradient, mx.grad(lambda x: native(x).sum())(x))


def test_jvp_and_second_derivatives():
    def pool(x):
        return plait.reduce(x, "a (b p) -> p a", "logsumexp", p=3)

    def native(x):
        return mx.logsumexp(mx.reshape(x, (2, 2, 3)), (1,)).T

    x, tangent = random_array((2, 6)), random_array((2, 6), seed=1)
    for function, expected in ((pool, native), (mx.grad(lambda x: pool(x).sum()), mx.grad(lambda x: native(x).sum()))):
        assert_close(mx.jvp(function, (x,), (tangent,))[1][0], mx.jvp(expected, (x,), (tangent,))[1][0])


@pytest.mark.parametrize("axis", [0, 1, 3])
def test_vmap(axis):
    x = random_array(SHAPE)
    for call, native in (
        (lambda x: plait.rearrange(x, "a (b p) c -> b (a p) c", p=1), lambda x: mx.transpose(x, (1, 0, 2))),
        (lambda x: plait.reduce(x, "a b c -> c a", "std"), lambda x: mx.std(x, 1).T),
        (lambda x: plait.reduce(x, "a b c -> c a", "logsumexp"), lambda x: mx.logsumexp(x, 1).T),
        (lambda x: plait.repeat(x, "a b c -> a b r c", r=2), lambda x: mx.stack([x, x], 2)),
        (lambda x: plait.einsum(x, x, "a b c, d b c -> a d"), lambda x: mx.einsum("abc,dbc->ad", x, x)),
    ):
        parts = [native(mx.take(x, place, axis)) for place in range(x.shape[axis])]
        assert_close(mx.vmap(call, in_axes=axis)(x), mx.stack(parts))


def test_vmap_of_grad_and_errors_in_transformations():
    x = random_array((4, 6))

    def loss(x):
        return (plait.reduce(x, "(a p) -> a", "max", p=2) ** 2).sum()

    gradients = mx.vmap(mx.grad(loss))(x)
    assert_close(gradients, mx.stack([mx.grad(loss)(row) for row in x]))
    with pytest.raises(plait.SizeError, match="PLT302"):
        mx.vmap(lambda x: plait.rearrange(x, "(a p) -> a p", p=4))(x)
    with pytest.raises(plait.SizeError, match="PLT304"):
        mx.compile(lambda x: plait.rearrange(x, "a b c -> c b a"))(x)
    with pytest.raises(plait.SizeError, match="PLT302") as caught:
        mx.grad(lambda x: plait.reduce(x, "a (b p) -> a", "sum", p=4).sum())(x)
    assert "input: 4 6   given: p=4" in str(caught.value)


def test_a_module_of_parameters_is_trained():
    nn = pytest.importorskip("mlx.nn")

    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = random_array((2, 6, 3))

        def __call__(self, x):
            return plait.einsum(x, self.weight, "b (h d), h d e -> b (h e)")

    heads, x = Heads(), random_array((5, 12))

    def loss(model, x):
        return (model(x) ** 2).mean()

    value, gradients = nn.value_and_grad(heads, loss)(heads, x)

    def native(weight):
        return (mx.reshape(mx.einsum("bhd,hde->bhe", mx.reshape(x, (5, 2, 6)), weight), (5, 6)) ** 2).mean()

    expected_value, expected = mx.value_and_grad(native)(heads.weight)
    assert_close(value, expected_value)
    assert_close(gradients["weight"], expected)


def test_operations_run_in_another_stream():
    x = random_array(SHAPE)
    with mx.stream(mx.new_stream(mx.cpu)):
        y = plait.rearrange(x, "b c h w -> (w b) (c h)")
        z = plait.reduce(y, "a b -> b", "sum")
    assert_close(z, mx.sum(mx.transpose(x, (1, 2, 3, 0)), (2, 3)).reshape(-1))


@pytest.mark.parametrize(
    "dtype",
    "bool_ uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64".split(),
)
def test_asnumpy_of_every_element_type(dtype):
    x = mx.array([[0, 1, 1], [1, 0, 1]], getattr(mx, dtype))
    result = plait.asnumpy(plait.rearrange(x, "a b -> b a"))
    assert type(result) is np.ndarray
    assert result.tolist() == [[0, 1], [1, 0], [1, 1]]
    assert result.dtype.name == {"bfloat16": "float32"}.get(dtype, dtype.strip("_"))


def test_asnumpy_in_a_transformation_is_an_error():
    x = random_array((3,))
    for transformed in (mx.compile(plait.asnumpy), mx.vmap(plait.asnumpy)):
        with pytest.raises(plait.BackendError, match="PLT508") as caught:
            transformed(x)
        assert "not allowed" in caught.value.facts["reason"]


@pytest.mark.parametrize("dtype", ["bool_", "int8", "int16", "int32", "uint8", "uint16", "uint32", "int64", "uint64"])
def test_sums_of_integers_do_not_overflow(dtype):
    kind = getattr(mx, dtype)
    high = 1 if dtype == "bool_" else min(int(mx.iinfo(kind).max), 1 << 40)
    x = mx.full((3, 2), high, kind)
    total = plait.reduce(x, "a b -> b", "sum")
    assert total.tolist() == [3 * high] * 2
    assert total.dtype == (mx.uint64 if dtype.startswith("uint") else mx.int64)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_means_of_half_types_do_not_overflow(dtype):
    x = mx.full((4096, 2), 100, getattr(mx, dtype))  # the sum is beyond float16
    assert plait.reduce(x, "a b -> b", "mean").tolist() == [100, 100]
    x = mx.array([[300], [-300]], getattr(mx, dtype))
    assert plait.reduce(x, "a b -> b", "std").tolist() == [300]
    assert plait.reduce(x, "a b -> b", "std").dtype == x.dtype


def test_logsumexp_of_doubles():
    rows = [[-800.0, -800.5, -900.0], [1e300, 0.0, 0.0], [0.0, 1e-9, -40.0], [mx.inf, 1.0, -mx.inf]]
    x = mx.array(rows, mx.float64)
    expected = np.logaddexp.reduce(np.array(rows), axis=1)
    np.testing.assert_allclose(np.asarray(plait.reduce(x, "a b -> a", "logsumexp")), expected, rtol=1e-15)
    gradient = mx.grad(lambda x: plait.reduce(x, "a b -> a", "logsumexp").sum())(x[:3])
    softmax = np.exp(np.array(rows[:3]) - expected[:3, None])
    np.testing.assert_allclose(np.asarray(gradient), softmax, rtol=1e-14, atol=1e-16)


def test_reductions_of_empty_arrays_return():
    """MLX itself does not return for empty arrays of NumPy, and fails on other empty arrays."""
    for _ in range(20):
        x = mx.array(np.zeros((0, 3), np.float32))
        assert plait.reduce(x, "a b -> b", "sum").tolist() == [0, 0, 0]
        assert plait.reduce(x, "a b -> b", "all").tolist() == [True, True, True]
        assert plait.reduce(x, "a b -> a", "max").shape == (0,)
        assert plait.reduce(x, "a b -> a", "logsumexp").shape == (0,)
    assert mx.grad(lambda x: plait.reduce(x, "a b -> b", "logsumexp").sum())(x).shape == (0, 3)
    truth = mx.array(np.zeros((0, 3), bool))
    assert plait.reduce(truth, "a b -> b", "sum").dtype == mx.int64
    assert plait.reduce(truth, "a b -> b", "any").dtype == mx.bool_


def test_sizes_that_are_mlx_arrays():
    x = random_array((4, 6))
    assert plait.rearrange(x, "(a p) b -> a p b", p=mx.array(2)).shape == (2, 2, 6)
    for size in (mx.array(2.0), mx.array(True), mx.array([2, 2])):
        with pytest.raises(plait.SizeError, match="PLT301"):
            plait.rearrange(x, "(a p) b -> a p b", p=size)


def test_numpy_arrays_are_refused_beside_mlx_arrays():
    with pytest.raises(plait.BackendError, match="PLT504"):
        plait.einsum(mx.zeros(3), np.zeros(3), "a, a ->")
