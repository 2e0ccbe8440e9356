"""Tests of Keras layers, which `test_keras` runs in a new process for each backend of Keras."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

import plait
from plait.layers import MixSpec
from plait.layers.keras import EinMix, Rearrange, Reduce, Repeat, keras_custom_objects

BACKEND = keras.backend.backend()

pytestmark = [
    # Keras itself causes these warnings: it converts its variables to arrays, and arrays of a file to PyTorch tensors
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The given NumPy array is not writable:UserWarning"),
]


def random_array(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def to_numpy(tensor):
    """Convert a tensor, a variable or a result of ``predict`` to an array."""
    tensor = getattr(tensor, "value", tensor)
    if isinstance(tensor, (list, float)):
        return np.array(tensor)
    return plait.asnumpy(tensor.detach() if hasattr(tensor, "detach") else tensor)


def assert_near(actual, expected, rtol=1e-5, atol=1e-6):
    np.testing.assert_allclose(to_numpy(actual), to_numpy(expected), rtol=rtol, atol=atol)


@keras.saving.register_keras_serializable(package="checks")
def value_range(tensor, axes):
    """A callable reduction by functions of Keras."""
    return ops.max(tensor, axes) - ops.min(tensor, axes)


@keras.saving.register_keras_serializable(package="checks")
def backend_max(tensor, axes):
    """A callable reduction by functions of the backend."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.reduce_max(tensor, axes)
    if BACKEND == "jax":
        import jax

        return jax.lax.reduce_max(tensor, axes)
    return tensor.amax(axes)


def any_positive(tensor, axes):
    return ops.any(tensor > 0, axes)


SYMBOLIC_SHAPE_CASES = [
    (lambda: Rearrange("b (h p) c -> b h (p c)", p=2), (None, 6, 4), (None, 3, 8)),
    (lambda: Rearrange("b (h p) c -> b h (p c)", p=2), (None, None, 4), (None, None, 8)),
    (lambda: Rearrange("b (h p) c -> b h (p c)", p=2), (5, 6, 4), (5, 3, 8)),
    (lambda: Rearrange("b (h p) c -> h b p c", h=3), (None, None, None), (3, None, None, None)),
    (lambda: Rearrange("(b n) ... -> b n ...", n=2), (None, 4), (None, 2, 4)),
    (lambda: Rearrange("b ... -> b (...)"), (None, 3, 4), (None, 12)),
    (lambda: Reduce("b (h 2) c -> b (h c)", "max"), (None, 6, 4), (None, 12)),
    (lambda: Reduce("b (h 2) (w 2) c -> b h w c", "mean"), (None, None, None, 4), (None, None, None, 4)),
    (lambda: Reduce("b ... c -> b c", "sum"), (None, None, 5, 4), (None, 4)),
    (lambda: Repeat("b c -> b (c r)", r=3), (None, 4), (None, 12)),
    (lambda: Repeat("b c -> r b c", r=3), (None, None), (3, None, None)),
    (lambda: EinMix("b (t p) c -> b t d", "p c d", "d", p=2, c=4, d=3), (None, 6, 4), (None, 3, 3)),
    (lambda: EinMix("b t (h c) -> b t (h d)", "h c d", "h d", h=2, c=2, d=3), (None, None, 4), (None, None, 6)),
    (lambda: EinMix("... c -> ... d", "c d", "d", c=4, d=3), (None, None, 4), (None, None, 3)),
    (lambda: EinMix("b c ... -> b (d ...)", "c d", "d", c=4, d=3), (None, 4, 5), (None, 15)),
]


@pytest.mark.parametrize(("make", "shape", "expected"), SYMBOLIC_SHAPE_CASES)
def test_compute_output_shape(make, shape, expected):
    assert make().compute_output_shape(shape) == expected
    assert make().compute_output_shape(list(shape)) == expected
    x = keras.Input(batch_shape=shape)
    functional = keras.Model(x, make()(x))
    sequential = keras.Sequential([keras.Input(batch_shape=shape), make()])
    assert functional.output_shape == sequential.output_shape == expected
    tensor = random_array(*[size or 6 for size in shape])
    result = functional(tensor)
    assert all(said in (None, size) for said, size in zip(expected, result.shape, strict=True))
    sequential.set_weights(functional.get_weights())
    assert_near(sequential(tensor), result)
    larger = random_array(*[size or 12 for size in shape])
    assert all(said in (None, size) for said, size in zip(expected, sequential(larger).shape, strict=True))


