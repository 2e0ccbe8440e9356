"""MXNet: arrays of ``mx.nd`` and ``mx.np``, and the symbols of both in hybrid blocks; gradients through all of them."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

import plait
from plait.testing import _oracle as oracle
from plait.testing._arrays import arange_array, assert_close, assert_equal, random_array
from plait.testing._cases import EINSUM_CASES, EMPTY_REDUCE_CASES, REARRANGE_CASES, REDUCE_CASES, REPEAT_CASES

if importlib.util.find_spec("mxnet") is None:
    pytest.skip("mxnet is not installed", allow_module_level=True)

from backends.frameworks.mxnet_ import FRAMEWORK

mx = FRAMEWORK.module()


@pytest.fixture(autouse=True)
def _reset_numpy_interface():
    yield
    mx.npx.reset_np()


@pytest.fixture(params=["classic", "numpy"])
def make_classic_or_numpy_array(request):
    """A function that creates classic arrays, or arrays of ``mx.np`` with NumPy's semantics switched on."""
    if request.param == "classic":
        mx.npx.reset_np()
        return lambda array: mx.nd.array(array, dtype=array.dtype)
    mx.npx.set_np()
    return lambda array: mx.np.array(array, dtype=array.dtype)


@pytest.fixture(params=[False, True], ids=["", "np_shape"])
def make_classic_array(request):
    """Classic arrays, without and with the shapes of NumPy."""
    mx.npx.reset_np()
    with mx.util.np_shape(request.param):
        yield lambda array: mx.nd.array(array, dtype=array.dtype)


def skip_shapes_that_mxnet_takes_for_unknown(*shapes):
    """Skip shapes with a 0 or of rank 0, which classic MXNet takes for unknown."""
    if not mx.util.is_np_shape() and any(not shape or 0 in shape for shape in shapes):
        pytest.skip("mxnet.nd without np_shape takes rank 0 and length 0 for unknown")


@pytest.mark.parametrize("case", [*REARRANGE_CASES, *REPEAT_CASES], ids=str)
def test_classic_movement(make_classic_array, case):
    array = arange_array(case.shape)
    expected = oracle.rearrange(case.pattern, array, case.sizes)
    skip_shapes_that_mxnet_takes_for_unknown(case.shape, expected.shape)
    operation = plait.repeat if case in REPEAT_CASES else plait.rearrange
    result = operation(make_classic_array(array), case.pattern, **case.sizes)
    assert type(result) is mx.nd.NDArray
    assert_equal(plait.asnumpy(result), expected)


@pytest.mark.parametrize("reduction", sorted(oracle.REDUCTIONS))
@pytest.mark.parametrize(
    "case", [case for case in (*REDUCE_CASES, *EMPTY_REDUCE_CASES) if case.pattern not in ("->", "a b -> a b")], ids=str
)
def test_classic_reduce(make_classic_array, case, reduction):
    array = random_array(case.shape)
    if case in EMPTY_REDUCE_CASES and reduction in ("min", "max"):
        skip_shapes_that_mxnet_takes_for_unknown(case.shape)
        with pytest.raises(plait.SizeError, match="PLT307"):
            plait.reduce(make_classic_array(array), case.pattern, reduction, **case.sizes)
        return
    expected = oracle.reduce(case.pattern, array, reduction, case.sizes)
    skip_shapes_that_mxnet_takes_for_unknown(case.shape, expected.shape)
    if not mx.util.is_np_shape() and case.pattern in ("a -> 1", "a b -> () 1"):
        with pytest.raises(plait.BackendError, match="PLT513"):  # an intermediate result has rank 0
            plait.reduce(make_classic_array(array), case.pattern, reduction, **case.sizes)
        return
    result = plait.reduce(make_classic_array(array), case.pattern, reduction, **case.sizes)
    assert type(result) is mx.nd.NDArray
    assert_close(plait.asnumpy(result), expected)


