"""What Flax NNX promises of a module, of plait's: each beside a module of NNX's own, or code written by hand."""

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
from layers.test_conformance import filled  # noqa: E402
from layers_by_framework.on_jax import OnJax, equal_trees, near  # noqa: E402
from plait.layers.nnx import EinMix, Rearrange, Reduce, Repeat  # noqa: E402


class TestOnJax(OnJax):
    framework = FRAMEWORK

    @staticmethod
    def pure(built):
        graphdef, state = nnx.split(built)
        return lambda state, x: nnx.merge(graphdef, state)(x), state


def dense(seed=0, **options):
    return EinMix("b c -> b d", "c d", "d", c=3, d=4, rngs=nnx.Rngs(seed), **options)


def native(layer, **options):
    """NNX's own layer with the parameters of `dense`."""
    found = nnx.Linear(3, 4, rngs=nnx.Rngs(0), **options)
    found.kernel[...], found.bias[...] = layer.weight[...], layer.bias[...][0]
    return found


def network(seed=0):
    rngs = nnx.Rngs(seed)
    return nnx.Sequential(
        Rearrange("b (h w) -> b h w 1", h=6),
        nnx.Conv(1, 4, (3, 3), rngs=rngs),
        nnx.relu,
        Reduce("b (h 2) (w 2) c -> b (c h w)", "max"),
        EinMix("b f -> b k", weight_shape="f k", bias_shape="k", f=36, k=5, rngs=rngs),
    )


class Native(nnx.Module):
    """The network of `network`, as it is written without plait, with the same parameters."""

    def __init__(self, other):
        self.conv = nnx.clone(other.layers[1])
        self.head = nnx.Linear(36, 5, rngs=nnx.Rngs(0))
        self.head.kernel[...], self.head.bias[...] = other.layers[4].weight[...], other.layers[4].bias[...][0]

    def __call__(self, x):
        x = nnx.max_pool(nnx.relu(self.conv(x.reshape(-1, 6, 6, 1))), (2, 2), (2, 2))
        return self.head(x.transpose(0, 3, 1, 2).reshape(len(x), -1))


def values(module):
    return nnx.to_pure_dict(nnx.state(module))


def test_a_network_trains_as_that_of_nnx():
    x, y = filled((8, 36)), np.arange(8) % 5
    ours = network()
    theirs = Native(ours)

    @nnx.jit
    def step(module, optimizer):
        def loss(module):
            return optax.softmax_cross_entropy_with_integer_labels(module(x), y).mean()

        value, gradients = nnx.value_and_grad(loss)(module)
        optimizer.update(module, gradients)
        return value

    optimizers = [nnx.Optimizer(module, optax.adam(1e-2), wrt=nnx.Param) for module in (ours, theirs)]
    before = values(ours)
    losses = []
    for _ in range(5):
        losses.append(step(ours, optimizers[0]))
        near(losses[-1], step(theirs, optimizers[1]), 1e-4)
    assert losses[-1] < losses[0]
    near(ours.layers[1].kernel[...], theirs.conv.kernel[...], 1e-4)
    near(ours.layers[4].weight[...], theirs.head.kernel[...], 1e-4)
    near(ours.layers[4].bias[...][0], theirs.head.bias[...], 1e-4)
    assert all((one != other).any() for one, other in zip(*map(jax.tree.leaves, (before, values(ours))), strict=True))


def test_the_state_is_the_parameters():
    module = network()
    state = nnx.state(module)
    assert {type(leaf) for leaf in jax.tree.leaves(state, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable))} == {
        nnx.Param
    }
    assert values(module)["layers"].keys() == {1, 4}  # layers without parameters add nothing
    assert values(module)["layers"][4].keys() == {"weight", "bias"}
    assert isinstance(module.layers[4].weight, nnx.Param)
    assert EinMix("b c -> b d", "c d", c=3, d=4, rngs=nnx.Rngs(0)).bias is None


