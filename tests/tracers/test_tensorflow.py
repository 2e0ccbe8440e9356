"""TensorFlow: graphs with unknown sizes and ranks, their operations, XLA, SavedModel; and eager calls."""

from __future__ import annotations

import os

import numpy as np
import pytest

import plait

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
tf = pytest.importorskip("tensorflow")

X = np.random.default_rng(0).normal(size=(2, 6, 4, 8)).astype(np.float32)

CALL_BY_NAME = {
    "permute": lambda x: plait.rearrange(x, "b c h w -> b h w c"),
    "merge": lambda x: plait.rearrange(x, "b c h w -> b (c h) w"),
    "merge with a permutation": lambda x: plait.rearrange(x, "b c h w -> b (h w c)"),
    "merge with the batch": lambda x: plait.rearrange(x, "b c h w -> (b h) c w"),
    "split": lambda x: plait.rearrange(x, "b (c d) h w -> b c d h w", d=3),
    "space to depth": lambda x: plait.rearrange(x, "b c (h p) (w q) -> b h w (c p q)", p=2, q=4),
    "unit axes": lambda x: plait.rearrange(x, "b c h w -> b 1 c (h w) 1"),
    "ellipsis": lambda x: plait.rearrange(x, "b ... w -> w b ..."),
    "grouped ellipsis": lambda x: plait.rearrange(x, "b ... -> b (...)"),
    "max": lambda x: plait.reduce(x, "b c (h 2) (w 2) -> b c h w", "max"),
    "mean": lambda x: plait.reduce(x, "b c h w -> b", "mean"),
    "std": lambda x: plait.reduce(x, "b c h w -> w b", "std"),
    "var": lambda x: plait.reduce(x, "b (c d) h w -> b c", "var", d=2),
    "prod": lambda x: plait.reduce(x, "b c h (w 2) -> w", "prod"),
    "logsumexp": lambda x: plait.reduce(x, "b c h w -> b (c h)", "logsumexp"),
    "any": lambda x: plait.reduce(x > 1, "b c h w -> b c", "any"),
    "all": lambda x: plait.reduce(x > -1, "b c h w -> h w", "all"),
    "repeat": lambda x: plait.repeat(x, "b c h w -> b c (h r) w", r=2),
    "repeat in front": lambda x: plait.repeat(x, "b c h w -> r b c h w", r=3),
    "einsum": lambda x: plait.einsum(x, x, "b c h w, b d h w -> b c d"),
    "grouped einsum": lambda x: plait.einsum(x, x, "b c h (k d), b e j (k d) -> b c k h (j e)", k=2),
    "classical einsum": lambda x: plait.einsum("b...w,b...w", x, x),
    "list": lambda x: plait.rearrange([x, x + 1], "k b c h w -> b (k c) h w"),
    "pack": lambda x: plait.pack([x, x[:, :, 0]], "b * w")[0],
    "unpack": lambda x: plait.unpack(x, [(1, 2), (), (-1, 3)], "b * h w")[2],
    "there and back": lambda x: plait.rearrange(
        plait.rearrange(x, "b c h w -> b (h w) c"), "b (h w) c -> b w h c", h=plait.parse_shape(x, "_ _ h _")["h"]
    ),
    "pack and unpack": lambda x: plait.unpack(*plait.pack([x[:, 0], x], "b * w"), "b * w")[1],
}
"""Each gives the same on an array, on an eager tensor, and in a graph."""

each_call = pytest.mark.parametrize("call", CALL_BY_NAME.values(), ids=CALL_BY_NAME.keys())

SPEC_SHAPE_BY_UNKNOWN_SIZES = {
    "known": [2, 6, 4, 8],
    "batch": [None, 6, 4, 8],
    "image": [None, 6, None, None],
    "all": [None, None, None, None],
}


def tensor_spec(*shape, dtype="float32"):
    return tf.TensorSpec(shape, dtype)


def trace_concrete_function(call, *specs):
    """Return a concrete function, without AutoGraph, which needs the source code of the function."""
    return tf.function(call, autograph=False).get_concrete_function(*specs)


def operations(call, *specs):
    """The operations in the graph of a call, without constants."""
    passed = ("Const", "Placeholder", "Identity", "NoOp")
    return [op.type for op in trace_concrete_function(call, *specs).graph.get_operations() if op.type not in passed]


def assert_close(actual, expected):
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=2e-5, atol=1e-5)


@each_call
def test_eager_calls_equal_numpy(call):
    assert_close(call(tf.constant(X)), call(X))
    assert_close(call(tf.Variable(X)), call(X))


