"""Tests of plait's layers in MLX: each is compared with a module of MLX, or with hand-written code."""

from __future__ import annotations

import copy
import pickle
from functools import partial

import numpy as np
import pytest

import plait

mx = pytest.importorskip("mlx.core")
nn = pytest.importorskip("mlx.nn")
optimizers = pytest.importorskip("mlx.optimizers")
utils = pytest.importorskip("mlx.utils")
layers = pytest.importorskip("plait.layers.mlx")

EinMix, Rearrange, Reduce, Repeat = layers.EinMix, layers.Rearrange, layers.Reduce, layers.Repeat


@pytest.fixture(autouse=True)
def _set_seed():
    mx.random.seed(0)


def assert_close(actual, expected, **tolerance):
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    actual, expected = (np.asarray(array.astype(mx.float32)) for array in (actual, expected))
    np.testing.assert_allclose(actual, expected, **{"rtol": 1e-5, "atol": 1e-6, **tolerance})


def assert_same_trees(actual, expected):
    """Two trees: the same names, and the same arrays bit by bit."""
    actual, expected = (dict(utils.tree_flatten(tree)) for tree in (actual, expected))
    assert actual.keys() == expected.keys()
    for name, array in actual.items():
        assert array.dtype == expected[name].dtype
        assert mx.array_equal(array, expected[name]), name


class NativeNetwork(nn.Module):
    """The network of `make_network`, written without plait."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.linear = nn.Linear(36, 5)

    def __call__(self, x):
        x = self.pool(nn.relu(self.convolution(x.reshape(-1, 6, 6, 1))))
        return self.linear(x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1))


def make_network():
    return nn.Sequential(
        Rearrange("b (h w) -> b h w 1", h=6),
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        Reduce("b (h 2) (w 2) c -> b (c h w)", "max"),
        EinMix("b f -> b k", weight_shape="f k", bias_shape="k", f=36, k=5),
    )


def make_network_pair():
    """Return the network of plait's modules and the native network, with equal weights."""
    ours, native = make_network(), NativeNetwork()
    convolution, mixing = ours.layers[1], ours.layers[4]
    native.convolution.update(convolution.parameters())
    native.linear.update({"weight": mixing.weight.T, "bias": mixing.bias[0]})
    return ours, native


def assert_equal_parameters(ours, native):
    convolution, mixing = ours.layers[1], ours.layers[4]
    for actual, expected in (
        (convolution.weight, native.convolution.weight),
        (convolution.bias, native.convolution.bias),
        (mixing.weight.T, native.linear.weight),
        (mixing.bias[0], native.linear.bias),
    ):
        assert_close(actual, expected, atol=1e-5)


def random_batch():
    return mx.random.normal((8, 36)), mx.arange(8) % 5


def cross_entropy(model, x, y):
    return nn.losses.cross_entropy(model(x), y, reduction="mean")


def make_training_step(model, optimizer, compiled=False):
    """A training step, as MLX's own guide writes it."""
    state = [model.state, optimizer.state]
    gradient = nn.value_and_grad(model, partial(cross_entropy, model))

    def step(x, y):
        loss, gradients = gradient(x, y)
        optimizer.update(model, gradients)
        return loss

    return mx.compile(step, inputs=state, outputs=state) if compiled else step


def test_network_equals_native_modules():
    ours, native = make_network_pair()
    x, _ = random_batch()
    assert_close(ours(x), native(x))


def test_einmix_equals_linear():
    ours, native = EinMix("... i -> ... o", "i o", "o", i=6, o=3), nn.Linear(6, 3)
    ours.weight, ours.bias = native.weight.T, native.bias
    for shape in ((6,), (2, 6), (2, 5, 6)):
        x = mx.random.normal(shape)
        assert_close(ours(x), native(x))