@pytest.mark.parametrize("case", EINSUM_CASES, ids=str)
def test_classic_einsum(make_classic_array, case):
    arrays = [random_array(shape, seed=number) for number, shape in enumerate(case.shapes)]
    expected = oracle.einsum(case.pattern, arrays, case.sizes)
    skip_shapes_that_mxnet_takes_for_unknown(*case.shapes, expected.shape)
    result = plait.einsum(*map(make_classic_array, arrays), case.pattern, **case.sizes)
    assert type(result) is mx.nd.NDArray
    assert_close(plait.asnumpy(result), expected)


SHAPE = (2, 3, 4, 6)
OTHER_SHAPE = (4, 6, 8, 12)
CALL_BY_NAME = {
    "permute": lambda x: plait.rearrange(x, "b c h w -> b h w c"),
    "merge": lambda x: plait.rearrange(x, "b c h w -> b (c h w)"),
    "space to depth": lambda x: plait.rearrange(x, "b c (h p) (w q) -> b (c p q) h w", p=2, q=3),
    "last unknown": lambda x: plait.rearrange(x, "b c h (u v w) -> v b (c u) h w", u=3, v=2),
    "middle unknown": lambda x: plait.rearrange(x, "b c h (u w v) -> v b (c u) h w", u=3, v=2),
    "first unknown": lambda x: plait.rearrange(x, "b c h (w u v) -> v b (c u) h w", u=3, v=2),
    "both merge and split": lambda x: plait.rearrange(x, "(b e) c (h p) w -> b (e c h) (p w)", p=2, e=2),
    "across": lambda x: plait.rearrange(x, "b (c d) h w -> (b c) (d h) w", c=3),
    "new units": lambda x: plait.rearrange(x, "b c h w -> 1 b (c 1) h w ()"),
    "units dropped": lambda x: plait.rearrange(
        plait.rearrange(x, "b c h w -> 1 b 1 (c 1) h w ()"), "1 b () c h w 1 -> (b c) h w"
    ),
    "eight dimensions": lambda x: plait.rearrange(x, "(b i) c (h p) (w q) -> q w p h c i b", p=2, q=2, i=2),
    "repeat": lambda x: plait.repeat(x, "b c h w -> r b c (h s) w t", r=2, s=3, t=2),
    "einsum": lambda x: plait.einsum(x, x, "b c h w, b d h w -> b c d"),
    "grouped einsum": lambda x: plait.einsum(x, x, "b c h (k d), b c j (k d) -> b k (c h) j", k=2),
    "classical": lambda x: plait.einsum("bchw,bdhw->cd", x, x),
    "to scalar": lambda x: plait.reduce(x, "b c h w ->", "mean"),
    "list": lambda x: plait.rearrange([x, x + 1], "k b c h w -> b (k c) h w"),
    "tuple": lambda x: plait.rearrange((x, x + 1), "k b c h w -> b (k c) h w"),
    "callable": lambda x: plait.reduce(x, "b c h w -> b c", lambda tensor, axes: tensor.max(axis=axes)),
    "compiled": lambda x: plait.compile("b c (h p) w -> b (c h)", p=2).reduce(x, "sum"),
    **{
        name: lambda x, name=name: plait.reduce(x, "b c (h 2) w -> w (b h)", name) for name in sorted(oracle.REDUCTIONS)
    },
}
each_call = pytest.mark.parametrize("name", CALL_BY_NAME)


class CallBlock(mx.gluon.HybridBlock):
    """A hybrid block of one call; hybridized it is traced with symbols and then run on arrays."""

    def __init__(self, call):
        super().__init__()
        self.call = call

    def hybrid_forward(self, F, x):
        assert isinstance(x, mx.sym.Symbol) == self._active
        return self.call(x)


def result_of_numpy(name, array):
    if name == "callable":
        return array.max((2, 3))
    return np.asarray(CALL_BY_NAME[name](array))


