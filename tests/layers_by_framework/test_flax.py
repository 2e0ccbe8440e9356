"""Tests of plait's layers in Flax Linen: each is compared with a module of Flax Linen, or with hand-written code."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest

import plait

pytest.importorskip("flax")
optax = pytest.importorskip("optax")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from flax import errors, serialization  # noqa: E402
from flax import linen as nn  # noqa: E402
from flax.training.train_state import TrainState  # noqa: E402

from layers.cases import EINMIX_CASES  # noqa: E402
from layers.frameworks.flax_ import FRAMEWORK  # noqa: E402
from layers.test_conformance import einmix_positional_arguments, random_array  # noqa: E402
from layers_by_framework.jax_layer_tests import JaxLayerTests, assert_near, assert_trees_equal_exactly  # noqa: E402
from plait.layers.flax import EinMix, Rearrange, Reduce, Repeat  # noqa: E402

KEY = jax.random.key(0)


class TestOnJax(JaxLayerTests):
    framework = FRAMEWORK

    @staticmethod
    def make_functional(built):
        module, variables = built
        return lambda params, x: module.apply({"params": params}, x), variables.get("params", {})


def make_einmix(**options):
    return EinMix("b c -> b d", "c d", "d", c=3, d=4, **options)


class NativeNetwork(nn.Module):
    """The network of `make_sequential_network`, written without plait."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3))(x.reshape(-1, 6, 6, 1)))
        x = nn.max_pool(x, (2, 2), (2, 2))
        return nn.Dense(5)(x.transpose(0, 3, 1, 2).reshape(len(x), -1))


