"""Tests of plait's layers in Haiku: each is compared with a module of Haiku, or with hand-written code."""

# ruff: noqa: PLW0108  # a module is made inside of a transformed function only

from __future__ import annotations

import pickle

import numpy as np
import pytest

import plait

hk = pytest.importorskip("haiku")
optax = pytest.importorskip("optax")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

from layers.frameworks.haiku_ import FRAMEWORK  # noqa: E402
from layers.test_conformance import random_array  # noqa: E402
from layers_by_framework.jax_layer_tests import JaxLayerTests, assert_near, assert_trees_equal_exactly  # noqa: E402
from plait.layers.haiku import EinMix, Rearrange, Reduce, Repeat  # noqa: E402

KEY = jax.random.key(0)


class TestOnJax(JaxLayerTests):
    framework = FRAMEWORK

    @staticmethod
    def make_functional(built):
        function, params, _ = built
        return function.apply, params


def make_einmix(**options):
    return EinMix("b c -> b d", "c d", "d", c=3, d=4, **options)


def transformed(function):
    return hk.without_apply_rng(hk.transform(function))


def tree_shapes(tree):
    return jax.tree.map(jnp.shape, tree)


@transformed
def transformed_network(x):
    return hk.Sequential(
        [
            Rearrange("b (h w) -> b h w 1", h=6),
            hk.Conv2D(4, 3),
            jax.nn.relu,
            Reduce("b (h 2) (w 2) c -> b (c h w)", "max"),
            EinMix("b f -> b k", weight_shape="f k", bias_shape="k", f=36, k=5),
        ]
    )(x)


@transformed
def transformed_native_network(x):
    """The same as `transformed_network`, written without plait."""
    x = hk.max_pool(jax.nn.relu(hk.Conv2D(4, 3)(x.reshape(-1, 6, 6, 1))), (2, 2, 1), (2, 2, 1), "SAME")
    return hk.Linear(5)(x.transpose(0, 3, 1, 2).reshape(len(x), -1))


def as_native_parameters(params):
    """Rename the parameters of `transformed_network` to those of `transformed_native_network`."""
    head = params["ein_mix"]
    return {"conv2_d": params["conv2_d"], "linear": {"w": head["weight"], "b": head["bias"][0]}}


def test_network_trains_like_native_haiku():
    x, y = random_array((8, 36)), np.arange(8) % 5
    optimizer = optax.adam(1e-2)
    params = transformed_network.init(KEY, x)
    assert params.keys() == {"conv2_d", "ein_mix"}  # layers without parameters add nothing
    runs = []
    for function, found in ((transformed_network, params), (transformed_native_network, as_native_parameters(params))):
        run = found, optimizer.init(found)

        @jax.jit
        def step(params, state, function=function):
            def loss(params):
                return optax.softmax_cross_entropy_with_integer_labels(function.apply(params, x), y).mean()

            value, gradients = jax.value_and_grad(loss)(params)
            updates, state = optimizer.update(gradients, state)
            return optax.apply_updates(params, updates), state, value

        losses = []
        for _ in range(5):
            *run, value = step(*run)
            losses.append(value)
        runs.append((losses, run[0]))
    (losses, ours), (expected, theirs) = runs
    assert_near(jnp.stack(losses), jnp.stack(expected), 1e-4)
    assert losses[-1] < losses[0]
    jax.tree.map(lambda one, other: assert_near(one, other, 1e-4), as_native_parameters(ours), theirs)


def test_module_names():
    class Block(hk.Module):
        def __call__(self, x):
            x = make_einmix()(x)
            x = EinMix("b d -> b c", "d c", d=4, c=3, name="back")(x)
            return make_einmix()(Rearrange("b c -> b c", name="turn")(x))

    found = tree_shapes(transformed(lambda x: Block()(x) + make_einmix()(x)).init(KEY, jnp.ones((2, 3))))
    both = {"weight": (3, 4), "bias": (1, 4)}
    assert found == {
        "block/ein_mix": both,
        "block/back": {"weight": (4, 3)},
        "block/ein_mix_1": both,
        "ein_mix": both,
    }
    seen = []

    @transformed
    def parameters_by_name(x):
        layers = (
            Rearrange("b c -> c b"),
            Rearrange("b c -> c b", name="turn"),
            Reduce("b c -> b", "max"),
            Reduce("b c -> b", "max", name="pool"),
            Repeat("b -> b r", r=2),
            Repeat("b -> b r", r=2, name="copies"),
        )
        seen.extend(layer.module_name for layer in layers)
        with hk.name_scope("scope"):
            seen.append(make_einmix(name="mixing").module_name)

    parameters_by_name.apply({}, None)
    assert seen == ["rearrange", "turn", "reduce", "pool", "repeat", "copies", "scope/mixing"]


