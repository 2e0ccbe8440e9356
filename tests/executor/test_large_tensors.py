"""Large tensors: every schedule of a reduction or a copy gives the result of one framework call.

The cost model chooses the schedule, so the tests draw costs at random, and treat tensors of any size as large.
"""

from __future__ import annotations

import importlib
import warnings
from unittest import mock

import pytest
from cost_models import cost_models, schedule_all_tensors
from hypothesis import given, settings
from hypothesis import strategies as st

import plait
from plait._executor.compile import build_executable
from plait._executor.large.reductions import _tree_level_indices, build_loop_over_blocks
from plait._executor.large.two_pass_reductions import combine_pairwise
from plait._plan.schedule import copies, reductions, two_pass
from plait._plan.schedule.techniques import AXIS_AT_A_TIME, BLOCKING, REASONS, TREE_REDUCTION, TWO_PASSES
from plait.backends.reduction_rules import PIVOT_BY_REDUCTION
from plait.backends.registry import backend_for_type

np = pytest.importorskip("numpy")

pytestmark = pytest.mark.usefixtures("without_kernels")

ONE_PASS_REDUCTIONS = ("min", "max", "sum", "mean", "prod", "any", "all")
TWO_PASS_DTYPES = ("float32", "float64", "float16", "complex64", "complex128", ">f4", ">f2", "longdouble")
DTYPES = ("float32", "float64", "float16", "int8", "uint8", "int64", "uint64", "bool", "complex64")
SPECIAL_VALUES = (float("nan"), float("inf"), -float("inf"), -0.0, 0.0)


@st.composite
def strided_copies(draw, array):
    """The same values with other strides: another order of dimensions, gaps, or negative steps."""
    order = draw(st.permutations(range(array.ndim)))
    held = np.ascontiguousarray(array.transpose(order)).transpose(np.argsort(order))
    steps = tuple([draw(st.sampled_from((1, 1, 1, 2, -1))) for _ in range(array.ndim)])
    memory = np.zeros([size * abs(step) for size, step in zip(held.shape, steps, strict=True)], array.dtype)
    memory = np.ascontiguousarray(memory.transpose(order)).transpose(np.argsort(order))
    view = memory[tuple([slice(None, None, step) for step in steps])]
    view[...] = array
    return view


@st.composite
def arrays(draw, dtypes=DTYPES):
    """Arrays whose sums and products are exact, with NaN, infinities and negative zeros."""
    shape = tuple(draw(st.lists(st.sampled_from((1, 2, 2, 3, 4, 5, 7)), min_size=1, max_size=5)))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    array = rng.integers(0, 3, shape).astype(dtype)
    if dtype.kind in "fc":
        array[rng.random(shape) < draw(st.sampled_from((0.0, 0.0, 0.3)))] = draw(st.sampled_from(SPECIAL_VALUES))
    return draw(strided_copies(array))


@st.composite
def reduce_cases(draw, dtypes=DTYPES):
    """An array, a pattern that keeps some of its axes in any order and grouping, and the kept axes."""
    array = draw(arrays(dtypes))
    names = [f"a{place}" for place in range(array.ndim)]
    kept = draw(st.permutations(range(array.ndim)))[: draw(st.integers(0, array.ndim - 1))]
    right = [names[place] for place in kept]
    if len(right) > 1 and draw(st.booleans()):
        right = [f"({right[0]} {right[1]})", *right[2:]]
    return array, f"{' '.join(names)} -> {' '.join(right)}", kept


def strides_of_plain_result(array, pattern, name):
    """The strides of the result of one call for each step, which a large tensor must have too."""
    bound = build_executable("reduce", pattern, (np.ndarray,), (array.ndim,), (), name, array.dtype)
    with np.errstate(all="ignore"):
        return bound.bind(array.shape, {})(array).strides


def reduce_with_numpy(array, kept, name):
    """Return NumPy's own reduction of the array as a contiguous one."""
    reduced_axes = tuple([place for place in range(array.ndim) if place not in kept])
    contiguous = np.ascontiguousarray(array)
    with np.errstate(all="ignore"):
        result = getattr(contiguous, name)(reduced_axes) if reduced_axes else getattr(contiguous, name)(())
    return np.transpose(result, [sorted(kept).index(place) for place in kept])


