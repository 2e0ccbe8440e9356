"""The tests that `test_keras` runs in one process for each backend of Keras."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

import plait
from plait.testing._cases import EINSUM_CASES, REARRANGE_CASES, REDUCE_CASES, REPEAT_CASES

BACKEND = keras.backend.backend()
REDUCTIONS = ("min", "max", "sum", "mean", "prod", "any", "all", "std", "var", "logsumexp")

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"  # of Keras' own variables
)


def random_values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def symbolic_input(shape, unknown_sizes):
    """Return an input of a functional model; ``unknown_sizes`` is ``"none"``, ``"batch"`` (the first) or ``"all"``."""
    hidden = min({"none": 0, "batch": 1, "all": 9}[unknown_sizes], len(shape))
    return keras.Input(batch_shape=(None,) * hidden + tuple(shape[hidden:]))


def run_model(inputs, outputs, arrays):
    """Build a functional model, and call it with arrays."""
    results = keras.Function(inputs, outputs)([ops.convert_to_tensor(array) for array in arrays])
    return [plait.asnumpy(result) for result in results]


def check_model(call, shapes, unknown_sizes):
    """Check that a call gives the same in a model as on arrays, and that its static shape is right."""
    arrays = [random_values(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    inputs = [symbolic_input(shape, unknown_sizes) for shape in shapes]
    output = call(*inputs)
    assert isinstance(output, keras.KerasTensor)
    (result,) = run_model(inputs, [output], arrays)
    np.testing.assert_allclose(result, call(*arrays), rtol=2e-5, atol=1e-5)
    assert len(output.shape) == result.ndim
    assert all(said in (None, size) for said, size in zip(output.shape, result.shape, strict=True))
    if unknown_sizes == "none":
        assert output.shape == result.shape


for_each_set_of_unknown_sizes = pytest.mark.parametrize("unknown_sizes", ["none", "batch", "all"])


@for_each_set_of_unknown_sizes
@pytest.mark.parametrize("case", REARRANGE_CASES, ids=str)
def test_rearrange(case, unknown_sizes):
    check_model(lambda x: plait.rearrange(x, case.pattern, **case.sizes), [case.shape], unknown_sizes)


@for_each_set_of_unknown_sizes
@pytest.mark.parametrize("case", REPEAT_CASES, ids=str)
def test_repeat(case, unknown_sizes):
    check_model(lambda x: plait.repeat(x, case.pattern, **case.sizes), [case.shape], unknown_sizes)


@for_each_set_of_unknown_sizes
@pytest.mark.parametrize("case", EINSUM_CASES, ids=str)
def test_einsum(case, unknown_sizes):
    check_model(lambda *tensors: plait.einsum(*tensors, case.pattern, **case.sizes), case.shapes, unknown_sizes)


@pytest.mark.parametrize(
    ("reduction", "unknown_sizes"), [("max", "none"), ("max", "batch"), *[(name, "all") for name in REDUCTIONS]]
)
def test_reduce(reduction, unknown_sizes):
    """All cases are outputs of one model, which saves time."""
    arrays = [random_values(*case.shape) for case in REDUCE_CASES]
    inputs = [symbolic_input(case.shape, unknown_sizes) for case in REDUCE_CASES]
    outputs = [
        plait.reduce(x, case.pattern, reduction, **case.sizes) for x, case in zip(inputs, REDUCE_CASES, strict=True)
    ]
    for case, array, result in zip(REDUCE_CASES, arrays, run_model(inputs, outputs, arrays), strict=True):
        expected = plait.reduce(array, case.pattern, reduction, **case.sizes)
        np.testing.assert_allclose(result, expected, rtol=2e-5, atol=1e-6, err_msg=case.pattern)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16", "bfloat16", "complex64"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_reduce_of_every_element_type(reduction, dtype):
    x = keras.Input(batch_shape=(None, None, 3), dtype=dtype)
    numbers = np.random.default_rng(1).integers(0, 3, (4, 6, 3))
    array = plait.asnumpy(ops.cast(numbers, dtype))
    try:
        expected = plait.reduce(array, "a (b c) d -> d b", reduction, b=2)
    except plait.BackendError as error:
        with pytest.raises(plait.BackendError, match=error.code):
            plait.reduce(x, "a (b c) d -> d b", reduction, b=2)
        return
    output = plait.reduce(x, "a (b c) d -> d b", reduction, b=2)
    (result,) = run_model([x], [output], [array])
    rtol = 2e-2 if dtype in ("float16", "bfloat16") else 1e-5
    np.testing.assert_allclose(np.asarray(result, expected.dtype), expected, rtol=rtol)
    if reduction in ("any", "all"):
        assert output.dtype == str(result.dtype) == "bool"
    elif "float" in dtype:
        assert output.dtype == dtype
        assert str(result.dtype) == ("float32" if BACKEND == "torch" and dtype == "bfloat16" else dtype)
    elif reduction in ("sum", "prod") and dtype != "complex64":
        assert str(result.dtype) in (("int32", "uint32") if BACKEND == "jax" else ("int64",))  # JAX without 64 bits


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_accumulated_in_float32(dtype):
    x = keras.Input(batch_shape=(None, 2), dtype=dtype)
    for reduction, expected in (("sum", 4096), ("mean", 1), ("var", 0)):
        (result,) = run_model([x], [plait.reduce(x, "n c -> c", reduction)], [ops.ones((4096, 2), dtype)])
        assert result.astype(float).tolist() == [expected] * 2


def test_reductions_of_nan_and_infinities():
    x = keras.Input(batch_shape=(None, 3))
    array = np.array([[1, np.nan, 2], [np.inf, 1, 2], [-np.inf] * 3, [1000, 1000, -1000]], np.float32)
    for reduction in ("min", "max", "sum", "logsumexp", "any"):
        (result,) = run_model([x], [plait.reduce(x, "a b -> a", reduction)], [array])
        np.testing.assert_allclose(result, plait.reduce(array, "a b -> a", reduction), rtol=1e-6)


def test_lists_pack_and_unpack():
    check_model(lambda x: plait.rearrange([x, x + 1], "k b c -> b (c k)"), [(2, 3)], "all")
    check_model(lambda x: plait.pack([x, x[:, 0]], "b * c")[0], [(2, 3, 4)], "batch")
    for unknown_sizes in ("batch", "all"):
        for place in range(3):
            check_model(lambda x: plait.unpack(x, [(1, 2), (), (-1, 3)], "b * c")[place], [(2, 9, 4)], unknown_sizes)
    check_model(lambda x: plait.unpack(*plait.pack([x, x[:, 0]], "b * c"), "b * c")[0], [(2, 3, 5, 4)], "all")


def operation_names(model):
    return [type(operation).__name__ for operation in model.operations]


def test_one_unknown_size_uses_the_operations_of_keras():
    x = keras.Input((8, 8, 3))
    ours = plait.rearrange(x, "b (h p) (w q) c -> b h w (p q c)", p=2, q=2)
    native = ops.reshape(ops.transpose(ops.reshape(x, (-1, 4, 2, 4, 2, 3)), (0, 1, 3, 2, 4, 5)), (-1, 4, 4, 12))
    assert ours.shape == native.shape == (None, 4, 4, 12)
    assert operation_names(keras.Model(x, ours)) == operation_names(keras.Model(x, native))
    assert operation_names(keras.Model(x, plait.reduce(x, "b h w c -> b c", "mean"))) == ["InputLayer", "Mean"]
    assert operation_names(keras.Model(x, plait.einsum(x, x, "b h w c, b h v c -> b w v"))) == ["InputLayer", "Einsum"]
    images = keras.Input((None, None, 3))
    assert operation_names(keras.Model(images, plait.rearrange(images, "b h w c -> b c h w"))) == [
        "InputLayer",
        "Transpose",
    ]


def fully_convolutional_model():
    x = keras.Input((None, None, 3))
    sizes = plait.parse_shape(x, "_ h w _")
    patches = plait.rearrange(x, "b (h p) (w q) c -> b h w (p q c)", p=2, q=2)
    hidden = keras.layers.Dense(5)(plait.rearrange(patches, "b h w c -> b (h w) c"))
    pooled = plait.reduce(hidden, "b n c -> b c", "max")
    back = plait.rearrange(hidden, "b (h w) c -> b h w c", h=sizes["h"] // 2, w=sizes["w"] // 2)
    up = plait.repeat(back, "b h w c -> b (h 2) (w 2) c")
    return keras.Model(x, [plait.repeat(pooled, "b c -> b c 2"), up])


def test_a_fully_convolutional_model():
    model = fully_convolutional_model()
    assert [output.shape for output in model.outputs] == [(None, 5, 2), (None, None, None, 5)]
    kernel, bias = (plait.asnumpy(weight) for weight in model.layers[-1].weights or model.weights)
    for shape in ((2, 4, 6, 3), (1, 8, 2, 3)):
        x = random_values(*shape)
        hidden = plait.rearrange(x, "b (h p) (w q) c -> b (h w) (p q c)", p=2, q=2) @ kernel + bias
        up = hidden.reshape(shape[0], shape[1] // 2, shape[2] // 2, 5).repeat(2, 1).repeat(2, 2)
        for results in (
            model.predict(x, verbose=0),
            [plait.asnumpy(result.detach() if BACKEND == "torch" else result) for result in model(x)],
        ):
            np.testing.assert_allclose(results[0], np.stack([hidden.max(1)] * 2, -1), rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(results[1], up, rtol=1e-4, atol=1e-5)


def test_a_model_is_saved_and_loaded(tmp_path):
    model = fully_convolutional_model()
    path = str(tmp_path / "model.keras")
    model.save(path)
    x = random_values(2, 4, 6, 3)
    expected = model.predict(x, verbose=0)
    loaded = keras.models.load_model(path)
    for result, other in zip(loaded.predict(x, verbose=0), expected, strict=True):
        np.testing.assert_allclose(result, other, rtol=1e-6)
    copy = keras.models.clone_model(model)
    assert [output.shape for output in copy.outputs] == [output.shape for output in model.outputs]
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "up.npy", expected[1])
    script = (
        "import sys, keras, numpy as np, plait.backends.keras.backend\n"
        "model = keras.models.load_model(sys.argv[1] + '/model.keras')\n"
        "result = model.predict(np.load(sys.argv[1] + '/x.npy'), verbose=0)[1]\n"
        "np.testing.assert_allclose(result, np.load(sys.argv[1] + '/up.npy'), rtol=1e-5)\n"
    )
    if BACKEND == "torch":  # the quickest to start: what a file holds does not depend on the backend
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, timeout=120)


def test_sizes_taken_from_another_input():
    x, y = keras.Input((None, None, 1)), keras.Input((None, 4))
    sizes = plait.parse_shape(x, "b h w c")
    assert sizes["c"] == 1
    output = plait.rearrange(y, "b (h w) c -> b h w c", h=sizes["h"], w=sizes["w"])
    assert output.shape == (None, None, None, 4)
    model = keras.Model([x, y], output)
    image, flat = random_values(2, 3, 5, 1), random_values(2, 15, 4)
    np.testing.assert_array_equal(model.predict([image, flat], verbose=0), flat.reshape(2, 3, 5, 4))
    with pytest.raises(Exception, match=r"(?i)shape|size"):  # each backend has an error of its own
        model.predict([image, random_values(2, 16, 4)], verbose=0)


def test_an_inferred_size_does_not_hide_a_wrong_one():
    x = keras.Input((None,))
    model = keras.Function(x, plait.rearrange(x, "b (h p) -> b h p", h=3, p=2))
    assert plait.asnumpy(model(ops.ones((2, 6)))).shape == (2, 3, 2)
    with pytest.raises(Exception, match=r"(?i)shape|size"):
        model(ops.ones((2, 12)))
    wide = keras.Input(batch_shape=(2, None))
    both = keras.Function([x, wide], plait.rearrange(wide, "b (h p) -> b h p", h=3, p=plait.parse_shape(x, "_ p")["p"]))
    assert plait.asnumpy(both([ops.ones((2, 4)), ops.ones((2, 12))])).shape == (2, 3, 4)
    with pytest.raises(Exception, match=r"(?i)shape|size"):
        both([ops.ones((2, 2)), ops.ones((2, 12))])
    known = keras.Input((6,))
    given = keras.Function([x, known], plait.rearrange(known, "b (h p) -> b h p", p=plait.parse_shape(x, "_ p")["p"]))
    assert plait.asnumpy(given([ops.ones((2, 3)), ops.ones((2, 6))])).shape == (2, 2, 3)
    with pytest.raises(Exception, match=r"(?i)shape|size"):
        given([ops.ones((2, 4)), ops.ones((2, 6))])


class Attention(keras.layers.Layer):
    """A custom layer: ``call`` gets native tensors, and weights are variables."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3 * shape[-1]), initializer="glorot_uniform")
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        queries, keys, contents = plait.unpack(plait.einsum(x, self.kernel, "b t i, i o -> b t o"), [(4,)] * 3, "b t *")
        scores = plait.einsum(queries, keys, "b t (h c), b s (h c) -> b h t s", h=2)
        mixed = plait.einsum(ops.softmax(scores), contents, "b h t s, b s (h c) -> b t (h c)", h=2)
        return plait.einsum(self.scale, mixed, x, "c, b t c, b t c -> b t c")


