"""Tests of plait's layers in Flax NNX: each is compared with a module of Flax NNX, or with hand-written code."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import plait

pytest.importorskip("flax")
optax = pytest.importorskip("optax")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from flax import nnx  # noqa: E402

from layers.frameworks.nnx_ import FRAMEWORK  # noqa: E402
from layers.test_conformance import random_array  # noqa: E402
from layers_by_framework.jax_layer_tests import JaxLayerTests, assert_near, assert_trees_equal_exactly  # noqa: E402
from plait.layers.nnx import EinMix, Rearrange, Reduce, Repeat  # noqa: E402


class TestOnJax(JaxLayerTests):
    framework = FRAMEWORK

    @staticmethod
    def make_functional(built):
        graphdef, state = nnx.split(built)
        return lambda state, x: nnx.merge(graphdef, state)(x), state


def make_einmix(seed=0, **options):
    return EinMix("b c -> b d", "c d", "d", c=3, d=4, rngs=nnx.Rngs(seed), **options)


def make_native_linear(layer, **options):
    """Return NNX's own Linear with the parameters of the given EinMix."""
    found = nnx.Linear(3, 4, rngs=nnx.Rngs(0), **options)
    found.kernel[...], found.bias[...] = layer.weight[...], layer.bias[...][0]
    return found


def make_network(seed=0):
    rngs = nnx.Rngs(seed)
    return nnx.Sequential(
        Rearrange("b (h w) -> b h w 1", h=6),
        nnx.Conv(1, 4, (3, 3), rngs=rngs),
        nnx.relu,
        Reduce("b (h 2) (w 2) c -> b (c h w)", "max"),
        EinMix("b f -> b k", weight_shape="f k", bias_shape="k", f=36, k=5, rngs=rngs),
    )


class NativeNetwork(nnx.Module):
    """The network of `make_network`, written without plait, with the same parameters."""

    def __init__(self, other):
        self.conv = nnx.clone(other.layers[1])
        self.head = nnx.Linear(36, 5, rngs=nnx.Rngs(0))
        self.head.kernel[...], self.head.bias[...] = other.layers[4].weight[...], other.layers[4].bias[...][0]

    def __call__(self, x):
        x = nnx.max_pool(nnx.relu(self.conv(x.reshape(-1, 6, 6, 1))), (2, 2), (2, 2))
        return self.head(x.transpose(0, 3, 1, 2).reshape(len(x), -1))


def parameter_values(module):
    return nnx.to_pure_dict(nnx.state(module))


def test_network_trains_like_native_nnx():
    x, y = random_array((8, 36)), np.arange(8) % 5
    ours = make_network()
    theirs = NativeNetwork(ours)

    @nnx.jit
    def step(module, optimizer):
        def loss(module):
            return optax.softmax_cross_entropy_with_integer_labels(module(x), y).mean()

        value, gradients = nnx.value_and_grad(loss)(module)
        optimizer.update(module, gradients)
        return value

    optimizers = [nnx.Optimizer(module, optax.adam(1e-2), wrt=nnx.Param) for module in (ours, theirs)]
    before = parameter_values(ours)
    losses = []
    for _ in range(5):
        losses.append(step(ours, optimizers[0]))
        assert_near(losses[-1], step(theirs, optimizers[1]), 1e-4)
    assert losses[-1] < losses[0]
    assert_near(ours.layers[1].kernel[...], theirs.conv.kernel[...], 1e-4)
    assert_near(ours.layers[4].weight[...], theirs.head.kernel[...], 1e-4)
    assert_near(ours.layers[4].bias[...][0], theirs.head.bias[...], 1e-4)
    assert all(
        (one != other).any() for one, other in zip(*map(jax.tree.leaves, (before, parameter_values(ours))), strict=True)
    )


def test_state_has_only_the_parameters():
    module = make_network()
    state = nnx.state(module)
    assert {type(leaf) for leaf in jax.tree.leaves(state, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable))} == {
        nnx.Param
    }
    assert parameter_values(module)["layers"].keys() == {1, 4}  # layers without parameters add nothing
    assert parameter_values(module)["layers"][4].keys() == {"weight", "bias"}
    assert isinstance(module.layers[4].weight, nnx.Param)
    assert EinMix("b c -> b d", "c d", c=3, d=4, rngs=nnx.Rngs(0)).bias is None


