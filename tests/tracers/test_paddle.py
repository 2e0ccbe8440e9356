"""PaddlePaddle: `to_static` by both of its tracers, static programs, saved programs, gradients, views."""

from __future__ import annotations

import importlib.util
import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import plait

if importlib.util.find_spec("paddle") is None:
    pytest.skip("paddle is not installed", allow_module_level=True)

from backends.frameworks.paddle_ import FRAMEWORK

paddle = FRAMEWORK.module()

from paddle.jit.sot.psdb import check_no_breakgraph  # noqa: E402
from paddle.static import InputSpec  # noqa: E402

SHAPE = (2, 3, 4, 6)
OTHER_SHAPE = (5, 3, 4, 6)


def permute(x):
    return plait.rearrange(x, "b c h w -> b h w c")


def merge(x):
    return plait.rearrange(x, "b c h w -> b (c h w)")


def space_to_depth(x):
    return plait.rearrange(x, "b c (h p) (w q) -> b (c p q) h w", p=2, q=2)


def new_units(x):
    return plait.rearrange(x, "b c h w -> 1 b (c 1) h w ()")


def ellipsis(x):
    return plait.rearrange(x, "b ... w -> w ... b")


def reduce_by_maximum(x):
    return plait.reduce(x, "b c (h 2) w -> b c h w", "max")


def reduce_to_scalar(x):
    return plait.reduce(x, "b c h w ->", "mean")


def reduce_by_std(x):
    return plait.reduce(x, "b c h w -> b", "std")


def reduce_by_logsumexp(x):
    return plait.reduce(x, "b c h w -> b (c h)", "logsumexp")


def repeat(x):
    return plait.repeat(x, "b c h w -> r b c (h s) w t", r=2, s=3, t=2)


def einsum(x):
    return plait.einsum(x, x, "b c h w, b d h w -> b c d")


def grouped_einsum(x):
    return plait.einsum(x, x, "b c h (k d), b c j (k d) -> b k (c h) j", k=2)


def classical_einsum(x):
    return plait.einsum("bchw,bdhw->cd", x, x)


def concatenate_channels(x):
    return plait.rearrange([x, x + 1], "k b c h w -> b (k c) h w")


def pack(x):
    return plait.pack([x, x[:, :, 0]], "b c * w")[0]


def unpack(x):
    return plait.unpack(x, [(3,), (1,)], "b c * w")[0]


def unpack_what_was_packed(x):
    packed, shapes = plait.pack([x, x[:, 0]], "b *")
    return plait.unpack(packed, shapes, "b *")[0]


def size_from_shape(x):
    return plait.rearrange(x, "b c (h p) w -> b c h p w", p=x.shape[2] // 2)


def batch_size_from_shape(x):
    return plait.rearrange(plait.rearrange(x, "b c h w -> (b c) h w"), "(b c) h w -> c b h w", b=x.shape[0])


def arithmetic_with_parsed_sizes(x):
    return x * plait.parse_shape(x, "b _ h w")["b"] + plait.parse_shape(x, "b _ h w")["h"]


def rearrange_by_compiled_pattern(x):
    return plait.compile("b c h w -> b (c h w)").rearrange(x)


COMPILED_PATTERN = plait.compile("b c (h p) w -> b c h", p=2)


def compiled_before(x):
    return COMPILED_PATTERN.reduce(x, "sum")


def named_sum(tensor, axes):
    return paddle.sum(tensor, axes)


def reduce_by_named_function(x):
    return plait.reduce(x, "b c h w -> b c", named_sum)


def reduce_by_lambda(x):
    return plait.reduce(x, "b c h w -> b c", lambda tensor, axes: paddle.sum(tensor, axes) * 2)


CALLS = [
    *(
        permute,
        merge,
        space_to_depth,
        new_units,
        ellipsis,
        reduce_by_maximum,
        reduce_to_scalar,
        reduce_by_std,
        reduce_by_logsumexp,
        repeat,
        einsum,
    ),
    *(
        grouped_einsum,
        classical_einsum,
        concatenate_channels,
        pack,
        unpack,
        unpack_what_was_packed,
        size_from_shape,
        batch_size_from_shape,
    ),
    *(
        arithmetic_with_parsed_sizes,
        rearrange_by_compiled_pattern,
        compiled_before,
        reduce_by_named_function,
        reduce_by_lambda,
    ),
]

each_call = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)