ARRAY = np.array([[[0, 1, 2], [3, 4, 5]], [[7, 0, 1], [1, 1, 1]]])

CASES_WITH_DTYPES = [
    *(("Rearrange", ("a b c -> c (a b)",), name) for name in ("bool", "uint8", "int32", "float16", "float32")),
    *(("Repeat", ("a b c -> a b c 2",), name) for name in ("bool", "int32", "float32")),
    *(
        ("Reduce", ("a b c -> a c", reduction), name)
        for reduction in ("any", "all", "min", "max")
        for name in ("bool", "int32", "float32")
    ),
    *(("Reduce", ("a b c -> a c", reduction), name) for reduction in ("sum", "prod") for name in ("int32", "float32")),
    *(("Reduce", ("a b c -> a c", reduction), "float32") for reduction in ("mean", "var", "std", "logsumexp")),
    *(
        ("Reduce", ("a b c -> a c", reduction), name)
        for reduction in (value_range, backend_max)
        for name in ("int32", "float32")
    ),
    ("Reduce", ("a b c -> a c", any_positive), "float32"),
    *(("EinMix", ("a b c -> a b d", "c d", "d"), name) for name in ("bool", "int32", "float32")),
]


@pytest.mark.parametrize(("kind", "given", "dtype"), CASES_WITH_DTYPES)
def test_compute_output_spec_has_the_dtype_of_the_result(kind, given, dtype):
    sizes = dict(c=3, d=4) if kind == "EinMix" else {}
    layer = getattr(plait.layers.keras, kind)(*given, **sizes, dtype=dtype if dtype == "float16" else None)
    x = ops.cast(ops.convert_to_tensor(ARRAY), dtype)
    said = layer(keras.Input((None, 3), dtype=dtype))
    result = layer(x)
    assert said.dtype == keras.backend.standardize_dtype(result.dtype)
    if kind == "EinMix":
        assert said.dtype == "float32"
        assert_near(result, ARRAY.astype(dtype).astype("float32") @ to_numpy(layer.weight) + to_numpy(layer.bias))
        return
    if kind in ("Rearrange", "Repeat") or given[-1] in ("min", "max", value_range, backend_max):
        assert said.dtype == dtype
    if given[-1] in ("any", "all", any_positive):
        assert said.dtype == "bool"
    expected = plait.asnumpy(getattr(plait, kind.lower())(x, *given))
    np.testing.assert_array_equal(to_numpy(result), expected)


@pytest.mark.parametrize("unknown", [(None, 6), (None, None), (4, None)])
@pytest.mark.parametrize("reduction", [value_range, backend_max])
def test_callable_reduction_with_unknown_lengths(reduction, unknown):
    """The reduction is called with a symbolic tensor whose unknown lengths are not replaced by numbers."""
    x = keras.Input(batch_shape=unknown)
    model = keras.Model(x, Reduce("(b 2) (c p) -> b p", reduction, p=3)(x))
    assert model.output_shape == ({4: 2}.get(unknown[0]), 3)
    tensor = random_array(4, 6)
    split = tensor.reshape(2, 2, 2, 3)
    expected = split.max((1, 2)) - (split.min((1, 2)) if reduction is value_range else 0)
    assert_near(model(tensor), expected)