def test_repeat_equals_upsample():
    x = mx.random.normal((2, 3, 4, 5))
    assert_close(Repeat("b h w c -> b (h 2) (w k) c", k=3)(x), nn.Upsample((2.0, 3.0))(x))


def test_names_of_parameters_and_modules():
    model = make_network()
    x, _ = random_batch()
    shapes = {name: array.shape for name, array in utils.tree_flatten(model.parameters())}
    assert shapes == {
        "layers.1.weight": (4, 3, 3, 1),
        "layers.1.bias": (4,),
        "layers.4.weight": (36, 5),
        "layers.4.bias": (1, 5),
    }
    assert all(isinstance(array, mx.array) for _, array in utils.tree_flatten(model.parameters()))
    model(x)  # nothing is added by a call
    assert {name for name, _ in utils.tree_flatten(model.parameters())} == shapes.keys()
    kinds = {name: type(module).__name__ for name, module in model.named_modules()}
    assert (kinds["layers.0"], kinds["layers.3"], kinds["layers.4"]) == ("Rearrange", "Reduce", "EinMix")
    assert len(model.modules()) == 6
    leaves = dict(utils.tree_flatten(model.leaf_modules(), is_leaf=nn.Module.is_module))
    assert leaves["layers.4"] is model.layers[4]
    assert leaves["layers.0"] is model.layers[0]
    assert utils.tree_flatten(model.children(), is_leaf=nn.Module.is_module)[3][1] is model.layers[3]


@pytest.mark.parametrize(
    "layer",
    [
        Rearrange("b (c p) -> b c p", p=2),
        Reduce("b c -> b", "max"),
        Reduce("b c -> b", mx.logsumexp),
        Repeat("b -> b 2"),
    ],
    ids=lambda layer: layer.spec.operation,
)
def test_operation_layers_have_no_parameters(layer):
    assert isinstance(layer, nn.Module)
    assert dict(layer) == layer.state == {}
    assert layer.parameters() == layer.trainable_parameters() == layer.children() == {}


def test_einmix_has_only_its_parameters():
    layer = EinMix("b i -> b o", "i o", "o", i=2, o=3)
    assert sorted(layer) == ["bias", "weight"]
    assert all(type(array) is mx.array and array.dtype == mx.float32 for array in layer.values())
    without = EinMix("b i -> b o", "i o", i=2, o=3)
    assert list(without) == ["weight"]
    assert not hasattr(without, "bias")
    assert hasattr(nn.Linear(2, 3, bias=False), "bias") == hasattr(without, "bias")


def test_modules_in_lists_and_dicts():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = [EinMix("b i -> b o", "i o", i=2, o=2) for _ in range(2)]
            self.named = {
                "pool": Reduce("b (c 2) -> b c", "mean"),
                "mix": EinMix("b i -> b o", "i o", i=1, o=2),
            }

        def __call__(self, x):
            for block in self.blocks:
                x = block(x)
            return self.named["mix"](self.named["pool"](x))

    model = Model()
    names = {name for name, _ in utils.tree_flatten(model.parameters())}
    assert names == {"blocks.0.weight", "blocks.1.weight", "named.mix.weight"}
    x = mx.random.normal((3, 2))
    first, second = (block.weight for block in model.blocks)
    assert_close(model(x), (x @ first @ second).mean(1, keepdims=True) @ model.named["mix"].weight)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize(
    "optimizer",
    [partial(optimizers.SGD, 0.1, momentum=0.9), partial(optimizers.Adam, 1e-2), partial(optimizers.Lion, 1e-3)],
    ids=["SGD", "Adam", "Lion"],
)
def test_training_equals_native_modules(optimizer, compiled):
    ours, native = make_network_pair()
    before = ours.layers[4].weight
    x, y = random_batch()
    steps = [make_training_step(ours, optimizer(), compiled), make_training_step(native, optimizer())]
    losses = []
    for _ in range(5):
        loss, expected = (step(x, y) for step in steps)
        assert_close(loss, expected)
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert not mx.allclose(ours.layers[4].weight, before)
    assert_equal_parameters(ours, native)


