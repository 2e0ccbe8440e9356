"""`plait.options(max_rank=...)`: every result against NumPy's on tensors of any rank, and every tensor on the way."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import contextmanager
from math import prod

import pytest
from drawn_examples import example_count
from hypothesis import given, settings
from hypothesis import strategies as st

import plait
from plait._executor.einsum_options import MIN_MAX_RANK
from plait.backends.reduction_rules import REDUCTION_RULES

np = pytest.importorskip("numpy")

VIT_CHANNELS_FIRST = "b c (h p) (w q) -> b (h w) (p q c)"
RANKS: list[int] = []
"""The ranks of the tensors that a test makes."""


class RecordedArray(np.ndarray):
    """An array that records its rank, and so does every array that NumPy makes of it."""

    def __array_finalize__(self, other):
        RANKS.append(self.ndim)


def recorded_numpy_array(array):
    return array.view(RecordedArray)


@contextmanager
def torch_ranks_recorded():
    """Record the rank of each result of a function of PyTorch."""
    from torch.overrides import TorchFunctionMode

    class Recorder(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if hasattr(result, "shape") and hasattr(result, "dim"):
                RANKS.append(len(result.shape))
            return result

    with Recorder():
        yield


FRAMEWORKS = ("numpy", "torch")


def call_and_record(framework, max_rank, function, arrays, *arguments, **sizes):
    """The result of a call within a rank, as an array, and the highest rank of a tensor that it makes."""
    RANKS.clear()
    if framework == "numpy":
        with plait.options(max_rank=max_rank):
            result = function(*map(recorded_numpy_array, arrays), *arguments, **sizes)
    else:
        torch = pytest.importorskip("torch")
        with plait.options(max_rank=max_rank), torch_ranks_recorded():
            result = function(*[torch.from_numpy(array) for array in arrays], *arguments, **sizes)
    return np.asarray(result), max(RANKS, default=0)


@st.composite
def one_tensor_calls(draw, kind):
    """Draw an operation on one tensor of up to seven axes: a limit, the axes of both sides, groups, and lengths."""
    max_rank = draw(st.integers(MIN_MAX_RANK, 5))
    axes = [*"abcdefg"][: draw(st.integers(1, 7))]
    lengths = {axis: draw(st.sampled_from([1, 2, 2, 3])) for axis in axes}
    right = draw(st.permutations(axes))
    left = axes
    if kind != "rearrange":
        some = [axis for axis in right if draw(st.booleans())]
        left, right = (left, some) if kind == "reduce" else ([axis for axis in axes if axis in some], right)
    return max_rank, draw(grouped(left, max_rank)), draw(grouped(right, max_rank)), lengths


@st.composite
def grouped(draw, axes, max_rank):
    """Draw dimensions for these axes, at most ``max_rank``, of which some may have no axis."""
    count = draw(st.integers(0 if not axes else 1, max_rank))
    cuts = sorted(draw(st.lists(st.integers(0, len(axes)), min_size=max(count - 1, 0), max_size=max(count - 1, 0))))
    starts, stops = [0, *cuts], [*cuts, len(axes)]
    return [axes[start:stop] for start, stop in zip(starts, stops, strict=True)][:count]


def text_of(dims):
    return " ".join([f"({' '.join(dim)})" if dim else "1" for dim in dims])


def shape_of(dims, lengths):
    return tuple(prod([lengths[axis] for axis in dim]) for dim in dims)


def axes_of(dims):
    return [axis for dim in dims for axis in dim]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@given(one_tensor_calls("rearrange"))
@settings(max_examples=example_count(150), deadline=None)
def test_rearrange_is_right_and_makes_no_tensor_above_the_rank(framework, drawn):
    max_rank, left, right, lengths = drawn
    x = np.arange(prod(lengths.values())).reshape(shape_of(left, lengths))
    result, rank = call_and_record(
        framework, max_rank, plait.rearrange, [x], f"{text_of(left)} -> {text_of(right)}", **lengths
    )
    flat = x.reshape([lengths[axis] for axis in axes_of(left)])
    expected = flat.transpose([axes_of(left).index(axis) for axis in axes_of(right)])
    np.testing.assert_array_equal(result, expected.reshape(shape_of(right, lengths)))
    assert rank <= max_rank


@pytest.mark.parametrize("framework", FRAMEWORKS)
@given(one_tensor_calls("repeat"))
@settings(max_examples=example_count(150), deadline=None)
def test_repeat_is_right_and_makes_no_tensor_above_the_rank(framework, drawn):
    max_rank, left, right, lengths = drawn
    x = np.arange(prod(shape_of(left, lengths))).reshape(shape_of(left, lengths))
    result, rank = call_and_record(
        framework, max_rank, plait.repeat, [x], f"{text_of(left)} -> {text_of(right)}", **lengths
    )
    kept = [axis for axis in axes_of(right) if axis in axes_of(left)]
    flat = x.reshape([lengths[axis] for axis in axes_of(left)])
    ordered = flat.transpose([axes_of(left).index(axis) for axis in kept])
    ordered = ordered.reshape([lengths[axis] if axis in kept else 1 for axis in axes_of(right)])
    expected = np.broadcast_to(ordered, [lengths[axis] for axis in axes_of(right)])
    np.testing.assert_array_equal(result, expected.reshape(shape_of(right, lengths)))
    assert rank <= max_rank


NUMPY_REDUCTIONS = {name: getattr(np, name) for name in REDUCTION_RULES if name != "logsumexp"} | {
    "logsumexp": lambda tensor, axis: np.log(np.sum(np.exp(tensor), axis))
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@given(one_tensor_calls("reduce"), st.sampled_from([*REDUCTION_RULES]), st.integers(0, 2**32 - 1))
@settings(max_examples=example_count(250), deadline=None)
def test_reduce_is_right_and_makes_no_tensor_above_the_rank(framework, drawn, reduction, seed):
    max_rank, left, right, lengths = drawn
    x = np.random.default_rng(seed).normal(size=shape_of(left, lengths))
    if reduction in ("any", "all"):
        x = x > 0.5 if reduction == "any" else x < 0.5
    result, rank = call_and_record(
        framework, max_rank, plait.reduce, [x], f"{text_of(left)} -> {text_of(right)}", reduction, **lengths
    )
    flat = x.reshape([lengths[axis] for axis in axes_of(left)])
    reduced = tuple(place for place, axis in enumerate(axes_of(left)) if axis not in axes_of(right))
    expected = NUMPY_REDUCTIONS[reduction](flat, axis=reduced) if reduced else flat
    kept = [axis for axis in axes_of(left) if axis in axes_of(right)]
    expected = expected.transpose([kept.index(axis) for axis in axes_of(right)]).reshape(shape_of(right, lengths))
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)
    assert rank <= max_rank


@given(one_tensor_calls("reduce"))
@settings(max_examples=example_count(150), deadline=None)
def test_function_of_the_caller_is_called_once_with_the_elements_in_their_order(drawn):
    max_rank, left, right, lengths = drawn
    x = np.arange(prod(lengths.values())).reshape(shape_of(left, lengths))
    calls = []

    def in_order(tensor, axes):
        """A number for all reduced elements in row-major order, which no other order of them has."""
        calls.append(tensor.ndim)
        moved = np.moveaxis(tensor, axes, range(tensor.ndim - len(axes), tensor.ndim))
        rows = moved.reshape(*moved.shape[: tensor.ndim - len(axes)], -1)
        return (rows * np.arange(1, rows.shape[-1] + 1) ** 3).sum(-1)

    pattern = f"{text_of(left)} -> {text_of(right)}"
    with plait.options(max_rank=max_rank):
        result = plait.reduce(x, pattern, in_order, **lengths)
    reduces = len(axes_of(right)) < len(axes_of(left))
    assert len(calls) == reduces
    assert all(rank <= max_rank for rank in calls)
    flat = x.reshape([lengths[axis] for axis in axes_of(left)])
    reduced = tuple(place for place, axis in enumerate(axes_of(left)) if axis not in axes_of(right))
    expected = in_order(flat, reduced) if reduces else flat
    kept = [axis for axis in axes_of(left) if axis in axes_of(right)]
    expected = expected.transpose([kept.index(axis) for axis in axes_of(right)])
    np.testing.assert_array_equal(result, expected.reshape(shape_of(right, lengths)))


@st.composite
def einsum_calls(draw):
    """Draw an einsum of two or three tensors of up to six axes."""
    max_rank = draw(st.integers(MIN_MAX_RANK, 5))
    axes = [*"abcdef"][: draw(st.integers(1, 6))]
    lengths = {axis: draw(st.sampled_from([1, 2, 3])) for axis in axes}
    tensors = [
        [axis for axis in draw(st.permutations(axes)) if draw(st.booleans())] for _ in range(draw(st.integers(1, 3)))
    ]
    if draw(st.integers(0, 3)) == 0 and tensors[0]:
        tensors[0] = [*tensors[0], tensors[0][0]]  # a diagonal
    output = [axis for axis in draw(st.permutations(axes)) if any(axis in tensor for tensor in tensors)]
    output = [axis for axis in output if draw(st.booleans())]
    return max_rank, [draw(grouped(tensor, max_rank)) for tensor in tensors], draw(grouped(output, max_rank)), lengths


@pytest.mark.filterwarnings("ignore::plait.AxisWarning")
@pytest.mark.parametrize("framework", FRAMEWORKS)
@given(einsum_calls(), st.integers(0, 2**32 - 1))
@settings(max_examples=example_count(250), deadline=None)
def test_einsum_is_right_and_makes_no_tensor_above_the_rank(framework, drawn, seed):
    max_rank, tensors, output, lengths = drawn
    random = np.random.default_rng(seed)
    arrays = [random.normal(size=shape_of(dims, lengths)) for dims in tensors]
    pattern = f"{', '.join(map(text_of, tensors))} -> {text_of(output)}"
    used = {axis: lengths[axis] for dims in tensors for axis in axes_of(dims)}
    result, rank = call_and_record(framework, max_rank, plait.einsum, arrays, pattern, **used)
    equation = f"{','.join([''.join(axes_of(dims)) for dims in tensors])}->{''.join(axes_of(output))}"
    flat = [
        array.reshape([lengths[axis] for axis in axes_of(dims)]) for array, dims in zip(arrays, tensors, strict=True)
    ]
    expected = np.einsum(equation, *flat).reshape(shape_of(output, lengths))
    np.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-10)
    assert rank <= max_rank


def steps_of(pattern, shape, max_rank, **sizes):
    with plait.options(max_rank=max_rank):
        return [line.step.split()[0] for line in plait.explain(pattern, shape, **sizes).lines]


@pytest.mark.parametrize(
    ("pattern", "shape", "sizes", "max_rank", "transposes"),
    [
        (VIT_CHANNELS_FIRST, (2, 3, 8, 8), {"p": 2, "q": 2}, 4, 2),
        (VIT_CHANNELS_FIRST, (2, 3, 8, 8), {"p": 2, "q": 2}, 5, 2),
        (VIT_CHANNELS_FIRST, (2, 3, 8, 8), {"p": 2, "q": 2}, 6, 1),
        ("b (h p) (w q) c -> b (h w) (p q c)", (2, 8, 8, 3), {"p": 2, "q": 2}, 4, 1),
        ("b (h p) (w q) c -> (b h w) p q c", (2, 8, 8, 3), {"p": 2, "q": 2}, 4, 1),
        ("(b h w) p q c -> b (h p) (w q) c", (8, 4, 4, 3), {"h": 2, "w": 2}, 4, 1),
        ("b (h p) (w q) c -> b h w c", (2, 8, 8, 3), {"p": 2, "q": 2, "reduction": "mean"}, 4, 0),
        ("b (h p) (w q) c -> b h w c", (2, 8, 8, 3), {"p": 2, "q": 2, "reduction": "var"}, 4, 1),
    ],
)
def test_explain_shows_the_fewest_transposes(pattern, shape, sizes, max_rank, transposes):
    assert steps_of(pattern, shape, max_rank, **sizes).count("permute") == transposes


def test_plan_is_the_usual_one_where_that_keeps_the_rank():
    for pattern, shape, sizes in [
        ("b c h w -> b h w c", (2, 3, 4, 5), {}),
        ("b (h p) c -> (b p) h c", (2, 6, 3), {"p": 2}),
        ("b h w c -> b c", (2, 4, 5, 3), {"reduction": "max"}),
        ("b c -> b 3 c", (2, 5), {}),
        ("b t c, c d -> b t d", ((2, 3, 4), (4, 5)), {}),
    ]:
        shapes = shape if isinstance(shape[0], tuple) else (shape,)
        with plait.options(max_rank=4):
            limited = plait.explain(pattern, *shapes, **sizes)
        assert limited.text == plait.explain(pattern, *shapes, **sizes).text


def test_callables_built_before_obey_the_option_and_those_built_inside_do_not_stay():
    x = np.arange(2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
    pattern = plait.compile(VIT_CHANNELS_FIRST, p=2, q=2)
    calls = [
        lambda array: plait.rearrange(array, VIT_CHANNELS_FIRST, p=2, q=2),
        pattern.rearrange,
        lambda array: plait.rearrange([array, array], "n b c (h p) (w q) -> (n b) (h w) (p q c)", p=2, q=2),
        (plait.compile("b c (h p) w -> (b c h) p w", p=2) >> plait.compile("(b c) p w -> w (c p b)", c=3)).rearrange,
    ]
    for call in calls:
        expected = call(x)
        for max_rank, most in ((4, 4), (None, 7), (5, 5), (4, 4)):
            RANKS.clear()
            if call is calls[2] and max_rank == 4:
                with plait.options(max_rank=4), pytest.raises(plait.SizeError, match="PLT314"):
                    call(recorded_numpy_array(x))
                continue
            with plait.options(max_rank=max_rank):
                np.testing.assert_array_equal(call(recorded_numpy_array(x)), expected)
            assert max(RANKS) <= most


def test_first_use_of_the_option_changes_callables_that_a_pattern_keeps():
    code = """