@pytest.mark.parametrize(
    "policy",
    [
        "mixed_float16",
        "mixed_bfloat16",
        "bfloat16",
        pytest.param("float64", marks=pytest.mark.skipif(BACKEND == "jax", reason="JAX is not allowed 64 bits here")),
    ],
)
def test_layers_follow_their_dtype_policy(policy):
    x = random_array(4, 6)
    compute = policy.removeprefix("mixed_")
    shared = dict(dtype=policy)
    split = Rearrange("b (t c) -> b t c", c=3, **shared)
    mixing = EinMix("b t c -> b t d", "c d", "d", c=3, d=2, **shared)
    pool = Reduce("b t d -> b d", "mean", **shared)
    symbol = keras.Input((6,))
    model = keras.Model(symbol, pool(mixing(split(symbol))))
    assert model.output.dtype == compute
    assert keras.Sequential([keras.Input((6,)), split]).compute_output_spec(symbol).dtype == compute
    assert split.compute_output_spec(symbol).dtype == compute
    result = model(x)
    assert keras.backend.standardize_dtype(result.dtype) == compute
    assert {weight.dtype for weight in model.weights} == {"float32" if "mixed" in policy else compute}
    weight, bias = (to_numpy(ops.cast(variable, "float32")) for variable in model.weights)
    expected = (x.reshape(4, 2, 3) @ weight + bias).mean(1)
    assert_near(ops.cast(result, "float32"), expected, rtol=3e-2, atol=3e-2)
    integers = Rearrange("b c -> c b", dtype=policy)(keras.Input((6,), dtype="int32"))
    assert integers.dtype == "int32"


def make_model_with_all_layers():
    """A model with all four layers, several inputs, and callables."""
    x, y = keras.Input((6, 4)), keras.Input((6, 4))
    both = Rearrange("k b t c -> b t (c k)", name="both")([x, y])
    hidden = EinMix("b (t p) c -> b t (c e)", "p c e", "e", p=2, c=8, e=2, name="hidden")(both)
    peaks = Reduce("b t c -> b c", value_range, name="peaks")(hidden)
    highest = Reduce("b (t 3) c -> b t c", "max", name="highest")(hidden)
    again = Repeat("b c -> b r c", r=1, dtype="float32", trainable=False)(peaks)
    return keras.Model([x, y], keras.layers.Add()([highest, again]))


def test_model_is_saved_and_loaded_without_custom_objects(tmp_path):
    model = make_model_with_all_layers()
    path = str(tmp_path / "model.keras")
    inputs = [random_array(5, 6, 4), random_array(5, 6, 4, seed=1)]
    model.save(path)
    loaded = keras.models.load_model(path)
    assert_near(loaded(inputs), model(inputs))
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    for layer, other in zip(loaded.layers, model.layers, strict=True):
        assert type(layer) is type(other)
        assert layer.get_config() == other.get_config()
        assert layer.trainable == other.trainable
    twin = keras.models.model_from_json(model.to_json())
    twin.set_weights(model.get_weights())
    assert_near(twin(inputs), model(inputs))
    assert_near(pickle.loads(pickle.dumps(model))(inputs), model(inputs))


LOADING_SCRIPT = """
import sys
import keras
assert keras.backend.backend() == sys.argv[2]
import plait.layers.keras
import numpy as np
model = keras.models.load_model(sys.argv[1] + "/model.keras")
result = model.predict(np.load(sys.argv[1] + "/x.npy"), verbose=0)
np.testing.assert_allclose(result, np.load(sys.argv[1] + "/y.npy"), rtol=1e-5, atol=1e-6)
"""


@pytest.mark.skipif(BACKEND == "jax", reason="it loads what PyTorch has saved, and need not be loaded itself")
def test_new_process_loads_a_model_on_another_backend(tmp_path):
    """The process has to import the layers, and nothing else."""
    x = keras.Input((8, 8, 1))
    hidden = keras.layers.Conv2D(4, 3, padding="same")(x)
    pooled = Reduce("b (h 2) (w 2) c -> b (c h w)", "max")(hidden)
    model = keras.Model(x, EinMix("b f -> b k", "f k", "k", f=64, k=3)(pooled))
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", random_array(5, 8, 8, 1))
    np.save(tmp_path / "y.npy", to_numpy(model(random_array(5, 8, 8, 1))))
    other = {"tensorflow": "torch", "torch": "jax"}[BACKEND]
    environment = {**os.environ, "KERAS_BACKEND": other}
    command = [sys.executable, "-c", LOADING_SCRIPT, str(tmp_path), other]
    run = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", ["name", "dtype", "trainable", "sizes", "pattern", "self", "class", "autocast"])