@settings(max_examples=400)
@given(reduce_cases(), st.sampled_from(ONE_PASS_REDUCTIONS), cost_models())
def test_all_reduction_schedules_give_the_same_result(case, name, costs):
    array, pattern, kept = case
    if (name == "mean" and array.dtype.kind in "biu") or (name in ("min", "max") and array.dtype.kind == "c"):
        return
    expected = reduce_with_numpy(array, kept, name)
    with schedule_all_tensors(costs), np.errstate(all="ignore"):
        found = plait.reduce(array, pattern, name)
    assert found.dtype == expected.dtype
    assert found.strides == strides_of_plain_result(array, pattern, name)
    rounded = 2e-7 if (name, array.dtype.kind) == ("mean", "c") else 0  # NumPy divides a scalar in another way
    np.testing.assert_allclose(found.ravel(), expected.ravel(), rtol=rounded)
    if name in ("sum", "mean") and array.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(found.ravel()), np.signbit(expected.ravel()))


def reduce_in_longdouble(array, kept, name):
    """Return ``std``, ``var`` or ``logsumexp`` computed in long double precision, in NumPy's result type."""
    reduced_axes = tuple([place for place in range(array.ndim) if place not in kept])
    wide_array = np.ascontiguousarray(array).astype(np.clongdouble if array.dtype.kind == "c" else np.longdouble)
    with np.errstate(all="ignore"):
        if name == "logsumexp":
            maximum = wide_array.max(reduced_axes, keepdims=True)
            maximum = np.where(np.isfinite(maximum), maximum, 0)
            result = np.log(np.exp(wide_array - maximum).sum(reduced_axes)) + maximum.squeeze(reduced_axes)
        else:
            result = getattr(wide_array, name)(reduced_axes)
    is_half = array.dtype.itemsize == 2
    dtype = array.dtype if is_half else array.real.dtype.newbyteorder("=")
    return np.transpose(result, [sorted(kept).index(place) for place in kept]).astype(dtype)


@settings(max_examples=400)
@given(reduce_cases(TWO_PASS_DTYPES), st.sampled_from(sorted(PIVOT_BY_REDUCTION)), cost_models())
def test_all_two_pass_schedules_give_the_same_result(case, name, costs):
    array, pattern, kept = case
    if (name == "logsumexp" and array.dtype.kind == "c") or array.size < 2:
        return
    with schedule_all_tensors(costs), np.errstate(all="ignore"):
        assert TWO_PASSES in plait.explain(pattern, array, reduction=name).rewrites
        found = plait.reduce(array, pattern, name)
        again = plait.reduce(array, pattern, name)
        plain = backend_for_type(np.ndarray).reduction(name, array.dtype)(array, tuple({*range(array.ndim)} - {*kept}))
    expected = reduce_in_longdouble(array, kept, name)
    np.testing.assert_array_equal(found, again)
    assert found.strides == again.strides == strides_of_plain_result(array, pattern, name)
    assert (type(found), found.dtype) == (type(plain), plain.dtype)
    most = 32 * float(np.finfo(expected.dtype).eps)
    np.testing.assert_allclose(found.ravel(), expected.ravel(), rtol=most, atol=most)


@pytest.mark.parametrize("name", sorted(PIVOT_BY_REDUCTION))
@pytest.mark.parametrize("pattern", ["b c h -> b", "b c h -> c", "b c h -> h", "b c h ->", "b c h -> b h c"])
@pytest.mark.parametrize("special", [*SPECIAL_VALUES[:3], "all -inf", "stretched", "backwards"])
def test_two_pass_reduction_of_special_values(name, pattern, special):
    """Warnings are errors here; a schedule warns exactly when one NumPy call does."""
    x = np.random.default_rng(5).standard_normal((16, 32, 4096)).astype(np.float32)
    if special == "all -inf":
        x[...] = -np.inf
    elif special == "stretched":
        x = np.broadcast_to(x[:, :1, :64, None], (16, 32, 64, 64)).reshape(16, 32, -1)[:, :, ::-1]
        x = np.broadcast_to(x[:1], x.shape)
    elif special == "backwards":
        x = x[::-1, :, ::-1]
    else:
        x[1, 2, 3] = special
    axes = tuple([place for place, axis in enumerate("bch") if axis not in pattern[6:]])

    def reduced(by):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            return plait.reduce(x, pattern, by), {str(warning.message) for warning in caught}

    plain = backend_for_type(np.ndarray).reduction(name, x.dtype)
    assert TWO_PASSES in plait.explain(pattern, x, reduction=name).rewrites or not axes
    (found, said), (expected, meant) = reduced(name), reduced(plain)
    assert (type(found), found.dtype, said) == (type(expected), expected.dtype, meant)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
    with np.errstate(all="raise", under="ignore"):
        if meant:
            with pytest.raises(FloatingPointError):
                plait.reduce(x, pattern, name)
        else:
            plait.reduce(x, pattern, name)


