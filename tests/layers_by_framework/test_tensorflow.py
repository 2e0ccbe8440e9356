"""Tests of TensorFlow layers in modules, graphs, checkpoints and SavedModels, and compared with einops' layers."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

import plait

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
if keras.backend.backend() != "tensorflow":
    pytest.skip(f"keras is on {keras.backend.backend()} here", allow_module_level=True)

keras_layers = importlib.import_module("plait.layers.keras")
layers = importlib.import_module("plait.layers.tensorflow")
EinMix, Rearrange, Reduce, Repeat = layers.EinMix, layers.Rearrange, layers.Reduce, layers.Repeat

pytestmark = pytest.mark.filterwarnings(  # of Keras' own variables
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def random_array(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def assert_near(actual, expected):
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=1e-5, atol=1e-5)


class Network(tf.Module):
    """A module whose attributes are layers of all four classes."""

    def __init__(self):
        super().__init__()
        self.image = Rearrange("b (h w) -> b h w 1", h=8)
        self.filters = tf.Variable(random_array(3, 3, 1, 4))
        self.pool = Reduce("b (h 2) (w 2) c -> b (c h w)", "max")
        self.blocks = [
            EinMix("b (h c) -> b (h d)", "h c d", "h d", h=4, c=16, d=2),
            {"last": EinMix("b c -> b d", "c d", c=8, d=3, name="no-identifier")},
        ]
        self.scale = tf.Variable(2.0, trainable=False)
        self.copies = Repeat("b c -> b c r", r=2)

    @tf.function(input_signature=[tf.TensorSpec([None, None])])
    def __call__(self, pixels):
        hidden = tf.nn.conv2d(self.image(pixels), self.filters, 1, "SAME")
        return self.copies(self.blocks[1]["last"](tf.nn.relu(self.blocks[0](self.pool(hidden))))) * self.scale


def compute_network_by_hand(network, pixels):
    """Compute the same as `Network` by functions of TensorFlow."""
    hidden = tf.nn.conv2d(tf.reshape(pixels, (-1, 8, 8, 1)), network.filters, 1, "SAME")
    pooled = tf.nn.max_pool2d(hidden, 2, 2, "VALID")
    heads = tf.reshape(tf.transpose(pooled, (0, 3, 1, 2)), (-1, 4, 16))
    first, last = network.blocks[0], network.blocks[1]["last"]
    mixed = tf.einsum("bhc,hcd->bhd", heads, first.weight.value) + tf.reshape(first.bias.value, (4, 2))
    result = tf.matmul(tf.nn.relu(tf.reshape(mixed, (-1, 8))), last.weight.value)
    return tf.stack([result] * 2, -1) * network.scale


def test_module_collects_the_variables_of_its_layers():
    network = Network()
    first, last = network.blocks[0], network.blocks[1]["last"]
    learnt = {variable.ref() for variable in network.trainable_variables}
    assert learnt == {v.ref() for v in (network.filters, first.weight.value, first.bias.value, last.weight.value)}
    assert len(network.trainable_variables) == 4
    assert len(network.variables) == 5
    assert set(network.submodules) == {first, last}
    outer = tf.Module()
    outer.inner = network
    assert {variable.ref() for variable in outer.trainable_variables} == learnt
    assert (first.trainable_variables, last.name) == ([first.weight, first.bias], "no-identifier")
    first.trainable = False
    assert (first.trainable_variables, len(first.non_trainable_variables)) == ([], 2)
    assert (
        len(network.trainable_variables) == 4
    )  # a module knows nothing of what Keras freezes, and the docstring says so
    with first.name_scope as scope:
        assert scope == "ein_mix/"
    assert first.built
    weight = first.weight
    first.build((None, 64))  # as Keras does where it has not seen that it is built
    assert first.weight is weight
    assert len(first.weights) == 2
    assert repr(last) == "<EinMix 'b c -> b d', 'c d', c=8, d=3, name=no-identifier, built=True>"


def test_graph_with_unknown_lengths_is_traced_once_and_has_correct_gradients():
    network = Network()
    for batch in (2, 5):
        pixels = tf.constant(random_array(batch, 64))
        assert_near(network(pixels), compute_network_by_hand(network, pixels))
    assert network.__call__.experimental_get_tracing_count() == 1
    variables = network.trainable_variables
    gradients = []
    for call in (network, lambda pixels: compute_network_by_hand(network, pixels)):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(call(pixels) ** 2)
        gradients.append(tape.gradient(loss, variables))
    for found, expected in zip(*gradients, strict=True):
        assert_near(found, expected)
        assert np.abs(np.asarray(expected)).max() > 0
    before = float(loss)
    optimizer = keras.optimizers.Adam(0.01)
    for _ in range(5):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(network(pixels) ** 2)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
    assert float(loss) < before
    assert_near(network(pixels), compute_network_by_hand(network, pixels))


def test_xla_compiled_network_equals_handwritten_code():
    network = Network()
    compiled = tf.function(network, jit_compile=True, autograph=False)
    pixels = tf.constant(random_array(3, 64))
    assert_near(compiled(pixels), compute_network_by_hand(network, pixels))


def test_layer_in_dataset_map():
    split = Rearrange("(h w) -> h w", h=2)
    (first,) = tf.data.Dataset.from_tensor_slices(random_array(1, 6)).map(split)
    assert_near(first, random_array(2, 3))


def test_checkpoint_saves_and_restores_the_variables(tmp_path):
    one, two = Network(), Network()
    path = tf.train.Checkpoint(network=one).write(str(tmp_path / "checkpoint"))
    saved = [name for name, shape in tf.train.list_variables(path) if shape]
    assert len(saved) == 4
    assert "network/blocks/0/weight/.ATTRIBUTES/VARIABLE_VALUE" in saved
    pixels = tf.constant(random_array(2, 64))
    assert not np.allclose(one(pixels), two(pixels))
    tf.train.Checkpoint(network=two).read(path).assert_consumed()
    assert_near(two(pixels), one(pixels))
    plain = tf.Module()
    plain.layer = keras_layers.EinMix("b c -> b d", "c d", "d", c=3, d=4)
    plain.layer.build((None, 3))
    assert [*tf.train.Checkpoint(layer=plain.layer)._trackable_children()] == ["layer"]
    assert plain.trainable_variables == ()  # what the EinMix of this module is for


LOADING_SCRIPT = """
import sys
sys.modules["plait"] = None  # no import of it would succeed
import numpy as np
import tensorflow as tf
for name in ("module", "model", "exported"):
    loaded = tf.saved_model.load(f"{sys.argv[1]}/{name}")
    call = loaded.serve if name == "exported" else loaded.signatures["serving_default"] if name == "model" else loaded
    for batch in (2, 5):
        result = call(tf.constant(np.load(f"{sys.argv[1]}/{batch}.npy")))
        result = next(iter(result.values())) if isinstance(result, dict) else result
        np.testing.assert_allclose(result, np.load(f"{sys.argv[1]}/{name}{batch}.npy"), rtol=1e-5, atol=1e-5)
    learnt = {
        "module": lambda: [loaded.filters, loaded.blocks[0].weight, loaded.blocks[0].bias],
        "model": lambda: call.variables,
        "exported": lambda: loaded.variables,
    }[name]()
    assert sorted(len(variable.shape) for variable in learnt) == ([3, 3, 4] if name == "module" else [2, 2, 4])
    assert all(variable.trainable for variable in learnt)
