"""Tests of plait's layers in MXNet Gluon: each is compared with a block of MXNet Gluon, or with hand-written code."""

from __future__ import annotations

import copy
import importlib.util
import json
import pickle

import numpy as np
import pytest

import plait
from layers.cases import EINMIX_CASES, OPERATION_CASES
from layers.frameworks.gluon_ import FRAMEWORK

if importlib.util.find_spec("mxnet") is None:
    pytest.skip("mxnet is not installed", allow_module_level=True)

mx, layers = FRAMEWORK.import_framework(), FRAMEWORK.import_layers()
EinMix, Rearrange, Reduce, Repeat = layers.EinMix, layers.Rearrange, layers.Reduce, layers.Repeat
autograd, gluon, nn = mx.autograd, mx.gluon, mx.gluon.nn


@pytest.fixture(params=["classic", "numpy"], autouse=True)
def make_array(request):
    """Return the function that makes classic or NumPy arrays, with MXNet's switches set accordingly."""
    if request.param == "classic":
        mx.npx.reset_np()
    else:
        mx.npx.set_np()
    mx.random.seed(0)
    yield lambda array: (mx.nd if request.param == "classic" else mx.np).array(array, dtype=array.dtype)
    mx.npx.reset_np()


def random_array(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def assert_close(actual, expected, **tolerance):
    assert type(actual) is type(expected)
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    np.testing.assert_allclose(actual.asnumpy(), expected.asnumpy(), **{"rtol": 1e-4, "atol": 1e-5, **tolerance})


def assert_close_to_numpy(actual, expected):
    np.testing.assert_allclose(actual.asnumpy(), expected, rtol=1e-4, atol=1e-5)


def parameter_arrays(block):
    return {name: parameter.data().asnumpy() for name, parameter in block._collect_params_with_prefix().items()}


def assert_same_state(one, other):
    one, other = parameter_arrays(one), parameter_arrays(other)
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])


def initialize_block(block, hybrid=False, **how):
    block.initialize()
    if hybrid:
        block.hybridize(**how)
    return block


def make_network(**names):
    block = nn.HybridSequential(**names)
    with block.name_scope():
        block.add(
            Rearrange("b (h w) -> b 1 h w", h=6),
            nn.Conv2D(4, 3, padding=1, in_channels=1, activation="relu"),
            Reduce("b c (h 2) (w 2) -> b (c h w)", "max"),
            EinMix("b f -> b k", "f k", "k", f=36, k=5),
        )
    return block


class NativeNetwork(gluon.HybridBlock):
    """The same network, written without plait."""

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.convolution = nn.Conv2D(4, 3, padding=1, in_channels=1, activation="relu")
            self.pool = nn.MaxPool2D(2)
            self.linear = nn.Dense(5, in_units=36)

    def hybrid_forward(self, F, x):
        return self.linear(self.pool(self.convolution(x.reshape((-1, 1, 6, 6)))))


def make_network_pair(make_array, hybrid=False):
    """Return a network of plait's blocks and the same network without plait, with equal parameters."""
    ours, native = initialize_block(make_network(), hybrid), initialize_block(NativeNetwork(), hybrid)
    values = parameter_arrays(ours)
    for parameter, value in [
        (native.convolution.weight, values["1.weight"]),
        (native.convolution.bias, values["1.bias"]),
        (native.linear.weight, values["3.weight"].T),
        (native.linear.bias, values["3.bias"][0]),
    ]:
        parameter.set_data(make_array(np.ascontiguousarray(value)))
    return ours, native


EAGER_AND_HYBRID = pytest.mark.parametrize("hybrid", [False, True], ids=["", "hybrid"])


@EAGER_AND_HYBRID
def test_network_equals_the_native_network(make_array, hybrid):
    ours, native = make_network_pair(make_array, hybrid)
    for size in (4, 7, 1):
        x = make_array(random_array(size, 36))
        assert_close(ours(x), native(x))


