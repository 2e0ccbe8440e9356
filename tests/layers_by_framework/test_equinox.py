"""Tests of plait's layers in Equinox: each is compared with a module of Equinox, or with hand-written code."""

from __future__ import annotations

import copy
import io
import pickle

import numpy as np
import pytest

import plait

eqx = pytest.importorskip("equinox")
optax = pytest.importorskip("optax")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

from layers.frameworks.equinox_ import FRAMEWORK  # noqa: E402
from layers.test_conformance import random_array  # noqa: E402
from layers_by_framework.jax_layer_tests import JaxLayerTests, assert_near, assert_trees_equal_exactly  # noqa: E402
from plait.layers.equinox import EinMix, Rearrange, Reduce, Repeat  # noqa: E402

KEY = jax.random.key(0)


class TestOnJax(JaxLayerTests):
    framework = FRAMEWORK
    x64_parameter_dtype = "float64"  # as Equinox's own layers; see test_default_dtype_equals_that_of_linear

    @staticmethod
    def make_functional(built):
        params, static = eqx.partition(built, eqx.is_array)
        return lambda params, x: eqx.combine(params, static)(x), params


def make_einmix(key=KEY, **options):
    return EinMix("c -> d", "c d", "d", c=3, d=4, key=key, **options)


def make_native_linear(layer, **options):
    """Return Equinox's own Linear with the parameters of the given EinMix."""
    linear = eqx.nn.Linear(3, 4, key=KEY, **options)
    return eqx.tree_at(lambda linear: (linear.weight, linear.bias), linear, (layer.weight.T, layer.bias))


def make_network(key=KEY):
    conv, head = jax.random.split(key)
    return eqx.nn.Sequential(
        [
            Rearrange("(h w) -> 1 h w", h=6),
            eqx.nn.Conv2d(1, 4, 3, padding=1, key=conv),
            eqx.nn.Lambda(jax.nn.relu),
            Reduce("c (h 2) (w 2) -> (c h w)", "max"),
            EinMix("f -> k", weight_shape="f k", bias_shape="k", f=36, k=5, key=head),
        ]
    )


class NativeNetwork(eqx.Module):
    """The network of `make_network`, written without plait, with the same parameters."""

    conv: eqx.nn.Conv2d
    pool: eqx.nn.MaxPool2d
    head: eqx.nn.Linear

    def __init__(self, other):
        self.conv, self.pool = other.layers[1], eqx.nn.MaxPool2d(2, 2)
        head = eqx.nn.Linear(36, 5, key=KEY)
        theirs = other.layers[4]
        self.head = eqx.tree_at(lambda head: (head.weight, head.bias), head, (theirs.weight.T, theirs.bias))

    def __call__(self, x):
        return self.head(self.pool(jax.nn.relu(self.conv(x.reshape(1, 6, 6)))).reshape(-1))


def test_network_trains_like_native_equinox():
    x, y = random_array((8, 36)), np.arange(8) % 5
    optimizer = optax.adam(1e-2)

    @eqx.filter_jit
    def step(module, state):
        @eqx.filter_value_and_grad
        def loss(module):
            return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(module)(x), y).mean()

        value, gradients = loss(module)
        updates, state = optimizer.update(gradients, state)
        return eqx.apply_updates(module, updates), state, value

    ours = make_network()
    theirs = NativeNetwork(ours)
    states = [optimizer.init(eqx.filter(module, eqx.is_inexact_array)) for module in (ours, theirs)]
    losses = []
    for _ in range(5):
        ours, states[0], value = step(ours, states[0])
        theirs, states[1], expected = step(theirs, states[1])
        assert_near(value, expected, 1e-4)
        losses.append(value)
    assert losses[-1] < losses[0]
    assert_near(ours.layers[1].weight, theirs.conv.weight, 1e-4)
    assert_near(ours.layers[4].weight.T, theirs.head.weight, 1e-4)
    assert_near(ours.layers[4].bias, theirs.head.bias, 1e-4)
    assert (ours.layers[4].weight != make_network().layers[4].weight).any()


