"""Tests of plait's layers in PaddlePaddle: each is compared with a layer of PaddlePaddle, or with hand-written code."""

from __future__ import annotations

import copy
import importlib.util
import pickle

import numpy as np
import pytest

import plait
from layers.cases import EINMIX_CASES, OPERATION_CASES
from layers.frameworks.paddle_ import FRAMEWORK

if importlib.util.find_spec("paddle") is None:
    pytest.skip("paddle is not installed", allow_module_level=True)

paddle, layers = FRAMEWORK.import_framework(), FRAMEWORK.import_layers()
EinMix, Rearrange, Reduce, Repeat = layers.EinMix, layers.Rearrange, layers.Reduce, layers.Repeat

from paddle import nn  # noqa: E402
from paddle.jit.sot.psdb import check_no_breakgraph  # noqa: E402
from paddle.static import InputSpec  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Tensor do not have 'place'")
"""Paddle's own words about its own full_like, while it makes a backward program."""


@pytest.fixture(autouse=True)
def _set_seed():
    paddle.seed(0)


def random_tensor(*shape, dtype="float32"):
    return paddle.to_tensor(np.random.default_rng(0).normal(size=shape).astype(dtype))


def assert_close(actual, expected, **tolerance):
    assert tuple(actual.shape) == tuple(expected.shape)
    assert actual.dtype == expected.dtype
    np.testing.assert_allclose(actual.numpy(), expected.numpy(), **{"rtol": 1e-5, "atol": 1e-6, **tolerance})


def assert_same_state(actual, expected):
    """Two dicts of tensors: the same names, and the same elements bit by bit."""
    assert list(actual) == list(expected)
    for name, tensor in actual.items():
        assert tensor.dtype == expected[name].dtype
        np.testing.assert_array_equal(tensor.numpy(), expected[name].numpy())


class NativeNetwork(nn.Layer):
    """The network of `make_network`, written without plait, with the same parameter names."""

    def __init__(self):
        super().__init__()
        self.add_sublayer("1", nn.Conv2D(1, 4, 3, padding=1))
        self.add_sublayer("5", nn.Linear(36, 5))

    def forward(self, x):
        convolution, linear = self.children()
        x = nn.functional.max_pool2d(nn.functional.relu(convolution(x.reshape([-1, 1, 6, 6]))), 2)
        return linear(x.flatten(1))


def make_network():
    return nn.Sequential(
        Rearrange("b (h w) -> b 1 h w", h=6),
        nn.Conv2D(1, 4, 3, padding=1),
        nn.ReLU(),
        Reduce("b c (h 2) (w 2) -> b c h w", "max"),
        Rearrange("b ... -> b (...)"),
        EinMix("b f -> b k", "f k", "k", f=36, k=5),
    )


def to_native_state(state):
    return {name: tensor.flatten() if name == "5.bias" else tensor for name, tensor in state.items()}


def make_network_pair():
    """Return a network of plait's layers and the same network without plait, with equal parameters."""
    ours, native = make_network(), NativeNetwork()
    native.set_state_dict(to_native_state(ours.state_dict()))
    return ours, native


def test_layer_registers_sublayers_and_parameters():
    model = nn.Sequential(make_network(), nn.Sequential(EinMix("b k -> b j", "k j", k=5, j=2)))
    assert [name for name, _ in model.named_children()] == ["0", "1"]
    kinds = {name: type(layer) for name, layer in model.named_sublayers()}
    assert kinds["0.0"] is Rearrange
    assert kinds["0.3"] is Reduce
    assert kinds["0.5"] is kinds["1.0"] is EinMix
    assert len(model.sublayers()) == 9
    assert [name for name, _ in model.named_parameters()] == [
        *("0.1.weight", "0.1.bias", "0.5.weight", "0.5.bias", "1.0.weight"),
    ]
    assert all(not parameter.stop_gradient for parameter in model.parameters())
    assert list(model.buffers()) == []


def test_only_einmix_has_parameters():
    for layer in (Rearrange("a b -> b a"), Reduce("a b -> a", "max"), Repeat("a -> a 2")):
        assert layer.state_dict() == {}
        assert layer.parameters() == []
    state = EinMix("b c -> b d", "c d", "d", c=3, d=4).state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == {"weight": (3, 4), "bias": (1, 4)}
    assert list(EinMix("b c -> b d", "c d", c=3, d=4).state_dict()) == ["weight"]


