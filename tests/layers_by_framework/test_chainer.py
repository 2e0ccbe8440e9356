"""Tests of plait's layers in Chainer: each is compared with a link of Chainer, or with hand-written code."""

from __future__ import annotations

import copy
import importlib.util
import pickle

import numpy as np
import pytest

import plait
from layers.frameworks.base import import_without_warnings
from layers.frameworks.chainer_ import FRAMEWORK

if importlib.util.find_spec("chainer") is None:
    pytest.skip("chainer is not installed", allow_module_level=True)

chainer, layers = FRAMEWORK.import_framework(), FRAMEWORK.import_layers()
EinMix, Rearrange, Reduce, Repeat = layers.EinMix, layers.Rearrange, layers.Reduce, layers.Repeat
F, L, serializers = chainer.functions, chainer.links, chainer.serializers


@pytest.fixture(autouse=True)
def _set_seed():
    np.random.seed(0)  # noqa: NPY002  # Chainer draws from this generator


def random_array(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def assert_close(actual, expected, **tolerance):
    actual, expected = map(chainer.as_array, (actual, expected))
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    np.testing.assert_allclose(actual, expected, **{"rtol": 1e-5, "atol": 1e-6, **tolerance})


def parameter_copies(link):
    return {name: parameter.array.copy() for name, parameter in link.namedparams()}


def assert_same_parameters(one, other):
    one, other = parameter_copies(one), parameter_copies(other)
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array.dtype == other[name].dtype
        np.testing.assert_array_equal(array, other[name])


def double_sum(tensor, axes):
    return F.sum(tensor, axes) * 2


class Network(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.images = Rearrange("b (h w) -> b 1 h w", h=6)
            self.convolution = L.Convolution2D(1, 4, 3, pad=1)
            self.pool = Reduce("b c (h 2) (w 2) -> b (c h w)", "max")
            self.linear = EinMix("b f -> b k", "f k", "k", f=36, k=5)

    def forward(self, x):
        return self.linear(self.pool(F.relu(self.convolution(self.images(x)))))


class NativeNetwork(chainer.Chain):
    """The same network, written without plait."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.convolution = L.Convolution2D(1, 4, 3, pad=1)
            self.linear = L.Linear(36, 5)

    def forward(self, x):
        x = F.max_pooling_2d(F.relu(self.convolution(F.reshape(x, (-1, 1, 6, 6)))), 2)
        return self.linear(F.reshape(x, (x.shape[0], -1)))


def make_network_pair():
    """Return a network of plait's links and the same network without plait, with equal parameters."""
    ours, native = Network(), NativeNetwork()
    native.convolution.copyparams(ours.convolution)
    native.linear.W.array[...] = ours.linear.weight.array.T
    native.linear.b.array[...] = ours.linear.bias.array[0]
    return ours, native


def make_sequential_network():
    return chainer.Sequential(
        Rearrange("b (h w) -> b 1 h w", h=6),
        L.Convolution2D(1, 4, 3, pad=1),
        F.relu,
        Reduce("b c (h 2) (w 2) -> b (c h w)", "max"),
        EinMix("b f -> b k", "f k", "k", f=36, k=5),
    )


each_network = pytest.mark.parametrize("make", [Network, make_sequential_network])


def test_chain_registers_links_and_parameters():
    model = Network()
    assert {name: type(link) for name, link in model.namedlinks(skipself=True)} == {
        "/images": Rearrange,
        "/convolution": L.Convolution2D,
        "/pool": Reduce,
        "/linear": EinMix,
    }
    assert {name: parameter.shape for name, parameter in model.namedparams()} == {
        "/convolution/W": (4, 1, 3, 3),
        "/convolution/b": (4,),
        "/linear/weight": (36, 5),
        "/linear/bias": (1, 5),
    }
    assert all(isinstance(parameter, chainer.Parameter) for parameter in model.params())
    assert model.count_params() == NativeNetwork().count_params() == 225
    assert [child.name for child in model.children()] == ["convolution", "images", "linear", "pool"]


def test_only_einmix_has_parameters():
    for link in (Rearrange("a b -> b a"), Reduce("a b -> a", "max"), Repeat("a -> a 2")):
        assert list(link.params()) == []
        assert link.count_params() == 0
    link = EinMix("b c -> b d", "c d", c=3, d=4)
    assert link.bias is None
    assert [name for name, _ in link.namedparams()] == ["/weight"]
    assert link.weight.name == "weight"


@pytest.mark.parametrize("given", [chainer.Variable, chainer.as_variable, np.asarray], ids=["variable", "as", "array"])
def test_network_equals_the_native_network(given):
    ours, native = make_network_pair()
    result = ours(given(random_array(4, 36)))
    assert isinstance(result, chainer.Variable)
    assert_close(result, native(random_array(4, 36)))


@pytest.mark.parametrize("given", [chainer.Variable, np.asarray])
@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (Rearrange("k b c -> b (k c)"), lambda x, y: np.concatenate([x, y], 1)),
        (Reduce("k b c -> b c", "sum"), lambda x, y: x + y),
        (Repeat("k b c -> b (k c) r", r=2), lambda x, y: np.stack([np.concatenate([x, y], 1)] * 2, 2)),
    ],
)
def test_list_of_variables_or_arrays_is_stacked(link, expected, given):
    x, y = random_array(2, 3), random_array(2, 3, seed=1)
    result = link([given(x), given(y)])
    assert isinstance(result, chainer.Variable)
    assert_close(result, expected(x, y))


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "MomentumSGD"])
def test_optimizer_updates_equal_the_native_network(optimizer):
    ours, native = make_network_pair()
    before, digits = parameter_copies(ours), np.arange(4)
    for model in (ours, native):
        step = getattr(chainer.optimizers, optimizer)(0.1).setup(model)
        step.add_hook(chainer.optimizer_hooks.WeightDecay(0.01))
        for _ in range(3):
            loss = F.softmax_cross_entropy(model(random_array(4, 36)), digits)
            model.cleargrads()
            loss.backward()
            step.update()
    assert_close(ours.convolution.W, native.convolution.W, rtol=1e-4, atol=1e-5)
    assert_close(ours.linear.weight, native.linear.W.array.T, rtol=1e-4, atol=1e-5)
    assert_close(ours.linear.bias[0], native.linear.b, rtol=1e-4, atol=1e-5)
    assert all((array != before[name]).any() for name, array in parameter_copies(ours).items())