OPERATION_LAYERS = [
    Rearrange("b (c p) -> b c p", p=3),
    Reduce("b (c p) -> b c", "max", p=3),
    Reduce("b (c p) -> b c", jnp.max, p=3),
    Repeat("b c -> b c r", r=2),
]


@pytest.mark.parametrize("module", OPERATION_LAYERS, ids=lambda module: type(module).__name__)
def test_operation_layers_have_no_leaves(module):
    """A layer without leaves can be an argument of `jax.jit`, without a filter."""
    assert jax.tree.leaves(module) == []
    x = jnp.asarray(random_array((2, 6)))
    assert_near(jax.jit(lambda module, x: module(x))(module, x), module(x))
    assert jax.tree.map(lambda leaf: leaf + 1, module) == module


def test_einmix_leaves_are_its_parameters():
    module = make_einmix()
    assert_trees_equal_exactly(jax.tree.leaves(module), [module.weight, module.bias])
    assert EinMix("c -> d", "c d", c=3, d=4, key=KEY).bias is None
    assert len(jax.tree.leaves(EinMix("c -> d", "c d", c=3, d=4, key=KEY))) == 1
    params, static = eqx.partition(make_network(), eqx.is_array)
    assert params.layers[4].weight.shape == (36, 5)
    assert (static.layers[4].weight, static.layers[4].bias) == (None, None)
    assert eqx.tree_equal(eqx.combine(params, static), make_network())


def test_equal_layers_share_a_jit_trace():
    traces = []

    @eqx.filter_jit
    def call(module, x):
        traces.append(1)
        return module(x)

    def traced(*modules):
        before = len(traces)
        for module in modules:
            call(module, jnp.ones((2, 6)))
        return len(traces) - before

    mixing = lambda seed, d=4: EinMix("b c -> b d", "c d", "d", c=6, d=d, key=jax.random.key(seed))
    assert traced(Rearrange("b (c p) -> b c p", p=2), Rearrange("b  (c p)->b c p", p=2)) == 1
    assert traced(Rearrange("b (c p) -> b c p", p=3)) == 1
    assert traced(Reduce("b c -> b", "max"), Reduce("b c -> b", "max")) == 1
    assert traced(Reduce("b c -> b", "min")) == 1
    assert traced(Reduce("b c -> b", jnp.max), Reduce("b c -> b", jnp.max)) == 1
    assert traced(mixing(0), mixing(1)) == 1
    assert traced(mixing(0, d=5)) == 1


def test_equality_and_hashes():
    one, same, other = (Rearrange("b (c p) -> b c p", p=p) for p in (2, 2, 3))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert eqx.tree_equal(make_einmix(), make_einmix())
    assert not eqx.tree_equal(make_einmix(), make_einmix(jax.random.key(1)))


def test_filter_grad_equals_native_linear():
    x = jnp.asarray(random_array((2, 3)))
    module = make_einmix()
    loss = eqx.filter_grad(lambda module: (jax.vmap(module)(x) ** 2).sum())
    found, expected = loss(module), loss(make_native_linear(module))
    assert_near(found.weight, expected.weight.T)
    assert_near(found.bias, expected.bias)
    assert found.spec == module.spec
    checked = eqx.filter_grad(lambda module: (jax.vmap(eqx.filter_checkpoint(module))(x) ** 2).sum())(module)
    assert_near(checked.weight, found.weight)


def test_serialised_leaves_are_loaded(tmp_path):
    module = make_network()
    path = tmp_path / "network.eqx"
    eqx.tree_serialise_leaves(path, module)
    other = make_network(jax.random.key(1))
    assert not eqx.tree_equal(other, module)
    assert eqx.tree_equal(eqx.tree_deserialise_leaves(path, other), module)
    empty = io.BytesIO()
    eqx.tree_serialise_leaves(empty, OPERATION_LAYERS)
    assert empty.getvalue() == b""
    like = eqx.filter_eval_shape(make_network)
    assert eqx.tree_equal(eqx.tree_deserialise_leaves(path, like), module)