def test_network_equals_the_native_network():
    ours, native = make_network_pair()
    assert_close(ours(random_tensor(4, 36)), native(random_tensor(4, 36)))


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_optimizer_updates_equal_the_native_network(optimizer):
    ours, native = make_network_pair()
    before = {name: tensor.numpy().copy() for name, tensor in ours.state_dict().items()}
    digits = paddle.to_tensor([0, 1, 2, 3])
    for model in (ours, native):
        step = getattr(paddle.optimizer, optimizer)(0.1, parameters=model.parameters())
        for _ in range(3):
            loss = nn.functional.cross_entropy(model(random_tensor(4, 36)), digits)
            loss.backward()
            step.step()
            step.clear_grad()
    after, expected = to_native_state(ours.state_dict()), native.state_dict()
    for name, tensor in after.items():
        assert_close(tensor, expected[name], rtol=1e-4, atol=1e-5)
        assert (tensor.numpy() != before[name].reshape(tensor.shape)).any()


def test_state_dict_is_saved_and_loaded(tmp_path):
    ours, other = make_network(), make_network()
    assert (ours[5].weight != other[5].weight).any()
    paddle.save(ours.state_dict(), str(tmp_path / "model.pdparams"))
    missing, unexpected = other.set_state_dict(paddle.load(str(tmp_path / "model.pdparams")))
    assert missing == unexpected == []
    assert_same_state(other.state_dict(), ours.state_dict())
    assert_close(other(random_tensor(4, 36)), ours(random_tensor(4, 36)))


@pytest.mark.parametrize("full_graph", [True, False])
def test_to_static_gradients_equal_the_native_network(full_graph):
    ours, native = make_network_pair()
    static = paddle.jit.to_static(ours, full_graph=full_graph)
    for size in (4, 7, 2):
        for model in (ours, native):
            model.clear_gradients()
        x = random_tensor(size, 36)
        found, expected = static(x), native(x)
        assert_close(found, expected, rtol=1e-4, atol=1e-5)
        for result in (found, expected):
            (result * random_tensor(size, 5)).sum().backward()
        for one, other in zip(ours.parameters(), native.parameters(), strict=True):
            assert_close(one.grad.reshape(other.shape), other.grad, rtol=1e-4, atol=1e-4)


def test_bytecode_tracer_makes_one_graph():
    model = nn.Sequential(make_network(), Repeat("b k -> b r k", r=2), EinMix("b (r) k -> b (k r)", "r k", r=2, k=5))

    @check_no_breakgraph
    def whole(x):
        return model(x)

    static = paddle.jit.to_static(whole, full_graph=False)
    for size in (4, 3):
        assert_close(static(random_tensor(size, 36)), model(random_tensor(size, 36)))


@pytest.mark.parametrize("full_graph", [True, False])
@pytest.mark.parametrize("case", [*OPERATION_CASES, *EINMIX_CASES], ids=str)
def test_every_case_by_both_tracers(case, full_graph):
    """The tracer of source code (``full_graph=True``) is given an unknown batch size."""
    if case in EINMIX_CASES:
        layer = EinMix(case.pattern, case.weight_shape, case.bias_shape, **case.sizes)
    else:
        layer = getattr(layers, case.kind)(*case.arguments, **case.sizes)
    x = random_tensor(*case.shape)
    expected = layer(x)
    spec = [InputSpec([None, *case.shape[1:]], "float32")] if full_graph else None
    static = paddle.jit.to_static(layer, input_spec=spec, full_graph=full_graph)
    assert_close(static(x), expected)


def double_sum(tensor, axes):
    return paddle.sum(tensor, axes) * 2


@pytest.mark.parametrize("shape", [[None, 36], [None, None]])
def test_saved_program_accepts_other_batch_sizes(tmp_path, shape):
    model = nn.Sequential(make_network(), Reduce("b k -> b", double_sum), Repeat("b -> b r", r=2))
    model.eval()
    paddle.jit.save(model, str(tmp_path / "model"), input_spec=[InputSpec(shape, "float32")])
    loaded = paddle.jit.load(str(tmp_path / "model"))
    for size in (1, 4, 7):
        assert_close(loaded(random_tensor(size, 36)), model(random_tensor(size, 36)))
    assert sum(parameter.size for parameter in loaded.parameters()) == sum(p.size for p in model.parameters())


def test_saved_program_can_be_trained(tmp_path):
    """The program has no einsum: Paddle has no gradient for an einsum in a loaded program."""
    model = nn.Sequential(*[make_network()[place] for place in range(4)])
    paddle.jit.save(model, str(tmp_path / "model"), input_spec=[InputSpec([None, 36], "float32")])
    loaded = paddle.jit.load(str(tmp_path / "model"))
    loaded.train()
    optimizer = paddle.optimizer.SGD(0.1, parameters=loaded.parameters())
    before = loaded(random_tensor(3, 36)).sum()
    before.backward()
    optimizer.step()
    assert loaded(random_tensor(3, 36)).sum() < before