def test_compiled_step_is_traced_at_most_twice():
    """The Python code of a layer runs only while MLX traces: in the first step, and when the optimizer has a state."""
    calls = []

    class Counted(EinMix):
        def __call__(self, tensor):
            calls.append(1)
            return super().__call__(tensor)

    model = nn.Sequential(Rearrange("b (h w) -> b h w", h=6), Counted("b h w -> b k", "h w k", "k", h=6, w=6, k=5))
    step = make_training_step(model, optimizers.SGD(0.1), compiled=True)
    x, y = random_batch()
    losses = [step(x, y).item() for _ in range(4)]
    assert len(calls) <= 2  # the state of the optimizer grows in the first step
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == 4
    step(x[:4], y[:4])  # another shape, another trace
    assert len(calls) <= 3


def test_compile_without_state():
    model = make_network()
    x, _ = random_batch()
    forward = mx.compile(model)
    assert_close(forward(x), model(x))
    assert_close(forward(x[:3]), model(x[:3]))


def test_input_gradients_equal_native_modules():
    ours, native = make_network_pair()
    x, y = random_batch()
    found, expected = (mx.grad(lambda x, model=model: cross_entropy(model, x, y))(x) for model in (ours, native))
    assert_close(found, expected)
    assert mx.abs(found).max() > 0


def test_jvp_and_vjp_equal_native_code():
    ours = nn.Sequential(EinMix("b i -> b o", "i o", "o", i=6, o=4), Reduce("b (o 2) -> b o", "mean"))
    weight, bias = ours.layers[0].weight, ours.layers[0].bias

    def native(x):
        return (x @ weight + bias).reshape(-1, 2, 2).mean(-1)

    x = mx.random.normal((3, 6))
    for product, direction in ((mx.jvp, mx.random.normal((3, 6))), (mx.vjp, mx.random.normal((3, 2)))):
        for one, other in zip(product(ours, [x], [direction]), product(native, [x], [direction]), strict=True):
            assert_close(one[0], other[0])


def test_checkpointed_gradients_are_equal():
    model = make_network()
    x, y = random_batch()
    saving = nn.utils.checkpoint(model)
    _, expected = nn.value_and_grad(model, partial(cross_entropy, model))(x, y)
    _, found = nn.value_and_grad(model, lambda x, y: nn.losses.cross_entropy(saving(x), y, reduction="mean"))(x, y)
    for (name, one), (_, other) in zip(utils.tree_flatten(found), utils.tree_flatten(expected), strict=True):
        assert mx.abs(other).max() > 0, name
        assert_close(one, other)


def test_freeze_and_unfreeze():
    ours, native = make_network_pair()
    mixing = ours.layers[4]
    ours.layers[1].freeze()
    native.convolution.freeze()
    names = [name for name, _ in utils.tree_flatten(ours.trainable_parameters())]
    assert sorted(names) == ["layers.4.bias", "layers.4.weight"]
    mixing.freeze(keys="bias")
    native.linear.freeze(keys="bias")
    assert [name for name, _ in utils.tree_flatten(ours.trainable_parameters())] == ["layers.4.weight"]
    assert len(utils.tree_flatten(ours.parameters())) == 4
    x, y = random_batch()
    _, gradients = nn.value_and_grad(ours, partial(cross_entropy, ours))(x, y)
    assert [name for name, _ in utils.tree_flatten(gradients)] == ["layers.4.weight"]
    bias, weight = mixing.bias, mixing.weight
    for model in (ours, native):
        step = make_training_step(model, optimizers.SGD(0.5))
        step(x, y)
    assert mx.array_equal(mixing.bias, bias)
    assert not mx.allclose(mixing.weight, weight)
    assert_equal_parameters(ours, native)
    ours.freeze()
    assert utils.tree_flatten(ours.trainable_parameters()) == []
    ours.unfreeze()
    assert_same_trees(ours.trainable_parameters(), ours.parameters())
    ours.freeze(keys="bias", strict=True)
    assert [name for name, _ in utils.tree_flatten(mixing.trainable_parameters())] == ["weight"]
    with pytest.raises(KeyError, match="scale"):
        mixing.freeze(keys="scale", strict=True)