import numpy as np, plait, sys
x, pattern = np.zeros((2, 3, 8, 8)), plait.compile("b c (h p) (w q) -> b c h p w q", p=2, q=2)
for _ in range(2):
    pattern.rearrange(x)
    plait.rearrange(x, "b c (h p) (w q) -> b c h p w q", p=2, q=2)
assert "plait._plan.bounded_lowering" not in sys.modules and "plait._plan.transposes" not in sys.modules
errors = []
with plait.options(max_rank=5):
    for call in (pattern.rearrange, lambda x: plait.rearrange(x, "b c (h p) (w q) -> b c h p w q", p=2, q=2)):
        try:
            call(x)
        except plait.SizeError as error:
            errors.append(error.code)
assert errors == ["PLT314"] * 2
assert pattern.rearrange(x).shape == (2, 3, 4, 2, 4, 2)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_option_holds_in_its_thread_alone():
    x, ranks = np.zeros((2, 3, 8, 8)), {}
    entered, called = threading.Event(), threading.Event()

    def call_within_rank():
        with plait.options(max_rank=3):
            entered.set()
            called.wait(30)
            with pytest.raises(plait.SizeError, match="PLT314"):
                plait.rearrange(x, "b c h w -> c b h w")
            ranks["inside"] = plait.rearrange(x[0], "c h w -> h w c").ndim

    thread = threading.Thread(target=call_within_rank)
    thread.start()
    entered.wait(30)
    assert plait.rearrange(x, "b c h w -> c b h w").ndim == 4
    called.set()
    thread.join(30)
    assert ranks == {"inside": 3}