def test_module_called_twice_shares_parameters():
    def twice(x):
        mixing = EinMix("b c -> b d", "c d", c=3, d=3)
        return mixing(mixing(x))

    x = jnp.asarray(random_array((2, 3)))
    function = transformed(twice)
    params = function.init(KEY, x)
    assert tree_shapes(params) == {"ein_mix": {"weight": (3, 3)}}
    weight = params["ein_mix"]["weight"]
    assert_near(function.apply(params, x), x @ weight @ weight)


def test_constructor_raises_for_invalid_arguments():
    """The constructor raises the error, before any tensor is given."""
    with pytest.raises(plait.SizeError, match="PLT303"):
        hk.transform(lambda: EinMix("b c -> b d", "c d", c=3)).init(KEY)
    with pytest.raises(plait.AxisError, match="PLT20"):
        hk.transform(lambda: Rearrange("b c -> b")).init(KEY)


def test_initializer_arguments():
    function = transformed(lambda x: make_einmix(w_init=jnp.ones, b_init=hk.initializers.Constant(2.0))(x))
    params = function.init(KEY, jnp.ones((2, 3)))
    assert_trees_equal_exactly(params, {"ein_mix": {"weight": jnp.ones((3, 4)), "bias": jnp.full((1, 4), 2.0)}})


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "float16", "complex64"])
def test_parameters_have_the_dtype_of_the_input(kind):
    """The parameters of `hk.Linear` have it too."""
    x = jnp.asarray(random_array((2, 3)), kind)
    ours, theirs = transformed(lambda x: make_einmix()(x)), transformed(lambda x: hk.Linear(4)(x))
    params = ours.init(KEY, x)
    kinds = {leaf.dtype.name for leaf in jax.tree.leaves(params)}
    assert kinds == {leaf.dtype.name for leaf in jax.tree.leaves(jax.eval_shape(theirs.init, KEY, x))} == {kind}
    found = params["ein_mix"]
    assert_near(ours.apply(params, x), theirs.apply({"linear": {"w": found["weight"], "b": found["bias"][0]}}, x), 1e-2)


@pytest.mark.parametrize("x64_enabled", [False, True])
def test_64_bit_numpy_input(x64_enabled):
    """JAX converts the input to float32 unless 64 bits are enabled; the parameters have that dtype; nothing warns."""
    with jax.enable_x64(x64_enabled):
        x = random_array((2, 3)).astype("float64")
        function = transformed(lambda x: make_einmix()(x))
        params = function.init(KEY, x)
        assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {"float64" if x64_enabled else "float32"}
        found = params["ein_mix"]
        np.testing.assert_allclose(function.apply(params, x), x @ found["weight"] + found["bias"], rtol=1e-5, atol=1e-6)


def test_mixed_precision():
    jmp = pytest.importorskip("jmp")
    policy = jmp.get_policy("params=float32,compute=float16,output=float32")
    seen = []

    def watch(function, args, kwargs, context):
        seen.extend(leaf.dtype.name for leaf in jax.tree.leaves(args))
        return function(*args, **kwargs)

    hk.mixed_precision.set_policy(EinMix, policy)
    try:
        function = transformed(lambda x: make_einmix()(x))
        x = jnp.asarray(random_array((2, 3)))
        params = function.init(KEY, x)
        result = function.apply(params, x)
        jaxpr = str(jax.make_jaxpr(function.apply)(params, x))
    finally:
        hk.mixed_precision.clear_policy(EinMix)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {"float32"}
    assert result.dtype == "float32"
    assert "f16[2,4] = add" in jaxpr
    exact = transformed(lambda x: make_einmix()(x)).apply(params, x)
    assert_near(result, exact, 1e-2)
    assert (result != exact).any()


def test_weight_and_bias_are_drawn_independently():
    params = transformed(lambda x: EinMix("b c -> c", "c", "c", c=5)(x)).init(KEY, jnp.ones((2, 5)))["ein_mix"]
    assert (params["weight"] / 3**0.5 != params["bias"]).all()


def test_an_ensemble_by_vmap():
    x = jnp.asarray(random_array((2, 3)))

    def shared(x):
        return hk.vmap(make_einmix(), split_rng=False)(x)

    function = transformed(shared)
    params = function.init(KEY, x[None])
    assert tree_shapes(params)["ein_mix"] == {"weight": (3, 4), "bias": (1, 4)}
    found = params["ein_mix"]
    assert_near(function.apply(params, jnp.stack([x, -x]))[1], -x @ found["weight"] + found["bias"])
    plain = transformed(lambda x: make_einmix()(x))
    several = jax.vmap(plain.init, (0, None))(jax.random.split(KEY, 3), x)
    assert (several["ein_mix"]["weight"][0] != several["ein_mix"]["weight"][1]).all()
    assert_near(
        jax.vmap(plain.apply, (0, None))(several, x)[2], plain.apply(jax.tree.map(lambda leaf: leaf[2], several), x)
    )