def test_config_round_trip_with_an_axis_of_any_name(name):
    layer = Rearrange(f"b ({name} p) -> b {name} p", sizes={name: 3}, name="mine", trainable=False, dtype="bfloat16")
    config = json.loads(json.dumps(layer.get_config()))
    again = Rearrange.from_config(config)
    assert again.get_config() == config
    assert (again.name, again.trainable, again.dtype_policy.name) == ("mine", False, "bfloat16")
    assert again.compute_output_shape((None, 6)) == (None, 3, 2)
    if name not in ("sizes", "pattern", "self"):
        assert Rearrange(f"b ({name} p) -> b {name} p", **{name: np.int64(3)}).get_config()["sizes"] == {name: 3}


def test_duplicate_size_raises():
    with pytest.raises(plait.SizeError, match="PLT311"):
        Rearrange("b (c p) -> b c p", sizes={"p": 2}, p=2)
    with pytest.raises(plait.AxisError, match="PLT203"):
        Rearrange("b (c p) -> b c p", p=2, name=3)


@pytest.mark.parametrize(
    ("kind", "config", "shape"),
    [
        ("Rearrange", {"pattern": "b (h p) c -> b h (p c)", "p": 2}, (None, 6, 4)),
        ("Reduce", {"pattern": "b (h p) c -> b h c", "reduction": "max", "p": 2}, (None, 6, 4)),
        ("EinMix", {"pattern": "b t c -> b t d", "weight_shape": "c d", "bias_shape": "d", "c": 4, "d": 3}, (5, 6, 4)),
        ("EinMix", {"pattern": "b t c -> b t d", "weight_shape": "c d", "bias_shape": None, "c": 4, "d": 3}, (5, 6, 4)),
    ],
)
def test_config_of_einops_is_accepted(kind, config, shape):
    layer = keras_custom_objects[kind].from_config(config)
    given = {key: value for key, value in config.items() if key != "pattern"}
    same = keras_custom_objects[kind](config["pattern"], **given)
    assert layer.compute_output_shape(shape) == same.compute_output_shape(shape)
    assert layer.spec == same.spec


def test_keras_custom_objects_has_the_four_layers():
    assert keras_custom_objects == {"Rearrange": Rearrange, "Reduce": Reduce, "Repeat": Repeat, "EinMix": EinMix}


def test_einmix_config_keeps_initializers_regularizers_and_constraints():
    chosen = dict(
        weight_initializer=keras.initializers.RandomNormal(stddev=0.5, seed=3),
        bias_initializer="ones",
        weight_regularizer=keras.regularizers.L2(0.5),
        bias_regularizer=keras.regularizers.L1(0.25),
        weight_constraint=keras.constraints.NonNeg(),
        bias_constraint=keras.constraints.MaxNorm(0.1),
        activity_regularizer=keras.regularizers.L1(0.1),
    )
    layer = EinMix("b c -> b d", "c d", "d", c=3, d=4, **chosen)
    layer.build((None, 3))
    again = EinMix.from_config(json.loads(json.dumps(layer.get_config())))
    again.build((None, 3))
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(to_numpy(again.weight), to_numpy(layer.weight))
    np.testing.assert_array_equal(to_numpy(layer.bias), np.ones((1, 4)))
    tensor = random_array(2, 3)
    again(tensor)
    weight = to_numpy(again.weight)
    activity = 0.1 * np.abs(to_numpy(again(tensor))).sum() / 2
    assert_near(sum(to_numpy(loss) for loss in again.losses), 0.5 * (weight**2).sum() + 0.25 * 4 + activity)
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    assert (weight < 0).any()
    model.fit(tensor, random_array(2, 4), verbose=0)
    assert (to_numpy(layer.weight) >= 0).all()
    assert (np.abs(to_numpy(layer.bias)) <= 0.1 + 1e-6).all()