@each_call
def test_a_hybrid_block_gives_what_numpy_gives(make_classic_or_numpy_array, name):
    block = CallBlock(CALL_BY_NAME[name])
    block.hybridize()
    for shape in (SHAPE, OTHER_SHAPE, SHAPE):
        array = np.random.default_rng(0).normal(size=shape).astype("float32")
        expected = result_of_numpy(name, array)
        for run in (CALL_BY_NAME[name], block):
            result = run(make_classic_or_numpy_array(array))
            assert type(result) is type(make_classic_or_numpy_array(array))
            assert result.shape == expected.shape
            np.testing.assert_allclose(plait.asnumpy(result), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in CALL_BY_NAME if name not in ("any", "all")])
@pytest.mark.parametrize("hybrid", [False, True])
def test_gradients(make_classic_or_numpy_array, name, hybrid):
    block = CallBlock(CALL_BY_NAME[name])
    if hybrid:
        block.hybridize()
    array = np.random.default_rng(1).normal(size=SHAPE)
    x = make_classic_or_numpy_array(array)
    x.attach_grad()
    with mx.autograd.record():
        result = block(x)
    weights = np.random.default_rng(2).normal(size=result.shape)
    result.backward(make_classic_or_numpy_array(weights) if result.shape else None)
    gradient = x.grad.asnumpy()
    for place in [(0, 0, 0, 0), (1, 2, 3, 5), (0, 1, 2, 1)]:
        step = np.zeros(SHAPE)
        step[place] = 1e-6
        slope = (
            (result_of_numpy(name, array + step) - result_of_numpy(name, array - step))
            / 2e-6
            * (weights if result.shape else 1)
        ).sum()
        np.testing.assert_allclose(gradient[place], slope, rtol=1e-5, atol=1e-6)


def operations(call):
    """The operations of a graph, in order, with the codes of each reshape."""
    symbol = call(mx.sym.var("x").as_np_ndarray())
    nodes = json.loads(symbol.tojson())["nodes"]
    return [node.get("attrs", {}).get("newshape") or node["op"] for node in nodes if node["op"] != "null"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("permute", ["_np_transpose"]),
        ("merge", ["[-2, -5, -2]", "[-2, -5]"]),
        (
            "first unknown",
            ["[-2, -2, -2, -6, -1, 6]", "[-2, -2, -2, -2, -6, 3, 2]", "_np_transpose", "[-2, -2, -5, -2, -2]"],
        ),
        ("max", ["[-2, -2, -6, -1, 2, -2]", "_np_max", "_np_transpose", "[-2, -5]"]),
        ("einsum", ["_npi_einsum"]),
    ],
)
def test_a_graph_has_the_operations_of_the_hand_written_code(name, expected):
    mx.npx.set_np()
    assert operations(CALL_BY_NAME[name]) == expected
    assert operations(lambda x: plait.rearrange(x, "a b -> a b")) == []


def test_an_exported_block_takes_other_shapes(make_classic_or_numpy_array, tmp_path):
    block = CallBlock(CALL_BY_NAME["space to depth"])
    block.hybridize()
    block(make_classic_or_numpy_array(np.ones(SHAPE, "float32")))
    block.export(str(tmp_path / "block"))
    loaded = mx.gluon.SymbolBlock.imports(str(tmp_path / "block-symbol.json"), ["data"])
    array = np.random.default_rng(0).normal(size=OTHER_SHAPE).astype("float32")
    np.testing.assert_array_equal(
        plait.asnumpy(loaded(make_classic_or_numpy_array(array))), result_of_numpy("space to depth", array)
    )


ERROR_CASES = {
    "PLT505": lambda x: plait.rearrange(x, "b ... -> ... b"),
    "PLT507": lambda x: plait.view(x, "b c h w -> (b c) h w"),
    "PLT508": plait.asnumpy,
    "PLT203": lambda x: plait.rearrange(x, "b c h w -> b c (h w)", p=3),
    "PLT209": lambda x: plait.reduce(x, "b c h w -> b", "median"),
    "PLT303": lambda x: plait.einsum(x, x, x, "b c h w, x y z v, b c h (w v) -> x"),
    "PLT504": lambda x: plait.einsum(
        x, x.as_nd_ndarray() if "numpy" in type(x).__module__ else x.as_np_ndarray(), "a, a ->"
    ),
}


