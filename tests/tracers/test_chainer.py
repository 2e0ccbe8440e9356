"""Chainer: gradients of every operation, layers, arrays beside variables, views, and unsupported dtypes."""

from __future__ import annotations

import importlib.util
import warnings

import numpy as np
import pytest

import plait

if importlib.util.find_spec("chainer") is None:
    pytest.skip("chainer is not installed", allow_module_level=True)

from backends.frameworks.chainer_ import FRAMEWORK

chainer = FRAMEWORK.module()
F, L = chainer.functions, chainer.links

SHAPE = (2, 3, 4, 6)

CALL_BY_NAME = {
    "permute": lambda x: plait.rearrange(x, "b c h w -> b h w c"),
    "merge": lambda x: plait.rearrange(x, "b c h w -> b (c h w)"),
    "space to depth": lambda x: plait.rearrange(x, "b c (h p) (w q) -> b (c p q) h w", p=2, q=2),
    "sum": lambda x: plait.reduce(x, "b c h w -> c b", "sum"),
    "mean": lambda x: plait.reduce(x, "b c (h 2) w -> b c h w", "mean"),
    "max": lambda x: plait.reduce(x, "b c (h 2) (w 3) -> b c h w", "max"),
    "min": lambda x: plait.reduce(x, "b c h w -> h", "min"),
    "prod": lambda x: plait.reduce(x, "b c h w -> b w", "prod"),
    "var": lambda x: plait.reduce(x, "b c h w -> b", "var"),
    "std": lambda x: plait.reduce(x, "b c h w -> b", "std"),
    "logsumexp": lambda x: plait.reduce(x, "b c h w -> b (c h)", "logsumexp"),
    "callable": lambda x: plait.reduce(x, "b c h w -> b c", F.sum),
    "repeat": lambda x: plait.repeat(x, "b c h w -> r b c (h s) w t", r=2, s=3, t=2),
    "einsum": lambda x: plait.einsum(x, x, "b c h w, b d h w -> b c d"),
    "grouped einsum": lambda x: plait.einsum(x, x, "b c h (k d), b c j (k d) -> b k (c h) j", k=2),
    "ellipsis": lambda x: plait.einsum(x, x[0], "... c h w, ... c h v -> ... w v"),
    "broadcast": lambda x: plait.einsum("...hw,...hv->...wv", x, x[:1]),
    "diagonal": lambda x: plait.einsum(x[:, :2], "a a h w -> a w"),
    "classical": lambda x: plait.einsum("bchw,bdhw->cd", x, x),
    "list": lambda x: plait.rearrange([x, x * 2], "k b c h w -> b (k c) h w"),
    "view": lambda x: plait.view(x, "b c h w -> (b c) (h w)"),
    "pack": lambda x: plait.pack([x, x[:, :, 0]], "b c * w")[0],
    "unpack": lambda x: plait.unpack(x, [(3,), (1,)], "b c * w")[0],
    "compiled": lambda x: plait.compile("b c h w -> b (h w) c").rearrange(x),
}

each_call = pytest.mark.parametrize("call", CALL_BY_NAME.values(), ids=CALL_BY_NAME.keys())


def random_variable(shape=SHAPE, dtype="float64", seed=0):
    return chainer.Variable(np.random.default_rng(seed).normal(size=shape).astype(dtype))


@each_call
def test_gradients_agree_with_finite_differences(call):
    x = random_variable()
    weights = np.random.default_rng(1).normal(size=call(x).shape)

    def total(array):
        return float((call(chainer.Variable(array)).array * weights).sum())

    F.sum(call(x) * weights).backward()
    for place in [(0, 0, 0, 0), (1, 1, 3, 5), (0, 1, 2, 1), (1, 2, 0, 3)]:
        step = np.zeros(SHAPE)
        step[place] = 1e-6
        slope = (total(x.array + step) - total(x.array - step)) / 2e-6
        np.testing.assert_allclose(x.grad[place], slope, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["permute", "mean", "prod", "var", "logsumexp", "repeat", "einsum", "ellipsis"])