class CompactNetwork(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = Rearrange("b (h w) -> b h w 1", h=6)(x)
        x = Reduce("b (h 2) (w 2) c -> b (c h w)", "max")(nn.relu(nn.Conv(4, (3, 3))(x)))
        return EinMix("b f -> b k", weight_shape="f k", bias_shape="k", f=36, k=5)(x)


class SetupNetwork(nn.Module):
    def setup(self):
        self.image = Rearrange("b (h w) -> b h w 1", {"h": 6})
        self.conv = nn.Conv(4, (3, 3))
        self.pool = Reduce("b (h 2) (w 2) c -> b (c h w)", "max")
        self.head = EinMix("b f -> b k", "f k", "k", sizes={"f": 36, "k": 5})

    def __call__(self, x):
        return self.head(self.pool(nn.relu(self.conv(self.image(x)))))


def make_sequential_network():
    return nn.Sequential(
        [
            Rearrange("b (h w) -> b h w 1", h=6),
            nn.Conv(4, (3, 3)),
            nn.relu,
            Reduce("b (h 2) (w 2) c -> b (c h w)", "max"),
            EinMix("b f -> b k", weight_shape="f k", bias_shape="k", f=36, k=5),
        ]
    )


NETWORK_AND_MODULE_NAMES_BY_STYLE = {
    "sequential": (make_sequential_network, "layers_1", "layers_4"),
    "compact": (CompactNetwork, "Conv_0", "EinMix_0"),
    "setup": (SetupNetwork, "conv", "head"),
}


@pytest.mark.parametrize("style", NETWORK_AND_MODULE_NAMES_BY_STYLE)
def test_network_trains_like_native_linen(style):
    make, conv, head = NETWORK_AND_MODULE_NAMES_BY_STYLE[style]
    x, y = random_array((8, 36)), np.arange(8) % 5
    ours, theirs = make(), NativeNetwork()
    params = ours.init(KEY, x)["params"]
    assert params.keys() == {conv, head}  # layers without parameters add nothing
    there = lambda params: {
        "Conv_0": params[conv],
        "Dense_0": {"kernel": params[head]["weight"], "bias": params[head]["bias"][0]},
    }
    states = [
        TrainState.create(apply_fn=module.apply, params=found, tx=optax.adam(1e-2))
        for module, found in ((ours, params), (theirs, there(params)))
    ]

    @jax.jit
    def step(state):
        def loss(params):
            logits = state.apply_fn({"params": params}, x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        value, gradients = jax.value_and_grad(loss)(state.params)
        return state.apply_gradients(grads=gradients), value

    first = None
    for _ in range(5):
        (one, ours_loss), (other, theirs_loss) = map(step, states)
        states = [one, other]
        assert_near(ours_loss, theirs_loss, 1e-4)
        first = first or float(ours_loss)
    assert float(ours_loss) < first
    for one, other in zip(jax.tree.leaves(there(states[0].params)), jax.tree.leaves(states[1].params), strict=True):
        assert_near(one, other, 1e-4)


def test_sizes_are_a_dict_or_keywords():
    x = jnp.asarray(random_array((24, 5)))
    expected = plait.rearrange(x, "(b1 b2) d -> b1 b2 d", b1=12)
    pattern = "(b1 b2) d -> b1 b2 d"
    forms = [
        Rearrange(pattern, {"b1": 12}),
        Rearrange(pattern, sizes={"b1": 12}),
        Rearrange(pattern, b1=12),
        Rearrange(pattern=pattern, b1=12),
        Rearrange(pattern, {}, b1=12),
        Rearrange(pattern, None, b1=12),
    ]
    for form in forms:
        assert form == forms[0]
        assert hash(form) == hash(forms[0])
        assert form.sizes == {"b1": 12}
        assert_near(form.apply({}, x), expected)
    assert Rearrange(pattern, b1=6) != forms[0]
    both = Repeat("b -> b p q", {"p": 2}, q=3)
    assert both.apply({}, jnp.ones(4)).shape == (4, 2, 3)
    assert Reduce("(b c) d -> b d", "max", {"c": 2}) == Reduce("(b c) d -> b d", reduction="max", c=2)
    mixed = EinMix("b c -> b d", "c d", None, {"c": 3}, d=4)
    assert mixed == EinMix("b c -> b d", weight_shape="c d", sizes={"c": 3, "d": 4})


def test_duplicate_or_invalid_sizes_raise():
    for make in (
        lambda **more: Rearrange("b (c p) -> b c p", {"p": 2}, **more),
        lambda **more: Reduce("b (c p) -> b c", "max", {"p": 2}, **more),
        lambda **more: Repeat("b -> b p", {"p": 2}, **more),
        lambda **more: EinMix("b c -> b p", "c p", sizes={"c": 2, "p": 2}, **more),
    ):
        with pytest.raises(plait.SizeError, match=r"PLT311.*'p' is given twice"):
            make(p=2)
    with pytest.raises(plait.SizeError, match=r"PLT301.*sizes must be a dict"):
        Rearrange("b (c p) -> b c p", 2)
    with pytest.raises(plait.SizeError, match="PLT301"):
        Rearrange("b (c p) -> b c p", {"p": 2.0})
    with pytest.raises(plait.AxisError, match="PLT203"):
        Rearrange("b (c p) -> b c p", p=2, q=3)


@pytest.mark.parametrize("axis", ["name", "parent", "sizes", "pattern"])
def test_axis_with_the_name_of_an_argument_needs_the_dict(axis):
    x = jnp.ones((2, 6))
    assert Rearrange(f"b (c {axis}) -> b c {axis}", {axis: 3}).apply({}, x).shape == (2, 2, 3)
    assert Reduce(f"b (c {axis}) -> b {axis}", "max", {axis: 3}).apply({}, x).shape == (2, 3)
    assert Repeat(f"b c -> b c {axis}", {axis: 3}).apply({}, x).shape == (2, 6, 3)
    mixing = EinMix(f"b c -> b {axis}", f"c {axis}", sizes={"c": 6, axis: 3})
    assert mixing.init_with_output(KEY, x)[0].shape == (2, 3)


@pytest.mark.parametrize(
    "module",
    [
        Rearrange("b (c p) -> b c p", {"p": 3}),
        Reduce("b (c p) -> b c", "max", p=3),
        Repeat("b c -> b c r", r=2),
        EinMix("b c -> b d", "c d", "d", c=6, d=4, param_dtype=jnp.float16, dtype=jnp.float32, name="mixing"),
    ],
    ids=lambda module: type(module).__name__,
)
def test_clones_copies_and_pickles(module):
    x = jnp.asarray(random_array((2, 6)))
    expected = module.init_with_output(KEY, x)
    given = {field.name: getattr(module, field.name) for field in dataclasses.fields(module) if field.name != "parent"}
    for other in (
        module.clone(),
        module.copy(name=module.name),
        copy.copy(module),
        copy.deepcopy(module),
        pickle.loads(pickle.dumps(module)),
        type(module)(**given),
    ):
        assert type(other) is type(module)
        assert other == module
        assert repr(other) == repr(module)
        assert_trees_equal_exactly(other.init_with_output(KEY, x), expected)


def test_copy_with_another_argument():
    module = Rearrange("b (c p) -> b c p", p=3)
    x = jnp.ones((2, 6))
    assert module.copy(sizes={"p": 2}).apply({}, x).shape == (2, 3, 2)
    assert module.copy(pattern="b (c p) -> p b c").apply({}, x).shape == (3, 2, 2)
    assert module.apply({}, x).shape == (2, 2, 3)
    with pytest.raises(plait.AxisError, match="PLT20"):
        module.copy(pattern="b (c p) -> b c")


class RearrangeSubclass(Rearrange):
    """A subclass without fields of its own."""


class ScaledEinMix(EinMix):
    """A subclass with a field."""

    by: float = 2.0

    def __call__(self, x):
        return super().__call__(x) * self.by


def test_subclasses_with_and_without_fields():
    x = jnp.asarray(random_array((2, 3)))
    assert RearrangeSubclass("b (c p) -> b c p", p=3).apply({}, x).shape == (2, 1, 3)
    assert RearrangeSubclass("b (c p) -> b c p", {"p": 3}, name="patches").name == "patches"
    scaled = ScaledEinMix("b c -> b d", "c d", "d", {"c": 3, "d": 4}, by=3.0)
    result, variables = scaled.init_with_output(KEY, x)
    assert_near(result, make_einmix().apply(variables, x) * 3)
    with pytest.raises(plait.PlaitError, match="PLT303"):
        ScaledEinMix("b c -> b d", "c d", "d", {"c": 3})


def test_module_names():
    class Network(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = make_einmix()(x)
            x = EinMix("b d -> b c", "d c", c=3, d=4, name="back")(x)
            return make_einmix()(x), Rearrange("b c -> c b").name, Rearrange("b c -> c b", name="turned").name

    (_, *names), variables = Network().init_with_output(KEY, jnp.ones((2, 3)))
    assert variables["params"].keys() == {"EinMix_0", "back", "EinMix_1"}
    assert names == ["Rearrange_0", "turned"]
    assert variables["params"]["back"].keys() == {"weight"}


def test_duplicate_name_raises():
    class Twice(nn.Module):
        @nn.compact
        def __call__(self, x):
            return make_einmix(name="back")(x), make_einmix(name="back")(x)

    with pytest.raises(errors.NameInUseError, match="back"):
        Twice().init(KEY, jnp.ones((2, 3)))


def test_shared_module_belongs_to_the_module_that_uses_it():
    class User(nn.Module):
        layer: nn.Module

        @nn.compact
        def __call__(self, x):
            return self.layer(x)

    class Maker(nn.Module):
        @nn.compact
        def __call__(self, x):
            return User(make_einmix(parent=None))(x)

    x = jnp.ones((2, 3))
    assert User(make_einmix()).init(KEY, x)["params"].keys() == {"layer"}
    assert Maker().init(KEY, x)["params"].keys() == {"User_0"}
    assert Maker().init(KEY, x)["params"]["User_0"]["layer"].keys() == {"weight", "bias"}


def test_bound_module_has_its_parameters():
    x = jnp.asarray(random_array((2, 3)))
    variables = make_einmix().init(KEY, x)
    bound = make_einmix().bind(variables)
    assert_trees_equal_exactly({"weight": bound.weight, "bias": bound.bias}, variables["params"])
    assert_near(bound(x), x @ bound.weight + bound.bias)
    module, found = bound.unbind()
    assert module == make_einmix()
    assert_trees_equal_exactly(found, variables)
    assert EinMix("b c -> b d", "c d", c=3, d=4).bind({"params": {"weight": jnp.ones((3, 4))}}).bias is None


def test_weight_is_tied_to_another_operation():
    class Tied(nn.Module):
        def setup(self):
            self.up = EinMix("b c -> b d", "c d", c=3, d=4)

        def __call__(self, x):
            return plait.einsum(self.up(x), self.up.weight, "b d, c d -> b c")

    x = jnp.asarray(random_array((2, 3)))
    result, variables = Tied().init_with_output(KEY, x)
    weight = variables["params"]["up"]["weight"]
    assert_near(result, x @ weight @ weight.T)


def test_scan_over_layers():
    class Layer(nn.Module):
        @nn.compact
        def __call__(self, x, _):
            return nn.tanh(EinMix("b c -> b d", "c d", "d", c=3, d=3)(x)), None

    deep = nn.scan(Layer, variable_axes={"params": 0}, split_rngs={"params": True}, length=4)()
    x = jnp.asarray(random_array((2, 3)))
    (result, _), variables = deep.init_with_output(KEY, x, None)
    params = variables["params"]["EinMix_0"]
    assert {name: value.shape for name, value in params.items()} == {"weight": (4, 3, 3), "bias": (4, 1, 3)}
    assert (params["weight"][0] != params["weight"][1]).all()
    for weight, bias in zip(params["weight"], params["bias"], strict=True):
        x = jnp.tanh(x @ weight + bias)
    assert_near(result, x)


def test_lifted_transformations_take_the_class_and_its_keywords():
    x = jnp.asarray(random_array((2, 3)))
    variables = make_einmix().init(KEY, x)
    expected = make_einmix().apply(variables, x)
    for lift in (nn.remat, nn.jit):
        lifted = lift(EinMix)("b c -> b d", "c d", "d", c=3, d=4)
        assert_near(lifted.apply(variables, x), expected)
        assert jax.tree.map(jnp.shape, lifted.init(KEY, x)) == jax.tree.map(jnp.shape, variables)
        assert lift(Rearrange)("b (c p) -> b c p", p=3).apply({}, x).shape == (2, 1, 3)
        with pytest.raises(plait.PlaitError, match="PLT303"):
            lift(EinMix)("b c -> b d", "c d", "d", c=3)
    several = nn.vmap(EinMix, variable_axes={"params": 0}, split_rngs={"params": True}, axis_size=2)
    result, variables = several("b c -> b d", "c d", "d", c=3, d=4).init_with_output(KEY, jnp.stack([x, x]))
    params = variables["params"]
    assert params["weight"].shape == (2, 3, 4)
    assert (params["weight"][0] != params["weight"][1]).all()
    assert_near(result, jnp.stack([x @ params["weight"][n] + params["bias"][n] for n in range(2)]))


def test_remat_gradients_are_equal():
    x = jnp.asarray(random_array((2, 3)))
    variables = make_einmix().init(KEY, x)
    one, other = (
        jax.grad(lambda v, module=module: (module("b c -> b d", "c d", "d", c=3, d=4).apply(v, x) ** 2).sum())(
            variables
        )
        for module in (EinMix, nn.remat(EinMix))
    )
    assert_trees_equal_exactly(one, other)


def test_equal_modules_share_a_jit_trace():
    traces = []

    @jax.jit
    def plain(variables, x):
        traces.append("plain")
        return make_sequential_network().apply(variables, x)

    def static(module, variables, x):
        traces.append(type(module).__name__)
        return module.apply(variables, x)

    static = jax.jit(static, static_argnums=0)
    x = random_array((2, 36))
    variables = make_sequential_network().init(KEY, x)
    for _ in range(2):
        plain(variables, x)
        static(EinMix("b f -> b k", "f k", f=36, k=5), {"params": {"weight": jnp.ones((36, 5))}}, x)
        static(Rearrange("b (h w) -> b h w", {"h": 6}), {}, x)
        static(Rearrange("b (h w) -> b h w", h=6), {}, x)
    assert traces == ["plain", "EinMix", "Rearrange"]
    static(Rearrange("b (h w) -> b h w", h=9), {}, x)
    assert len(traces) == 4


COMPUTATION_AND_PARAMETER_DTYPES = [
    (None, "float32"),
    ("bfloat16", "float32"),
    (None, "bfloat16"),
    ("float16", "float32"),
    ("float32", "bfloat16"),
]


@pytest.mark.parametrize(("dtype", "param_dtype"), COMPUTATION_AND_PARAMETER_DTYPES)
@pytest.mark.parametrize("given", ["float32", "bfloat16"])
def test_dtype_and_param_dtype_equal_those_of_dense(dtype, param_dtype, given):
    x = jnp.asarray(random_array((2, 3)), given)
    options = {"dtype": dtype, "param_dtype": jnp.dtype(param_dtype)}
    ours, theirs = make_einmix(**options), nn.Dense(4, **options)
    result, variables = ours.init_with_output(KEY, x)
    params = variables["params"]
    assert {value.dtype.name for value in params.values()} == {param_dtype}
    expected = theirs.apply({"params": {"kernel": params["weight"], "bias": params["bias"][0]}}, x)
    assert_near(result, expected, 1e-2)


def test_every_operation_has_the_computation_dtype():
    """The product and the sum have operands of the computation dtype; a cast of the result would not be enough."""
    x = jnp.asarray(random_array((2, 3)))
    module = make_einmix(dtype=jnp.bfloat16)
    variables = module.init(KEY, x)
    jaxpr = jax.make_jaxpr(module.apply)(variables, x)
    (product,) = [equation for equation in jaxpr.eqns if equation.primitive.name in ("dot_general", "jit", "pjit")]
    assert {variable.aval.dtype.name for variable in product.invars} == {"bfloat16"}
    (added,) = [equation for equation in jaxpr.eqns if equation.primitive.name == "add"]
    assert {variable.aval.dtype.name for variable in added.invars} == {"bfloat16"}


def test_non_tensor_raises_in_a_layer_with_a_dtype():
    module = make_einmix(dtype=jnp.bfloat16)
    for nonsense in (None, "text", [1.0, 2.0]):
        with pytest.raises(plait.BackendError, match="PLT501"):
            module.init(KEY, nonsense)


def test_complex_parameters_are_drawn_in_both_parts():
    module = EinMix("b c -> b d", "c d", c=64, d=64, param_dtype=jnp.complex64)
    weight = module.init(KEY, jnp.ones((2, 64)))["params"]["weight"]
    assert weight.dtype == "complex64"
    bound = (3 / 64) ** 0.5
    for part in (weight.real, weight.imag):
        assert -bound <= part.min() < -0.95 * bound
        assert 0.95 * bound < part.max() <= bound
    assert abs(np.corrcoef(weight.real.ravel(), weight.imag.ravel())[0, 1]) < 0.1


def test_initializer_arguments():
    module = make_einmix(weight_init=nn.initializers.ones, bias_init=nn.initializers.constant(2.0))
    x = jnp.asarray(random_array((2, 3)))
    result, variables = module.init_with_output(KEY, x)
    assert_trees_equal_exactly(variables, {"params": {"weight": jnp.ones((3, 4)), "bias": jnp.full((1, 4), 2.0)}})
    assert_near(result, x.sum(1, keepdims=True) + jnp.full((2, 4), 2.0))


def test_partitioned_weight_keeps_its_partition_spec():
    init = nn.with_partitioning(nn.initializers.variance_scaling(1.0, "fan_in", "uniform"), ("model", None))
    module = make_einmix(weight_init=init)
    x = jnp.asarray(random_array((2, 3)))
    variables = module.init(KEY, x)
    assert isinstance(variables["params"]["weight"], nn.Partitioned)
    specs = nn.get_partition_spec(variables)["params"]
    assert specs["weight"] == jax.sharding.PartitionSpec("model", None)
    assert_near(module.apply(variables, x), module.apply(nn.unbox(variables), x))


def test_weight_and_bias_are_drawn_independently():
    params = EinMix("b c -> c", "c", "c", c=5).init(KEY, jnp.ones((2, 5)))["params"]
    assert (params["weight"] / 3**0.5 != params["bias"]).all()


def test_serialized_parameters_are_restored():
    module = make_sequential_network()
    x = random_array((2, 36))
    variables = module.init(KEY, x)
    blank = jax.tree.map(jnp.zeros_like, variables)
    assert_trees_equal_exactly(serialization.from_bytes(blank, serialization.to_bytes(variables)), variables)
    state = serialization.to_state_dict(variables)
    assert state["params"]["layers_4"].keys() == {"weight", "bias"}
    assert_trees_equal_exactly(serialization.from_state_dict(blank, state), variables)


def test_orbax_checkpoint(tmp_path):
    orbax = pytest.importorskip("orbax.checkpoint")
    variables = make_sequential_network().init(KEY, random_array((2, 36)))
    with orbax.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "network", variables)
        checkpointer.wait_until_finished()
        found = checkpointer.restore(tmp_path / "network", jax.tree.map(jnp.zeros_like, variables))
    assert_trees_equal_exactly(found, variables)


def test_tabulate_lists_the_layers_and_parameters():
    table = make_sequential_network().tabulate(
        KEY, jnp.ones((2, 36)), console_kwargs={"width": 200, "force_terminal": False}
    )
    for text in ("Rearrange", "Reduce", "EinMix", "layers_4", "weight: float32[36,5]", "bias: float32[1,5]"):
        assert text in table
    assert f"Total Parameters: {4 * 10 + 5 * 37}" in table
    paths = make_sequential_network().module_paths(KEY, jnp.ones((2, 36)))
    assert paths["layers_0"].sizes == {"h": 6}


def test_intermediates_and_interceptors():
    x = random_array((2, 36))
    variables = make_sequential_network().init(KEY, x)
    _, state = make_sequential_network().apply(variables, x, capture_intermediates=True)
    assert state["intermediates"]["layers_3"]["__call__"][0].shape == (2, 36)
    seen = []

    def interceptor(function, args, kwargs, context):
        seen.append(type(context.module).__name__)
        return function(*args, **kwargs)

    with nn.intercept_methods(interceptor):
        make_sequential_network().apply(variables, x)
    assert {"Rearrange", "Reduce", "EinMix"} <= {*seen}


def test_init_under_eval_shape_lazy_init_and_jit():
    x = jax.ShapeDtypeStruct((2, 3), jnp.float32)
    shapes = jax.eval_shape(make_einmix().init, KEY, x)
    assert shapes["params"]["weight"].shape == (3, 4)
    assert_trees_equal_exactly(make_einmix().lazy_init(KEY, x), make_einmix().init(KEY, jnp.ones((2, 3))))
    assert_trees_equal_exactly(
        jax.jit(make_einmix().init)(KEY, jnp.ones((2, 3))), make_einmix().init(KEY, jnp.ones((2, 3)))
    )


class WeightedSum(nn.Module):
    """A reduction with parameters: a weighted sum."""

    @nn.compact
    def __call__(self, tensor, axes):
        (axis,) = axes
        scores = self.param("scores", nn.initializers.normal(), (tensor.shape[axis],))
        return jnp.tensordot(tensor, scores, (axis, 0))


def test_reduction_that_is_a_module():
    x = jnp.asarray(random_array((2, 5, 3)))
    module = Reduce("b t c -> b c", WeightedSum())
    result, variables = module.init_with_output(KEY, x)
    scores = variables["params"]["reduction"]["scores"]
    assert_near(result, jnp.einsum("btc,t->bc", x, scores))
    assert_near(jax.jit(module.apply)(variables, x), result)
    assert_near(jax.grad(lambda v: module.apply(v, x).sum())(variables)["params"]["reduction"]["scores"], x.sum((0, 2)))


def test_repr():
    text = repr(make_einmix())
    for line in ("pattern = 'b c -> b d'", "weight_shape = 'c d'", "bias_shape = 'd'", "c: 3", "d: 4"):
        assert line in text
    assert "reduction = 'max'" in repr(Reduce("b c -> b", "max"))


def assert_equal_results_with_equal_parameters(case, x, ours, theirs):
    shapes, expected = (jax.eval_shape(module.init, KEY, x) for module in (ours, theirs))
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), shapes) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), expected
    )
    variables = jax.tree.map(lambda leaf: jnp.asarray(random_array(leaf.shape, leaf.size)), expected)
    assert_near(jax.jit(ours.apply)(variables, x), jax.jit(theirs.apply)(variables, x), 1e-4)