@pytest.mark.parametrize("how", [{}, {"static_alloc": True}, {"static_alloc": True, "static_shape": True}], ids=str)
def test_hybridized_network_equals_the_eager_network(make_array, how):
    block = initialize_block(make_network(), hybrid=True, **how)
    expected = initialize_block(make_network())
    for name, parameter in expected._collect_params_with_prefix().items():
        parameter.set_data(block._collect_params_with_prefix()[name].data())
    for size in (4, 4, 2):
        x = make_array(random_array(size, 36))
        assert_close(block(x), expected(x))
    assert block._cached_op is not None
    names = {node["op"] for node in json.loads(block._cached_graph[1].tojson())["nodes"]}
    assert "_npi_einsum" in names


@pytest.mark.parametrize("case", [*OPERATION_CASES, *EINMIX_CASES], ids=str)
def test_every_case_in_a_hybridized_block(make_array, case):
    if case in EINMIX_CASES and not case.weight and not mx.util.is_np_shape():
        pytest.skip("classic MXNet takes the shape of a weight without axes for one that it does not know yet")
    if case in EINMIX_CASES:
        block = EinMix(case.pattern, case.weight_shape, case.bias_shape, **case.sizes)
    else:
        block = getattr(layers, case.kind)(*case.arguments, **case.sizes)
    block.initialize()
    x = make_array(random_array(*case.shape))
    expected = block(x)
    block.hybridize()
    if "..." in case.pattern if case in EINMIX_CASES else "..." in case.arguments[0]:
        with pytest.raises(plait.BackendError, match="PLT505"):  # a symbol does not tell its rank
            block(x)
        return
    for _ in range(2):
        assert_close(block(x), expected)


@EAGER_AND_HYBRID
def test_gradients_and_training_equal_the_native_network(make_array, hybrid):
    ours, native = make_network_pair(make_array, hybrid)
    before, digits = parameter_arrays(ours), make_array(np.arange(4))
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    for block in (ours, native):
        trainer = gluon.Trainer(block.collect_params(), "adam", {"learning_rate": 0.1, "wd": 0.01})
        for _ in range(3):
            with autograd.record():
                losses = loss(block(make_array(random_array(4, 36))), digits)
            losses.backward()
            trainer.step(4)
    after = parameter_arrays(ours)
    assert_close_to_numpy(native.convolution.weight.data(), after["1.weight"])
    assert_close_to_numpy(native.linear.weight.data(), after["3.weight"].T)
    assert_close_to_numpy(native.linear.bias.data(), after["3.bias"][0])
    assert all((array != before[name]).any() for name, array in after.items())


def test_block_registers_children_and_parameters():
    block = initialize_block(make_network(prefix="net_"))
    assert [type(child) for child in block] == [Rearrange, nn.Conv2D, Reduce, EinMix]
    assert {name: parameter.shape for name, parameter in block.collect_params().items()} == {
        "net_conv0_weight": (4, 1, 3, 3),
        "net_conv0_bias": (4,),
        "net_einmix0_weight": (36, 5),
        "net_einmix0_bias": (1, 5),
    }
    assert list(block.collect_params(".*einmix.*bias")) == ["net_einmix0_bias"]
    seen = []
    block.apply(lambda child: seen.append(type(child)))
    assert seen == [Rearrange, nn.Activation, nn.Conv2D, Reduce, EinMix, nn.HybridSequential]


def test_only_einmix_has_parameters():
    for block in (Rearrange("a b -> b a"), Reduce("a b -> a", "max"), Repeat("a -> a 2")):
        assert list(block.collect_params()) == []
    block = EinMix("b c -> b d", "c d", prefix="mix_", c=3, d=4)
    assert list(block.collect_params()) == ["mix_weight"]
    assert block.bias is None
    assert block.name == "mix"
    assert Reduce("a b -> a", "max", prefix="pool_").name == "pool"
    assert Rearrange("a b -> b a", prefix="r_").prefix == "r_"
    assert Repeat("a -> a 2", prefix="r_").prefix == "r_"