@pytest.mark.filterwarnings("ignore:no variable in your model")  # Paddle's own words: there are no parameters to save
def test_saved_program_with_a_list_of_tensors(tmp_path):
    spec = [[InputSpec([None, 3], "float32"), InputSpec([None, 3], "float32")]]
    layer = Rearrange("k b c -> b (k c)")
    paddle.jit.save(layer, str(tmp_path / "model"), input_spec=spec)
    loaded = paddle.jit.load(str(tmp_path / "model"))
    one, other = random_tensor(4, 3), random_tensor(4, 3) + 1
    assert_close(loaded(one, other), layer([one, other]))


def test_static_program_has_the_parameters():
    paddle.enable_static()
    try:
        main, startup = paddle.static.Program(), paddle.static.Program()
        with paddle.static.program_guard(main, startup):
            x = paddle.static.data("x", [None, 3], "float32")
            layer = EinMix("b c -> b d", "c d", "d", c=3, d=4)
            y = layer(x)
            assert list(y.shape) == [-1, 4]
            executor = paddle.static.Executor(paddle.CPUPlace())
            executor.run(startup)
            feed = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
            found, weight, bias = executor.run(main, feed={"x": feed}, fetch_list=[y, layer.weight, layer.bias])
    finally:
        paddle.disable_static()
    assert (abs(weight) <= 1).all()
    assert (weight < 0).any()
    np.testing.assert_allclose(found, feed @ weight + bias, rtol=1e-5, atol=1e-6)


def test_to_another_dtype():
    layer, native = EinMix("b c -> b d", "c d", "d", c=3, d=4), nn.Linear(3, 4)
    for model in (layer, native):
        model.to(dtype="float64")
    native.set_state_dict({"weight": layer.weight, "bias": layer.bias.flatten()})
    assert layer.weight.dtype == native.weight.dtype == paddle.float64
    x = random_tensor(2, 3, dtype="float64")
    assert_close(layer(x), native(x))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_einmix_in_half_precision(dtype):
    """Without a bias: on a CPU, Paddle has no addition in half precision, and its own Linear raises an error."""
    layer = EinMix("b c -> b d", "c d", c=3, d=4)
    layer.to(dtype=dtype)
    assert layer.weight.dtype == getattr(paddle, dtype)
    x = random_tensor(2, 3).astype(dtype)
    assert layer(x).dtype == x.dtype
    expected = x.astype("float32") @ layer.weight.astype("float32")
    assert_close(layer(x).astype("float32"), expected, rtol=0, atol=0.02)


def test_parameters_have_the_default_dtype():
    paddle.set_default_dtype("float64")
    try:
        layer, native = EinMix("b c -> b d", "c d", "d", c=3, d=4), nn.Linear(3, 4)
    finally:
        paddle.set_default_dtype("float32")
    assert layer.weight.dtype == layer.bias.dtype == native.weight.dtype == paddle.float64
    assert layer(random_tensor(2, 3, dtype="float64")).dtype == paddle.float64


def test_forward_hooks():
    layer, seen = EinMix("b c -> b d", "c d", c=3, d=4), []
    before = layer.register_forward_pre_hook(lambda _, inputs: (inputs[0] * 2,))
    after = layer.register_forward_post_hook(lambda _, inputs, output: seen.append(inputs[0]) or output + 1)
    x = random_tensor(2, 3)
    assert_close(layer(x), 2 * x @ layer.weight + 1)
    assert_close(seen[0], 2 * x)
    before.remove()
    after.remove()
    assert_close(layer(x), x @ layer.weight)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["copy", "pickle"]
)
@pytest.mark.parametrize(
    "make",
    [
        lambda: EinMix("b c -> b d", "c d", "d", c=3, d=4),
        lambda: Reduce("b c -> b", double_sum),
        lambda: Repeat("b c -> b c r", r=2),
        lambda: Rearrange("b (c p) -> b c p", p=3),
    ],
)
def test_deep_copies_and_pickles_are_independent(make, copied):
    layer, x = make(), random_tensor(2, 3)
    expected = layer(x)
    other = copied(layer)
    assert repr(other) == repr(layer)
    assert_same_state(other.state_dict(), layer.state_dict())
    for parameter in layer.parameters():
        parameter.set_value(paddle.zeros_like(parameter))
    assert_close(other(x), expected)
    assert all(not parameter.stop_gradient for parameter in other.parameters())