EINOPS_CASES = [
    case for case in EINMIX_CASES if case.weight_shape and not {"1", "class"} & {*case.weight_shape.split()}
]
"""The cases that einops has a result or an error for, and no warning."""


@pytest.mark.parametrize("case", EINOPS_CASES, ids=str)
def test_einops_parameters_can_be_loaded(case):
    """einops rejects a bias dimension before an ellipsis, plait accepts it: such cases are not compared."""
    einops = pytest.importorskip("einops")
    from einops.layers import flax as theirs

    x = jnp.asarray(random_array(case.shape))
    try:
        other = theirs.EinMix(*einmix_positional_arguments(case), sizes=case.sizes)
        jax.eval_shape(other.init, KEY, x)
    except einops.EinopsError as error:
        assert "ellipsis" in str(error)
        assert "..." in case.pattern
        return
    assert_equal_results_with_equal_parameters(
        case, x, EinMix(*einmix_positional_arguments(case), sizes=case.sizes), other
    )


def test_einops_code_runs_with_the_import_replaced():
    pytest.importorskip("einops")
    from einops.layers import flax as theirs

    import plait.layers.flax as ours

    def build_network(layers):
        class Network(nn.Module):
            @nn.compact
            def __call__(self, x):
                x = layers.EinMix("b (n c) -> b (n d)", "n c d", "n d", sizes={"n": 2, "c": 6, "d": 4})(x)
                x = layers.Rearrange("(b1 b2) (h w) -> b1 b2 h w", {"b1": 2, "h": 2})(x)
                x = layers.Reduce(pattern="b1 b2 h w -> b1 b2 h", reduction="mean")(x)
                x = layers.Reduce("b1 (b2 two) h -> b1 b2 h", "max", sizes={"two": 2})(x)
                weight, bias = "h d", None
                return layers.EinMix(
                    pattern="a ... h -> a ... d", weight_shape=weight, bias_shape=bias, sizes=dict(h=2, d=3)
                )(x)

        return Network()

    x = jnp.asarray(random_array((8, 12)))
    variables = build_network(theirs).init(KEY, x)
    shapes = jax.tree.map(jnp.shape, variables)
    assert jax.tree.map(jnp.shape, build_network(ours).init(KEY, x)) == shapes
    assert_near(build_network(ours).apply(variables, x), build_network(theirs).apply(variables, x))


def test_integer_argument_with_the_name_of_an_axis_raises():
    with pytest.raises(plait.AxisError, match="PLT213"):
        Rearrange("name b -> b name", name=7)
    with pytest.raises(plait.AxisError, match="PLT213"):
        EinMix("b dtype -> b c", "dtype c", c=3, dtype=2)
    x = jnp.zeros((4, 2))
    assert Rearrange("name b -> b name", {"name": 4}).apply({}, x).shape == (2, 4)
    with pytest.raises(plait.SizeError, match="PLT305"):
        Rearrange("name b -> b name", {"name": 7}).apply({}, x)