def test_cleargrads_and_accumulation():
    link, x = EinMix("b c -> b d", "c d", "d", c=3, d=4), random_array(2, 3)
    link.cleargrads()
    for times in (1, 2):
        F.sum(link(x)).backward()
        assert_close(link.weight.grad, times * np.repeat(x.sum(0)[:, None], 4, 1))
    link.cleargrads()
    assert link.weight.grad is None
    link.disable_update()
    assert not link.update_enabled


def test_second_order_gradients():
    link, x = EinMix("b c -> b d", "c d", c=3, d=4), chainer.Variable(random_array(2, 3))
    (first,) = chainer.grad([F.sum(link(x) ** 2)], [x], enable_double_backprop=True)
    (second,) = chainer.grad([F.sum(first)], [x])
    assert_close(second, np.tile(2 * (link.weight.array @ link.weight.array.T).sum(0), (2, 1)), rtol=1e-4)


@pytest.mark.parametrize("kind", ["npz", "hdf5"])
@each_network
def test_serializers_save_and_load(kind, make, tmp_path):
    if kind == "hdf5":
        pytest.importorskip("h5py")
    model, other, path = make(), make(), str(tmp_path / "model")
    assert any((array != parameter_copies(other)[name]).any() for name, array in parameter_copies(model).items())
    getattr(serializers, f"save_{kind}")(path, model)
    getattr(serializers, f"load_{kind}")(path, other)
    assert_same_parameters(other, model)
    assert_close(other(random_array(2, 36)), model(random_array(2, 36)))


def test_saved_file_has_only_parameters(tmp_path):
    serializers.save_npz(str(tmp_path / "model.npz"), Network())
    with np.load(tmp_path / "model.npz") as saved:
        assert {name: saved[name].shape for name in saved.files} == {
            "convolution/W": (4, 1, 3, 3),
            "convolution/b": (4,),
            "linear/weight": (36, 5),
            "linear/bias": (1, 5),
        }


def test_saved_optimizer_continues_training(tmp_path):
    def learn(model, optimizer):
        optimizer.update(lambda: F.softmax_cross_entropy(model(random_array(4, 36)), np.arange(4)))

    models = [Network(), Network()]
    optimizers = [chainer.optimizers.Adam(0.1).setup(model) for model in models]
    for _ in range(2):
        learn(models[0], optimizers[0])
    for name, one, other in (("model", *models), ("optimizer", *optimizers)):
        serializers.save_npz(str(tmp_path / name), one)
        serializers.load_npz(str(tmp_path / name), other)
    for model, optimizer in zip(models, optimizers, strict=True):
        learn(model, optimizer)
    assert_same_parameters(*models)