def test_network_is_copied_and_pickled():
    model = make_network()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same_state(other.state_dict(), model.state_dict())
        assert_close(other(random_tensor(2, 36)), model(random_tensor(2, 36)))


def test_apply_visits_the_layers():
    def init(layer):
        if isinstance(layer, EinMix):
            nn.initializer.Constant(0.5)(layer.weight)

    model = make_network()
    model.apply(init)
    assert (model[5].weight == 0.5).all()


def test_weight_attr_and_bias_attr():
    def mixed(**attributes):
        return EinMix("b c -> b d", "c d", "d", c=3, d=4, **attributes)

    constant = nn.initializer.Constant(0.5)
    layer = mixed(
        weight_attr=paddle.ParamAttr(name="mixing", initializer=constant, learning_rate=0.5, trainable=False),
        bias_attr=paddle.ParamAttr(regularizer=paddle.regularizer.L2Decay(0.1)),
    )
    assert (layer.weight == 0.5).all()
    assert layer.weight.name == "mixing"
    assert layer.weight.stop_gradient
    assert not layer.bias.stop_gradient
    assert layer.weight.optimize_attr["learning_rate"] == 0.5
    assert layer.bias.regularizer is not None
    assert (abs(layer.bias) <= 3**-0.5).all()
    assert (mixed(weight_attr=constant).weight == 0.5).all()
    assert (mixed(bias_attr=constant).bias == 0.5).all()
    without, native = mixed(bias_attr=False), nn.Linear(3, 4, bias_attr=False)
    assert without.bias is native.bias is None
    assert list(without.state_dict()) == list(native.state_dict()) == ["weight"]
    assert repr(without) == "EinMix('b c -> b d', 'c d', c=3, d=4)"
    native.set_state_dict(without.state_dict())
    assert_close(without(random_tensor(2, 3)), native(random_tensor(2, 3)))


def test_lazy_guard_delays_initialization():
    with paddle.LazyGuard():
        layer = EinMix("b c -> b d", "c d", c=3, d=4)
    assert not layer.weight._is_initialized()
    layer.weight.initialize()
    assert (abs(layer.weight) <= 1).all()
    assert (layer.weight < 0).any()


def test_weight_norm():
    layer = EinMix("b c -> b d", "c d", c=3, d=4)
    expected = layer(random_tensor(2, 3))
    nn.utils.weight_norm(layer, "weight", dim=1)
    assert sorted(layer.state_dict()) == ["weight_g", "weight_v"]
    assert_close(layer(random_tensor(2, 3)), expected)


def test_frozen_weight_has_no_gradient():
    layer = EinMix("b c -> b d", "c d", "d", c=3, d=4)
    layer.weight.stop_gradient = True
    x = random_tensor(2, 3)
    x.stop_gradient = False
    layer(x).sum().backward()
    assert layer.weight.grad is None
    assert (layer.bias.grad == 2).all()
    assert_close(x.grad, layer.weight.sum(1).expand([2, 3]))


def test_summary_counts_the_parameters(capsys):
    assert paddle.summary(make_network(), (4, 36)) == {"total_params": 225, "trainable_params": 225}
    shown = capsys.readouterr().out
    assert [line.split()[-1] for line in shown.splitlines() if line.strip().startswith(("EinMix", "Reduce"))] == [
        "0",
        "185",
    ]


def test_repr():
    assert (
        repr(make_network())
        == """\
Sequential(
  (0): Rearrange('b (h w) -> b 1 h w', h=6)
  (1): Conv2D(1, 4, kernel_size=[3, 3], padding=1, data_format=NCHW)
  (2): ReLU()
  (3): Reduce('b c (h 2) (w 2) -> b c h w', 'max')
  (4): Rearrange('b ... -> b (...)')
  (5): EinMix('b f -> b k', 'f k', 'k', f=36, k=5)
)"""
    )
    assert repr(Reduce("b c -> b", double_sum)) == "Reduce('b c -> b', double_sum)"
    assert repr(Repeat("b c -> b c r", r=2)) == "Repeat('b c -> b c r', r=2)"