def test_parameters_are_shared(make_array):
    one = initialize_block(EinMix("b c -> b d", "c d", "d", c=3, d=4))
    other = EinMix("c b -> b d", "c d", "d", params=one.params, c=3, d=4)
    assert other.weight is one.weight
    assert other.bias is one.bias
    assert_close(other(make_array(np.ascontiguousarray(random_array(2, 3).T))), one(make_array(random_array(2, 3))))
    with pytest.raises(AssertionError, match="shape"):  # Gluon's own words about another shape
        EinMix("b c -> b d", "c d", params=one.params, c=3, d=5)


def test_initialize_draws_within_bounds():
    block = EinMix("b c -> b d", "c d", "d", c=100, d=50)
    block.initialize(mx.init.Zero())  # for those parameters that say nothing of their own
    weight, bias = block.weight.data().asnumpy(), block.bias.data().asnumpy()
    assert weight.min() < -0.98 * 0.03**0.5
    assert 0.98 * 0.03**0.5 < weight.max() <= 0.03**0.5
    assert bias.min() < -0.05
    assert 0.05 < bias.max() <= 0.1
    block.initialize(force_reinit=True)
    assert (block.weight.data().asnumpy() != weight).any()


def test_initializer_argument():
    def mixed(**given):
        return initialize_block(EinMix("b c -> b d", "c d", "d", c=3, d=4, **given))

    assert (mixed(weight_initializer="ones").weight.data().asnumpy() == 1).all()
    assert (mixed(weight_initializer=mx.init.Constant(0.5)).weight.data().asnumpy() == 0.5).all()
    block = mixed(bias_initializer="zeros")
    assert (block.bias.data().asnumpy() == 0).all()
    assert (block.weight.data().asnumpy() != 0).any()


@EAGER_AND_HYBRID
def test_parameters_are_saved_and_loaded(make_array, tmp_path, hybrid):
    one, other = initialize_block(make_network(), hybrid), make_network()
    path = str(tmp_path / "net.params")
    one.save_parameters(path)
    other.load_parameters(path)
    assert_same_state(other, one)
    assert_close(other(make_array(random_array(2, 36))), one(make_array(random_array(2, 36))))
    assert sorted(mx.nd.load(path)) == ["1.bias", "1.weight", "3.bias", "3.weight"]


@pytest.mark.filterwarnings("ignore:Cannot decide type")  # MXNet's own words about the input of what it imports
def test_exported_block_accepts_other_batch_sizes(make_array, tmp_path):
    block = initialize_block(make_network(), hybrid=True)
    block(make_array(random_array(2, 36)))
    block.export(str(tmp_path / "net"), epoch=3)
    loaded = gluon.SymbolBlock.imports(str(tmp_path / "net-symbol.json"), ["data"], str(tmp_path / "net-0003.params"))
    for size in (1, 4, 7):
        assert_close(loaded(make_array(random_array(size, 36))), block(make_array(random_array(size, 36))))
    assert sorted(loaded.collect_params()) == sorted(block.collect_params())
    trainer = gluon.Trainer(loaded.collect_params(), "sgd", {"learning_rate": 0.1})
    before = loaded(make_array(random_array(3, 36))).asnumpy().sum()
    with autograd.record():
        total = loaded(make_array(random_array(3, 36))).sum()
    total.backward()
    trainer.step(1)
    assert loaded(make_array(random_array(3, 36))).asnumpy().sum() < before