def test_update_parameters():
    layer = EinMix("b i -> b o", "i o", "o", i=2, o=3)
    bias = layer.bias
    assert layer.update({"weight": mx.ones((2, 3))}) is layer
    x = mx.random.normal((4, 2))
    assert_close(layer(x), x.sum(1, keepdims=True) + bias)
    with pytest.raises(ValueError, match="scale"):
        layer.update({"scale": mx.ones(3)})
    doubled_parameters = utils.tree_map(lambda array: array * 2, layer.parameters())
    assert_close(layer.update(doubled_parameters)(x), 2 * x.sum(1, keepdims=True) + 2 * bias)
    layer.weight = mx.zeros((2, 3))
    assert_close(layer(x), mx.broadcast_to(2 * bias, (4, 3)))


def test_update_modules():
    model = make_network()
    other = EinMix("b f -> b k", "f k", f=36, k=2)
    model.update_modules({"layers": [{}, {}, {}, {}, other]})
    assert model.layers[4] is other
    x, _ = random_batch()
    assert model(x).shape == (8, 2)


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_weights_are_saved_and_loaded(suffix, tmp_path):
    path = str(tmp_path / f"weights.{suffix}")
    model, other = make_network(), make_network()
    x, _ = random_batch()
    assert not mx.allclose(model(x), other(x))
    model.save_weights(path)
    assert sorted(mx.load(path)) == ["layers.1.bias", "layers.1.weight", "layers.4.bias", "layers.4.weight"]
    assert other.load_weights(path) is other
    assert_same_trees(other.parameters(), model.parameters())
    assert mx.array_equal(other(x), model(x))


def test_load_weights_of_wrong_names_or_shapes_raises():
    layer = EinMix("b i -> b o", "i o", "o", i=2, o=3)
    with pytest.raises(ValueError, match="Missing 1 parameters: \nbias"):
        layer.load_weights([("weight", mx.zeros((2, 3)))])
    with pytest.raises(ValueError, match="not in model: \nscale"):
        layer.load_weights([("weight", mx.zeros((2, 3))), ("bias", mx.zeros((1, 3))), ("scale", mx.zeros(1))])
    with pytest.raises(ValueError, match="for parameter bias"):
        layer.load_weights([("weight", mx.zeros((2, 3))), ("bias", mx.zeros(3))])
    layer.load_weights([("weight", mx.zeros((2, 3)))], strict=False)
    assert not layer.weight.any()


def test_weights_are_loaded_from_a_numpy_file(tmp_path):
    """A checkpoint of another framework's EinMix has the same names and shapes."""
    rng = np.random.default_rng(0)
    arrays = {"weight": rng.normal(size=(2, 3, 4)).astype("float32"), "bias": np.ones((1, 1, 2, 4), "float32")}
    np.savez(tmp_path / "weights.npz", **arrays)
    layer = EinMix("b t (h c) -> b t (h d)", "h c d", "h d", h=2, c=3, d=4)
    layer.load_weights(str(tmp_path / "weights.npz"))
    x = rng.normal(size=(5, 7, 6)).astype("float32")
    expected = np.einsum("bthc,hcd->bthd", x.reshape(5, 7, 2, 3), arrays["weight"]) + arrays["bias"]
    assert_close(layer(mx.array(x)), mx.array(expected.reshape(5, 7, 8)))


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float64], ids=str)
def test_set_dtype_casts_parameters_and_result(dtype):
    model = make_network()
    x, y = random_batch()
    with mx.stream(mx.cpu):
        expected = model(x)
        model.set_dtype(dtype)
        assert {array.dtype for _, array in utils.tree_flatten(model.parameters())} == {dtype}
        result = model(x.astype(dtype))
        assert result.dtype == dtype
        assert_close(result.astype(mx.float32), expected, rtol=0.05, atol=0.05)
        _, gradients = nn.value_and_grad(model, partial(cross_entropy, model))(x.astype(dtype), y)
        assert {array.dtype for _, array in utils.tree_flatten(gradients)} == {dtype}


