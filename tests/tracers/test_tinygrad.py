"""tinygrad: graphs are built without computation, kernels are those of hand-written code, sizes may be variables."""

from __future__ import annotations

import numpy as np
import pytest

import plait
from backends.frameworks.tinygrad_ import FRAMEWORK

if not FRAMEWORK.installed():
    pytest.skip("tinygrad is not installed, or has no compiler", allow_module_level=True)

tinygrad = FRAMEWORK.module()
from tinygrad import GlobalCounters, Tensor, TinyJit, UOp, dtypes  # noqa: E402

SHAPE = (2, 3, 4, 6)

PLAIT_AND_NATIVE_CALLS = {
    "identity": (lambda x: plait.rearrange(x, "... -> ..."), lambda x: x),
    "permute": (lambda x: plait.rearrange(x, "b c h w -> b h w c"), lambda x: x.permute(0, 2, 3, 1)),
    "merge": (lambda x: plait.rearrange(x, "b c h w -> b (c h w)"), lambda x: x.reshape(2, 72)),
    "space to depth": (
        lambda x: plait.rearrange(x, "b c (h p) (w q) -> b (c p q) h w", p=2, q=2),
        lambda x: x.reshape(2, 3, 2, 2, 3, 2).permute(0, 1, 3, 5, 2, 4).reshape(2, 12, 2, 3),
    ),
    "sum": (lambda x: plait.reduce(x, "b c h w -> b h", "sum"), lambda x: x.sum((1, 3))),
    "mean": (
        lambda x: plait.reduce(x, "b c (h 2) w -> b w h c", "mean"),
        lambda x: x.reshape(2, 3, 2, 2, 6).mean(3).permute(0, 3, 2, 1),
    ),
    "std": (lambda x: plait.reduce(x, "b c h w -> c", "std"), lambda x: x.std((0, 2, 3), correction=0)),
    "max": (
        lambda x: plait.reduce(x, "b c h w -> b c", "max"),
        lambda x: x.isnan().any((2, 3)).where(float("nan"), x.max((2, 3))),
    ),
    "callable": (lambda x: plait.reduce(x, "b c h w -> h w", Tensor.max), lambda x: x.max((0, 1))),
    "repeat": (lambda x: plait.repeat(x, "b c h w -> b c (h r) w", r=2), lambda x: x.repeat_interleave(2, 2)),
    "einsum": (
        lambda x: plait.einsum(x, x, "b c h w, b d h w -> b c d"),
        lambda x: Tensor.einsum("bchw,bdhw->bcd", x, x),
    ),
    "einsum with an ellipsis": (
        lambda x: plait.einsum(x, x[0, 0], "... h w, v w -> ... v h"),
        lambda x: Tensor.einsum("bchw,vw->bcvh", x, x[0, 0]),
    ),
    "attention": (
        lambda x: plait.einsum(x, x, "b c h (k d), b c j (k d) -> b c k h j", k=2),
        lambda x: Tensor.einsum("bchkd,bcjkd->bckhj", x.reshape(2, 3, 4, 2, 3), x.reshape(2, 3, 4, 2, 3)),
    ),
    "list": (
        lambda x: plait.rearrange([x, x + 1], "k b c h w -> b (k c) h w"),
        lambda x: x.stack(x + 1).permute(1, 0, 2, 3, 4).reshape(2, 6, 4, 6),
    ),
    "pack": (
        lambda x: plait.pack([x, x[:, :, 0]], "b c * w")[0],
        lambda x: x.cat(x[:, :, 0].reshape(2, 3, 1, 6), dim=2),
    ),
    "unpack": (
        lambda x: plait.unpack(x, [(), (2, -1), (1,)], "b c h *")[1],
        lambda x: x[..., 1:5].reshape(2, 3, 4, 2, 2),
    ),
    "fused": (
        lambda x: plait.reduce((plait.rearrange(x, "b c (h p) w -> b p c h w", p=2) + 1).relu(), "b p ... -> p", "sum"),
        lambda x: (x.reshape(2, 3, 2, 2, 6).permute(0, 3, 1, 2, 4) + 1).relu().sum((0, 2, 3, 4)),
    ),
}