def test_split_merge_update_and_clone():
    x = jnp.asarray(random_array((2, 36)))
    one, other = make_network(0), make_network(1)
    graphdef, params, rest = nnx.split(one, nnx.Param, ...)
    assert not jax.tree.leaves(rest)
    assert_near(nnx.merge(graphdef, params, rest)(x), one(x))
    assert (one(x) != other(x)).any()
    nnx.update(other, nnx.state(one))
    assert_near(other(x), one(x))
    cloned = nnx.clone(one)
    one.layers[4].weight[...] = jnp.zeros((36, 5))
    assert_near(cloned(x), other(x))
    assert_near(one(x), jnp.broadcast_to(one.layers[4].bias[...], (2, 5)))


def test_equal_layers_share_a_jit_trace():
    traces = []

    @nnx.jit
    def call(module, x):
        traces.append(1)
        return module(x)

    def count_traces(*makes):
        before = len(traces)
        for make in makes:
            call(make(), jnp.ones((2, 6)))
        return len(traces) - before

    mixing = lambda seed, d=4: EinMix("b c -> b d", "c d", "d", c=6, d=d, rngs=nnx.Rngs(seed))
    assert count_traces(lambda: Rearrange("b (c p) -> b c p", p=2), lambda: Rearrange("b  (c p)->b c p", p=2)) == 1
    assert count_traces(lambda: Rearrange("b (c p) -> b c p", p=3)) == 1
    assert count_traces(lambda: Reduce("b c -> b", "max"), lambda: Reduce("b c -> b", "max")) == 1
    assert count_traces(lambda: Reduce("b c -> b", "min")) == 1
    assert count_traces(lambda: mixing(0), lambda: mixing(1)) == 1
    assert count_traces(lambda: mixing(0, d=5)) == 1
    assert nnx.graphdef(mixing(0)) == nnx.graphdef(mixing(1)) != nnx.graphdef(mixing(0, d=5))


def test_nnx_grad_equals_native_linear():
    x = jnp.asarray(random_array((2, 3)))
    module = make_einmix()
    found = nnx.to_pure_dict(nnx.grad(lambda module: (module(x) ** 2).sum())(module))
    expected = nnx.to_pure_dict(nnx.grad(lambda module: (module(x) ** 2).sum())(make_native_linear(module)))
    assert_near(found["weight"], expected["kernel"])
    assert_near(found["bias"][0], expected["bias"])


def test_an_ensemble_by_vmap():
    @nnx.split_rngs(splits=3)
    @nnx.vmap
    def create(rngs):
        return EinMix("b c -> b d", "c d", "d", c=3, d=4, rngs=rngs)

    x = jnp.asarray(random_array((2, 3)))
    several = create(nnx.Rngs(0))
    assert several.weight.shape == (3, 3, 4)
    assert (several.weight[0] != several.weight[1]).all()
    result = nnx.vmap(lambda module, x: module(x), in_axes=(0, None))(several, x)
    assert_near(result, jnp.einsum("bc,ncd->nbd", x, several.weight[...]) + several.bias[...])


def test_scan_over_layers():
    @nnx.split_rngs(splits=4)
    @nnx.vmap
    def create(rngs):
        return EinMix("b c -> b d", "c d", "d", c=3, d=3, rngs=rngs)

    @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
    def forward(x, layer):
        return nnx.tanh(layer(x))

    x = jnp.asarray(random_array((2, 3)))
    deep = create(nnx.Rngs(0))
    result = forward(x, deep)
    for weight, bias in zip(deep.weight[...], deep.bias[...], strict=True):
        x = jnp.tanh(x @ weight + bias)
    assert_near(result, x)


def test_remat_and_cached_partial():
    x = jnp.asarray(random_array((2, 3)))
    module = make_einmix()
    loss = lambda module: (module(x) ** 2).sum()
    again = lambda module: (nnx.remat(lambda module, x: module(x))(module, x) ** 2).sum()
    assert_trees_equal_exactly(nnx.grad(again)(module), nnx.grad(loss)(module))
    assert_near(nnx.cached_partial(nnx.jit(lambda module, x: module(x)), module)(x), module(x))