def test_logsumexp_does_not_warn_of_overflow():
    rows = np.zeros((2, 64, 65536), np.float32)
    rows[0, :, 0], rows[0, :, 1] = 3e38, -3e38
    rows[1, :, 0], rows[1, :, 1:9] = np.inf, 88.5
    with np.errstate(all="raise", under="ignore"):
        for row in rows:
            assert TWO_PASSES in plait.explain("a b -> a", row, reduction="logsumexp").rewrites
            found = plait.reduce(row, "a b -> a", "logsumexp")
            np.testing.assert_array_equal(found, np.full(64, row[0, 0]))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 100])
def test_combine_pairwise_depth_is_logarithmic(count):
    """Each term takes part in at most as many additions as there are levels."""
    depth, number = combine_pairwise(((0, 1) for _ in range(count)), lambda a, b: (max(a[0], b[0]) + 1, a[1] + b[1]))
    assert (depth, number) == ((count - 1).bit_length(), count)


@st.composite
def copy_cases(draw):
    """An array and a pattern that copies it."""
    array = draw(arrays((*DTYPES, "U3", "M8[s]", "O", "i4,f8")))
    names = [f"a{place}" for place in range(array.ndim)]
    order = draw(st.permutations(names))
    new = draw(st.sampled_from((0, 0, 1, 2, 3)))
    right = list(order)
    if new:
        right.insert(draw(st.integers(0, len(right))), "new")
    cut = draw(st.integers(0, len(right)))
    groups = [f"({' '.join(part)})" for part in (right[:cut], right[cut:]) if part]
    return array, f"{' '.join(names)} -> {' '.join(groups)}", ({"new": new} if new else {}), right, names, cut


@settings(max_examples=300)
@given(copy_cases(), cost_models())
def test_all_copy_schedules_give_the_same_result(case, costs):
    array, pattern, sizes, right, names, _ = case
    stretched = np.broadcast_to(array[..., None], (*array.shape, sizes.get("new", 1)))
    order = [names.index(name) if name in names else array.ndim for name in right]
    expected = stretched.transpose([*order, *({array.ndim} - {*order})])
    with schedule_all_tensors(costs):
        found = plait.repeat(array, pattern, **sizes)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found.ravel(), expected.ravel())


def test_every_schedule_technique_is_used_at_default_costs():
    """With the default costs, each technique is chosen for at least one of these calls."""
    taken = set()

    def keep(found):
        def watched(*args):
            way = found(*args)
            taken.update(way.techniques if way is not None else ())
            return way

        return watched

    x = np.ones((64, 64, 64, 3), np.float32)
    with (
        mock.patch("plait._executor.large.specialize.schedule_reduction", keep(reductions.schedule_reduction)),
        mock.patch("plait._executor.large.specialize.schedule_copy", keep(copies.schedule_copy)),
        mock.patch("plait._executor.large.specialize.schedule_two_pass", keep(two_pass.schedule_two_pass)),
    ):
        plait.cache_clear()
        plait.reduce(x, "b (h 2) (w 2) c -> b h w c", "max")
        plait.reduce(np.ones((4, 4096, 48), np.float32), "a b c -> a c", "max")
        plait.reduce(np.ones((64, 64, 64), np.float32), "b (h 16) (w 16) -> b h w", "sum")
        plait.reduce(np.ones((1, 32, 96, 96), np.float32), "b c h w -> c", "sum")
        plait.repeat(np.ones((512, 512), np.float32), "h w -> (h 2) (w 2)")
        plait.reduce(np.ones((1 << 11, 1 << 10), np.float32), "h w -> w", "var")
    plait.cache_clear()
    assert taken == {*REASONS}