def test_second_derivatives_agree_with_finite_differences(name):
    x = random_variable()
    (first,) = chainer.grad([F.sum(CALL_BY_NAME[name](x) ** 2)], [x], enable_double_backprop=True)
    (second,) = chainer.grad([F.sum(first * first)], [x])
    step = np.zeros(SHAPE)
    step[1, 1, 3, 5] = 1e-5

    def slope_squared(array):
        moved = chainer.Variable(array)
        (gradient,) = chainer.grad([F.sum(CALL_BY_NAME[name](moved) ** 2)], [moved])
        return float((gradient.array**2).sum())

    expected = (slope_squared(x.array + step) - slope_squared(x.array - step)) / 2e-5
    np.testing.assert_allclose(second.array[1, 1, 3, 5], expected, rtol=1e-4, atol=1e-5)


@each_call
def test_float32_results_stay_float32(call):
    assert call(random_variable(dtype="float32")).dtype == np.float32


def test_a_trained_chain_equals_the_hand_written_one():
    class PatchModel(chainer.Chain):
        def __init__(self, by_hand):
            super().__init__()
            self.by_hand = by_hand
            with self.init_scope():
                self.linear = L.Linear(12, 5, initialW=np.linspace(-1, 1, 60).reshape(5, 12).astype("float32"))
                self.scale = chainer.Parameter(np.linspace(-1, 1, 10).reshape(2, 5).astype("float32"))

        def forward(self, x):
            if self.by_hand:
                patches = F.reshape(F.transpose(F.reshape(x, (4, 3, 2, 2, 3, 2)), (0, 2, 4, 1, 3, 5)), (4, 6, 12))
                scale = F.reshape(F.broadcast_to(self.scale[:, None], (2, 3, 5)), (6, 5))
                return F.sum(self.linear(patches, n_batch_axes=2) * F.broadcast_to(scale, (4, 6, 5)), axis=1)
            patches = plait.rearrange(x, "b c (h p) (w q) -> b (h w) (c p q)", p=2, q=2)
            scale = plait.repeat(self.scale, "g d -> (g r) d", r=3)
            return plait.einsum(self.linear(patches, n_batch_axes=2), scale, "b n d, n d -> b d")

    learned = []
    for by_hand in (True, False):
        model = PatchModel(by_hand)
        optimizer = chainer.optimizers.SGD(lr=0.1).setup(model)
        for step in range(3):
            model.cleargrads()
            loss = F.mean(model(random_variable((4, 3, 4, 6), "float32", seed=step)) ** 2)
            loss.backward()
            optimizer.update()
        learned.append([float(loss.array), model.scale.array, model.linear.W.array])
    for ours, theirs in zip(learned[1], learned[0], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_compiled_patterns_in_a_sequential_model():
    patches = plait.compile("b c h w -> b (c h w)")
    model = chainer.Sequential(patches.rearrange, L.Linear(72, 4), lambda x: plait.reduce(x, "b d -> b", "logsumexp"))
    x = random_variable(dtype="float32")
    model.cleargrads()
    result = model(x)
    F.sum(result).backward()
    linear = model[1]
    expected = F.logsumexp(linear(F.reshape(x, (2, 72))), axis=1)
    np.testing.assert_allclose(result.array, expected.array, rtol=1e-6)
    assert abs(linear.W.grad).max() > 0


@each_call
def test_no_graph_is_recorded_without_backprop(call):
    x = random_variable()
    with chainer.no_backprop_mode():
        quiet = call(x)
    with chainer.using_config("enable_backprop", True):
        recorded = call(x)
    assert quiet.creator is None
    assert recorded.creator is not None
    assert (quiet.array == recorded.array).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda x, y: plait.einsum(x, y, "b c h w, b c h w -> b c"),
        lambda x, y: plait.einsum(y, x, "... c h w, ... c h w -> ... c"),
        lambda x, y: plait.einsum("bchw,bchw->b", y, x),
        lambda x, y: plait.rearrange([x, y], "n b c h w -> b n (c h w)"),
        lambda x, y: plait.rearrange([y, x], "n b c h w -> b n (c h w)"),
        lambda x, y: plait.pack([y, x], "b * w")[0],
    ],
)
def test_arrays_beside_variables(call):
    x, y = random_variable(), random_variable(seed=1)
    mixed = call(x, y.array)
    assert isinstance(mixed, chainer.Variable)
    assert (mixed.array == call(x, y).array).all()
    F.sum(mixed).backward()
    assert x.grad is not None
    assert y.grad is None


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "complex64", "float16"])
def test_einsum_of_dtypes_that_chainer_does_not_support(dtype):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 2, shape).astype(dtype) for shape in [(2, 3), (3, 4)])
    for pattern, order in (("i j, j k -> k i", "ij,jk->ki"), ("... j, j k -> k ...", "...j,jk->k...")):
        result = plait.einsum(chainer.Variable(a), chainer.Variable(b), pattern)
        assert isinstance(result, chainer.Variable)
        assert result.dtype == dtype
        assert (result.array == np.einsum(order, a, b)).all()