def test_einmix_creates_its_parameters_in_build():
    layer = EinMix("b c -> b d", "c d", "d", c=30, d=40, name="mixing")
    assert (layer.built, layer.weights) == (False, [])
    assert layer.weight is layer.bias is None
    layer(keras.Input((30,)))
    assert layer.built
    assert [weight.name for weight in layer.weights] == ["weight", "bias"]
    assert [weight.path for weight in layer.weights] == ["mixing/weight", "mixing/bias"]
    assert layer.count_params() == 30 * 40 + 40
    assert layer.trainable_variables == [layer.weight, layer.bias]
    layer.trainable = False
    assert layer.trainable_variables == []
    assert layer.non_trainable_variables == [layer.weight, layer.bias]
    plain = EinMix("b c -> b d", "c d", c=3, d=4)
    plain.build()
    assert plain.bias is None
    assert len(plain.weights) == 1


def test_initial_parameters_are_uniform_and_depend_on_the_seed():
    def drawn(seed):
        keras.utils.set_random_seed(seed)
        layer = EinMix("b c -> b d", "c d", "d", c=64, d=64)
        layer.build((None, 64))
        return [to_numpy(weight) for weight in layer.weights]

    specification = MixSpec.read("b c -> b d", "c d", "d", dict(c=64, d=64))
    for found, made in zip(drawn(0), (specification.weight, specification.bias), strict=True):
        assert made.bound * 0.8 < found.max() <= made.bound * (1 + 1e-6)
        assert -made.bound * (1 + 1e-6) <= found.min() < -made.bound * 0.8
    assert all((one == two).all() for one, two in zip(drawn(1), drawn(1), strict=True))
    assert all((one != two).any() for one, two in zip(drawn(1), drawn(2), strict=True))
    initializer = EinMix("b c -> b d", "c d", "d", c=64, d=64).weight_initializer
    assert isinstance(initializer, keras.initializers.RandomUniform)
    first, second = (EinMix("b c -> b d", "c d", "d", c=64, d=64) for _ in range(2))
    assert first.weight_initializer.seed != second.weight_initializer.seed


@pytest.mark.parametrize("jit", {"tensorflow": [False, True], "jax": [True], "torch": [False]}[BACKEND])
def test_einmix_trains_like_dense(jit):
    x, y = random_array(20, 6), random_array(20, 1, seed=1)

    def model(first, last):
        network = keras.Sequential([keras.Input((6,)), first, keras.layers.ReLU(), last])
        network.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse", jit_compile=jit)
        return network

    ours = model(
        EinMix("b c -> b d", "c d", "d", c=6, d=8), EinMix("b (h c) -> b (h d)", "h c d", "h d", h=1, c=8, d=1)
    )
    theirs = model(keras.layers.Dense(8), keras.layers.Dense(1))
    theirs.set_weights([to_numpy(w).reshape(v.shape) for w, v in zip(ours.weights, theirs.weights, strict=True)])
    first = [
        network.fit(x, y, batch_size=8, epochs=3, verbose=0, shuffle=False).history["loss"]
        for network in (ours, theirs)
    ]
    assert_near(first[0], first[1], rtol=1e-4)
    assert first[0][-1] < first[0][0]
    for weight, other in zip(ours.weights, theirs.weights, strict=True):
        assert_near(to_numpy(weight).reshape(other.shape), other, rtol=1e-4)
    assert_near(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-4)
    assert_near(ours.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0), rtol=1e-4)


def test_weights_are_saved_and_loaded(tmp_path):
    one, two = make_model_with_all_layers(), make_model_with_all_layers()
    inputs = [random_array(5, 6, 4), random_array(5, 6, 4, seed=1)]
    assert not np.allclose(to_numpy(one(inputs)), to_numpy(two(inputs)))
    one.save_weights(tmp_path / "model.weights.h5")
    two.load_weights(tmp_path / "model.weights.h5")
    assert_near(two(inputs), one(inputs))
    three = keras.models.clone_model(one)
    assert not np.allclose(to_numpy(one(inputs)), to_numpy(three(inputs)))
    assert [weight.shape for weight in three.weights] == [weight.shape for weight in one.weights]
    three.set_weights(one.get_weights())
    assert_near(three(inputs), one(inputs))
    layer = copy.deepcopy(one.get_layer("hidden"))
    assert_near(layer.weight, one.get_layer("hidden").weight)
    assert layer.weight is not one.get_layer("hidden").weight