def test_split_merge_update_and_clone():
    x = jnp.asarray(filled((2, 36)))
    one, other = network(0), network(1)
    graphdef, params, rest = nnx.split(one, nnx.Param, ...)
    assert not jax.tree.leaves(rest)
    near(nnx.merge(graphdef, params, rest)(x), one(x))
    assert (one(x) != other(x)).any()
    nnx.update(other, nnx.state(one))
    near(other(x), one(x))
    cloned = nnx.clone(one)
    one.layers[4].weight[...] = jnp.zeros((36, 5))
    near(cloned(x), other(x))
    near(one(x), jnp.broadcast_to(one.layers[4].bias[...], (2, 5)))


def test_an_equal_layer_is_not_traced_again():
    traces = []

    @nnx.jit
    def call(module, x):
        traces.append(1)
        return module(x)

    def twice(*makes):
        before = len(traces)
        for make in makes:
            call(make(), jnp.ones((2, 6)))
        return len(traces) - before

    mixing = lambda seed, d=4: EinMix("b c -> b d", "c d", "d", c=6, d=d, rngs=nnx.Rngs(seed))
    assert twice(lambda: Rearrange("b (c p) -> b c p", p=2), lambda: Rearrange("b  (c p)->b c p", p=2)) == 1
    assert twice(lambda: Rearrange("b (c p) -> b c p", p=3)) == 1
    assert twice(lambda: Reduce("b c -> b", "max"), lambda: Reduce("b c -> b", "max")) == 1
    assert twice(lambda: Reduce("b c -> b", "min")) == 1
    assert twice(lambda: mixing(0), lambda: mixing(1)) == 1
    assert twice(lambda: mixing(0, d=5)) == 1
    assert nnx.graphdef(mixing(0)) == nnx.graphdef(mixing(1)) != nnx.graphdef(mixing(0, d=5))


def test_gradients_by_nnx():
    x = jnp.asarray(filled((2, 3)))
    module = dense()
    found = nnx.to_pure_dict(nnx.grad(lambda module: (module(x) ** 2).sum())(module))
    expected = nnx.to_pure_dict(nnx.grad(lambda module: (module(x) ** 2).sum())(native(module)))
    near(found["weight"], expected["kernel"])
    near(found["bias"][0], expected["bias"])


def test_an_ensemble_by_vmap():
    @nnx.split_rngs(splits=3)
    @nnx.vmap
    def create(rngs):
        return EinMix("b c -> b d", "c d", "d", c=3, d=4, rngs=rngs)

    x = jnp.asarray(filled((2, 3)))
    several = create(nnx.Rngs(0))
    assert several.weight.shape == (3, 3, 4)
    assert (several.weight[0] != several.weight[1]).all()
    result = nnx.vmap(lambda module, x: module(x), in_axes=(0, None))(several, x)
    near(result, jnp.einsum("bc,ncd->nbd", x, several.weight[...]) + several.bias[...])


def test_scan_over_layers():
    @nnx.split_rngs(splits=4)
    @nnx.vmap
    def create(rngs):
        return EinMix("b c -> b d", "c d", "d", c=3, d=3, rngs=rngs)

    @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
    def forward(x, layer):
        return nnx.tanh(layer(x))

    x = jnp.asarray(filled((2, 3)))
    deep = create(nnx.Rngs(0))
    result = forward(x, deep)
    for weight, bias in zip(deep.weight[...], deep.bias[...], strict=True):
        x = jnp.tanh(x @ weight + bias)
    near(result, x)


def test_remat_and_cached_calls():
    x = jnp.asarray(filled((2, 3)))
    module = dense()
    loss = lambda module: (module(x) ** 2).sum()
    again = lambda module: (nnx.remat(lambda module, x: module(x))(module, x) ** 2).sum()
    equal_trees(nnx.grad(again)(module), nnx.grad(loss)(module))
    near(nnx.cached_partial(nnx.jit(lambda module, x: module(x)), module)(x), module(x))


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
    x = jnp.asarray(filled((2, 6)))
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), nnx.clone(module)):
        assert type(other) is type(module)
        assert other is not module
        assert nnx.graphdef(other) == nnx.graphdef(module)
        equal_trees(nnx.state(other), nnx.state(module))
        near(other(x), module(x))