each_call = pytest.mark.parametrize(
    ("call", "native"), PLAIT_AND_NATIVE_CALLS.values(), ids=PLAIT_AND_NATIVE_CALLS.keys()
)


def random_tensor(shape=SHAPE, seed=0):
    return Tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32)).realize()


def scheduled_kernels(call):
    """The kernels of a call in their order, without names."""
    return [kernel.src[0].key for kernel in call(random_tensor()).contiguous().schedule_linear().src]


@each_call
def test_the_kernels_are_those_of_the_hand_written_code(call, native):
    assert scheduled_kernels(call) == scheduled_kernels(native)


def test_movements_are_fused_into_the_kernel_that_reads_them():
    moved = scheduled_kernels(
        lambda x: plait.reduce(plait.rearrange(x, "b c h w -> (w h) (c b)") * 2, "wh cb -> cb", "sum")
    )
    assert len(moved) == 1
    # A view, and nothing to compute:
    assert scheduled_kernels(lambda x: plait.rearrange(x, "b c h w -> b (c h w)")) == []


@each_call
def test_building_a_graph_runs_no_kernel(call, native):
    x = random_tensor()
    GlobalCounters.reset()
    y = call(x)
    assert GlobalCounters.kernel_count == 0
    expected = native(x).numpy()
    GlobalCounters.reset()
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["space to depth", "std", "max", "repeat", "attention", "pack"])
def test_gradients(name):
    call, native = PLAIT_AND_NATIVE_CALLS[name]
    x = random_tensor()
    weights = random_tensor(native(x).shape, seed=1)
    (found,) = (call(x) * weights).sum().gradient(x)
    (expected,) = (native(x) * weights).sum().gradient(x)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-6)


def test_backward_reaches_parameters():
    x = random_tensor((2, 6)).is_param_()
    plait.reduce(x, "a (b c) -> a b", "logsumexp", b=2).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), x.reshape(2, 2, 3).softmax(-1).reshape(2, 6).numpy(), rtol=1e-5)


def test_jit_does_not_call_plait_when_it_replays():
    calls = []

    @TinyJit
    def step(x):
        calls.append(1)
        x = plait.rearrange(x, "b c (h p) w -> b h (c p w)", p=2)
        return plait.reduce(x, "b h c -> h", "logsumexp").realize()

    for seed in range(5):
        x = random_tensor(seed=seed)
        GlobalCounters.reset()
        found = step(x)
        launched = GlobalCounters.kernel_count
        expected = np.log(np.exp(x.numpy().reshape(2, 3, 2, 2, 6)).sum((0, 1, 3, 4)))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    assert len(calls) == 2  # tinygrad runs the first, captures the second, and replays
    assert launched <= 2


def test_errors_under_jit():
    with pytest.raises(plait.SizeError, match="PLT302"):
        TinyJit(lambda x: plait.rearrange(x, "b c (h p) w -> b h p w c", p=3).realize())(random_tensor())


DATA = np.random.default_rng(5).normal(size=(10, 3, 4)).astype(np.float32)


def bound_variable(size, low=1):
    return UOp.variable("n", low, 10).bind(size)


def rows_of_variable_number(size, low=1):
    """The first rows of the data, whose number is a bound variable."""
    return Tensor(DATA).realize()[: bound_variable(size, low)]