@each_network
def test_copies_of_each_mode(make):
    model, x = make(), random_array(2, 36)
    expected, before = model(x).array, parameter_copies(model)
    shared, copied, fresh = (model.copy(mode) for mode in ("share", "copy", "init"))
    for other in (shared, copied):
        assert_same_parameters(other, model)
        assert_close(other(x), expected)
    assert all(
        (array != before[name]).any() for name, array in parameter_copies(fresh).items() if not name.endswith("/b")
    )
    for array in parameter_copies(fresh).values():
        if array.shape == (36, 5):
            assert array.min() < 0 < array.max()
            assert (3 / 36) ** 0.5 * 0.9 < abs(array).max() <= (3 / 36) ** 0.5
    for parameter in model.params():
        parameter.array[...] = 0
    assert_close(copied(x), expected)
    assert (shared(x).array == 0).all()


@each_network
def test_deep_copies_and_pickles(make):
    model, x = make(), random_array(2, 36)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same_parameters(other, model)
        assert str(other) == str(model)
        assert_close(other(x), model(x))
        chainer.optimizers.SGD(0.1).setup(other).update(lambda other=other: F.sum(other(x)))
        assert any((array != parameter_copies(model)[name]).any() for name, array in parameter_copies(other).items())


@pytest.mark.parametrize("link", [Reduce("b c -> b", double_sum), Repeat("b c -> b c r", r=2), Rearrange("b c -> c b")])
def test_links_without_parameters_are_copied(link):
    x = random_array(2, 3)
    for other in (copy.deepcopy(link), pickle.loads(pickle.dumps(link)), *map(link.copy, ("share", "copy", "init"))):
        assert str(other) == str(link)
        assert_close(other(x), link(x))


def test_repeated_links_have_parameters_of_their_own():
    model = EinMix("b c -> b d", "c d", c=3, d=3).repeat(2)
    assert isinstance(model[0], EinMix)
    assert (model[0].weight.array != model[1].weight.array).any()
    assert_close(model(random_array(2, 3)), random_array(2, 3) @ model[0].weight.array @ model[1].weight.array)
    assert len(Rearrange("b c -> c b").repeat(3)) == 3


def test_sequential_finds_layers_by_type():
    model = make_sequential_network()
    assert model.count_by_layer_type("EinMix") == model.count_by_layer_type("Rearrange") == 1
    model.remove_by_layer_type("EinMix")
    assert len(model) == 4
    assert model(random_array(2, 36)).shape == (2, 36)
    longer = model + chainer.Sequential(EinMix("b c -> b d", "c d", c=36, d=2))
    assert longer.flatten()(random_array(2, 36)).shape == (2, 2)


def test_network_is_moved_to_a_device():
    model = Network()
    expected = model(random_array(2, 36))
    assert model.to_device("@numpy") is model
    assert model.linear.device.xp is np
    assert_close(model(random_array(2, 36)), expected)
    if chainer.backends.cuda.available:
        model.to_device("@cupy:0")
        assert_close(
            chainer.backends.cuda.to_cpu(model(model.xp.asarray(random_array(2, 36))).array), expected, rtol=1e-4
        )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, chainer.mixed16])
def test_parameter_dtype_follows_the_configuration(dtype):
    with chainer.using_config("dtype", dtype):
        link, native = EinMix("b c -> b d", "c d", "d", c=3, d=4), L.Linear(3, 4)
    assert link.weight.dtype == native.W.dtype
    assert link.bias.dtype == native.b.dtype
    x = random_array(2, 3, dtype=link.weight.dtype)
    native.W.array[...], native.b.array[...] = link.weight.array.T, link.bias.array[0]
    assert_close(link(x), native(x), rtol=1e-2)


def test_initializer_argument():
    def mixed(**given):
        return EinMix("b c -> b d", "c d", "d", c=3, d=4, **given)

    assert mixed(initialW=chainer.initializers.One(dtype="float64")).weight.dtype == np.float64
    assert (mixed(initialW=0.5).weight.array == 0.5).all()
    assert (mixed(initial_bias=0).bias.array == 0).all()
    array = random_array(3, 4)
    link = mixed(initialW=array, initial_bias=chainer.initializers.Constant(2))
    assert_close(link(random_array(2, 3)), random_array(2, 3) @ array + 2)
    assert link.weight.array is not array