def test_mixed_dtypes_promote_as_in_linear():
    ours, native = EinMix("b i -> b o", "i o", "o", i=2, o=3), nn.Linear(2, 3)
    for dtype in (mx.float16, mx.bfloat16):
        x = mx.random.normal((4, 2)).astype(dtype)
        assert ours(x).dtype == native(x).dtype == mx.float32


def test_apply_maps_the_parameters():
    model = make_network()
    model.apply(nn.init.constant(0.5))
    assert all((array == 0.5).all() for _, array in utils.tree_flatten(model.parameters()))
    model.layers[4].apply(mx.zeros_like, filter_fn=lambda module, key, value: key == "bias")
    x, _ = random_batch()
    hidden = x
    for layer in model.layers[:4]:
        hidden = layer(hidden)
    assert_close(model(x), mx.broadcast_to(hidden.sum(1, keepdims=True) / 2, (8, 5)))
    seen = []
    model.apply_to_modules(lambda name, module: seen.append((name, type(module).__name__)))
    assert ("layers.0", "Rearrange") in seen


def test_train_and_eval():
    model = nn.Sequential(Rearrange("b (h w) -> b h w", h=6), nn.Dropout(0.5), Reduce("b h w -> b", "sum"))
    assert model.layers[0].training
    assert model.eval() is model
    assert not any(layer.training for layer in model.layers)
    x, _ = random_batch()
    assert_close(model(x), x.sum(1))
    model.train()
    assert all(layer.training for layer in model.layers)
    assert not mx.allclose(model(x), x.sum(1))


def test_repr():
    convolution = "1, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), dilation=1, groups=1, bias=True"
    assert repr(make_network()).splitlines() == [
        "Sequential(",
        "  (layers.0): Rearrange('b (h w) -> b h w 1', h=6)",
        f"  (layers.1): Conv2d({convolution})",
        "  (layers.2): ReLU()",
        "  (layers.3): Reduce('b (h 2) (w 2) c -> b (c h w)', 'max')",
        "  (layers.4): EinMix('b f -> b k', 'f k', 'k', f=36, k=5)",
        ")",
    ]
    for layer in make_network().layers:
        if type(layer).__module__ == "plait.layers.mlx":
            again = eval(repr(layer), vars(layers))
            assert type(again) is type(layer)
            assert again.spec == layer.spec


def max_reduction(tensor, axes):
    return mx.max(tensor, axes)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["copy", "pickle"]
)
def test_copy_is_independent(copied):
    model = nn.Sequential(
        make_network(), Rearrange("b k -> k b"), Reduce("k b -> b", max_reduction), Repeat("b -> b r", r=2)
    )
    model.layers[0].layers[4].freeze(keys="bias")
    model.eval()
    x, _ = random_batch()
    expected = model(x)
    other = copied(model)
    assert repr(other) == repr(model)
    assert_same_trees(other.parameters(), model.parameters())
    assert_same_trees(other.trainable_parameters(), model.trainable_parameters())
    assert len(utils.tree_flatten(other.trainable_parameters())) == 3
    assert not other.layers[0].layers[0].training
    assert mx.array_equal(other(x), expected)
    other.apply(mx.zeros_like)
    assert mx.array_equal(model(x), expected)
    assert not other(x).any()