"""


def test_saved_model_is_loaded_without_plait(tmp_path):
    module = Network()
    model = keras.Sequential(
        [
            keras.Input((64,)),
            Rearrange("b (h w) -> b h w 1", h=8),
            keras.layers.Conv2D(4, 3, use_bias=False),
            Reduce("b (h 2) (w 2) c -> b (c h w)", "max"),
            EinMix("b f -> b k", "f k", "k", f=36, k=3),
        ]
    )
    tf.saved_model.save(module, str(tmp_path / "module"))
    tf.saved_model.save(model, str(tmp_path / "model"))
    model.export(str(tmp_path / "exported"), verbose=False)
    for batch in (2, 5):
        pixels = random_array(batch, 64)
        np.save(tmp_path / f"{batch}.npy", pixels)
        np.save(tmp_path / f"module{batch}.npy", module(pixels))
        for name in ("model", "exported"):
            np.save(tmp_path / f"{name}{batch}.npy", model(pixels))
    command = [sys.executable, "-c", LOADING_SCRIPT, str(tmp_path)]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr


def test_einmix_is_trained_saved_and_cloned_in_keras_models(tmp_path, monkeypatch):
    x, y = random_array(8, 6), random_array(8, 4, seed=1)
    model = keras.Sequential([keras.Input((6,)), EinMix("b c -> b d", "c d", "d", c=6, d=4)])
    model.compile(optimizer="adam", loss="mse")
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=3, verbose=0)
    assert model.evaluate(x, y, verbose=0) < before
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[0]) is EinMix
    assert len(loaded.weights) == 2
    assert_near(loaded(x), model(x))
    copy = keras.models.clone_model(model)
    assert type(copy.layers[0]) is EinMix
    assert len(copy.weights) == 2
    with monkeypatch.context() as elsewhere:  # what the name stands for where plait.layers.tensorflow is not imported
        elsewhere.setitem(keras.saving.get_custom_objects(), "plait>EinMix", keras_layers.EinMix)
        loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[0]) is keras_layers.EinMix
    assert_near(loaded(x), model(x))
    plain = keras.Sequential([keras.Input((6,)), keras_layers.EinMix("b c -> b d", "c d", "d", c=6, d=4)])
    plain.save(tmp_path / "plain.keras")
    assert_near(keras.models.load_model(tmp_path / "plain.keras")(x), plain(x))
    assert layers.Rearrange is keras_layers.Rearrange
    mixed = EinMix("b c -> b d", "c d", c=6, d=4, dtype="mixed_float16", weight_initializer="ones")
    assert mixed(x).dtype == tf.float16
    assert_near(mixed.weight.numpy(), np.ones((6, 4)))


def test_size_errors_are_raised_in_graphs():
    split = tf.function(Rearrange("b (h w) -> b h w", h=8), input_signature=[tf.TensorSpec([None, 60])])
    with pytest.raises(plait.SizeError) as found:
        split(tf.zeros((2, 60)))
    assert found.value.code == "PLT302"
    mixing = EinMix("b c -> b d", "c d", c=6, d=4)

    @tf.function
    def call(x):
        if tf.reduce_sum(x) > 0:
            x = x * 2
        return mixing(x)

    with pytest.raises(plait.SizeError) as found:
        call(tf.zeros((2, 5)))
    assert found.value.code == "PLT305"


def test_other_keras_backend_raises(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    specification = importlib.util.spec_from_file_location("anew", layers.__file__)
    with pytest.raises(plait.BackendError, match=r"PLT502.*it is on jax.*plait\.layers\.keras"):
        specification.loader.exec_module(importlib.util.module_from_spec(specification))


EINOPS_CONSTRUCTOR_ARGUMENTS = [
    ("Rearrange", ("b (h p) c -> b h (p c)",), dict(p=2), (5, 6, 4)),
    ("Rearrange", (), dict(pattern="b (h p) c -> b h (p c)", p=2), (5, 6, 4)),
    ("Reduce", ("b (h 2) c -> b h c", "max"), {}, (5, 6, 4)),
    ("Reduce", (), dict(pattern="b (h p) c -> b h c", reduction="mean", p=3), (5, 6, 4)),
    ("Reduce", ("b h c -> b c", tf.reduce_max), {}, (5, 6, 4)),
    ("EinMix", ("b t c -> b t d", "c d", "d"), dict(c=4, d=3), (5, 6, 4)),
    ("EinMix", ("b (t p) c -> b (t d)",), dict(weight_shape="p c d", bias_shape="d", p=2, c=4, d=3), (5, 6, 4)),
    ("EinMix", (), dict(pattern="b ... c -> b ... d", weight_shape="c d", bias_shape=None, c=4, d=3), (5, 6, 4)),
    ("EinMix", ("b t (h c) -> b t (h d)", "h c d", "h d"), dict(h=2, c=2, d=3), (5, 6, 4)),
]
"""Calls of layer constructors in code that was written for einops."""


@pytest.mark.parametrize(("kind", "given", "sizes", "shape"), EINOPS_CONSTRUCTOR_ARGUMENTS)
@pytest.mark.parametrize("module", ["tensorflow", "keras"])
def test_einops_code_runs_with_the_import_replaced(module, kind, given, sizes, shape, tmp_path):
    theirs = getattr(pytest.importorskip(f"einops.layers.{module}"), kind)(*given, **sizes)
    ours = getattr(importlib.import_module(f"plait.layers.{module}"), kind)(*given, **sizes)
    x = random_array(*shape)
    models = [keras.Sequential([keras.Input(shape[1:]), layer]) for layer in (theirs, ours)]
    assert models[0].output_shape == models[1].output_shape
    assert [w.shape for w in models[0].weights] == [w.shape for w in models[1].weights]
    models[0].save_weights(tmp_path / "theirs.weights.h5")
    models[1].load_weights(tmp_path / "theirs.weights.h5")
    assert_near(models[1](x), models[0](x))
    config = {key: value for key, value in theirs.get_config().items() if not callable(value)}
    if kind != "Reduce" or "reduction" in config:
        assert type(ours).from_config(config).spec == ours.spec


def test_model_saved_with_einops_layers_is_loaded(tmp_path):
    theirs = pytest.importorskip("einops.layers.keras")
    x = keras.Input((8, 8, 3))
    hidden = theirs.Rearrange("b (h p) (w q) c -> b h w (p q c)", p=2, q=2)(x)
    hidden = theirs.EinMix("b h w c -> b h w (k d)", "c k d", "k d", c=12, k=2, d=3)(hidden)
    model = keras.Model(x, theirs.Reduce("b h w c -> b c", "max")(hidden))
    model.save(tmp_path / "einops.keras")
    loaded = keras.models.load_model(tmp_path / "einops.keras", custom_objects=keras_layers.keras_custom_objects)
    assert [type(layer).__module__ for layer in loaded.layers[1:]] == ["plait.layers.keras"] * 3
    images = random_array(4, 8, 8, 3)
    assert_near(loaded(images), model(images))
    loaded.save(tmp_path / "plait.keras")
    assert_near(keras.models.load_model(tmp_path / "plait.keras")(images), model(images))