def test_shapes_without_elements():
    module = nnx.eval_shape(dense)
    assert isinstance(module.weight.get_value(), jax.ShapeDtypeStruct)
    assert (module.weight.shape, module.bias.shape) == ((3, 4), (1, 4))
    nnx.update(module, nnx.state(dense()))
    near(module(jnp.ones((2, 3))), dense()(jnp.ones((2, 3))))


KINDS = [
    (None, "float32"),
    ("bfloat16", "float32"),
    (None, "bfloat16"),
    ("float16", "float32"),
    ("float32", "bfloat16"),
]


@pytest.mark.parametrize(("dtype", "param_dtype"), KINDS)
@pytest.mark.parametrize("given", ["float32", "bfloat16"])
def test_the_dtypes_of_computation_and_parameters_are_those_of_linear(dtype, param_dtype, given):
    x = jnp.asarray(filled((2, 3)), given)
    options = {"dtype": dtype, "param_dtype": jnp.dtype(param_dtype)}
    module = dense(**options)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(nnx.state(module))} == {param_dtype}
    near(module(x), native(module, **options)(x), 1e-2)
    products = jax.make_jaxpr(module)(x).eqns
    added = [equation for equation in products if equation.primitive.name == "add"]
    assert {variable.aval.dtype for variable in added[0].invars} == {module(x).dtype}


def test_initializers_and_metadata():
    init = nnx.initializers.ones
    module = dense(weight_init=init, bias_init=nnx.initializers.constant(2.0))
    near(module.weight[...], jnp.ones((3, 4)))
    near(module.bias[...], jnp.full((1, 4), 2.0))
    module = dense(weight_metadata={"note": "w"}, bias_metadata={"note": "b"})
    assert (module.weight.get_metadata("note"), module.bias.get_metadata("note")) == ("w", "b")
    equal_trees(jax.tree.leaves(nnx.state(module)), jax.tree.leaves(nnx.state(dense())))


def test_a_sharding():
    mesh = jax.make_mesh((1,), ("model",), (jax.sharding.AxisType.Auto,))
    with jax.set_mesh(mesh):
        by_init = dense(weight_init=nnx.with_partitioning(nnx.initializers.lecun_normal(), ("model", None)))
        by_metadata = dense(weight_metadata={"out_sharding": ("model", None)})
        linear = nnx.Linear(3, 4, kernel_metadata={"out_sharding": ("model", None)}, rngs=nnx.Rngs(0))
    expected = nnx.get_partition_spec(nnx.state(linear))["kernel"].get_value()
    assert expected == jax.sharding.PartitionSpec("model", None)
    for module in (by_init, by_metadata):
        assert nnx.get_partition_spec(nnx.state(module))["weight"].get_value() == expected
        assert module.weight[...].sharding == linear.kernel[...].sharding


def test_a_bias_may_come_later():
    module = EinMix("b c -> b d", "c d", c=3, d=4, rngs=nnx.Rngs(0))
    x = jnp.asarray(filled((2, 3)))
    before = module(x)
    module.bias = nnx.Param(jnp.ones((1, 4)))
    near(module(x), before + 1)
    assert len(jax.tree.leaves(nnx.state(module, nnx.Param))) == 2


def test_what_the_parameters_are_drawn_from():
    rngs = nnx.Rngs(0)
    one, other = (EinMix("b c -> c", "c", "c", c=5, rngs=rngs) for _ in range(2))
    assert (one.weight[...] != other.weight[...]).all()
    assert (one.weight[...] / 3**0.5 != one.bias[...]).all()
    only = EinMix("b c -> c", "c", "c", c=5, rngs=nnx.Rngs(params=0))
    equal_trees(nnx.state(only), nnx.state(EinMix("b c -> c", "c", "c", c=5, rngs=nnx.Rngs(params=0, dropout=1))))
    rngs = nnx.Rngs(params=0)
    EinMix("b c -> c", "c", c=5, rngs=rngs)
    assert rngs.params.count[...] == 1  # none for a bias that is not there
    with pytest.raises(TypeError, match="rngs"):
        EinMix("b c -> c", "c", c=5)