def _build_loop_over_reversed_blocks(reduce_into, schedule, kept_loops):
    """Return a `build_loop_over_blocks` function that writes the blocks in reverse order."""
    run = build_loop_over_blocks(reduce_into, schedule, kept_loops)
    return lambda tensor, out: run(tensor, out[::-1])


MUTATIONS = {
    "the leftover is dropped": (
        "_tree_level_indices",
        lambda *given: [(*row[:3], None) for row in _tree_level_indices(*given)],
    ),
    "the blocks are written in reverse order": ("build_loop_over_blocks", _build_loop_over_reversed_blocks),
    "the mean is not divided": ("prod", lambda _: 1),
}


@pytest.mark.parametrize("sabotage", MUTATIONS)
def test_mutated_reduction_is_detected(sabotage):
    name, instead = MUTATIONS[sabotage]
    x = np.arange(4096 * 9 * 9.0).reshape(4096, 9, 9)
    expected = x.reshape(4096, 3, 3, 3, 3).mean((2, 4))
    plait.cache_clear()
    np.testing.assert_array_equal(plait.reduce(x, "b (h 3) (w 3) -> b h w", "mean"), expected)
    plait.cache_clear()
    with mock.patch(f"plait._executor.large.reductions.{name}", instead), pytest.raises((AssertionError, IndexError)):
        np.testing.assert_array_equal(plait.reduce(x, "b (h 3) (w 3) -> b h w", "mean"), expected)
    plait.cache_clear()