@each_call
@pytest.mark.parametrize("shape", SPEC_SHAPE_BY_UNKNOWN_SIZES.values(), ids=SPEC_SHAPE_BY_UNKNOWN_SIZES.keys())
def test_graphs_with_unknown_sizes(call, shape):
    function = trace_concrete_function(call, tensor_spec(*shape))
    for array in (X, np.concatenate([X, -X])) if shape[0] is None else (X,):
        result = function(tf.constant(array))
        assert_close(result, call(array))
        static = function.structured_outputs.shape
        assert static.is_compatible_with(result.shape)
    if shape == SPEC_SHAPE_BY_UNKNOWN_SIZES["known"]:
        assert static == call(X).shape


@each_call
def test_xla_compiled_calls_equal_numpy(call):
    compiled = tf.function(call, jit_compile=True, autograph=False)
    assert_close(compiled(tf.constant(X)), call(X))
    unknown = tf.function(
        call, jit_compile=True, autograph=False, input_signature=[tensor_spec(*SPEC_SHAPE_BY_UNKNOWN_SIZES["image"])]
    )
    assert_close(unknown(tf.constant(X)), call(X))


@each_call
def test_gradients_are_those_of_the_eager_call(call):
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = call(x)
            total = tf.reduce_sum(result**2) if result.dtype != tf.bool else tf.constant(0.0)
        return tape.gradient(total, x, unconnected_gradients="zero")

    x = tf.constant(X)
    assert_close(
        tf.function(gradient, input_signature=[tensor_spec(*SPEC_SHAPE_BY_UNKNOWN_SIZES["all"])])(x), gradient(x)
    )


@pytest.mark.parametrize("reduction", ["min", "max", "sum", "mean", "prod", "std", "var", "logsumexp"])
def test_gradients_of_reductions_are_those_of_the_native_ones(reduction):
    native = {
        "std": tf.math.reduce_std,
        "var": tf.math.reduce_variance,
    }.get(reduction) or getattr(tf, f"reduce_{reduction}")
    variable = tf.Variable(X)
    with tf.GradientTape(persistent=True) as tape:
        ours = tf.reduce_sum(plait.reduce(variable, "b c h w -> b w", reduction) ** 2)
        theirs = tf.reduce_sum(native(variable, (1, 2)) ** 2)
    assert_close(tape.gradient(ours, variable), tape.gradient(theirs, variable))


def test_second_derivatives():
    x = tf.constant(X[0, 0])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = plait.reduce(x, "h (w p) -> p", "logsumexp", p=2)
        first = inner.gradient(y, x)
    with tf.GradientTape() as outer_native:
        outer_native.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.reduce_logsumexp(tf.reshape(x, (4, 4, 2)), (0, 1))
        first_native = inner.gradient(y, x)
    assert_close(outer.gradient(first, x), outer_native.gradient(first_native, x))


@pytest.mark.parametrize(
    ("pattern", "sizes", "shape", "expected"),
    [
        ("b (h p) -> b h p", {"p": 2}, [None, 8], [None, 4, 2]),
        ("b (h p) -> (b h) p", {"p": 2}, [None, 8], [None, 2]),
        ("b (h p) -> b h p", {"p": 2}, [3, None], [3, None, 2]),
        ("b h w c -> b (h w) c", {}, [None, None, 5, 3], [None, None, 3]),
        ("b h w c -> b (h w) c", {}, [None, 4, 5, 3], [None, 20, 3]),
        ("b (h 2) (w 2) c -> b h w (2 2 c)", {}, [None, None, 8, 3], None),
        ("b (h p) (w q) c -> b h w (p q c)", {"p": 2, "q": 2}, [None, None, 8, 3], [None, None, 4, 12]),
        ("b ... -> ... b", {}, [None, None, 8], [None, 8, None]),
        ("h p -> (h p)", {}, [None, None], [None]),
        ("h -> h 1", {}, [None], [None, 1]),
    ],
)
def test_static_sizes_are_kept(pattern, sizes, shape, expected):
    if expected is None:
        with pytest.raises(plait.AxisError):
            trace_concrete_function(lambda x: plait.rearrange(x, pattern, **sizes), tensor_spec(*shape))
        return
    function = trace_concrete_function(lambda x: plait.rearrange(x, pattern, **sizes), tensor_spec(*shape))
    assert function.structured_outputs.shape.as_list() == expected


def test_static_sizes_are_kept_by_the_other_operations():
    x = tensor_spec(None, None, 8)
    calls = {
        lambda x: plait.reduce(x, "a b (c d) -> d a", "max", d=2): [2, None],
        lambda x: plait.repeat(x, "a b c -> a b c 3"): [None, None, 8, 3],
        lambda x: plait.repeat(x, "a b c -> a b (c 3)"): [None, None, 24],
        lambda x: plait.repeat(x, "a b c -> a (b 3) c"): [None, None, 8],
        lambda x: plait.einsum(x, x, "a b (c d), e b (c d) -> c a e", d=2): [4, None, None],
        lambda x: plait.pack([x, x[:, :2, 0]], "a *")[0]: [None, None],
        lambda x: plait.unpack(x, [(2,), (2, 3)], "a b *")[1]: [None, None, 2, 3],
    }
    for call, expected in calls.items():
        assert trace_concrete_function(call, x).structured_outputs.shape.as_list() == expected