def random_tensor(shape):
    return paddle.to_tensor(np.random.default_rng(0).normal(size=shape).astype("float32"))


def assert_close(actual, expected):
    assert tuple(actual.shape) == tuple(expected.shape)
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=1e-5, atol=1e-6)


@each_call
@pytest.mark.parametrize("known", [4, 3, 2, 0])
def test_to_static_with_unknown_dimensions(call, known):
    spec = [InputSpec([None] * (4 - known) + list(SHAPE[4 - known :]), "float32")]
    static = paddle.jit.to_static(call, input_spec=spec, full_graph=True)
    for x in [random_tensor(SHAPE)] if known == 4 else [random_tensor(SHAPE), random_tensor(OTHER_SHAPE)]:
        assert_close(static(x), call(x))


@each_call
def test_to_static_by_reading_bytecode(call):
    static = paddle.jit.to_static(call, full_graph=False)
    for x in (random_tensor(SHAPE), random_tensor(OTHER_SHAPE), random_tensor((7, *SHAPE[1:]))):
        assert_close(static(x), call(x))


@check_no_breakgraph
def combined_operations(x):
    packed, shapes = plait.pack([space_to_depth(x), einsum(x)], "b *")
    first, second = plait.unpack(packed, shapes, "b *")
    return (
        first.sum() * reduce_by_logsumexp(x)
        + second.mean()
        + COMPILED_PATTERN.reduce(x, "max").sum() * plait.parse_shape(x, "_ c _ _")["c"]
    )


def test_reading_bytecode_makes_one_graph():
    static = paddle.jit.to_static(combined_operations, full_graph=False)
    for x in (random_tensor(SHAPE), random_tensor(OTHER_SHAPE)):
        assert_close(static(x), combined_operations(x))


ERROR_CASES = {
    "PLT302": lambda x: plait.rearrange(x, "b c (h p) w -> b c h p w", p=3),
    "PLT304": lambda x: plait.rearrange(x, "b c h -> b (c h)"),
    "PLT203": lambda x: plait.rearrange(x, "b c h w -> b c (h w)", p=3),
    "PLT209": lambda x: plait.reduce(x, "b c h w -> b", "median"),
    "PLT305": lambda x: plait.einsum(x, x, "b c h w, b h c w -> b"),
}


@pytest.mark.parametrize("code", ERROR_CASES)
@pytest.mark.parametrize("tracer", ["source", "bytecode"])
def test_errors_are_raised_while_a_program_is_built(code, tracer):
    make = ERROR_CASES[code]

    def call(x):
        return make(x)

    full = tracer == "source"
    spec = [InputSpec([None, *SHAPE[1:]], "float32")] if full else None
    static = paddle.jit.to_static(call, input_spec=spec, full_graph=full)
    with pytest.raises(plait.PlaitError, match=code):
        static(random_tensor(SHAPE))


def view(x):
    return plait.view(x, "b c h w -> (b c) h w")


def to_numpy(x):
    return plait.asnumpy(x)


@pytest.mark.parametrize(("code", "call"), [("PLT507", view), ("PLT508", to_numpy)])
def test_view_and_asnumpy_are_errors_in_a_program(code, call):
    static = paddle.jit.to_static(call, input_spec=[InputSpec([None, *SHAPE[1:]], "float32")], full_graph=True)
    with pytest.raises(plait.BackendError, match=code):
        static(random_tensor(SHAPE))
    # the bytecode tracer runs in Python what a program cannot contain
    by_bytecode = paddle.jit.to_static(call, full_graph=False)
    assert_close(by_bytecode(random_tensor(SHAPE)), call(random_tensor(SHAPE)))