def test_sequential_with_and_without_a_key():
    x = jnp.asarray(random_array((2, 6)))
    for module in (*OPERATION_LAYERS, EinMix("b c -> b d", "c d", c=6, d=4, key=KEY)):
        sequence = eqx.nn.Sequential([module])
        assert_near(sequence(x), module(x))
        assert_near(sequence(x, key=KEY), module(x))
        assert_near(module(x, key=KEY), module(x))


def test_vmap_equals_a_batch_axis_in_the_pattern():
    x = jnp.asarray(random_array((2, 3)))
    one, other = make_einmix(), EinMix("b c -> b d", "c d", "d", c=3, d=4, key=KEY)
    assert_near(one.weight, other.weight)
    assert_near(jax.vmap(one)(x), other(x))
    assert_near(eqx.filter_vmap(one)(x), other(x))
    assert_near(one(x[0]), make_native_linear(one)(x[0]))


def test_tree_at_replaces_parameters():
    x = jnp.asarray(random_array((2, 36)))
    module = make_network()
    found = eqx.tree_at(lambda module: module.layers[4].weight, module, replace_fn=jnp.zeros_like)
    assert_near(jax.vmap(found)(x), jnp.broadcast_to(module.layers[4].bias, (2, 5)))
    frozen = jax.tree.map(lambda _: False, module)
    frozen = eqx.tree_at(lambda tree: (tree.layers[4].weight, tree.layers[4].bias), frozen, (True, True))
    params, static = eqx.partition(module, frozen)
    assert len(jax.tree.leaves(params)) == 2
    assert_near(jax.vmap(eqx.combine(params, static))(x), jax.vmap(module)(x))
    with pytest.raises(AttributeError):
        module.layers[4].weight = x


def test_an_ensemble_and_a_scan_over_layers():
    x = jnp.asarray(random_array((3,)))
    make = lambda key: EinMix("c -> d", "c d", "d", c=3, d=3, key=key)
    several = eqx.filter_vmap(make)(jax.random.split(KEY, 4))
    assert several.weight.shape == (4, 3, 3)
    assert (several.weight[0] != several.weight[1]).all()
    assert_near(
        eqx.filter_vmap(lambda module, x: module(x), in_axes=(eqx.if_array(0), None))(several, x),
        jnp.einsum("c,ncd->nd", x, several.weight) + several.bias,
    )
    params, static = eqx.partition(several, eqx.is_array)
    result, _ = jax.lax.scan(lambda x, params: (jnp.tanh(eqx.combine(params, static)(x)), None), x, params)
    for weight, bias in zip(several.weight, several.bias, strict=True):
        x = jnp.tanh(x @ weight + bias)
    assert_near(result, x)


def test_filter_eval_shape_gives_parameter_shapes():
    found = eqx.filter_eval_shape(make_einmix)
    assert found.weight == jax.ShapeDtypeStruct((3, 4), jnp.float32)
    assert found.bias == jax.ShapeDtypeStruct((4,), jnp.float32)
    result = eqx.filter_eval_shape(found, jax.ShapeDtypeStruct((3,), jnp.float32))
    assert result == jax.ShapeDtypeStruct((4,), jnp.float32)