def test_blocks_nest_and_none_ends_the_limit():
    x = np.zeros((2, 3, 4, 5))
    with plait.options(max_rank=3):
        with plait.options(max_rank=None, strict=True):
            assert plait.rearrange(x, "a b c d -> d c b a").shape == (5, 4, 3, 2)
        with pytest.raises(plait.SizeError, match="PLT314"):
            plait.rearrange(x, "a b c d -> d c b a")


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "float16", "complex64"])
@pytest.mark.parametrize("reduction", ["sum", "prod", "any", "all", "max"])
def test_reduction_in_several_calls_has_the_element_type_of_one(dtype, reduction):
    if (dtype, reduction) == ("complex64", "max"):
        pytest.skip("complex numbers have no order")
    x = np.ones((2, 4, 4, 3), dtype)
    pattern, sizes = "b (h p) (w q) c -> b h w c", {"p": 2, "q": 2}
    expected = plait.reduce(x, pattern, reduction, **sizes)
    with plait.options(max_rank=4):
        result = plait.reduce(x, pattern, reduction, **sizes)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


def test_operands_of_several_element_types_are_promoted_together():
    a, b, c = np.full((2, 3), 100, np.int8), np.full((3, 4), 100, np.int8), np.ones((4, 5), np.float64)
    with plait.options(max_rank=3):
        result = plait.einsum(a, b, c, "i j, j k, k l -> i l")
    np.testing.assert_array_equal(result, np.full((2, 5), 120000.0))
    bools = np.ones((2, 3), bool), np.ones((3, 4), bool), np.ones((4, 5), np.int64)
    with plait.options(max_rank=3):
        np.testing.assert_array_equal(plait.einsum(*bools, "i j, j k, k l -> i l"), np.full((2, 5), 12))