def test_model_summary_and_repr():
    text = io.StringIO()
    model = make_model_with_all_layers()
    model.summary(print_fn=lambda line: text.write(line + "\n"), line_length=120)
    for word in (
        "both (Rearrange)",
        "hidden (EinMix)",
        "peaks (Reduce)",
        "repeat",
        "(None, 3, 16)",
        "Total params: 34",
    ):
        assert word in text.getvalue()
    assert repr(model.get_layer("hidden")) == (
        "<EinMix 'b (t p) c -> b t (c e)', 'p c e', 'e', p=2, c=8, e=2, name=hidden, built=True>"
    )
    assert repr(Reduce("b c -> b", value_range, name="r")) == "<Reduce 'b c -> b', value_range, name=r, built=False>"


def test_symbolic_calls_do_not_change_names_of_other_layers():
    """The calls by which a layer computes its output shape do not become operations of the model."""
    x = keras.Input((6, 4))
    before = keras.layers.Reshape((24,)).name
    Reduce("b (t 2) c -> b (c t)", "max")(x)
    Rearrange("b (t p) c -> p b (t c)", p=2)(x)
    Repeat("b t c -> b t 2 c")(x)
    EinMix("b t c -> b (t d)", "c d", "d", c=4, d=3)(x)
    after = keras.layers.Reshape((24,)).name
    assert int(after.rpartition("_")[2]) - int("0" + before.partition("_")[2]) == 1
    assert len(x._keras_history.operation._outbound_nodes) == 4
    x = keras.Input((6, 4))
    hidden = Rearrange("k b t c -> b t (k c)")([x, keras.Input((6, 4))])
    y = Reduce("b t c -> b c", value_range)(hidden)
    # one operation of the model takes the tensor; symbolic calls for the output shape have added no other
    for tensor in (x, hidden):
        assert len(tensor._keras_history.operation._outbound_nodes) == 1
    x = keras.Input((6, 4))
    y = Reduce("b t c -> b c", value_range)(Rearrange("k b t c -> b t (k c)")([x, x]))
    assert [type(operation).__name__ for operation in keras.Model(x, y).operations] == [
        "InputLayer",
        "Rearrange",
        "Reduce",
    ]


def test_layers_inside_other_layers_and_models():
    x = random_array(3, 5, 6)
    assert_near(
        keras.layers.TimeDistributed(Rearrange("b (c p) -> b p c", p=2))(x),
        plait.rearrange(x, "b t (c p) -> b t p c", p=2),
    )
    mixing = EinMix("b c -> b d", "c d", "d", c=6, d=2)
    assert_near(keras.layers.TimeDistributed(mixing)(x), x @ to_numpy(mixing.weight) + to_numpy(mixing.bias), rtol=1e-4)
    assert keras.layers.TimeDistributed(mixing)(keras.Input((None, 6))).shape == (None, None, 2)

    class Block(keras.layers.Layer):
        """A layer without ``compute_output_shape``, so that Keras traces it."""

        def __init__(self):
            super().__init__()
            self.split = Rearrange("b (c p) -> b c p", p=2)
            self.mixing = EinMix("b c p -> b c d", "p d", "d", p=2, d=3)
            self.pool = Reduce("b c d -> b d", value_range)

        def build(self, shape):
            self.mixing.build(self.split.compute_output_shape(shape))

        def call(self, inputs):
            return self.pool(self.mixing(self.split(inputs)))

    block = Block()
    model = keras.Sequential([keras.Input((6,)), block])
    assert model.output_shape == (None, 3)
    hidden = x[0].reshape(5, 3, 2) @ to_numpy(block.mixing.weight) + to_numpy(block.mixing.bias)
    assert_near(model(x[0]), hidden.max(1) - hidden.min(1), rtol=1e-4)
    assert len(model.trainable_weights) == 2

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.mixing = EinMix("b c -> b d", "c d", "d", c=6, d=3)

        def call(self, inputs):
            return self.mixing(inputs)

    subclassed = Subclassed()
    subclassed.compile(optimizer="sgd", loss="mse")
    subclassed.fit(x[0], random_array(5, 3), verbose=0)
    assert len(subclassed.trainable_weights) == 2