@pytest.mark.parametrize(
    "module",
    [
        Rearrange("b (c p) -> b c p", p=3),
        Reduce("b (c p) -> b c", "max", p=3),
        Repeat("b c -> b c r", r=2),
        EinMix("b c -> b d", "c d", "d", c=6, d=4, rngs=nnx.Rngs(0)),
        EinMix("b c -> b d", "c d", c=6, d=4, rngs=nnx.Rngs(0)),
    ],
    ids=lambda module: f"{type(module).__name__} {len(jax.tree.leaves(nnx.state(module)))}",
)
def test_copies_and_pickles(module):
    x = jnp.asarray(random_array((2, 6)))
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), nnx.clone(module)):
        assert type(other) is type(module)
        assert other is not module
        assert nnx.graphdef(other) == nnx.graphdef(module)
        assert_trees_equal_exactly(nnx.state(other), nnx.state(module))
        assert_near(other(x), module(x))


def test_eval_shape_gives_parameter_shapes():
    module = nnx.eval_shape(make_einmix)
    assert isinstance(module.weight.get_value(), jax.ShapeDtypeStruct)
    assert (module.weight.shape, module.bias.shape) == ((3, 4), (1, 4))
    nnx.update(module, nnx.state(make_einmix()))
    assert_near(module(jnp.ones((2, 3))), make_einmix()(jnp.ones((2, 3))))


COMPUTATION_AND_PARAMETER_DTYPES = [
    (None, "float32"),
    ("bfloat16", "float32"),
    (None, "bfloat16"),
    ("float16", "float32"),
    ("float32", "bfloat16"),
]


@pytest.mark.parametrize(("dtype", "param_dtype"), COMPUTATION_AND_PARAMETER_DTYPES)
@pytest.mark.parametrize("given", ["float32", "bfloat16"])
def test_dtype_and_param_dtype_equal_those_of_linear(dtype, param_dtype, given):
    x = jnp.asarray(random_array((2, 3)), given)
    options = {"dtype": dtype, "param_dtype": jnp.dtype(param_dtype)}
    module = make_einmix(**options)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(nnx.state(module))} == {param_dtype}
    assert_near(module(x), make_native_linear(module, **options)(x), 1e-2)
    products = jax.make_jaxpr(module)(x).eqns
    added = [equation for equation in products if equation.primitive.name == "add"]
    assert {variable.aval.dtype for variable in added[0].invars} == {module(x).dtype}


def test_initializers_and_metadata():
    init = nnx.initializers.ones
    module = make_einmix(weight_init=init, bias_init=nnx.initializers.constant(2.0))
    assert_near(module.weight[...], jnp.ones((3, 4)))
    assert_near(module.bias[...], jnp.full((1, 4), 2.0))
    module = make_einmix(weight_metadata={"note": "w"}, bias_metadata={"note": "b"})
    assert (module.weight.get_metadata("note"), module.bias.get_metadata("note")) == ("w", "b")
    assert_trees_equal_exactly(jax.tree.leaves(nnx.state(module)), jax.tree.leaves(nnx.state(make_einmix())))


def test_sharding_metadata():
    mesh = jax.make_mesh((1,), ("model",), (jax.sharding.AxisType.Auto,))
    with jax.set_mesh(mesh):
        by_init = make_einmix(weight_init=nnx.with_partitioning(nnx.initializers.lecun_normal(), ("model", None)))
        by_metadata = make_einmix(weight_metadata={"out_sharding": ("model", None)})
        linear = nnx.Linear(3, 4, kernel_metadata={"out_sharding": ("model", None)}, rngs=nnx.Rngs(0))
    expected = nnx.get_partition_spec(nnx.state(linear))["kernel"].get_value()
    assert expected == jax.sharding.PartitionSpec("model", None)
    for module in (by_init, by_metadata):
        assert nnx.get_partition_spec(nnx.state(module))["weight"].get_value() == expected
        assert module.weight[...].sharding == linear.kernel[...].sharding


def test_bias_can_be_assigned_later():
    module = EinMix("b c -> b d", "c d", c=3, d=4, rngs=nnx.Rngs(0))
    x = jnp.asarray(random_array((2, 3)))
    before = module(x)
    module.bias = nnx.Param(jnp.ones((1, 4)))
    assert_near(module(x), before + 1)
    assert len(jax.tree.leaves(nnx.state(module, nnx.Param))) == 2