def test_views_share_the_memory_of_the_array():
    x = random_variable()
    turned = F.transpose(x, (0, 2, 3, 1))
    assert np.shares_memory(plait.view(turned, "b h w c -> b (h w) c").array, x.array)
    with pytest.raises(plait.CopyRequiredError):
        plait.view(turned, "b h w c -> b h (w c)")
    columns = chainer.Variable(np.asfortranarray(x.array))
    assert np.shares_memory(plait.view(columns, "b c h w -> (w h c b)").array, columns.array)
    with pytest.raises(plait.CopyRequiredError):
        plait.view(columns, "b c h w -> (b c h w)")


def test_uninitialized_parameters_are_refused():
    for uninitialized in (chainer.Parameter(), chainer.Variable()):
        for call in (
            lambda x: plait.rearrange(x, "a b -> b a"),
            lambda x: plait.reduce(x, "a b -> a", "sum"),
            lambda x: plait.einsum(x, x, "a b, a b -> a"),
            plait.asnumpy,
        ):
            with pytest.raises(plait.BackendError, match="PLT501"):
                call(uninitialized)


ERROR_CASES = {
    "PLT302": lambda x: plait.rearrange(x, "b c (h p) w -> b c h p w", p=3),
    "PLT304": lambda x: plait.rearrange(x, "b c h -> b (c h)"),
    "PLT203": lambda x: plait.rearrange(x, "b c h w -> b c (h w)", p=3),
    "PLT209": lambda x: plait.reduce(x, "b c h w -> b", "median"),
    "PLT301": lambda x: plait.rearrange(x, "b c (h p) w -> b c h p w", p=chainer.Variable(np.array(2.0))),
    "PLT305": lambda x: plait.einsum(x, x, "b c h w, b h c w -> b"),
    "PLT308": lambda x: plait.rearrange([x, x[0]], "n b c h w -> b"),
    "PLT310": lambda x: plait.reduce(x, "b c h w -> b c", lambda tensor, axes: tensor),
    "PLT504": lambda x: plait.einsum(x, UnsupportedArray(), "b c h w, a -> b"),
}


class UnsupportedArray:
    """An array of a library that Chainer does not support."""

    shape = (3,)

    def __array_namespace__(self):
        return np


@pytest.mark.parametrize("code", ERROR_CASES)
def test_errors(code):
    with pytest.raises(plait.PlaitError, match=code):
        ERROR_CASES[code](random_variable())


def test_reductions_of_empty_arrays_and_infinities_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for reduction, expected in (("mean", np.nan), ("var", np.nan), ("logsumexp", -np.inf), ("sum", 0.0)):
            result = plait.reduce(chainer.Variable(np.zeros((0, 3))), "a b -> b", reduction)
            np.testing.assert_array_equal(result.array, [expected] * 3)
        infinite = chainer.Variable(np.array([[-np.inf, -np.inf], [np.inf, 1.0]]))
        np.testing.assert_array_equal(plait.reduce(infinite, "a b -> a", "logsumexp").array, [-np.inf, np.inf])


def test_asnumpy():
    x = random_variable()
    assert plait.asnumpy(x) is x.array
    assert plait.asnumpy(chainer.Parameter(np.ones((2, 3)))).shape == (2, 3)


def test_the_second_call_uses_the_cache():
    x, parameter = random_variable(), chainer.Parameter(random_variable().array)
    before = plait.cache_info()
    for _ in range(4):
        plait.rearrange(x, "b c h w -> b h w c")
        plait.reduce(x, "b c h w -> b", "max")
        plait.einsum(x, parameter, "b c h w, b c h w -> b")
    after = plait.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (3, 9)