def test_list_of_tensors_is_stacked():
    x, y = keras.Input((None, 4)), keras.Input((5, 4))
    model = keras.Model([x, y], Rearrange("k b t c -> b t (c k)")([x, y]))
    assert model.output_shape in ((None, None, 8), (None, 5, 8))
    one, two = random_array(2, 5, 4), random_array(2, 5, 4, seed=1)
    assert_near(model([one, two]), np.stack([one, two], -1).reshape(2, 5, 8))
    assert Reduce("k b c -> b c", "sum").compute_output_shape([(None, 4), (None, 4)]) == (None, 4)
    assert_near(Reduce("k b t c -> b c", "sum")([one, two]), (one + two).sum(1), rtol=1e-4)
    mixing = EinMix("k b t c -> b t d", "k c d", k=2, c=4, d=3)
    assert mixing([x, y]).shape[-1] == 3
    assert_near(mixing([one, two]), one @ to_numpy(mixing.weight)[0] + two @ to_numpy(mixing.weight)[1], rtol=1e-4)
    for call in (
        lambda: Rearrange("k b t c -> b t (c k)")([x, keras.Input((5, 3))]),
        lambda: Rearrange("k b t c -> b t (c k)").compute_output_shape([(2, 5, 4), (2, 5, 3)]),
        lambda: Rearrange("k b t c -> b t (c k)")([one, two[..., :3]]),
    ):
        with pytest.raises(plait.SizeError) as error:
            call()
        assert error.value.code == "PLT308"
        assert "k b t c -> b t (c k)" in str(error.value)


def test_errors_of_a_call_equal_those_of_the_functions():
    """The errors have the same code and spans, wherever Keras makes the call."""
    split, mixing = Rearrange("b (c p) -> b c p", p=2), EinMix("b c -> b d", "c d", "d", c=6, d=4)
    model = keras.Sequential([keras.Input((None,)), split])
    model.compile(loss="mse", optimizer="sgd")
    wrong = random_array(2, 5)
    with pytest.raises(plait.SizeError) as expected:
        plait.rearrange(wrong, "b (c p) -> b c p", p=2)
    for call in (split, model, lambda x: model.predict(x, verbose=0), lambda x: split.compute_output_shape(x.shape)):
        with pytest.raises(plait.SizeError) as found:
            call(wrong)
        assert found.value.code == "PLT302"
        assert str(found.value) == str(expected.value)
    for call in (lambda: split(keras.Input((5,))), lambda: split.compute_output_shape((None, 5))):
        with pytest.raises(plait.SizeError) as found:
            call()
        assert str(found.value) == str(expected.value).replace("input: 2 5", "input: _ 5")
    for bad, code in (((None, 5), "PLT305"), ((None, 2, 6), "PLT304")):
        with pytest.raises(plait.SizeError) as found:
            mixing(keras.Input(batch_shape=bad))
        assert found.value.code == code
    for call in (lambda dtype: keras.Input((5,), dtype=dtype), lambda dtype: ops.ones((2, 5), dtype)):
        with pytest.raises(plait.BackendError) as found:
            Reduce("b c -> b", "mean")(call("int32"))
        assert found.value.code == "PLT503"


def test_input_shape_argument_builds_a_sequential_model():
    with pytest.warns(UserWarning, match="input_shape"):
        layer = Rearrange("b (c p) -> b c p", p=2, input_shape=(6,))
    assert keras.Sequential([layer]).output_shape == (None, 3, 2)


def test_stateless_call_uses_the_given_variables():
    """A stateless call takes variables as arguments, as JAX trains, and changes nothing."""
    layer = EinMix("b c -> b d", "c d", "d", c=3, d=4)
    layer.build((None, 3))
    x = ops.convert_to_tensor(random_array(2, 3))
    variables = [ops.ones(variable.shape) for variable in layer.trainable_variables]
    result, _ = layer.stateless_call(variables, [], x)
    assert_near(result, random_array(2, 3).sum(1, keepdims=True) + np.ones((1, 4)))


def test_reduction_with_weights_raises():
    """Keras would not find the weights of the reduction."""
    with pytest.raises(plait.AxisError, match="PLT209"):
        Reduce("b c -> b", keras.layers.Dense(3))