def _native_split(x):
    shape = tf.shape(x)
    return tf.reshape(x, [shape[0], shape[1], shape[2] // 2, 2])


def _native_merge(x):
    shape = tf.shape(x)
    return tf.reshape(x, [shape[0], shape[1] * shape[2], 3])


def _native_repeat(x):
    return tf.broadcast_to(tf.reshape(x, [-1, 4, 1]), [tf.shape(x)[0], 4, 3])


def _native_split_by_tensor_size(x):
    p = tf.shape(x)[1] // 2
    return tf.reshape(x, [3, 8 // p, p])


NATIVE_CASES = [
    ("identity", lambda x: plait.rearrange(x, "... -> ..."), lambda x: x, [None, 8]),
    (
        "one size is unknown",
        lambda x: plait.rearrange(x, "b (h p) -> b h p", p=2),
        lambda x: tf.reshape(x, [-1, 4, 2]),
        [None, 8],
    ),
    (
        "a permutation needs no size",
        lambda x: plait.rearrange(x, "b c h w -> b h w c"),
        lambda x: tf.transpose(x, [0, 2, 3, 1]),
        [None, None, None, None],
    ),
    (
        "patches",
        lambda x: plait.rearrange(x, "b (h p) (w q) c -> b h w (p q c)", p=2, q=2),
        lambda x: tf.reshape(tf.transpose(tf.reshape(x, [-1, 4, 2, 4, 2, 3]), [0, 1, 3, 2, 4, 5]), [-1, 4, 4, 12]),
        [None, 8, 8, 3],
    ),
    (
        "a reduction needs no size",
        lambda x: plait.reduce(x, "b h w c -> b c", "max"),
        lambda x: tf.reduce_max(x, [1, 2]),
        [None, None, None, 3],
    ),
    (
        "an einsum needs no size",
        lambda x: plait.einsum(x, x, "b i d, b j d -> b i j"),
        lambda x: tf.einsum("bid,bjd->bij", x, x),
        [None, None, None],
    ),
    (
        "a split beside unknown sizes",
        lambda x: plait.rearrange(x, "b h (w p) -> b h w p", p=2),
        _native_split,
        [None, None, None],
    ),
    (
        "a merge beside unknown sizes",
        lambda x: plait.rearrange(x, "b h w c -> b (h w) c"),
        _native_merge,
        [None, None, None, 3],
    ),
    ("a repetition", lambda x: plait.repeat(x, "b c -> b c r", r=3), _native_repeat, [None, 4]),
    (
        "a size that is a tensor",
        lambda x: plait.rearrange(x, "b (h p) -> b h p", p=tf.shape(x)[1] // 2),
        _native_split_by_tensor_size,
        [3, 8],
    ),
]


@pytest.mark.parametrize(
    ("ours", "native", "shape"), [row[1:] for row in NATIVE_CASES], ids=[row[0] for row in NATIVE_CASES]
)
def test_graphs_have_the_operations_of_the_hand_written_code(ours, native, shape):
    assert sorted(operations(ours, tensor_spec(*shape))) == sorted(operations(native, tensor_spec(*shape)))
    array = np.random.default_rng(1).normal(size=[size or 2 for size in shape])
    assert_close(
        trace_concrete_function(ours, tensor_spec(*shape))(tf.constant(array, tf.float32)),
        np.asarray(native(tf.constant(array))),
    )


@pytest.mark.parametrize(
    ("shape", "call", "code"),
    [
        ([None, 8], lambda x: plait.rearrange(x, "b (h p) -> b h p", p=3), "PLT302"),
        ([None, 8], lambda x: plait.rearrange(x, "b (h p) -> b h p", h=3, p=2), "PLT305"),
        ([None, 8], lambda x: plait.reduce(x, "b 7 -> b", "sum"), "PLT305"),
        ([None, 8], lambda x: plait.rearrange(x, "b c d -> b (c d)"), "PLT304"),
        ([None, 8], lambda x: plait.rearrange(x, "b (h p) -> b h p"), "PLT303"),
        ([None, 8], lambda x: plait.rearrange(x, "b c -> c"), "PLT204"),
        ([None, 8], lambda x: plait.rearrange(x, "b c -> (b c"), "PLT104"),
        ([None, 8], lambda x: plait.rearrange(x, "b (h p) -> b h p", p=2.0), "PLT301"),
        ([None, None], lambda x: plait.rearrange(x, "b (h p) -> b h p", p=tf.shape(x)), "PLT301"),
        ([None, None], lambda x: plait.rearrange(x, "b (h p) -> b h p", p=tf.reduce_sum(x)), "PLT301"),
        ([None, None], lambda x: plait.rearrange(x, "b (h p) -> b h p", p=tf.shape(x)[0] > 1), "PLT301"),
        ([None, 0], lambda x: plait.reduce(x, "b c -> b", "max"), "PLT307"),
        ([None, 8], lambda x: plait.reduce(x, "b c -> b", "median"), "PLT209"),
        ([None, 8], lambda x: plait.reduce(tf.cast(x, tf.int32), "b c -> b", "mean"), "PLT503"),
        ([None, 8], lambda x: plait.einsum(x, x[:, :4], "a b, c b -> a c"), "PLT305"),
        ([None, 8], lambda x: plait.einsum(x, np.ones(4), "a b -> a"), "PLT202"),
        ([None, 8], lambda x: plait.rearrange([x, x[:, :4]], "k b c -> b (k c)"), "PLT308"),
        ([None, 8], lambda x: plait.rearrange([x, x[:, 0]], "k b c -> b (k c)"), "PLT308"),
        ([None, 8], lambda x: plait.pack([x[:, None], x[:, None, :4]], "b * c"), "PLT305"),
        ([None, 8], lambda x: plait.unpack(x, [(2,), (3,)], "b *"), "PLT309"),
        ([None, 8], lambda x: plait.parse_shape(x, "b 7"), "PLT305"),
        ([None, 8], lambda x: plait.view(x, "b c -> c b"), "PLT507"),
        ([None, 8], plait.asnumpy, "PLT508"),
        (None, lambda x: plait.rearrange(x, "b ... -> ... b"), "PLT505"),
        (None, lambda x: plait.pack([x], "b *"), "PLT505"),
        (None, lambda x: plait.parse_shape(x, "b ..."), "PLT505"),
    ],
)
def test_errors_are_raised_while_the_graph_is_built(shape, call, code):
    with pytest.raises(plait.PlaitError) as caught:
        trace_concrete_function(call, tf.TensorSpec(shape, tf.float32))
    assert caught.value.code == code


def test_an_error_shows_the_static_sizes():
    with pytest.raises(plait.SizeError) as caught:
        trace_concrete_function(lambda x: plait.rearrange(x, "b (h p) c -> b h p c", p=3), tensor_spec(None, 8, None))
    assert str(caught.value).splitlines() == [
        "[PLT302] p=3 does not divide dimension 1 of the input (length 8)",
        "  b (h p) c -> b h p c",
        "    ^^^^^",
        "  input: _ 8 _   given: p=3",
    ]


@pytest.mark.parametrize(
    ("call", "good", "bad"),
    [
        (lambda x: plait.rearrange(x, "b (h p) -> b h p", p=2), (3, 4), (3, 5)),
        (lambda x: plait.rearrange(x, "b (h p) -> b h p", h=2, p=2), (3, 4), (3, 8)),
        (lambda x: plait.rearrange(x, "(b 2) c -> b (2 c)".replace("2", "d"), d=2), (4, 3), (3, 4)),
        (lambda x: plait.rearrange(x, "b (h 2) -> (b h) 2".replace("2", "p"), p=2), (3, 4), (2, 5)),
        (lambda x: plait.einsum(x, x, "a b, b c -> a c"), (3, 3), (3, 4)),
        (lambda x: plait.einsum(x, x, "a b, b (c d) -> a c d", d=2), (4, 4), (3, 4)),
    ],
)
def test_unknown_sizes_are_checked_when_the_graph_runs(call, good, bad):
    """Wrong sizes must fail, even if another inferred size could compensate for them."""
    function = trace_concrete_function(call, tensor_spec(None, None))
    array = np.arange(np.prod(good), dtype=np.float32).reshape(good)
    assert_close(function(tf.constant(array)), call(array))
    with pytest.raises(tf.errors.InvalidArgumentError):
        function(tf.zeros(bad))


def test_sizes_from_the_user_are_never_inferred():
    function = tf.function(lambda x, p: plait.rearrange(x, "b (h p) -> b h p", h=4, p=p))
    assert function(tf.zeros((3, 8)), tf.constant(2)).shape == (3, 4, 2)
    with pytest.raises(tf.errors.InvalidArgumentError):
        function(tf.zeros((3, 8)), tf.constant(3))


def test_an_empty_batch_of_unknown_size():
    for call in (
        CALL_BY_NAME["space to depth"],
        CALL_BY_NAME["merge"],
        CALL_BY_NAME["repeat"],
        CALL_BY_NAME["einsum"],
        CALL_BY_NAME["pack"],
    ):
        array = X[:0]
        assert (
            trace_concrete_function(call, tensor_spec(*SPEC_SHAPE_BY_UNKNOWN_SIZES["batch"]))(tf.constant(array)).shape
            == call(array).shape
        )
    empty = trace_concrete_function(lambda x: plait.rearrange(x, "b (h p) -> b h p", p=2), tensor_spec(None, 0))
    assert empty(tf.zeros((5, 0))).shape == (5, 0, 2)


def test_unknown_ranks():
    unknown = tf.TensorSpec(None, tf.float32)
    for call in (
        lambda x: plait.rearrange(x, "b c h w -> (w b) (c h)"),
        lambda x: plait.reduce(x, "b c h (w 2) -> w b", "mean"),
        lambda x: plait.repeat(x, "b c h w -> b c (h 2) w"),
        lambda x: plait.einsum(x, x, "b c h w, b c h v -> w (v b)"),
    ):
        assert_close(trace_concrete_function(call, unknown)(tf.constant(X)), call(X))
    assert operations(lambda x: plait.rearrange(x, "a b -> b a"), unknown) == ["Transpose"]


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_sizes_that_are_scalar_tensors(dtype):
    x = tf.constant(X)
    expected = plait.rearrange(X, "b (c d) h w -> b c (d h w)", d=3)

    def call(x, d):
        return plait.rearrange(x, "b (c d) h w -> b c (d h w)", d=d)

    assert_close(call(x, tf.constant(3, dtype)), expected)
    for shape in SPEC_SHAPE_BY_UNKNOWN_SIZES.values():
        function = tf.function(call, input_signature=[tensor_spec(*shape), tensor_spec(dtype=dtype)])
        assert_close(function(x, tf.constant(3, dtype)), expected)
    constant = tf.constant(3, dtype)
    assert (
        trace_concrete_function(
            lambda x: call(x, constant), tensor_spec(*SPEC_SHAPE_BY_UNKNOWN_SIZES["known"])
        ).structured_outputs.shape
        == expected.shape
    )


def test_sizes_that_are_tensors_of_several_types():
    def call(x, d, e):
        return plait.rearrange(x, "b (c d e) -> c (b e d)", d=d, e=e)

    array = np.arange(2 * 600, dtype=np.float32).reshape(2, 600)
    for shape in ((None, None), (None, 600), (2, 600)):
        function = trace_concrete_function(
            call, tensor_spec(*shape), tensor_spec(dtype="uint8"), tensor_spec(dtype="int64")
        )
        result = function(tf.constant(array), tf.constant(3, tf.uint8), tf.constant(100, tf.int64))
        assert_close(result, call(array, 3, 100))


def test_sizes_taken_from_another_tensor():
    def call(x, y):
        sizes = plait.parse_shape(x, "b h w c")
        assert tf.is_symbolic_tensor(sizes["h"])
        assert sizes["c"] == 1
        return plait.rearrange(y, "b (h w) c -> b h w c", h=sizes["h"], w=sizes["w"]) + tf.cast(sizes["h"], y.dtype)

    x, y = np.zeros((2, 3, 5, 1), np.float32), np.random.default_rng(0).normal(size=(2, 15, 4)).astype(np.float32)
    function = trace_concrete_function(call, tensor_spec(None, None, None, 1), tensor_spec(None, None, 4))
    assert_close(function(tf.constant(x), tf.constant(y)), y.reshape(2, 3, 5, 4) + 3)
    with pytest.raises(tf.errors.InvalidArgumentError):
        function(tf.constant(x), tf.zeros((2, 16, 4)))


def test_packed_shapes_are_tensors_of_the_graph():
    def call(x):
        return plait.pack([x, x[:, :, 0]], "b * w")[1][0]

    assert [
        int(size)
        for size in tf.function(call, input_signature=[tensor_spec(*SPEC_SHAPE_BY_UNKNOWN_SIZES["all"])])(
            tf.constant(X)
        )
    ] == [
        6,
        4,
    ]


def test_control_flow_and_inner_graphs():
    """A size tensor that is created in a branch or loop must not be used outside of it."""

    @tf.function(input_signature=[tensor_spec(None, None, 4)])
    def function(x):
        sizes = plait.parse_shape(x, "b h c")
        if tf.reduce_sum(x) > 0:
            y = plait.rearrange(x, "b h (c 2) -> b (h c) 2".replace("2", "d"), d=2)
        else:
            y = plait.rearrange(x, "b h (c d) -> b (c h) d", d=2)
        total = tf.zeros(())
        for _ in tf.range(3):
            total += tf.reduce_sum(plait.rearrange(y, "b (h c) d -> b h c d", h=sizes["h"]))
        mapped = tf.map_fn(lambda each: plait.rearrange(each, "h (c d) -> (h d) c", d=2), x)
        return y, total, mapped, plait.rearrange(y, "b (h c) d -> d b h c", h=sizes["h"])

    for sign in (1, -1):
        x = sign * np.abs(X[:, :, 0, :4])
        y, total, mapped, last = function(tf.constant(x))
        merged = x.reshape(2, 12, 2) if sign > 0 else x.reshape(2, 6, 2, 2).transpose(0, 2, 1, 3).reshape(2, 12, 2)
        assert_close(y, merged)
        assert_close(total, 3 * x.sum())
        assert_close(mapped, plait.rearrange(x, "b h (c d) -> b (h d) c", d=2))
        assert_close(last, plait.rearrange(merged, "b (h c) d -> d b h c", h=6))


def test_vectorized_map_and_jacobians():
    call = CALL_BY_NAME["max"]
    x = tf.constant(X)
    assert_close(tf.vectorized_map(lambda each: call(each[None])[0], x), call(X))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = plait.reduce(x, "b c h w -> b", "sum")
    assert_close(tape.jacobian(y, x)[0, 0], np.ones_like(X[0]))


def test_rearrange_in_dataset_map():
    data = (
        tf.data.Dataset.from_tensor_slices(X).map(lambda x: plait.rearrange(x, "c (h p) w -> h (p w) c", p=2)).batch(2)
    )
    assert_close(next(iter(data)), plait.rearrange(X, "b c (h p) w -> b h (p w) c", p=2))


def test_autograph_does_not_convert_plait(caplog):
    """AutoGraph would take seconds to convert plait, warn, and replace plait's errors."""
    seen = []

    def reduction(tensor, axes):
        seen.append(type(tensor).__name__)
        return tf.reduce_max(tensor, axes)

    pattern = plait.compile("b c (h p) w -> b c h p w", p=2)

    @tf.function(input_signature=[tensor_spec(*SPEC_SHAPE_BY_UNKNOWN_SIZES["image"])])
    def function(x):
        y = plait.reduce(x, "b c h w -> b c", reduction)
        z = plait.compile("b c h w -> (b c) (h w)").rearrange(x)
        try:
            plait.rearrange(x, "b c h -> b c h")
        except plait.SizeError as error:
            assert error.code == "PLT304"
        return y, z, pattern.rearrange(x), pattern.inverse().rearrange(pattern.rearrange(x))

    y, z, split, same = function(tf.constant(X))
    assert_close(y, X.max((2, 3)))
    assert_close(z, X.reshape(12, 32))
    assert_close(split, X.reshape(2, 6, 2, 2, 8))
    assert_close(same, X)
    assert seen == ["SymbolicTensor"]
    assert not caplog.records


def test_autograph_does_not_replace_errors():
    def rearrange(x):
        return plait.rearrange(x, "b (h p) -> b h p", p=3)

    def reduce(x):
        return plait.reduce(x, "b c -> b", "median")

    def pack(x):
        return plait.pack([x, x[0]], "b * c")

    def compiled(x):
        return plait.compile("b (h p) -> b h p", q=3).rearrange(x)

    def asnumpy(x):
        return plait.asnumpy(x)

    codes = {rearrange: "PLT302", reduce: "PLT209", pack: "PLT304", compiled: "PLT203", asnumpy: "PLT508"}
    for user, code in codes.items():
        with pytest.raises(plait.PlaitError) as caught:
            tf.function(user).get_concrete_function(tensor_spec(None, 8))
        assert caught.value.code == code


def test_a_saved_model_takes_other_sizes(tmp_path):
    class Model(tf.Module):
        def __init__(self):
            self.weight = tf.Variable(np.eye(12, 5, dtype=np.float32))

        @tf.function(input_signature=[tensor_spec(None, None, None, 3)])
        def __call__(self, x):
            patches = plait.rearrange(x, "b (h p) (w q) c -> b (h w) (p q c)", p=2, q=2)
            return plait.einsum(patches, self.weight, "b n i, i o -> b o n")

    model = Model()
    tf.saved_model.save(model, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for shape in ((2, 4, 6, 3), (1, 8, 2, 3)):
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        patches = plait.rearrange(x, "b (h p) (w q) c -> b (h w) (p q c)", p=2, q=2)
        assert_close(loaded(tf.constant(x)), np.einsum("bni,io->bon", patches, np.eye(12, 5)))


def test_variables():
    variable = tf.Variable(X)
    open_shape = tf.Variable(X, shape=tf.TensorShape([None, 6, 4, 8]))
    for tensor in (variable, open_shape):
        assert_close(plait.rearrange(tensor, "b c h w -> (b w) (c h)"), plait.rearrange(X, "b c h w -> (b w) (c h)"))
        assert plait.parse_shape(tensor, "b _ _ w") == {"b": 2, "w": 8}
        assert_close(plait.asnumpy(tensor), X)
        with pytest.raises(plait.SizeError, match="PLT305"):
            plait.reduce(tensor, "3 c h w -> c h w", "max")
    open_shape.assign(X[:1])
    assert plait.rearrange(open_shape, "b c h w -> b (c h w)").shape == (1, 192)
    function = tf.function(lambda: plait.rearrange(open_shape, "b c h w -> b (c h w)"))
    assert function().shape == (1, 192)
    open_shape.assign(X)
    assert_close(function(), X.reshape(2, -1))


def test_one_einsum_of_tensors_variables_and_arrays():
    weight = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    expected = X @ weight
    variable = tf.Variable(weight)
    pattern = "b c h i, i o -> b c h o"
    for first in (tf.constant(X), tf.Variable(X), X):
        for second in (tf.constant(weight), variable, weight):
            assert_close(plait.einsum(first, second, pattern), expected)
    function = tf.function(lambda x: plait.einsum(x, variable, pattern), input_signature=[tensor_spec(None, 6, 4, 8)])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(function(tf.constant(X)))
    assert_close(total, expected.sum())
    assert_close(tape.gradient(total, variable), np.repeat(X.sum((0, 1, 2))[:, None], 5, 1))


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "uint16", "int32", "int64", "float16", "bfloat16", "complex64"]
)
def test_einsum_of_every_element_type(dtype):
    a = tf.cast(tf.constant([[1, 0, 3], [2, 1, 0]]), dtype)
    result = plait.einsum(a, a, "i k, j k -> i j")
    assert result.dtype == dtype
    assert np.asarray(tf.cast(result, tf.int64)).tolist() == (
        [[1, 1], [1, 1]] if dtype == "bool" else [[10, 2], [2, 5]]
    )


def test_einsum_of_diagonals_and_stretched_dimensions_in_graphs():
    square = np.random.default_rng(0).normal(size=(3, 3, 4)).astype(np.float32)
    assert_close(
        trace_concrete_function(lambda x: plait.einsum("iij->ji", x), tensor_spec(None, None, 4))(square),
        np.einsum("iij->ji", square),
    )
    one, many = square[:1], square[:, 0]
    function = trace_concrete_function(
        lambda x, y: plait.einsum("...a,...a->...", x, y), tensor_spec(None, None, 4), tensor_spec(None, 4)
    )
    assert_close(function(one, many), np.einsum("...a,...a->...", one, many))


def test_an_unknown_dimension_that_is_stretched():
    one, many = np.ones((1, 5, 4), np.float32), np.arange(60, dtype=np.float32).reshape(3, 5, 4)
    for first, second in ((one, many), (many, one)):
        shapes = [(None, 5, 4) if array is one else (3, 5, 4) for array in (first, second)]
        function = trace_concrete_function(
            lambda x, y: plait.einsum(x, y, "... i, ... i -> i (...)"), *[tensor_spec(*shape) for shape in shapes]
        )
        assert function.structured_outputs.shape == (4, 15)
        assert_close(function(tf.constant(first), tf.constant(second)), many.reshape(15, 4).T)


def test_ragged_and_sparse_tensors_are_refused():
    ragged = tf.ragged.constant([[1.0], [2.0, 3.0]])
    sparse = tf.sparse.from_dense([[1.0, 0.0]])
    for tensor, hint in ((ragged, "to_tensor()"), (sparse, "tf.sparse.to_dense")):
        with pytest.raises(plait.BackendError, match="PLT502") as caught:
            plait.rearrange(tensor, "a b -> b a")
        assert hint in caught.value.message
    with pytest.raises(plait.BackendError, match="PLT504"):
        plait.einsum(tf.zeros((2, 3)), pytest.importorskip("torch").zeros(3, 2), "a b, b c -> a c")


def test_eager_calls_are_cached_by_shape():
    plait.cache_clear()
    for _ in range(3):
        plait.rearrange(tf.constant(X), "b c h w -> b (c h w)")
        plait.reduce(tf.constant(X), "b c h w -> b", "mean")
        plait.einsum(tf.constant(X), tf.Variable(X), "b c h w, b c h v -> w v")
    info = plait.cache_info()
    assert (info.hits, info.misses) == (6, 3)
    trace_concrete_function(
        lambda x: plait.rearrange(x, "b c h w -> b (c h w)"), tensor_spec(*SPEC_SHAPE_BY_UNKNOWN_SIZES["image"])
    )
    assert plait.cache_info().currsize == info.currsize == 2  # the einsum is in a cache of its own


def test_the_cache_keeps_no_graph_tensors():
    """Constants are cached, but not those that are created while a graph is traced."""
    x = tf.constant(X)
    pattern = "b c (h p) w -> p b h (w c)"
    traced = tf.function(lambda: plait.rearrange(x, pattern, p=4))()
    with tf.Graph().as_default():
        placeholder = tf.compat.v1.placeholder(tf.float32, X.shape)
        result = plait.rearrange(placeholder, pattern, p=4)
        with tf.compat.v1.Session() as session:
            built = session.run(result, {placeholder: X})
    for actual in (traced, built, plait.rearrange(x, pattern, p=4)):
        assert_close(actual, plait.rearrange(X, pattern, p=4))


def test_sums_of_uint8_are_int64_and_non_integer_sizes_are_refused():
    x = tf.constant([[200, 100], [3, 4]], tf.uint8)
    total = plait.reduce(x, "a b -> a", "sum")
    assert total.dtype == tf.int64
    assert total.numpy().tolist() == [300, 7]
    assert plait.reduce(x, "a b -> a", "any").dtype == tf.bool
    for size in (2.0, True, [2]):
        with pytest.raises(plait.SizeError, match="PLT301"):
            plait.rearrange(x, "a (b c) -> a b c", c=tf.constant(size))


def test_constants_are_contracted_once_also_in_graphs():
    draw = np.random.default_rng(0).integers
    x, u, v = [tf.constant(draw(-3, 4, shape), tf.float32) for shape in ((50, 30), (30, 20), (20, 3))]
    expected = x @ u @ v
    pattern = plait.compile("b i, i r, r j -> b j").with_constants({1: u, 2: v})
    graph = tf.function(pattern.einsum)
    for call in (graph, pattern.einsum, graph):
        np.testing.assert_array_equal(call(x), expected)
    operations = [operation.type for operation in graph.get_concrete_function(x).graph.get_operations()]
    assert operations.count("Einsum") == 1
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(pattern.einsum(x))
    np.testing.assert_array_equal(tape.gradient(total, x)[0], tf.reduce_sum(u @ v, 1))


def test_constants_that_a_tape_watches_and_variables_are_operands_of_each_call():
    draw = np.random.default_rng(0).integers
    x, u, v = [tf.constant(draw(-3, 4, shape), tf.float32) for shape in ((50, 30), (30, 20), (20, 3))]
    variable = tf.Variable(u)
    for constant in (u, variable):
        pattern = plait.compile("b i, i r, r j -> b j").with_constants({1: constant, 2: v})
        pattern.einsum(x)
        with tf.GradientTape() as tape:
            tape.watch(constant)
            total = tf.reduce_sum(pattern.einsum(x))
        expected = tf.transpose(x) @ tf.ones((50, 3)) @ tf.transpose(v)
        np.testing.assert_array_equal(tape.gradient(total, constant), expected)
    variable.assign(2 * u)
    np.testing.assert_array_equal(pattern.einsum(x), 2 * (x @ u @ v))


def test_shared_intermediates_never_leave_a_graph_and_keep_gradients():
    draw = np.random.default_rng(0).integers
    a, b, c = [tf.constant(draw(-3, 4, shape), tf.float32) for shape in ((50, 30), (30, 20), (20, 3))]

    def call(a, b, c):
        return plait.einsum(a, b, c, "i j, j k, k l -> i l")

    with plait.share_intermediates():
        for _ in range(2):
            for graph in (tf.function(call), tf.function(lambda a, b, c: call(a, b, c) + 0)):
                np.testing.assert_array_equal(graph(a, b, c), a @ b @ c)
            np.testing.assert_array_equal(tf.function(lambda: call(a, b, c))(), a @ b @ c)
            np.testing.assert_array_equal(call(a, b, c), a @ b @ c)
        with tf.GradientTape() as tape:
            tape.watch(b)
            total = tf.reduce_sum(call(a, b, c))
        np.testing.assert_array_equal(tape.gradient(total, b), tf.transpose(a) @ tf.ones((50, 3)) @ tf.transpose(c))


def attention_of_projections(x):
    q, k, v = tf.unstack(plait.rearrange(x, "b t (k h d) -> k b h t d", k=3, h=4))
    weights = tf.nn.softmax(plait.einsum(q, k, "b h i d, b h j d -> b h i j"))
    return plait.einsum(weights, v, "b h i j, b h j d -> b i (h d)")


LITERT_CALLS = {
    "patches": (lambda x: plait.rearrange(x, "b (h p) (w q) c -> b (h w) (p q c)", p=4, q=4), (8, 12, 3)),
    "pooling": (lambda x: plait.reduce(x, "b (h 2) (w 2) c -> b h w c", "max"), (8, 8, 3)),
    "mean": (lambda x: plait.reduce(x, "b h w c -> b c", "mean"), (8, 8, 3)),
    "attention": (attention_of_projections, (5, 48)),
}


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")  # its new package is not installed
@pytest.mark.parametrize(("call", "shape"), LITERT_CALLS.values(), ids=LITERT_CALLS.keys())
def test_litert_models_give_the_same_results_for_any_batch(call, shape):
    with plait.options(einsum="matmul"):
        graph = tf.function(call).get_concrete_function(tensor_spec(None, *shape))
    assert "Einsum" not in {operation.type for operation in graph.graph.get_operations()}
    model = tf.lite.TFLiteConverter.from_concrete_functions([graph]).convert()
    resolver = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # XNNPACK's batches are fixed
    interpreter = tf.lite.Interpreter(model_content=model, experimental_op_resolver_type=resolver)
    (argument,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    for batch in (1, 3):
        x = np.random.default_rng(batch).normal(size=(batch, *shape)).astype("float32")
        interpreter.resize_tensor_input(argument["index"], x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(argument["index"], x)
        interpreter.invoke()
        np.testing.assert_allclose(interpreter.get_tensor(output["index"]), call(x), rtol=1e-5, atol=1e-6)