@pytest.mark.parametrize(
    ("code", "make", "shape"),
    [
        ("PLT305", lambda: EinMix("b c -> b d", "c d", "d", c=4, d=5), (2, 3)),
        ("PLT304", lambda: EinMix("b c -> b d", "c d", "d", c=4, d=5), (2, 3, 4)),
        ("PLT302", lambda: Rearrange("b (c p) -> b c p", p=2), (2, 3)),
        ("PLT304", lambda: Reduce("b c h -> b c", "max"), (2, 3)),
    ],
)
@pytest.mark.parametrize("graph", [None, "source", "bytecode", "saved"])
def test_tensor_of_the_wrong_shape_raises(code, make, shape, graph, tmp_path):
    layer, x = make(), random_tensor(*shape)
    with pytest.raises(plait.SizeError, match=code) as expected:
        layer(x)
    spec = [InputSpec([None, *shape[1:]], "float32")]
    calls = {
        None: nn.Sequential(layer),
        "source": paddle.jit.to_static(make(), input_spec=spec, full_graph=True),
        "bytecode": paddle.jit.to_static(make(), full_graph=False),
        "saved": lambda _: paddle.jit.save(make(), str(tmp_path / "model"), input_spec=spec),
    }
    with pytest.raises(plait.SizeError, match=code) as found:
        calls[graph](x)
    for line in str(expected.value).splitlines()[:2]:
        assert line in str(found.value)


def test_unknown_length_is_checked_at_run_time():
    layer = EinMix("b c -> b d", "c d", c=4, d=5)
    static = paddle.jit.to_static(layer, input_spec=[InputSpec([None, None], "float32")], full_graph=True)
    assert static(random_tensor(3, 4)).shape == [3, 5]
    with pytest.raises((ValueError, RuntimeError)):
        static(random_tensor(3, 6))


EINMIX_ARGUMENTS = [
    ("b c -> b d", "c d", "d", {"c": 3, "d": 4}, (2, 3)),
    ("b t (h c) -> b t (h d)", "h c d", "h d", {"h": 2, "c": 3, "d": 4}, (2, 5, 6)),
    ("b c ... -> b ... d", "d c", "d", {"c": 3, "d": 4}, (2, 3, 5)),
    ("b t c -> b d", "t c d", None, {"t": 5, "c": 3, "d": 4}, (2, 5, 3)),
]


@pytest.mark.parametrize(("pattern", "weight", "bias", "sizes", "shape"), EINMIX_ARGUMENTS)
def test_einops_weights_can_be_loaded(pattern, weight, bias, sizes, shape):
    theirs = pytest.importorskip("einops.layers.paddle").EinMix(pattern, weight, bias, **sizes)
    ours = EinMix(pattern=pattern, weight_shape=weight, bias_shape=bias, **sizes)
    state = theirs.state_dict()
    assert {name: tensor.shape for name, tensor in ours.state_dict().items()} == {
        name: tensor.shape for name, tensor in state.items()
    }
    missing, unexpected = ours.set_state_dict(state)
    assert missing == unexpected == []
    assert_close(ours(random_tensor(*shape)), theirs(random_tensor(*shape)))
    missing, unexpected = theirs.set_state_dict(EinMix(pattern, weight, bias, **sizes).state_dict())
    assert missing == unexpected == []


def build_network_with_layers_of(imported):
    """Return a network of the layers of einops or plait, with the arguments of einops."""
    return nn.Sequential(
        imported.Rearrange(pattern="b (h w) -> b 1 h w", h=6),
        imported.Reduce("b c (h p) (w q) -> b h w c", reduction="mean", p=2, q=2),
        imported.EinMix("b h w c -> b h w d", weight_shape="c d", bias_shape="d", c=1, d=4),
        imported.Rearrange("b h w d -> b (h w d)"),
        imported.EinMix("b f -> b k", "f k", f=36, k=2),
    )


def test_einops_code_runs_with_the_import_replaced():
    theirs, ours = (
        build_network_with_layers_of(pytest.importorskip("einops.layers.paddle")),
        build_network_with_layers_of(layers),
    )
    missing, unexpected = ours.set_state_dict(theirs.state_dict())
    assert missing == unexpected == []
    assert_close(ours(random_tensor(3, 36)), theirs(random_tensor(3, 36)))
    assert repr(ours[0]) == "Rearrange('b (h w) -> b 1 h w', h=6)"


class ScaledSum(nn.Layer):
    """A reduction with a trainable parameter."""

    def __init__(self, value):
        super().__init__()
        self.scale = self.create_parameter([1], default_initializer=nn.initializer.Constant(value))

    def forward(self, tensor, axes):
        return tensor.sum(axes) * self.scale


def test_reduction_that_is_a_layer_is_a_sublayer():
    layer = FRAMEWORK.import_layers().Reduce("b c -> b", ScaledSum(2.0))
    x = paddle.ones([2, 3])
    assert [name for name, _ in layer.named_parameters()] == ["module.scale"]
    assert layer(x).tolist() == [6, 6]
    layer(x).sum().backward()
    assert layer.module.scale.grad.tolist() == [6]
    layer.module = ScaledSum(5.0)
    assert layer(x).tolist() == [15, 15]
    assert layer.state_dict()["module.scale"].tolist() == [5]