class Pooling(nnx.Module):
    """A reduction with parameters: a weighted sum."""

    def __init__(self, length, rngs):
        self.scores = nnx.Param(nnx.initializers.normal()(rngs.params(), (length,)))

    def __call__(self, tensor, axes):
        (axis,) = axes
        return jnp.tensordot(tensor, self.scores[...], (axis, 0))


def test_a_module_as_reduction():
    x = jnp.asarray(filled((2, 5, 3)))
    module = Reduce("b t c -> b c", Pooling(5, nnx.Rngs(0)))
    assert len(jax.tree.leaves(nnx.state(module, nnx.Param))) == 1
    expected = lambda module: jnp.einsum("btc,t->bc", x, module.module.scores[...])
    near(module(x), expected(module))
    near(nnx.jit(lambda module: module(x))(module), expected(module))
    (gradient,) = jax.tree.leaves(nnx.grad(lambda module: module(x).sum())(module))
    near(gradient, x.sum((0, 2)))
    again = nnx.merge(*nnx.split(module))
    again.module.scores[...] = jnp.ones(5)
    near(again(x), x.sum(1))
    near(module(x), expected(module))


def test_modes_and_walks():
    module = network()
    module.train()
    module.eval()
    assert {type(found) for _, found in nnx.iter_modules(module)} >= {Rearrange, Reduce, EinMix}
    table = nnx.tabulate(module, jnp.ones((2, 36)), console_kwargs={"width": 200, "force_terminal": False})
    for text in ("Rearrange", "Reduce", "EinMix", "float32[36,5]", "float32[1,5]"):
        assert text in table


def test_a_readable_description(capsys):
    text = repr(dense())
    for part in ("EinMix(", "weight=Param(", "bias=Param(", "'b c -> b d', c=3, d=4", "weight_shape='c d'"):
        assert part in text
    assert "reduction='max'" in repr(Reduce("b c -> b", "max"))
    assert "bound" not in text
    nnx.display(network())
    shown = capsys.readouterr().out
    for name in ("Rearrange", "Reduce", "EinMix"):
        assert name in shown


def test_a_checkpoint_of_orbax(tmp_path):
    orbax = pytest.importorskip("orbax.checkpoint")
    state = nnx.to_pure_dict(nnx.state(network()))
    with orbax.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "network", state)
        checkpointer.wait_until_finished()
        found = checkpointer.restore(tmp_path / "network", jax.tree.map(jnp.zeros_like, state))
    other = network(1)
    loaded = nnx.state(other)
    nnx.replace_by_pure_dict(loaded, found)
    nnx.update(other, loaded)
    equal_trees(nnx.state(other), nnx.state(network()))


def test_a_layer_in_a_linen_module():
    """By the bridge: NNX's modules are used in models of Linen, and EinMix among them."""
    x = jnp.asarray(filled((2, 3)))
    module = nnx.bridge.to_linen(EinMix, "b c -> b d", "c d", "d", c=3, d=4)
    result, variables = module.init_with_output(jax.random.key(0), x)
    params = variables["params"]
    near(result, x @ params["weight"] + params["bias"])


def test_axes_of_any_name():
    """Layers without parameters have no arguments but their own: every other axis can have a size by keyword."""
    x = jnp.ones((2, 6))
    for axis in ("rngs", "dtype", "name", "key", "in"):
        assert Rearrange(f"b (c {axis}) -> b c {axis}", **{axis: 3})(x).shape == (2, 2, 3)
    with pytest.raises(plait.AxisError, match="PLT203"):
        Rearrange("b c -> c b", rngs=3)


def test_an_argument_is_not_the_size_of_an_axis():
    with pytest.raises(plait.AxisError, match="PLT213"):
        EinMix("b rngs -> b c", "rngs c", c=3, rngs=2)