class Softpool(nn.Module):
    """A reduction with a parameter: how much the larger elements count."""

    def __init__(self):
        super().__init__()
        self.sharpness = mx.array(0.5)

    def __call__(self, tensor, axes):
        return (mx.softmax(self.sharpness * tensor, axes) * tensor).sum(axes)


def test_reduction_that_is_a_module_is_trained(tmp_path):
    model = nn.Sequential(EinMix("b i -> b o", "i o", i=36, o=8), Reduce("b (o 2) -> b o", Softpool()))
    names = [name for name, _ in utils.tree_flatten(model.parameters())]
    assert names == ["layers.0.weight", "layers.1.module.sharpness"]
    assert repr(model.layers[1]) == "Reduce('b (o 2) -> b o'\n  (module): Softpool()\n)"
    x = mx.random.normal((8, 36))
    weight = model.layers[0].weight

    def native(sharpness, x):
        pairs = (x @ weight).reshape(8, 4, 2)
        return (mx.softmax(sharpness * pairs, -1) * pairs).sum(-1)

    assert_close(model(x), native(mx.array(0.5), x))
    _, gradients = nn.value_and_grad(model, lambda x: (model(x) ** 2).sum())(x)
    expected = mx.grad(lambda sharpness: (native(sharpness, x) ** 2).sum())(mx.array(0.5))
    assert_close(gradients["layers"][1]["module"]["sharpness"], expected)
    model.layers[1].module.sharpness = mx.array(2.0)
    assert_close(model(x), native(mx.array(2.0), x))
    model.save_weights(str(tmp_path / "weights.npz"))
    other = nn.Sequential(EinMix("b i -> b o", "i o", i=36, o=8), Reduce("b (o 2) -> b o", Softpool()))
    assert_close(other.load_weights(str(tmp_path / "weights.npz"))(x), model(x))
    assert_close(mx.compile(other)(x), model(x))


def test_reduction_that_is_a_module_without_parameters():
    class Highest(nn.Module):
        def __call__(self, tensor, axes):
            return tensor.max(axes)

    layer = Reduce("b c -> b", Highest())
    x = mx.random.normal((3, 4))
    assert_close(layer(x), x.max(1))
    assert utils.tree_flatten(layer.parameters()) == []
    assert [type(module) for module in layer.modules()] == [Reduce, Highest]


def test_vmap_equals_separate_calls():
    model = make_network()
    x = mx.random.normal((3, 8, 36))
    expected = mx.stack([model(one) for one in x])
    assert_close(mx.vmap(model)(x), expected)
    assert_close(mx.vmap(model, in_axes=1, out_axes=1)(x.swapaxes(0, 1)), expected.swapaxes(0, 1))


def test_an_ensemble_by_vmap():
    """Call one model under ``vmap`` with the stacked parameters of three models."""
    models = [EinMix("b t (h c) -> b t (h d)", "h c d", "h d", h=2, c=3, d=4) for _ in range(3)]
    x = mx.random.normal((2, 5, 6))
    stacked = utils.tree_map(lambda *arrays: mx.stack(arrays), *[model.parameters() for model in models])
    shared = models[0]

    def call(parameters):
        return shared.update(parameters)(x)

    expected = mx.stack([model(x) for model in models])
    result = mx.vmap(call)(stacked)
    assert_close(result, expected)


def test_quantize_ignores_the_layers():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.split = Rearrange("b (t c) -> b t c", c=64)
            self.mix = EinMix("b t c -> b d", "t c d", "d", t=2, c=64, d=64)
            self.linear = nn.Linear(64, 64)

        def __call__(self, x):
            return self.linear(self.mix(self.split(x)))

    model = Model()
    before = copy.deepcopy(model)
    nn.quantize(model, group_size=64, bits=8)
    assert isinstance(model.linear, nn.QuantizedLinear)
    assert isinstance(model.mix, EinMix)
    assert_same_trees(model.mix.parameters(), before.mix.parameters())
    x = mx.random.normal((3, 128))
    assert_close(model(x), before(x), rtol=0.05, atol=0.05)