def test_rngs_determine_the_parameters():
    rngs = nnx.Rngs(0)
    one, other = (EinMix("b c -> c", "c", "c", c=5, rngs=rngs) for _ in range(2))
    assert (one.weight[...] != other.weight[...]).all()
    assert (one.weight[...] / 3**0.5 != one.bias[...]).all()
    only = EinMix("b c -> c", "c", "c", c=5, rngs=nnx.Rngs(params=0))
    assert_trees_equal_exactly(
        nnx.state(only), nnx.state(EinMix("b c -> c", "c", "c", c=5, rngs=nnx.Rngs(params=0, dropout=1)))
    )
    rngs = nnx.Rngs(params=0)
    EinMix("b c -> c", "c", c=5, rngs=rngs)
    assert rngs.params.count[...] == 1  # none for a bias that is not there
    with pytest.raises(TypeError, match="rngs"):
        EinMix("b c -> c", "c", c=5)


class WeightedSum(nnx.Module):
    """A reduction with parameters: a weighted sum."""

    def __init__(self, length, rngs):
        self.scores = nnx.Param(nnx.initializers.normal()(rngs.params(), (length,)))

    def __call__(self, tensor, axes):
        (axis,) = axes
        return jnp.tensordot(tensor, self.scores[...], (axis, 0))


def test_reduction_that_is_a_module():
    x = jnp.asarray(random_array((2, 5, 3)))
    module = Reduce("b t c -> b c", WeightedSum(5, nnx.Rngs(0)))
    assert len(jax.tree.leaves(nnx.state(module, nnx.Param))) == 1
    expected = lambda module: jnp.einsum("btc,t->bc", x, module.module.scores[...])
    assert_near(module(x), expected(module))
    assert_near(nnx.jit(lambda module: module(x))(module), expected(module))
    (gradient,) = jax.tree.leaves(nnx.grad(lambda module: module(x).sum())(module))
    assert_near(gradient, x.sum((0, 2)))
    again = nnx.merge(*nnx.split(module))
    again.module.scores[...] = jnp.ones(5)
    assert_near(again(x), x.sum(1))
    assert_near(module(x), expected(module))


def test_train_eval_and_iter_modules():
    module = make_network()
    module.train()
    module.eval()
    assert {type(found) for _, found in nnx.iter_modules(module)} >= {Rearrange, Reduce, EinMix}
    table = nnx.tabulate(module, jnp.ones((2, 36)), console_kwargs={"width": 200, "force_terminal": False})
    for text in ("Rearrange", "Reduce", "EinMix", "float32[36,5]", "float32[1,5]"):
        assert text in table


def test_repr(capsys):
    text = repr(make_einmix())
    for part in ("EinMix(", "weight=Param(", "bias=Param(", "'b c -> b d', c=3, d=4", "weight_shape='c d'"):
        assert part in text
    assert "reduction='max'" in repr(Reduce("b c -> b", "max"))
    assert "bound" not in text
    nnx.display(make_network())
    shown = capsys.readouterr().out
    for name in ("Rearrange", "Reduce", "EinMix"):
        assert name in shown


def test_orbax_checkpoint(tmp_path):
    orbax = pytest.importorskip("orbax.checkpoint")
    state = nnx.to_pure_dict(nnx.state(make_network()))
    with orbax.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "network", state)
        checkpointer.wait_until_finished()
        found = checkpointer.restore(tmp_path / "network", jax.tree.map(jnp.zeros_like, state))
    other = make_network(1)
    loaded = nnx.state(other)
    nnx.replace_by_pure_dict(loaded, found)
    nnx.update(other, loaded)
    assert_trees_equal_exactly(nnx.state(other), nnx.state(make_network()))


def test_layer_in_a_linen_module():
    """``nnx.bridge.to_linen`` makes a Linen module of EinMix."""
    x = jnp.asarray(random_array((2, 3)))
    module = nnx.bridge.to_linen(EinMix, "b c -> b d", "c d", "d", c=3, d=4)
    result, variables = module.init_with_output(jax.random.key(0), x)
    params = variables["params"]
    assert_near(result, x @ params["weight"] + params["bias"])


def test_axis_of_any_name_is_sized_by_keyword():
    """Layers without parameters have no argument ``rngs``, so an axis of that name can have a size by keyword."""
    x = jnp.ones((2, 6))
    for axis in ("rngs", "dtype", "name", "key", "in"):
        assert Rearrange(f"b (c {axis}) -> b c {axis}", **{axis: 3})(x).shape == (2, 2, 3)
    with pytest.raises(plait.AxisError, match="PLT203"):
        Rearrange("b c -> c b", rngs=3)


def test_integer_argument_with_the_name_of_an_axis_raises():
    with pytest.raises(plait.AxisError, match="PLT213"):
        EinMix("b rngs -> b c", "rngs c", c=3, rngs=2)