def test_a_layer_is_fitted():
    keras.utils.set_random_seed(0)
    assert Attention()(keras.Input((6, 4))).shape == (None, 6, 4)
    x = keras.Input((None, 4))
    hidden = Attention()(x)
    assert hidden.shape == (None, None, 4)
    model = keras.Model(x, keras.layers.Dense(1)(plait.reduce(hidden, "b t c -> b c", "mean")))
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="mse")
    inputs, targets = random_values(20, 6, 4), random_values(20, 1, seed=1)
    before = [plait.asnumpy(weight).copy() for weight in model.weights]
    history = model.fit(inputs, targets, batch_size=8, epochs=5, verbose=0).history["loss"]  # the last batch has 4
    assert history[-1] < history[0]
    for weight, old in zip(model.weights, before, strict=True):
        assert not np.allclose(plait.asnumpy(weight), old)
    kernel, scale, dense, bias = (plait.asnumpy(weight) for weight in model.weights)
    queries, keys, contents = np.split(inputs @ kernel, 3, -1)
    split = [each.reshape(20, 6, 2, 2).transpose(0, 2, 1, 3) for each in (queries, keys, contents)]
    scores = np.exp(split[0] @ split[1].swapaxes(-1, -2))
    mixed = (scores / scores.sum(-1, keepdims=True) @ split[2]).transpose(0, 2, 1, 3).reshape(20, 6, 4)
    expected = (scale * mixed * inputs).mean(1) @ dense + bias
    np.testing.assert_allclose(model.predict(inputs, verbose=0), expected, rtol=1e-3, atol=1e-4)