SYMBOLIC_SIZE_CASES = {
    "permute": (lambda x: plait.rearrange(x, "n a b -> b n a"), lambda x: x.transpose(2, 0, 1)),
    "merge": (lambda x: plait.rearrange(x, "n a b -> (a n) b"), lambda x: x.transpose(1, 0, 2).reshape(-1, 4)),
    "split": (
        lambda x: plait.rearrange(x, "n a (p b) -> (p n) (a b)", p=2),
        lambda x: x.reshape(-1, 3, 2, 2).transpose(2, 0, 1, 3).reshape(-1, 6),
    ),
    "back": (
        lambda x: plait.rearrange(plait.rearrange(x, "n a b -> (n a) b"), "(n a) b -> a n b", a=3),
        lambda x: x.transpose(1, 0, 2),
    ),
    "given": (
        lambda x: plait.rearrange(plait.rearrange(x, "n a b -> (n a) b"), "(n a) b -> a n b", n=x.shape[0]),
        lambda x: x.transpose(1, 0, 2),
    ),
    "mean": (lambda x: plait.reduce(x, "n a b -> a", "mean"), lambda x: x.mean((0, 2))),
    "max": (lambda x: plait.reduce(x, "n a (p 2) -> n p", "max"), lambda x: x.reshape(-1, 3, 2, 2).max((1, 3))),
    "std": (lambda x: plait.reduce(x, "n a b -> a", "std"), lambda x: x.std((0, 2))),
    "logsumexp": (
        lambda x: plait.reduce(x, "n a b -> b", "logsumexp"),
        lambda x: np.log(np.exp(x).sum((0, 1))),
    ),
    "repeat": (lambda x: plait.repeat(x, "n a b -> n (r a) b", r=2), lambda x: np.concatenate([x, x], 1)),
    "repeat as often": (
        lambda x: plait.repeat(Tensor(DATA[0]), "a b -> n a b", n=x.shape[0]),
        lambda x: np.stack([DATA[0]] * len(x)),
    ),
    "einsum": (lambda x: plait.einsum(x, x, "n a b, n c b -> a c"), lambda x: np.einsum("nab,ncb->ac", x, x)),
    "einsum with an ellipsis": (
        lambda x: plait.einsum(x, Tensor(DATA[0]), "... b, c b -> ... c"),
        lambda x: x @ DATA[0].T,
    ),
    "list": (
        lambda x: plait.rearrange([x, x * 2], "k n a b -> n (k a) b"),
        lambda x: np.concatenate([x, x * 2], 1),
    ),
    "pack": (
        lambda x: plait.pack([x, x[:, 0]], "n * b")[0],
        lambda x: np.concatenate([x, x[:, :1]], 1),
    ),
    "unpack": (lambda x: plait.unpack(x, [(2,), ()], "n * b")[1], lambda x: x[:, 2]),
}