def test_layers_in_a_stack():
    def deep(x):
        @hk.layer_stack(4)
        def layer(x):
            return jnp.tanh(EinMix("b c -> b d", "c d", "d", c=3, d=3)(x))

        return layer(x)

    x = jnp.asarray(random_array((2, 3)))
    function = transformed(deep)
    params = function.init(KEY, x)
    (found,) = params.values()
    assert tree_shapes(found) == {"weight": (4, 3, 3), "bias": (4, 1, 3)}
    result = function.apply(params, x)
    for weight, bias in zip(found["weight"], found["bias"], strict=True):
        x = jnp.tanh(x @ weight + bias)
    assert_near(result, x)


def test_einmix_under_haiku_transformations():
    x = jnp.asarray(random_array((2, 3)))
    plain = transformed(lambda x: make_einmix()(x))
    params = plain.init(KEY, x)
    for lifted in (
        lambda x: hk.remat(make_einmix())(x),
        lambda x: hk.cond(True, make_einmix(), lambda x: jnp.zeros((2, 4)), x),
        lambda x: hk.scan(lambda mixing, x: (mixing, make_einmix(name="ein_mix")(x)), 0, x[None])[1][0],
    ):
        assert_near(transformed(lifted).apply(params, x), plain.apply(params, x))
    assert transformed(lambda x: hk.eval_shape(make_einmix(), x)).apply(params, x).shape == (2, 4)
    with_state = hk.without_apply_rng(hk.transform_with_state(lambda x: make_einmix()(x)))
    found, state = with_state.init(KEY, x)
    assert_trees_equal_exactly(found, params)
    assert state == {}


def test_second_call_is_not_traced():
    traces = []

    @transformed
    def function(x):
        traces.append(1)
        return make_einmix()(x)

    x = jnp.ones((2, 3))
    params = function.init(KEY, x)
    apply = jax.jit(function.apply)
    for _ in range(3):
        apply(params, x)
    assert len(traces) == 2  # init, and the first call


def test_parameters_are_pickled_and_counted():
    params = transformed_network.init(KEY, random_array((2, 36)))
    assert_trees_equal_exactly(pickle.loads(pickle.dumps(params)), params)
    assert hk.data_structures.tree_size(params) == 4 * 10 + 5 * 37
    head, rest = hk.data_structures.partition(lambda module, name, value: module == "ein_mix", params)
    assert (head.keys(), rest.keys()) == ({"ein_mix"}, {"conv2_d"})


def test_tabulate_and_interceptors():
    x = jnp.ones((2, 36))
    table = hk.experimental.tabulate(transformed_network)(x)
    for text in ("Rearrange", "Reduce", "EinMix", "ein_mix", "weight: f32[36,5]", "bias: f32[1,5]"):
        assert text in table
    seen = []

    def watch(function, args, kwargs, context):
        seen.append((type(context.module).__name__, context.method_name))
        return function(*args, **kwargs)

    with hk.intercept_methods(watch):
        transformed_network.init(KEY, x)
    assert {("Rearrange", "__call__"), ("Reduce", "__call__"), ("EinMix", "__call__")} <= {*seen}


def test_parameter_getters():
    seen = []

    def getter(next_getter, value, context):
        seen.append((context.full_name, context.original_shape))
        return next_getter(value * 0)

    x = jnp.ones((2, 3))
    plain = transformed(lambda x: make_einmix()(x))

    @transformed
    def zeros(x):
        with hk.custom_getter(getter):
            return make_einmix()(x)

    assert_near(zeros.apply(plain.init(KEY, x), x), jnp.zeros((2, 4)))
    assert seen == [("ein_mix/weight", (3, 4)), ("ein_mix/bias", (1, 4))]


class WeightedSum(hk.Module):
    """A reduction with parameters: a weighted sum."""

    def __call__(self, tensor, axes):
        (axis,) = axes
        scores = hk.get_parameter("scores", (tensor.shape[axis],), init=hk.initializers.RandomNormal())
        return jnp.tensordot(tensor, scores, (axis, 0))


def test_reduction_that_is_a_module():
    x = jnp.asarray(random_array((2, 5, 3)))
    function = transformed(lambda x: Reduce("b t c -> b c", WeightedSum())(x))
    params = function.init(KEY, x)
    assert_near(function.apply(params, x), jnp.einsum("btc,t->bc", x, params["weighted_sum"]["scores"]))
    assert_near(
        jax.grad(lambda params: function.apply(params, x).sum())(params)["weighted_sum"]["scores"], x.sum((0, 2))
    )


def test_repr():
    @transformed
    def described():
        return repr(make_einmix(name="mixing")), repr(Reduce("b (c p) -> b c", "max", p=2))

    mixing, pool = described.apply({})
    assert (
        " ".join(mixing.split())
        == "EinMix( pattern='b c -> b d', weight_shape='c d', bias_shape='d', c=3, d=4, name='mixing', )"
    )
    assert pool == "Reduce(pattern='b (c p) -> b c', reduction='max', p=2)"


def test_integer_argument_with_the_name_of_an_axis_raises():
    with pytest.raises(plait.AxisError, match="PLT213"):
        hk.transform(lambda x: Rearrange("name b -> b name", name=2)(x)).init(jax.random.key(0), jnp.zeros((2, 3)))