def test_variables():
    array = random_values(4, 6)
    variable = keras.Variable(array)
    native = ops.convert_to_tensor(array)
    for call in (
        lambda x: plait.rearrange(x, "(a b) c -> b (a c)", b=2),
        lambda x: plait.reduce(x, "a (b c) -> a c", "std", b=2),
        lambda x: plait.repeat(x, "a b -> b a 2"),
        lambda x: plait.pack([x, x], "* b")[0],
        lambda x: plait.unpack(x, [(3,), (1,)], "* b")[0],
        lambda x: plait.rearrange([x, x], "k a b -> a (k b)"),
        lambda x: plait.einsum("ij,kj->ik", x, x),
    ):
        result = call(variable)
        assert type(result) is type(call(native))
        np.testing.assert_allclose(plait.asnumpy(result), call(array), rtol=1e-5)
    assert plait.parse_shape(variable, "a b") == {"a": 4, "b": 6}
    np.testing.assert_array_equal(plait.asnumpy(variable), array)
    for first in (variable, native, array):
        for second in (variable, native) if first is variable else (variable,):
            np.testing.assert_allclose(
                plait.asnumpy(plait.einsum(first, second, "a b, c b -> a c")), array @ array.T, rtol=1e-5
            )


def test_errors():
    x = keras.Input((8, None))
    variable = keras.Variable(random_values(4, 6))
    calls = {
        lambda: plait.rearrange(x, "b (h p) c -> b h p c", p=3): "PLT302",
        lambda: plait.rearrange(x, "b (h p) c -> b h p c", p=2, h=3): "PLT305",
        lambda: plait.rearrange(x, "b c -> c b"): "PLT304",
        lambda: plait.rearrange(x, "b h c -> b h"): "PLT204",
        lambda: plait.rearrange(x, "b (h p) c -> b h p c", p=2.0): "PLT301",
        lambda: plait.rearrange(x, "b (h p) c -> b h p c", p=keras.Input(batch_shape=())): "PLT301",
        lambda: plait.reduce(x, "b h c -> b", "median"): "PLT209",
        lambda: plait.reduce(keras.Input((0,)), "b c -> b", "max"): "PLT307",
        lambda: plait.reduce(keras.Input((3,), dtype="int32"), "b c -> b", "mean"): "PLT503",
        lambda: plait.rearrange([x, keras.Input((7, None))], "k b h c -> b (k h) c"): "PLT308",
        lambda: plait.pack([x, keras.Input((7, None))], "b h *"): "PLT305",
        lambda: plait.unpack(x, [(3,), (4,)], "b * c"): "PLT309",
        lambda: plait.parse_shape(x, "b 7 c"): "PLT305",
        lambda: plait.einsum(x, variable, "b h c, h k -> b c k"): "PLT305",
        lambda: plait.view(x, "b h c -> c h b"): "PLT507",
        lambda: plait.view(variable, "b h -> h b"): "PLT507",
        lambda: plait.asnumpy(x): "PLT508",
        lambda: plait.rearrange(variable, "a (b c) -> a b c", b=4): "PLT302",
    }
    for call, code in calls.items():
        with pytest.raises(plait.PlaitError) as caught:
            call()
        assert caught.value.code == code
    with pytest.raises(plait.SizeError) as caught:
        plait.rearrange(x, "b (h p) c -> b h p c", p=3)
    assert "input: _ 8 _   given: p=3" in str(caught.value)