def test_ellipses_broadcast_within_the_rank():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(4, 1, 2, 3)), random.normal(size=(5, 3, 2))
    with plait.options(max_rank=4):
        result = plait.einsum(a, b, "... i k, ... k j -> ... i j")
    np.testing.assert_allclose(result, a @ b, rtol=1e-12)


@pytest.mark.parametrize("contract", ["greedy", [(1, 2), (0, 1)], [(0, 1, 2)], "optimal"])
def test_contraction_path_is_kept_within_the_rank(contract):
    random = np.random.default_rng(0)
    a, b, c = random.normal(size=(2, 3, 4)), random.normal(size=(4, 3, 5)), random.normal(size=(5, 6))
    with plait.options(max_rank=3, contract=contract):
        result = plait.einsum(a, b, c, "i j k, k j l, l m -> m i")
    np.testing.assert_allclose(result, np.einsum("ijk,kjl,lm->mi", a, b, c), rtol=1e-10)


def test_pack_and_unpack_within_the_rank():
    a, b = np.ones((2, 3, 4)), np.zeros((2, 4))
    with plait.options(max_rank=3):
        packed, shapes = plait.pack([a, b], "x * z")
        assert [part.shape for part in plait.unpack(packed, shapes, "x * z")] == [(2, 3, 4), (2, 4)]
        with pytest.raises(plait.SizeError, match="tensor 0 has rank 4"):
            plait.unpack(packed, [(1, 3), ()], "x * z")


def test_view_within_the_rank_is_a_view():
    x = np.arange(24).reshape(2, 12)
    with plait.options(max_rank=3):
        view = plait.view(x, "a (b c) -> c b a", b=3)
    assert np.shares_memory(view, x)
    with plait.options(max_rank=3), pytest.raises(plait.CopyRequiredError):
        plait.view(x, "a (b c) -> b (a c)", b=3)


def test_source_within_the_rank_needs_no_higher_rank():
    with plait.options(max_rank=4):
        source = plait.compile(VIT_CHANNELS_FIRST, p=2, q=2).source("numpy", 4)
        explained = plait.explain(VIT_CHANNELS_FIRST, (2, 3, 8, 8), p=2, q=2)
    assert source.count("np.transpose") == 2
    assert explained.source("numpy") == source
    names = {}
    exec(source, names)
    x = np.arange(2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
    expected = plait.rearrange(x, VIT_CHANNELS_FIRST, p=2, q=2)
    RANKS.clear()
    np.testing.assert_array_equal(names["rearrange"](recorded_numpy_array(x)), expected)
    assert max(RANKS) <= 4