def read_values(x, size):
    """The values of a tensor whose sizes are multiples of a variable."""
    whole = x.pad_to(tuple(side if isinstance(side, int) else side.vmax for side in x.shape))
    values = whole.contiguous().numpy()
    return values[tuple(slice(side if isinstance(side, int) else side.vmax // 10 * size) for side in x.shape)]


@pytest.mark.parametrize(("call", "native"), SYMBOLIC_SIZE_CASES.values(), ids=SYMBOLIC_SIZE_CASES.keys())
def test_sizes_that_are_variables(call, native):
    for size in (2, 5):
        found, expected = call(rows_of_variable_number(size)), native(DATA[:size])
        assert sum(isinstance(side, UOp) for side in found.shape) == (expected.shape != native(DATA[:3]).shape)
        np.testing.assert_allclose(read_values(found, size), expected, rtol=1e-5, atol=1e-6)


def test_jit_replays_for_other_values_of_a_variable():
    calls = []

    @TinyJit
    def step(x):
        calls.append(1)
        x = plait.rearrange(x, "n a b -> (n a) b")
        return plait.reduce(x, "(n a) b -> a b", "mean", a=3).realize()

    for size in (2, 3, 4, 5, 7):
        np.testing.assert_allclose(
            step(rows_of_variable_number(size)).numpy(), DATA[:size].mean(0), rtol=1e-5, atol=1e-6
        )
    assert len(calls) == 2


def test_static_sizes_are_checked_beside_variables():
    x = rows_of_variable_number(4)
    for call, code, text in (
        (lambda: plait.rearrange(x, "n a (p b) -> n p a b", p=3), "PLT302", "input: _ 3 4   given: p=3"),
        (lambda: plait.rearrange(x, "n a -> a n"), "PLT304", "the input has rank 3"),
        (lambda: plait.reduce(x, "n 2 b -> n b", "sum"), "PLT305", "must have length 2"),
        (lambda: plait.einsum(x, Tensor(DATA[0]), "n a b, b c -> n a c"), "PLT305", "tensor 0: _ 3 4   tensor 1: 3 4"),
        (lambda: plait.rearrange([x, x[:, :2]], "k n a b -> n (k a) b"), "PLT308", "shape _ 2 4"),
        (lambda: plait.parse_shape(x, "n 2 b"), "PLT305", "input: _ 3 4"),
        (lambda: plait.pack([x, x[:, :, :2]], "n * b"), "PLT305", "'b' has length 2"),
    ):
        with pytest.raises(plait.PlaitError, match=code) as caught:
            call()
        assert text in str(caught.value)


def test_asnumpy_of_a_variable_size_is_an_error():
    with pytest.raises(plait.BackendError, match="PLT508"):
        plait.asnumpy(rows_of_variable_number(4))


def test_parse_shape_gives_the_variable():
    x = rows_of_variable_number(4)
    assert plait.parse_shape(x, "n _ b")["n"] is x.shape[0]


@pytest.mark.parametrize(
    "dtype", "bool uint8 int8 uint16 int16 uint32 int32 uint64 int64 float16 bfloat16 float32 float64".split()
)
def test_asnumpy_of_every_element_type(dtype):
    x = Tensor([[0, 1, 1], [1, 0, 1]]).cast(dtype)
    result = plait.asnumpy(plait.rearrange(x, "a b -> b a"))
    assert type(result) is np.ndarray
    assert result.tolist() == [[0, 1], [1, 0], [1, 1]]
    assert result.dtype.name == {"bfloat16": "float32"}.get(dtype, dtype)


def test_results_stay_on_the_device_of_the_input():
    x = random_tensor((4, 6)).to("PYTHON")
    y = plait.reduce(plait.rearrange(x, "a (b c) -> c b a", b=2), "c b a -> a", "sum")
    assert y.device == "PYTHON"
    np.testing.assert_allclose(plait.asnumpy(y), x.numpy().sum(1), rtol=1e-5)
    sharded = random_tensor((4, 6)).shard(("PYTHON:1", "PYTHON:2"), axis=0)
    y = plait.rearrange(sharded, "a (b c) -> c b a", b=2)
    assert y.device == sharded.device
    assert y.uop.axis == 2  # where the sharded axis has gone
    np.testing.assert_array_equal(plait.asnumpy(y), sharded.numpy().reshape(4, 2, 3).transpose(2, 1, 0))


@pytest.mark.parametrize("dtype", ["bool", "int8", "int32", "uint8", "uint32", "int64", "uint64"])
def test_sums_of_integers_do_not_overflow(dtype):
    high = 1 if dtype == "bool" else min(np.iinfo(dtype).max, 1 << 40)
    total = plait.reduce(Tensor(np.full((3, 2), high, dtype)), "a b -> b", "sum")
    assert total.tolist() == [3 * high] * 2
    assert total.dtype == (dtypes.uint64 if dtype.startswith("uint") else dtypes.int64)


def test_einsum_where_tinygrads_own_is_wrong():
    x = np.random.default_rng(0).normal(size=(3, 2, 3, 2))
    for equation in ("abab->ba", "abcb->cab", "abad->dba", "abab->"):
        np.testing.assert_allclose(plait.einsum(equation, Tensor(x)).numpy(), np.einsum(equation, x), rtol=1e-12)
    a, b = np.random.default_rng(1).normal(size=(5, 1, 2, 3)), np.random.default_rng(2).normal(size=(4, 3, 2))
    for equation in ("...ij,...jk->...ik", "...ij,...ji->...", "i...jk,...kj->...i"):
        found = plait.einsum(equation, Tensor(a), Tensor(b)).numpy()
        np.testing.assert_allclose(found, np.einsum(equation, a, b), rtol=1e-12)


def test_tensors_as_sizes_are_refused():
    for size in (Tensor([2]), Tensor(2.0)):
        with pytest.raises(plait.SizeError, match="PLT301"):
            plait.rearrange(random_tensor((4, 6)), "(a p) b -> a p b", p=size)


def test_uops_are_refused():
    with pytest.raises(plait.BackendError, match="PLT50"):
        plait.rearrange(random_tensor((4, 6)).uop, "a b -> b a")