@pytest.mark.parametrize("code", ERROR_CASES)
def test_errors_are_raised_while_a_block_is_traced(make_classic_or_numpy_array, code):
    block = CallBlock(ERROR_CASES[code])
    block.hybridize()
    with pytest.raises(plait.PlaitError, match=code):
        block(make_classic_or_numpy_array(np.ones(SHAPE, "float32")))


@pytest.mark.parametrize(
    ("pattern", "sizes", "words"),
    [
        ("b c (h p) w -> b c h p w", {"p": 5}, "do not divide"),
        ("b c (h p) w -> b c h p w", {"p": 3, "h": 2}, "do not divide"),
        ("b 1 h w -> b h w", {}, "dimension size 1"),
        ("b c h -> b (c h)", {}, "Cannot reshape"),
    ],
)
def test_a_hybridized_block_refuses_shapes_that_do_not_fit(make_classic_or_numpy_array, pattern, sizes, words):
    block = CallBlock(lambda x: plait.rearrange(x, pattern, **sizes))
    block.hybridize()
    with pytest.raises(mx.base.MXNetError, match=words):
        block(make_classic_or_numpy_array(np.ones(SHAPE, "float32"))).asnumpy()


def test_classic_and_numpy_arrays_cannot_be_mixed():
    x = mx.nd.ones((2, 3))
    with pytest.raises(plait.BackendError, match="PLT504") as caught:
        plait.einsum(x, x.as_np_ndarray(), "a b, a b -> a")
    assert "tensor 1 is of mxnet.np, but others are of mxnet.nd" in str(caught.value)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float16", "float32", "float64"])
def test_more_dimensions_than_mxnet_transposes(make_classic_or_numpy_array, dtype):
    array = random_array((2, 1, 3, 2, 2, 1, 2, 2), dtype)
    result = plait.rearrange(make_classic_or_numpy_array(array), "a b c d e f g h -> c a h b g d f e")
    assert (plait.asnumpy(result) == array.transpose(2, 0, 7, 1, 6, 3, 5, 4)).all()


def test_bools_and_small_integers(make_classic_or_numpy_array):
    array = np.full((100, 2), 100, "uint8")
    assert plait.asnumpy(plait.reduce(make_classic_or_numpy_array(array), "n c -> c", "sum")).tolist() == [10000, 10000]
    truth = np.array([[True, False, True]])
    assert (plait.asnumpy(plait.rearrange(make_classic_or_numpy_array(truth), "a b -> b a")) == truth.T).all()
    assert plait.asnumpy(plait.reduce(make_classic_or_numpy_array(truth), "a b -> a", "sum")).tolist() == [2]


def test_sums_of_infinities(make_classic_or_numpy_array):
    array = np.array([[np.inf, 1.0, 2.0], [1.0, -np.inf, 2.0]])
    for name in ("sum", "mean"):
        assert plait.asnumpy(plait.reduce(make_classic_or_numpy_array(array), "a b -> a", name)).tolist() == [
            np.inf,
            -np.inf,
        ]


def test_pack_and_unpack_and_parse_shape(make_classic_or_numpy_array):
    arrays = [random_array((2, 3, 5)), random_array((2, 5), seed=1)]
    packed, shapes = plait.pack([make_classic_or_numpy_array(array) for array in arrays], "b * c")
    assert shapes == [(3,), ()]
    for part, array in zip(plait.unpack(packed, shapes, "b * c"), arrays, strict=True):
        assert (plait.asnumpy(part) == array).all()
    assert plait.parse_shape(packed, "b n _") == {"b": 2, "n": 4}


def test_the_second_call_uses_the_cache(make_classic_or_numpy_array):
    x = make_classic_or_numpy_array(random_array(SHAPE, "float32"))
    before = plait.cache_info()
    for _ in range(3):
        for name in ("permute", "max", "einsum", "classical"):
            CALL_BY_NAME[name](x)
    after = plait.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (4, 8)