@pytest.mark.parametrize("name", ["min", "max", "sum", "mean", "prod"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int8", "uint8", "int64"])
def test_all_reduction_schedules_of_torch_tensors(name, dtype):
    torch = pytest.importorskip("torch")
    if name == "mean" and "float" not in dtype:
        pytest.skip(f"{name} is not defined on {dtype}")

    most = 1 if name == "prod" else 2  # so that results are exact

    @settings(max_examples=25)
    @given(reduce_cases(), cost_models())
    def check(case, costs):
        array, pattern, _ = case
        tensor = torch.from_numpy(np.abs(array).astype("float32")).nan_to_num(2, 1, 0).clamp(0, most)
        order = np.argsort([-abs(stride) for stride in array.strides])
        tensor = tensor.permute(*order).contiguous().permute(*np.argsort(order)).to(getattr(torch, dtype))
        with schedule_all_tensors(costs):
            found = plait.reduce(tensor, pattern, name)
            if tensor.is_floating_point():
                watched = plait.reduce(tensor.requires_grad_(), pattern, name)
                torch.testing.assert_close(found, watched.detach(), rtol=0, atol=0)
                slope = torch.autograd.grad(watched.sum(), tensor)[0]
        if tensor.is_floating_point():
            plain = torch.autograd.grad(plait.reduce(tensor, pattern, name).sum(), tensor)[0]
            torch.testing.assert_close(slope, plain, rtol=0, atol=0)
        torch.testing.assert_close(found, plait.reduce(tensor.detach(), pattern, name), rtol=0, atol=0)

    check()


@pytest.mark.parametrize("reduction", ["sum", "prod"])
def test_unsigned_integers_keep_their_type_on_torch(reduction):
    torch = pytest.importorskip("torch")
    if not hasattr(torch, "uint64"):
        pytest.skip("this release of PyTorch has no uint64")
    values = np.full((64, 2, 64, 2, 64), 2**63 + 3, np.uint64)
    found = plait.reduce(torch.from_numpy(values), "a p b q c -> a b c", reduction)
    assert found.dtype is torch.uint64
    np.testing.assert_array_equal(found.numpy(), plait.reduce(values, "a p b q c -> a b c", reduction))


def test_explain_prints_techniques_and_reasons():
    pattern, x = "b c (h 2) (w 2) -> b c h w", np.zeros((4, 3, 224, 224), np.float32)
    pooled = plait.explain(pattern, x, reduction="max")
    assert pooled.rewrites == (AXIS_AT_A_TIME, TREE_REDUCTION, BLOCKING)
    assert repr(pooled).splitlines()[-2:] == [
        f"  in several calls: {AXIS_AT_A_TIME}, {TREE_REDUCTION}, {BLOCKING}",
        "  without a kernel: PLAIT_KERNELS is off",
    ]
    assert plait.explain(pattern, x.shape).rewrites == (AXIS_AT_A_TIME, TREE_REDUCTION, BLOCKING)
    assert plait.explain(pattern, x[:, :, :4, :4], reduction="max").rewrites == ()
    assert plait.explain("b c h w -> b c", x, reduction="std").rewrites == ()  # the array is too small for two passes
    large = np.zeros((16, 32, 64, 64), np.float32)
    assert {TWO_PASSES, BLOCKING} <= {*plait.explain("b c h w -> c", large, reduction="std").rewrites}


def test_explain_prints_why_there_is_one_call():
    torch = pytest.importorskip("torch")
    pattern, x = "b c (h 2) (w 2) -> b c h w", torch.zeros((4, 3, 224, 224))

    def rewrites_and_last_line(tensor, reduction="max"):
        explanation = plait.explain(pattern, tensor, reduction=reduction)
        return explanation.rewrites, repr(explanation).splitlines()[-1].strip()

    assert rewrites_and_last_line(x)[0] == (AXIS_AT_A_TIME, TREE_REDUCTION, BLOCKING)
    assert rewrites_and_last_line(x.to("meta")) == (
        (),
        "one call of torch for each step: one call on meta uses the whole device",
    )
    x.requires_grad_()
    assert rewrites_and_last_line(x) == (
        (AXIS_AT_A_TIME, TREE_REDUCTION, BLOCKING),
        "recorded as one call of torch, with its gradient",
    )
    assert rewrites_and_last_line(x, "prod") == ((), "one call of torch for each step: a gradient is recorded")
    assert plait.explain("b c h w -> b", x, reduction="sum").rewrites == ()
    with torch.no_grad():
        assert rewrites_and_last_line(x)[0] == (AXIS_AT_A_TIME, TREE_REDUCTION, BLOCKING)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # in torch's own import
@pytest.mark.parametrize("name", ["max", "sum", "mean"])
def test_torch_func_transforms_use_one_call(name):
    """Forward-mode gradients, ``vmap`` and tracers do not support writes into new memory."""
    torch = pytest.importorskip("torch")
    pattern, x = "b c (h 2) (w 2) -> b c h w", torch.rand(2, 3, 32, 32)
    expected = plait.reduce(x, pattern, name)

    def pooled(tensor):
        return plait.reduce(tensor, pattern, name)

    torch.testing.assert_close(torch.vmap(pooled)(x[None])[0], expected)
    value, slope = torch.func.jvp(pooled, (x,), (torch.ones_like(x),))
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(slope, plait.reduce(torch.ones_like(x), pattern, name))
    graph = importlib.import_module("torch.fx.experimental.proxy_tensor").make_fx(pooled)(x).graph
    calls = [node for node in graph.nodes if node.op == "call_function" and "view" not in str(node.target)]
    assert len(calls) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("special", SPECIAL_VALUES[:3])
def test_infinite_values_stay_in_their_row(dtype, special):
    """A product with a vector of ones would make NaN of complex infinities."""
    x = np.ones((64, 64, 64), dtype)
    x[1, 2, 3] = special
    for pattern, axes, shape in (
        ("b (h 16) (w 16) -> b h w", (2, 4), (64, 4, 16, 4, 16)),
        ("b h (w 16) -> b h w", (3,), (64, 64, 4, 16)),
    ):
        found = [plait.reduce(x, pattern, "sum") for _ in range(2)][1]
        np.testing.assert_array_equal(found, x.reshape(shape).sum(axes))
    np.testing.assert_array_equal(plait.einsum("ijk->ij", x), np.einsum("ijk->ij", x))


def test_explain_of_a_shape_matches_that_of_an_array():
    """Reductions that round have schedules from a larger number of elements."""
    for pattern, name, shape in (("a b -> a", "sum", (1024, 4)), ("a b -> a", "max", (128, 4))):
        array = np.zeros(shape, "f4")
        of_shape = str(plait.explain(pattern, shape, reduction=name))
        assert "several calls" not in of_shape
        assert (
            plait.explain(pattern, array, reduction=name).rewrites
            == plait.explain(pattern, shape, reduction=name).rewrites
            == ()
        )