@pytest.mark.parametrize("module", [*OPERATION_LAYERS, make_einmix()], ids=lambda module: type(module).__name__)
def test_copies_and_pickles(module):
    x = jnp.asarray(random_array((2, 6) if jax.tree.leaves(module) == [] else (3,)))
    for other in (copy.copy(module), copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert type(other) is type(module)
        assert eqx.tree_equal(other, module)
        assert_near(other(x), module(x))


@pytest.mark.parametrize("x64_enabled", [False, True])
def test_default_dtype_equals_that_of_linear(x64_enabled):
    with jax.enable_x64(x64_enabled):
        for options in ({}, {"dtype": jnp.float32}, {"dtype": jnp.bfloat16}, {"dtype": jnp.complex64}):
            module, linear = make_einmix(**options), eqx.nn.Linear(3, 4, key=KEY, **options)
            assert (module.weight.dtype, module.bias.dtype) == (linear.weight.dtype, linear.bias.dtype)
            x = jnp.asarray(random_array((3,)))
            assert_near(module(x), make_native_linear(module)(x), 1e-2)


def test_complex_parameters_are_drawn_in_both_parts():
    weight = EinMix("c -> d", "c d", c=64, d=64, key=KEY, dtype=jnp.complex64).weight
    bound = (3 / 64) ** 0.5
    for part in (weight.real, weight.imag):
        assert -bound <= part.min() < -0.95 * bound
        assert 0.95 * bound < part.max() <= bound
    assert abs(np.corrcoef(weight.real.ravel(), weight.imag.ravel())[0, 1]) < 0.1


def test_key_is_required_and_differs_for_weight_and_bias():
    module = EinMix("c -> c", "c", "c", c=5, key=KEY)
    assert (module.weight / 3**0.5 != module.bias).all()
    old = jax.random.PRNGKey(0)
    assert EinMix("c -> c", "c", "c", c=5, key=old).weight.shape == (5,)
    with pytest.raises(TypeError, match="key"):
        EinMix("c -> c", "c", "c", c=5)


class WeightedSum(eqx.Module):
    """A reduction with parameters: a weighted sum."""

    scores: jax.Array

    def __call__(self, tensor, axes):
        (axis,) = axes
        return jnp.tensordot(tensor, self.scores, (axis, 0))


def test_reduction_that_is_a_module():
    x = jnp.asarray(random_array((2, 5, 3)))
    module = Reduce("b t c -> b c", WeightedSum(jnp.asarray(random_array((5,)))))
    assert_trees_equal_exactly(jax.tree.leaves(module), [module.module.scores])
    expected = jnp.einsum("btc,t->bc", x, module.module.scores)
    assert_near(module(x), expected)
    assert_near(eqx.filter_jit(module)(x), expected)
    gradient = eqx.filter_grad(lambda module: module(x).sum())(module)
    assert_near(gradient.module.scores, x.sum((0, 2)))
    assert_near(eqx.tree_at(lambda module: module.module.scores, module, jnp.ones(5))(x), x.sum(1))


def test_subclass_with_fields():
    class Scaled(EinMix):
        by: jax.Array

        def __init__(self, *args, by, **options):
            super().__init__(*args, **options)
            self.by = jnp.asarray(by)

        def __call__(self, x, *, key=None):
            return super().__call__(x) * self.by

    x = jnp.asarray(random_array((3,)))
    module = Scaled("c -> d", "c d", "d", c=3, d=4, key=KEY, by=2.0)
    assert len(jax.tree.leaves(module)) == 3
    assert_near(module(x), make_einmix()(x) * 2)


def test_repr():
    text = " ".join(repr(make_einmix()).split())
    for part in ("EinMix(", "weight=f32[3,4]", "bias=f32[4]", "'c -> d', c=3, d=4", "weight_shape='c d'"):
        assert part in text
    assert "bound" not in text
    text = repr(make_network())
    for part in ("Rearrange(", "(h w) -> 1 h w", "Reduce(", "reduction='max'", "EinMix(", "weight=f32[36,5]"):
        assert part in text


def test_axis_of_any_name_is_sized_by_keyword():
    """Layers without parameters have no argument ``key``, so an axis of that name can have a size by keyword."""
    x = jnp.ones((2, 6))
    for axis in ("key", "dtype", "name", "spec", "in"):
        assert Rearrange(f"b (c {axis}) -> b c {axis}", **{axis: 3})(x).shape == (2, 2, 3)
    with pytest.raises(plait.AxisError, match="PLT203"):
        Rearrange("b c -> c b", key=3)


def test_integer_argument_with_the_name_of_an_axis_raises():
    with pytest.raises(plait.AxisError, match="PLT213"):
        EinMix("b key -> b c", "key c", c=3, key=2)


def test_reduction_that_is_a_falsy_module():
    class Several(eqx.Module):
        def __len__(self):
            return 0

        def __call__(self, tensor, axes):
            return tensor.sum(axes)

    assert_near(Reduce("b c -> b", Several())(jnp.asarray(random_array((2, 3)))), random_array((2, 3)).sum(1))