def test_nested_block(make_array):
    class Attention(gluon.HybridBlock):
        def __init__(self, heads):
            super().__init__()
            with self.name_scope():
                self.project = EinMix("b t c -> k b h t d", "c k h d", c=6, k=3, h=heads, d=6 // heads)
                self.merge = EinMix("b h t d -> b t c", "h d c", h=heads, d=6 // heads, c=6)
                self.first = Reduce("k b h t d -> b h t d", "sum")

        def hybrid_forward(self, F, x):
            return self.merge(self.first(self.project(x)))

    block = initialize_block(Attention(2))
    x = random_array(2, 5, 6)
    weight, merge = (parameter.data().asnumpy() for parameter in block.collect_params().values())
    expected = np.einsum("btc,ckhd,hde->bte", x, weight, merge)
    assert_close_to_numpy(block(make_array(x)), expected)
    block.hybridize()
    assert_close_to_numpy(block(make_array(x)), expected)


@EAGER_AND_HYBRID
def test_list_of_arrays_is_stacked(make_array, hybrid):
    x, y = random_array(2, 3), random_array(2, 3, seed=1)
    block = initialize_block(Rearrange("k b c -> b (k c)"), hybrid)
    assert_close_to_numpy(block([make_array(x), make_array(y)]), np.concatenate([x, y], 1))


def test_identity_in_a_hybridized_block(make_array):
    assert_close_to_numpy(
        initialize_block(Rearrange("a b -> a b"), hybrid=True)(make_array(random_array(2, 3))), random_array(2, 3)
    )


def double_sum(tensor, axes):
    return tensor.sum(axis=axes) * 2


@EAGER_AND_HYBRID
def test_reduce_with_a_callable(make_array, hybrid):
    assert_close_to_numpy(
        initialize_block(Reduce("a b c -> b", double_sum), hybrid)(make_array(random_array(2, 3, 4))),
        2 * random_array(2, 3, 4).sum((0, 2)),
    )


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@EAGER_AND_HYBRID
def test_cast_changes_the_dtype_of_parameters_and_result(make_array, dtype, hybrid):
    block = initialize_block(EinMix("b c -> b d", "c d", "d", c=3, d=4), hybrid)
    block(make_array(random_array(2, 3)))
    weight, bias = parameter_arrays(block).values()
    block.cast(dtype)
    result = block(make_array(random_array(2, 3, dtype=dtype)))
    assert {np.dtype(array.dtype) for array in (block.weight, block.weight.data(), result)} == {np.dtype(dtype)}
    np.testing.assert_allclose(result.asnumpy(), random_array(2, 3) @ weight + bias, rtol=1e-2, atol=5e-3)


def test_parameter_dtype(make_array):
    drawn = {}
    if mx.util.is_np_array():  # there Gluon draws float32 alone
        with pytest.raises(mx.base.MXNetError, match="_npi_uniform"):
            nn.Dense(4, in_units=3, dtype="float64").initialize()
        drawn = {"weight_initializer": "ones", "bias_initializer": "ones"}
    block = initialize_block(EinMix("b c -> b d", "c d", "d", dtype="float64", c=3, d=4, **drawn))
    assert block.weight.data().dtype == block.bias.data().dtype == np.float64
    assert block(make_array(random_array(2, 3, dtype="float64"))).dtype == np.float64


def test_gradients_can_be_stopped_and_cleared(make_array):
    block = initialize_block(EinMix("b c -> b d", "c d", "d", c=3, d=4))
    block.weight.grad_req = "null"
    with autograd.record():
        total = block(make_array(random_array(2, 3))).sum()
    total.backward()
    assert (block.bias.grad().asnumpy() == 2).all()
    with pytest.raises(RuntimeError, match="null"):
        block.weight.grad()
    block.collect_params().zero_grad()
    assert (block.bias.grad().asnumpy() == 0).all()


def test_forward_hooks(make_array):
    block, seen = initialize_block(EinMix("b c -> b d", "c d", c=3, d=4)), []
    before = block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    after = block.register_forward_hook(lambda _, inputs, output: seen.append(output.shape))
    block(make_array(random_array(2, 3)))
    assert seen == [(2, 3), (2, 4)]
    before.detach()
    after.detach()
    block(make_array(random_array(2, 3)))
    assert len(seen) == 2


def test_deep_copies_are_independent(make_array):
    for block in (initialize_block(make_network()), initialize_block(EinMix("b f -> b k", "f k", "k", f=36, k=5))):
        other = copy.deepcopy(block)
        assert repr(other) == repr(block)
        assert_same_state(other, block)
        expected = block(make_array(random_array(2, 36)))
        for parameter in block.collect_params().values():
            parameter.set_data(parameter.data() * 0)
        assert_close(other(make_array(random_array(2, 36))), expected)


@pytest.mark.parametrize("kind", ["Rearrange", "Reduce", "EinMix"])
def test_pickle_of_an_uninitialized_block(make_array, kind):
    """As far as Gluon pickles its own: an initialized parameter holds a pointer of C."""
    arguments = {"Rearrange": ["b c -> c b"], "Reduce": ["b c -> b", double_sum], "EinMix": ["b c -> b d", "c d"]}[kind]
    block = getattr(layers, kind)(*arguments, **({"c": 3, "d": 4} if kind == "EinMix" else {}))
    other = initialize_block(pickle.loads(pickle.dumps(block)))
    assert repr(other) == repr(block)
    assert other(make_array(random_array(2, 3))).shape == {"Rearrange": (3, 2), "Reduce": (2,), "EinMix": (2, 4)}[kind]


def test_summary_lists_the_layers(make_array, capsys):
    initialize_block(make_network()).summary(make_array(random_array(2, 36)))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    shown = {row[0].split("-")[0]: row[1:] for row in rows if row and "-" in row[0]}
    assert shown["Rearrange"] == ["(2,", "1,", "6,", "6)", "0"]
    assert shown["Reduce"] == ["(2,", "36)", "0"]
    assert shown["EinMix"] == ["(2,", "5)", "185"]
    assert ["Total", "params:", "225"] in rows


def test_repr():
    assert (
        repr(make_network())
        == """\
HybridSequential(
  (0): Rearrange('b (h w) -> b 1 h w', h=6)
  (1): Conv2D(1 -> 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), Activation(relu))
  (2): Reduce('b c (h 2) (w 2) -> b (c h w)', 'max')
  (3): EinMix('b f -> b k', 'f k', 'k', f=36, k=5)
)"""
    )
    assert repr(Repeat("b c -> b c r", r=2)) == "Repeat('b c -> b c r', r=2)"
    assert repr(Reduce("b c -> b", double_sum)) == "Reduce('b c -> b', double_sum)"


@pytest.mark.parametrize(
    ("code", "build", "shape"),
    [
        ("PLT305", lambda: EinMix("b c -> b d", "c d", "d", c=4, d=5), (2, 3)),
        ("PLT304", lambda: EinMix("b c -> b d", "c d", "d", c=4, d=5), (2, 3, 4)),
        ("PLT302", lambda: Rearrange("b (c p) -> b c p", p=2), (2, 3)),
        ("PLT304", lambda: Reduce("b c h -> b c", "max"), (2, 3)),
    ],
)
def test_tensor_of_the_wrong_shape_raises(make_array, code, build, shape):
    block = initialize_block(build())
    with pytest.raises(plait.SizeError, match=code):
        block(make_array(random_array(*shape)))
    block.hybridize()
    with pytest.raises((mx.base.MXNetError, ValueError)):  # a symbol tells no size: MXNet's own check, when it runs
        block(make_array(random_array(*shape))).asnumpy()


def test_classic_arrays_with_numpy_parameters_raise():
    if not mx.util.is_np_array():
        pytest.skip("the parameters are classic too")
    block = initialize_block(EinMix("b c -> b d", "c d", c=3, d=4))
    with pytest.raises(plait.BackendError, match="PLT504"):
        block(mx.nd.ones((2, 3)))


def test_scalar_weight_needs_numpy_shapes(make_array):
    block = EinMix("a b -> a b", "")
    if mx.util.is_np_shape():
        block.initialize()
        assert_close_to_numpy(block(make_array(random_array(2, 3))), random_array(2, 3) * block.weight.data().asnumpy())
    else:
        with pytest.raises(ValueError, match="invalid shape"):  # Gluon's own words about any parameter
            block.initialize()
        with mx.util.np_shape():
            block.initialize()
            assert_close_to_numpy(
                block(make_array(random_array(2, 3))), random_array(2, 3) * block.weight.data().asnumpy()
            )


def test_reduction_with_parameters_raises():
    """Gluon would not find them."""
    with pytest.raises(plait.AxisError, match="PLT209"):
        FRAMEWORK.import_layers().Reduce("b c -> b", mx.gluon.nn.Dense(3))


def test_integer_argument_with_the_name_of_an_axis_raises():
    with pytest.raises(plait.AxisError, match="PLT213"):
        FRAMEWORK.import_layers().Rearrange("(prefix b) -> prefix b", prefix=2)