@pytest.mark.filterwarnings("ignore:Tensor do not have 'place'")  # Paddle's own words about its own full_like
@pytest.mark.parametrize("reduction", ["max", "min"])
@pytest.mark.parametrize(
    ("shape", "pattern"),
    [
        ((2, 4, 6), "b (h 2) (w 2) -> b h w"),
        ((2, 3, 4, 6), "b c (h 2) (w 2) -> b (c h w)"),
        ((2, 3, 4, 5, 2), "a b c d e -> a d"),
        ((2, 3, 4, 5, 2), "a b c d e ->"),
        ((2, 3, 2, 2, 3, 2), "a b c d e f -> b e"),
        ((2, 2, 4, 4, 4), "b c (d 2) (h 2) (w 2) -> b c d h w"),
    ],
)
@pytest.mark.parametrize("tracer", [None, "source", "bytecode"])
def test_gradients_of_min_and_max_along_several_axes(shape, pattern, reduction, tracer):
    """Paddle's own gradients are wrong for tensors of five or six dimensions."""
    array = np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape).astype("float32")
    weights = np.random.default_rng(1).normal(size=plait.reduce(array, pattern, reduction).shape).astype("float32")

    def extreme(x):
        return plait.reduce(x, pattern, reduction)

    call = extreme if tracer is None else paddle.jit.to_static(extreme, full_graph=tracer == "source")
    x = paddle.to_tensor(array, stop_gradient=False)
    result = call(x)
    (result * paddle.to_tensor(weights)).sum().backward()
    found = result.numpy()
    assert (found == plait.reduce(array, pattern, reduction)).all()
    expected = np.zeros_like(array)
    for value, weight in zip(found.ravel(), weights.ravel(), strict=True):
        expected[array == value] = weight
    np.testing.assert_array_equal(x.grad.numpy(), expected)


@contextmanager
def new_static_program_guard():
    paddle.enable_static()
    try:
        with paddle.static.program_guard(paddle.static.Program()):
            yield paddle.static.default_main_program()
    finally:
        paddle.disable_static()


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (permute, ["transpose"]),
        (merge, ["full_int_array", "reshape"]),
        (space_to_depth, ["full_int_array", "reshape", "transpose", "full_int_array", "reshape"]),
        (reduce_by_maximum, ["full_int_array", "reshape", "amax"]),
        (lambda x: plait.rearrange(x, "... -> ..."), []),
    ],
)
def test_a_program_has_the_operations_of_the_hand_written_code(call, expected):
    with new_static_program_guard() as program:
        x = paddle.static.data("x", [None, *SHAPE[1:]], "float32")
        result = call(x)
        names = [op.name() for op in program.global_block().ops]
        assert [name.removeprefix("pd_op.") for name in names] == ["data", *expected]
        assert result.shape[0] == -1


@pytest.mark.parametrize(
    ("call", "shape"),
    [
        (permute, [-1, 4, 6, 3]),
        (merge, [-1, 72]),
        (space_to_depth, [-1, 12, 2, 3]),
        (new_units, [1, -1, 3, 4, 6, 1]),
        (ellipsis, [6, 3, 4, -1]),
        (repeat, [2, -1, 3, 12, 6, 2]),
        (reduce_by_logsumexp, [-1, 12]),
        (grouped_einsum, [-1, 2, 12, 4]),
        (concatenate_channels, [-1, 6, 4, 6]),
        (reduce_to_scalar, []),
    ],
)
def test_a_program_keeps_static_dimensions(call, shape):
    with new_static_program_guard():
        assert list(call(paddle.static.data("x", [None, *SHAPE[1:]], "float32")).shape) == shape