def test_exported_function_gives_the_same_result(tmp_path):
    model = make_network()
    x, _ = random_batch()
    path = str(tmp_path / "model.mlxfn")
    mx.export_function(path, model, x)
    (result,) = mx.import_function(path)(x)
    assert_close(result, model(x))


def test_list_of_arrays_is_stacked():
    arrays = [mx.random.normal((2, 3)) for _ in range(4)]
    model = nn.Sequential(Rearrange("k b c -> b (k c)"), EinMix("b i -> b o", "i o", i=12, o=2))
    expected = mx.concatenate(arrays, 1) @ model.layers[1].weight
    assert_close(model(arrays), expected)
    assert_close(mx.compile(model)(arrays), expected)
    assert_close(Reduce("k b c -> b c", "max")(arrays), mx.max(mx.stack(arrays), 0))


def test_network_on_another_stream():
    model = make_network()
    x, _ = random_batch()
    expected = model(x)
    with mx.stream(mx.new_stream(mx.cpu)):
        assert_close(model(x), expected)


def test_parameters_are_drawn_from_the_mlx_generator():
    mx.random.seed(3)
    one = EinMix("b i -> b o", "i o", i=2, o=3).weight
    mx.random.seed(3)
    bound = (3 / 2) ** 0.5
    assert_close(one, mx.random.uniform(-bound, bound, (2, 3)))


def make_value_and_grad(layer):
    model = nn.Sequential(nn.Linear(6, 6), layer)
    return nn.value_and_grad(model, lambda x: model(x).sum())


TRANSFORMS = {
    "eager": lambda layer: layer,
    "compile": mx.compile,
    "shapeless": partial(mx.compile, shapeless=True),
    "grad": lambda layer: mx.grad(lambda x: layer(x).sum()),
    "value_and_grad": make_value_and_grad,
    "checkpoint": nn.utils.checkpoint,
}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_errors_are_the_same_under_transformations(transform):
    """A transformed layer raises the same error as a direct call."""
    transformed = TRANSFORMS[transform]
    x = mx.zeros((4, 6))
    with pytest.raises(plait.SizeError, match="PLT302") as caught:
        transformed(Rearrange("b (c p) -> b c p", p=4))(x)
    assert "input: 4 6   given: p=4" in str(caught.value)
    with pytest.raises(plait.SizeError, match="PLT305"):
        transformed(EinMix("b i -> b o", "i o", "o", i=5, o=2))(x)
    with pytest.raises(plait.SizeError, match="PLT304"):
        transformed(Reduce("b i j -> b", "max"))(x)


def test_error_under_vmap():
    with pytest.raises(plait.SizeError, match="PLT302") as caught:
        mx.vmap(Rearrange("(c p) -> c p", p=4))(mx.zeros((4, 6)))
    assert "input: 6   given: p=4" in str(caught.value)


def test_non_array_raises():
    with pytest.raises(plait.BackendError):
        Rearrange("a -> a 1")(object())
    with pytest.raises(plait.PlaitError, match="PLT504"):
        EinMix("b i -> b o", "i o", i=2, o=3)(np.zeros((4, 2), "float32"))


def test_constructor_keywords():
    assert Rearrange(pattern="b (c p) -> b c p", p=2).spec == Rearrange("b (c p) -> b c p", p=2).spec
    assert Reduce(pattern="b c -> b", reduction="max").spec == Reduce("b c -> b", "max").spec
    assert Repeat(pattern="b -> b r", r=2).spec == Repeat("b -> b r", r=2).spec
    one = EinMix(pattern="b i -> b o", weight_shape="i o", bias_shape="o", i=2, o=3)
    assert one.spec == EinMix("b i -> b o", "i o", "o", i=2, o=3).spec