def test_link_and_function_hooks():
    seen = []

    class Watch(chainer.LinkHook):
        name = "watch"

        def forward_preprocess(self, args):
            seen.append(("before", type(args.link), args.args[0].shape))

        def forward_postprocess(self, args):
            seen.append(("after", type(args.link), args.out.shape))

    link = Reduce("b c -> b", "max")
    link.add_hook(Watch())
    chainer.Sequential(link)(random_array(2, 3))
    assert seen == [("before", Reduce, (2, 3)), ("after", Reduce, (2,))]
    seen.clear()
    with Watch():
        EinMix("b c -> b d", "c d", c=3, d=4)(random_array(2, 3))
    assert seen == [("before", EinMix, (2, 3)), ("after", EinMix, (2, 4))]


def test_weight_standardization_hook():
    """This hook of Chainer replaces a parameter during the call only."""
    link = EinMix("b c -> b d", "c d", c=3, d=4)
    weight = link.weight.array.copy()
    link.add_hook(import_without_warnings("chainer.link_hooks").WeightStandardization(weight_name="weight"))
    result = link(random_array(2, 3))
    standard = (weight - weight.mean(1, keepdims=True)) / np.sqrt(weight.var(1, keepdims=True) + 1e-5)
    assert_close(result, random_array(2, 3) @ standard, rtol=1e-3, atol=1e-4)


def test_repr():
    assert str(make_sequential_network()).splitlines()[1] == "  (0): Rearrange(pattern='b (h w) -> b 1 h w', h=6),"
    assert str(make_sequential_network()).splitlines()[4:6] == [
        "  (3): Reduce(pattern='b c (h 2) (w 2) -> b (c h w)', reduction='max'),",
        "  (4): EinMix(pattern='b f -> b k', weight_shape='f k', bias_shape='k', f=36, k=5),",
    ]
    without = EinMix("b c -> b d", "c d", c=3, d=4)
    assert repr(without) == "EinMix(pattern='b c -> b d', weight_shape='c d', c=3, d=4)"
    for link in (
        Repeat("b c -> b c r", r=2),
        Reduce("b c -> b", double_sum),
        without,
        EinMix("b c -> b d", "c d", "d", c=3, d=4),
    ):
        assert repr(link) == str(link)
        assert repr(eval(repr(link))) == repr(link)
        assert dict(link.printable_specs)["pattern"] == repr(link.spec.pattern.text)


@pytest.mark.parametrize(
    ("code", "link", "shape"),
    [
        ("PLT305", EinMix("b c -> b d", "c d", "d", c=4, d=5), (2, 3)),
        ("PLT304", EinMix("b c -> b d", "c d", "d", c=4, d=5), (2, 3, 4)),
        ("PLT302", Rearrange("b (c p) -> b c p", p=2), (2, 3)),
        ("PLT304", Reduce("b c h -> b c", "max"), (2, 3)),
    ],
)
def test_tensor_of_the_wrong_shape_raises(code, link, shape):
    with pytest.raises(plait.SizeError, match=code):
        chainer.Sequential(link)(random_array(*shape))


def test_no_backprop_mode():
    model = Network()
    with chainer.using_config("train", False), chainer.no_backprop_mode():
        assert model(random_array(2, 36)).creator is None
    assert model(random_array(2, 36)).creator is not None


def test_rearrange_of_integers():
    result = Rearrange("b (c p) -> b c p", p=3)(np.arange(6).reshape(1, 6))
    assert result.dtype == np.int64
    assert result.array.tolist() == [[[0, 1, 2], [3, 4, 5]]]


def test_reduction_with_parameters_raises():
    """``Reduce`` is a link without children, so an optimizer would not find the parameters of the reduction."""
    with pytest.raises(plait.AxisError, match="PLT209"):
        FRAMEWORK.import_layers().Reduce("b c -> b", chainer.links.Linear(3))


def test_integer_argument_with_the_name_of_an_axis_raises():
    with pytest.raises(plait.AxisError, match="PLT213"):
        FRAMEWORK.import_layers().EinMix("b initialW -> b c", "initialW c", c=3, initialW=2)
    layer = FRAMEWORK.import_layers().EinMix("b c -> b d", "c d", c=3, d=2, initialW=2)
    assert (layer.weight.array == 2).all()