def test_a_static_program_runs():
    feeds = [np.random.default_rng(0).normal(size=size).astype("float32") for size in (SHAPE, OTHER_SHAPE)]
    with new_static_program_guard() as program:
        x = paddle.static.data("x", [None, None, 4, 6], "float32")
        # in a static program x.shape[0] is -1, which is no size
        results = [call(x) for call in CALLS if call is not batch_size_from_shape]
        executor = paddle.static.Executor(paddle.CPUPlace())
        found = [executor.run(program, feed={"x": feed}, fetch_list=results) for feed in feeds]
    for feed, values in zip(feeds, found, strict=True):
        for call, value in zip([call for call in CALLS if call is not batch_size_from_shape], values, strict=True):
            assert_close(value, call(paddle.to_tensor(feed)))


class PatchModel(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.linear = paddle.nn.Linear(12, 5)
        self.scale = self.create_parameter([2, 5])

    def forward(self, x):
        patches = plait.rearrange(x, "b c (h p) (w q) -> b (h w) (c p q)", p=2, q=2)
        scale = plait.repeat(self.scale, "g d -> (g r) d", r=3)
        return plait.einsum(self.linear(patches), scale, "b n d, n d -> b d")


@pytest.mark.filterwarnings("ignore:Tensor do not have 'place'")  # Paddle's own words about its own full_like
@pytest.mark.parametrize("tracer", ["source", "bytecode"])
def test_gradients_in_a_program_equal_eager_gradients(tracer):
    layer, x = PatchModel(), random_tensor((4, 3, 4, 6))

    def parameter_gradients(forward):
        layer.clear_gradients()
        forward(x).sum().backward()
        return [parameter.grad.numpy() for parameter in layer.parameters()]

    expected = parameter_gradients(layer)
    spec = [InputSpec([None, 3, 4, 6], "float32")] if tracer == "source" else None
    static = paddle.jit.to_static(layer, input_spec=spec, full_graph=tracer == "source")
    for ours, theirs in zip(parameter_gradients(static), expected, strict=True):
        assert abs(theirs).max() > 0
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_saved_program_takes_other_batches(tmp_path):
    layer = PatchModel()
    layer.eval()
    paddle.jit.save(layer, str(tmp_path / "patches"), input_spec=[InputSpec([None, 3, 4, 6], "float32")])
    loaded = paddle.jit.load(str(tmp_path / "patches"))
    for batch in (1, 7):
        x = random_tensor((batch, 3, 4, 6))
        assert_close(loaded(x), layer(x))


@each_call
def test_gradients_in_double_precision(call):
    x = paddle.to_tensor(np.random.default_rng(1).normal(size=SHAPE))
    x.stop_gradient = False
    call(x).sum().backward()
    for place in [(0, 0, 0, 0), (1, 2, 3, 5), (0, 1, 2, 1)]:
        step = np.zeros(SHAPE)
        step[place] = 1e-6
        with paddle.no_grad():
            slope = (call(x + paddle.to_tensor(step)).sum() - call(x - paddle.to_tensor(step)).sum()) / 2e-6
        np.testing.assert_allclose(float(x.grad[place]), float(slope), rtol=1e-5, atol=1e-6)


def transpose_of_matrix_product(x, y):
    return plait.einsum(x, y, "i j, j k -> k i")


def test_einsum_of_integers_and_diagonals_that_paddle_does_not_support():
    rng = np.random.default_rng(0)
    for dtype in ("bool", "uint8", "int16", "int32", "int64"):
        a, b = rng.integers(0, 2, (2, 3)).astype(dtype), rng.integers(0, 2, (3, 4)).astype(dtype)
        x, y = paddle.to_tensor(a), paddle.to_tensor(b)
        result = plait.einsum(x, y, "i j, j k -> k i")
        assert (paddle.jit.to_static(transpose_of_matrix_product, full_graph=True)(x, y).numpy() == (a @ b).T).all()
        assert (result.numpy() == (a @ b).T).all()
        assert str(result.dtype) == f"paddle.{dtype}"
    a, b = rng.normal(size=(2, 2, 3)), rng.normal(size=3)
    found = plait.einsum(paddle.to_tensor(a), paddle.to_tensor(b), "a a b, b -> a")
    np.testing.assert_allclose(found.numpy(), np.einsum("aab,b->a", a, b))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_einsum_of_half_precision_is_accumulated_in_float32(dtype):
    x = paddle.ones([4096, 2]).astype(dtype)
    result = plait.einsum(x, x, "n i, n j -> i j")
    assert result.dtype == x.dtype
    assert (plait.asnumpy(result) == 4096).all()


def test_logsumexp_where_paddles_own_is_wrong():
    rank5 = np.random.default_rng(0).normal(size=(2, 2, 2, 2, 2))
    found = plait.reduce(paddle.to_tensor(rank5), "a b c d e -> a d", "logsumexp")
    np.testing.assert_allclose(found.numpy(), np.log(np.exp(rank5).sum((1, 2, 4))))
    # Paddle's maximum of no elements is uninitialized memory, so wrong values are put there first
    for poison in (np.nan, np.inf):
        paddle.full([4096], poison)
        assert (plait.reduce(paddle.zeros([64, 0]), "a b -> a", "logsumexp").numpy() == -np.inf).all()


def test_small_integers_do_not_overflow():
    for dtype in ("uint8", "int8", "int16"):
        x = paddle.full([100, 2], 100, dtype)
        assert plait.reduce(x, "n c -> c", "sum").numpy().tolist() == [10000, 10000]
        assert plait.reduce(x, "n c -> c", "max").dtype == x.dtype


def test_views_of_strided_tensors():
    x = random_tensor(SHAPE)
    turned = paddle.transpose(x, [0, 2, 3, 1])
    assert plait.view(turned, "b h w c -> b (h w) c").data_ptr() == x.data_ptr()
    with pytest.raises(plait.CopyRequiredError):
        plait.view(turned, "b h w c -> b h (w c)")
    assert_close(plait.rearrange(turned, "b h w c -> b h (w c)"), paddle.reshape(turned, [2, 4, 18]))
    with pytest.raises(plait.BackendError, match=r"PLT507.*paddle copies where an axis is added; use repeat"):
        plait.view(x, "b c h w -> b c h w r", r=2)
    scalar = paddle.to_tensor(3.0)
    assert plait.view(scalar, "-> 1 1").data_ptr() == scalar.data_ptr()


def test_sizes_that_are_tensors():
    x = random_tensor(SHAPE)
    assert plait.rearrange(x, "b c (h p) w -> b c h p w", p=paddle.to_tensor(2)).shape == [2, 3, 2, 2, 6]
    with pytest.raises(plait.SizeError, match="PLT301"):
        plait.rearrange(x, "b c (h p) w -> b c h p w", p=paddle.to_tensor(True))
    with pytest.raises(plait.SizeError, match="PLT301"):
        plait.rearrange(x, "b c (h p) w -> b c h p w", p=paddle.to_tensor(2.0))


def test_asnumpy():
    x = random_tensor(SHAPE)
    x.stop_gradient = False
    assert (plait.asnumpy(x) == x.numpy()).all()
    assert plait.asnumpy(x.astype("bfloat16")).dtype == np.float32


def test_the_second_call_uses_the_cache():
    x = random_tensor(SHAPE)
    before = plait.cache_info()
    for _ in range(4):
        plait.rearrange(x, "b c h w -> b h w c")
        plait.reduce(x, "b c h w -> b", "max")
        plait.einsum(x, x, "b c h w, b c h w -> b")
        plait.einsum("bchw,bchw->b", x, x)
        COMPILED_PATTERN.reduce(x, "sum")
    after = plait.cache_info()
    assert after.misses - before.misses == 5
    assert after.hits - before.hits >= 15


def test_the_bytecode_tracer_excludes_all_of_plait(monkeypatch):
    from paddle.framework import core

    from plait.backends.paddle.backend import exclude_plait_from_tracing

    left = []
    monkeypatch.setattr(core, "eval_frame_skip_file_prefix", left.extend)
    exclude_plait_from_tracing()
    assert left == [f"{Path(plait.__file__).parent}{os.sep}"]
