"""PyTensor: graphs with unknown and static lengths, compared with those of hand-written code."""

from __future__ import annotations

import numpy as np
import pytest

import plait
from backends.frameworks.pytensor_ import FRAMEWORK
from plait.testing import _oracle as oracle
from plait.testing._arrays import assert_close, assert_equal
from plait.testing._cases import EINSUM_CASES, REARRANGE_CASES, REDUCE_CASES, REPEAT_CASES

if not FRAMEWORK.installed():
    pytest.skip("pytensor is not installed", allow_module_level=True)

pytensor = FRAMEWORK.module()
import pytensor.tensor as pt  # noqa: E402
from pytensor.graph.basic import equal_computations  # noqa: E402
from pytensor.graph.replace import vectorize_graph  # noqa: E402
from pytensor.graph.traversal import ancestors  # noqa: E402

SHAPE = (2, 3, 4, 6)


def variable_of_unknown_sizes(shape, dtype="float64"):
    return pt.tensor(shape=(None,) * len(shape), dtype=dtype)


def random_array(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def operations(variable):
    """The names of the operations that compute a variable."""
    return [type(each.owner.op).__name__ for each in ancestors([variable]) if each.owner]


# The suite's cases, with not one dimension known.


@pytest.mark.parametrize("case", [*REARRANGE_CASES, *REPEAT_CASES], ids=str)
def test_movement_of_unknown_dimensions(case):
    operation = plait.repeat if case in REPEAT_CASES else plait.rearrange
    array, x = random_array(case.shape), variable_of_unknown_sizes(case.shape)
    result = operation(x, case.pattern, **case.sizes).eval({x: array})
    assert_equal(result, oracle.rearrange(case.pattern, array, case.sizes))


@pytest.mark.parametrize("case", REDUCE_CASES, ids=str)
def test_reductions_of_unknown_dimensions(case):
    array, x = random_array(case.shape), variable_of_unknown_sizes(case.shape)
    for reduction in ("mean", "max", "logsumexp") if case.pattern not in ("->", "a b -> a b") else ():
        result = plait.reduce(x, case.pattern, reduction, **case.sizes).eval({x: array})
        assert_close(result, oracle.reduce(case.pattern, array, reduction, case.sizes))


@pytest.mark.parametrize("case", EINSUM_CASES, ids=str)
def test_einsum_of_unknown_dimensions(case):
    arrays = [random_array(shape, seed) for seed, shape in enumerate(case.shapes)]
    inputs = [variable_of_unknown_sizes(shape) for shape in case.shapes]
    result = plait.einsum(*inputs, case.pattern, **case.sizes).eval(dict(zip(inputs, arrays, strict=True)))
    assert_close(result, oracle.einsum(case.pattern, arrays, case.sizes))


# The graph.

SYMBOLIC_X = pt.tensor("x", shape=(None, 3, None, 6), dtype="float64")
B, H = SYMBOLIC_X.shape[0], SYMBOLIC_X.shape[2]

GRAPHS = {
    "identity": (plait.rearrange(SYMBOLIC_X, "... -> ..."), SYMBOLIC_X, (None, 3, None, 6)),
    "permute": (
        plait.rearrange(SYMBOLIC_X, "b c h w -> w c h b"),
        pt.transpose(SYMBOLIC_X, (3, 1, 2, 0)),
        (6, 3, None, None),
    ),
    "split": (
        plait.rearrange(SYMBOLIC_X, "b c h (w p) -> b p c h w", p=2),
        pt.transpose(pt.reshape(SYMBOLIC_X, (B, 3, H, 3, 2)), (0, 4, 1, 2, 3)),
        (None, 2, 3, None, 3),
    ),
    "split of an unknown dimension": (
        plait.rearrange(SYMBOLIC_X, "b c (h p) w -> b c h p w", p=2),
        pt.reshape(SYMBOLIC_X, (B, 3, H // 2, 2, 6)),
        (None, 3, None, 2, 6),
    ),
    "one unknown dimension": (
        plait.rearrange(SYMBOLIC_X[:, :, 0], "b c (w p) -> w (b c p)", p=2),
        pt.reshape(pt.transpose(pt.reshape(SYMBOLIC_X[:, :, 0], (-1, 3, 3, 2)), (2, 0, 1, 3)), (3, -1)),
        (3, None),
    ),
    "merge": (
        plait.rearrange(SYMBOLIC_X, "b c h w -> b h (c w)"),
        pt.reshape(pt.transpose(SYMBOLIC_X, (0, 2, 1, 3)), (B, H, 18)),
        (None, None, 18),
    ),
    "sum": (plait.reduce(SYMBOLIC_X, "b c h w -> c w", "sum"), pt.sum(SYMBOLIC_X, (0, 2)), (3, 6)),
    "std": (plait.reduce(SYMBOLIC_X, "b c h w -> b w", "std"), pt.std(SYMBOLIC_X, (1, 2)), (None, 6)),
    "callable": (plait.reduce(SYMBOLIC_X, "b c h w -> c w", pt.max), pt.max(SYMBOLIC_X, (0, 2)), (3, 6)),
    "einsum": (
        plait.einsum(SYMBOLIC_X, SYMBOLIC_X, "b c h w, b d h w -> b c d"),
        pt.specify_shape(pt.einsum("abcd,aecd->abe", SYMBOLIC_X, SYMBOLIC_X), (None, 3, 3)),
        (None, 3, 3),
    ),
    "einsum with an ellipsis": (
        plait.einsum(SYMBOLIC_X, SYMBOLIC_X[0, 0], "... w, v w -> ... v"),
        pt.einsum("acde,be->acdb", SYMBOLIC_X, SYMBOLIC_X[0, 0]),
        (None, 3, None, None),
    ),
}


@pytest.mark.parametrize(("found", "expected", "shape"), GRAPHS.values(), ids=GRAPHS.keys())
def test_the_graph_is_that_of_the_hand_written_code(found, expected, shape):
    assert equal_computations([found], [expected])
    assert found.type.shape == shape


@pytest.mark.parametrize("name", ["identity", "permute", "sum", "callable"])
def test_graphs_read_no_unneeded_sizes(name):
    names = operations(GRAPHS[name][0])
    assert not {"Shape", "Subtensor", "MakeVector"} & set(names)


def test_a_merge_reads_only_unknown_sizes():
    assert operations(GRAPHS["merge"][0]).count("Subtensor") == 2


def test_repeat_keeps_static_sizes():
    x = pt.tensor(shape=(None, 4), dtype="float64")
    assert plait.repeat(x, "a b -> a b r", r=3).type.shape == (None, 4, 3)
    assert plait.repeat(x, "a b -> (r b) a", r=3).type.shape == (12, None)
    assert plait.rearrange([x, x], "k a b -> a (k b)").type.shape == (None, 8)


def test_gradients():
    array, x = random_array(SHAPE), variable_of_unknown_sizes(SHAPE)
    for call, native in (
        (
            lambda x: plait.rearrange(x, "b c (h p) (w q) -> b (c p q) h w", p=2, q=3),
            lambda x: x.reshape((2, 3, 2, 2, 2, 3)).transpose((0, 1, 3, 5, 2, 4)).reshape((2, 18, 2, 2)),
        ),
        (lambda x: plait.reduce(x, "b c h w -> b w", "std"), lambda x: pt.std(x, (1, 2))),
        (lambda x: plait.reduce(x, "b c h w -> b w", "max"), lambda x: pt.max(x, (1, 2))),
        (
            lambda x: plait.reduce(x, "b c h w -> b w", "logsumexp"),
            lambda x: pt.log(pt.sum(pt.exp(x), (1, 2))),
        ),
        (
            lambda x: plait.einsum(x, x, "b c h w, b d h w -> c d"),
            lambda x: pt.tensordot(x, x, [[0, 2, 3], [0, 2, 3]]),
        ),
        (lambda x: plait.repeat(x, "b c h w -> b c h (w r)", r=2), lambda x: pt.repeat(x, 2, axis=3)),
    ):
        shape = native(pt.constant(array)).eval().shape
        weights = random_array(shape, seed=1)
        found = pytensor.grad((call(x) * weights).sum(), x).eval({x: array})
        expected = pytensor.grad((native(x) * weights).sum(), x).eval({x: array})
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_sizes_that_are_variables():
    x, array = variable_of_unknown_sizes((4, 6)), random_array((4, 6))
    for size in (pt.iscalar("p"), pt.lscalar("p"), pt.tensor("p", shape=(), dtype="uint8")):
        found = plait.rearrange(x, "a (b p) -> p a b", p=size)
        for value in (2, 3):
            given = found.eval({x: array, size: np.asarray(value, size.dtype)})
            np.testing.assert_array_equal(given, array.reshape(4, 6 // value, value).transpose(2, 0, 1))
    found = plait.rearrange(x, "a (b p) -> p a b", p=x.shape[1] // 2)
    np.testing.assert_array_equal(found.eval({x: array}), array.reshape(4, 2, 3).transpose(2, 0, 1))
    count = pt.iscalar("r")
    found = plait.repeat(x, "a b -> (a r) b", r=count)
    np.testing.assert_array_equal(found.eval({x: array, count: 3}), array.repeat(3, axis=0))
    for size in (pt.dscalar("p"), pt.ivector("p"), pt.tensor("p", shape=(), dtype="bool")):
        with pytest.raises(plait.SizeError, match="PLT301"):
            plait.rearrange(x, "a (b p) -> p a b", p=size)


def test_shared_variables():
    state = pytensor.shared(random_array((4, 6)), "state")
    assert plait.asnumpy(state).shape == (4, 6)
    total = plait.reduce(plait.rearrange(state, "a (b p) -> b a p", p=2), "b a p -> p", "sum")
    step = pytensor.function([], total, updates={state: state * 2})
    first, second = step(), step()
    np.testing.assert_allclose(second, 2 * first)
    np.testing.assert_allclose(plait.asnumpy(total), 4 * first)
    fixed = pytensor.shared(random_array((4, 6)), shape=(4, 6))
    assert plait.rearrange(fixed, "a (b p) -> p (a b)", p=2).type.shape == (2, 12)


def test_static_sizes_are_checked_when_the_graph_is_built():
    x = pt.tensor("x", shape=(None, 3, 4), dtype="float64")
    y = pt.tensor(shape=(5, None), dtype="float64")
    for call, code, text in (
        (lambda: plait.rearrange(x, "n a (p b) -> n p a b", p=3), "PLT302", "input: _ 3 4   given: p=3"),
        (lambda: plait.rearrange(x, "n a -> a n"), "PLT304", "the input has rank 3"),
        (lambda: plait.reduce(x, "n 2 b -> n b", "sum"), "PLT305", "must have length 2"),
        (lambda: plait.rearrange(x, "n 1 b -> n b"), "PLT305", "must have length 1"),
        (lambda: plait.reduce(x, "n a b -> n b", "median"), "PLT209", "unknown reduction 'median'"),
        (lambda: plait.reduce(x.astype("int64"), "n a b -> n b", "mean"), "PLT503", "mean is not defined on int64"),
        (lambda: plait.repeat(x, "n a b -> n a b r"), "PLT3", "r"),
        (lambda: plait.einsum(x, y, "n a b, b c -> n a c"), "PLT305", "tensor 0: _ 3 4   tensor 1: 5 _"),
        (lambda: plait.rearrange([x, x[:, :2]], "k n a b -> n (k a) b"), "PLT308", "shape _ 2 4"),
        (lambda: plait.parse_shape(x, "n 2 b"), "PLT305", "dimension 1 must have length 2"),
        (lambda: plait.pack([x, x[:, :, :2]], "n * b"), "PLT305", "axis 'b' has length 2"),
        (lambda: plait.unpack(x, [(2,), (2,)], "n * b"), "PLT309", "has length 3"),
        (lambda: plait.reduce(pt.tensor(shape=(None, 0)), "a b -> a", "max"), "PLT307", "over no elements"),
        (lambda: plait.rearrange(x, "n a b -> b a n", q=2), "PLT203", "'q' is not an axis"),
    ):
        with pytest.raises(plait.PlaitError, match=code) as caught:
            call()
        assert text in str(caught.value)


def test_unknown_sizes_are_checked_when_the_graph_runs():
    x = variable_of_unknown_sizes((4, 6))
    with pytest.raises(ValueError, match="reshape"):
        plait.rearrange(x, "a (b p) -> p a b", p=4).eval({x: random_array((4, 6))})
    with pytest.raises(ValueError, match="reshape"):
        plait.rearrange(x, "a 1 -> a").eval({x: random_array((4, 6))})


def test_pack_unpack_and_parse_shape():
    x, array = variable_of_unknown_sizes((2, 3, 4)), random_array((2, 3, 4))
    packed, shapes = plait.pack([x, x[:, 0]], "n * b")
    np.testing.assert_array_equal(packed.eval({x: array}), np.concatenate([array, array[:, :1]], 1))
    whole, first = plait.unpack(packed, shapes, "n * b")
    np.testing.assert_array_equal(whole.eval({x: array}), array)
    np.testing.assert_array_equal(first.eval({x: array}), array[:, 0])
    sizes = plait.parse_shape(x, "n _ b")
    assert [sizes[name].eval({x: array}) for name in "nb"] == [2, 4]
    assert plait.parse_shape(GRAPHS["identity"][0], "_ c _ w") == {"c": 3, "w": 6}


def test_compiled_patterns_work_on_variables_and_constants():
    split = plait.compile("b (h d) -> b h d", h=2)
    x, array = variable_of_unknown_sizes((3, 8)), random_array((3, 8))
    np.testing.assert_array_equal(split.rearrange(x).eval({x: array}), array.reshape(3, 2, 4))
    np.testing.assert_array_equal(plait.asnumpy(split.rearrange(pt.constant(array))), array.reshape(3, 2, 4))


def test_views_are_not_promised():
    with pytest.raises(plait.BackendError, match="PLT507"):
        plait.view(variable_of_unknown_sizes((2, 3)), "a b -> b a")


@pytest.mark.parametrize(
    "dtype", "bool uint8 int8 uint16 int16 uint32 int32 uint64 int64 float16 float32 float64 complex64".split()
)
def test_asnumpy_of_every_element_type(dtype):
    array = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    for x in (pt.constant(array), pytensor.shared(array), pt.constant(array).copy()):
        result = plait.asnumpy(x)
        assert type(result) is np.ndarray
        assert result.dtype == dtype
        assert (result == array).all()


def test_asnumpy_of_unevaluated_variables():
    with pytest.raises(plait.BackendError, match="PLT508"):
        plait.asnumpy(variable_of_unknown_sizes((2, 3)) * 2)


def test_arrays_of_numpy_are_constants():
    x, array, weight = variable_of_unknown_sizes((2, 3)), random_array((2, 3)), random_array((3, 4), seed=1)
    for product in (plait.einsum(x, weight, "a b, b c -> a c"), plait.einsum("ab,bc", x, weight)):
        np.testing.assert_allclose(product.eval({x: array}), array @ weight)
    np.testing.assert_allclose(plait.einsum(weight.T, x, "c b, a b -> a c").eval({x: array}), array @ weight)
    joined = plait.rearrange([x, array], "k a b -> a (k b)")
    np.testing.assert_array_equal(joined.eval({x: array}), np.concatenate([array, array], 1))
    with pytest.raises(plait.SizeError, match="PLT305"):
        plait.einsum(pt.tensor(shape=(None, 4)), weight, "a b, b c -> a c")


def test_graphs_in_vectorize_and_scan():
    x, array = pt.tensor(shape=(3, 4), dtype="float64"), random_array((5, 3, 4))
    y = plait.reduce(plait.rearrange(x, "a (b p) -> (p a) b", p=2), "pa b -> b", "logsumexp")
    batch = pt.tensor(shape=(None, 3, 4), dtype="float64")
    expected = np.log(np.exp(array.reshape(5, 3, 2, 2)).sum((1, 3)))
    np.testing.assert_allclose(vectorize_graph(y, {x: batch}).eval({batch: array}), expected)
    looped = pytensor.scan(
        lambda x: plait.reduce(plait.rearrange(x, "a (b p) -> (p a) b", p=2), "pa b -> b", "logsumexp"),
        sequences=batch,
        return_updates=False,
    )
    np.testing.assert_allclose(looped.eval({batch: array}), expected)


def test_xtensor_variables_are_refused():
    xtensor = pytest.importorskip("pytensor.xtensor")
    x = xtensor.xtensor("x", dims=("a", "b"), shape=(2, 3))
    with pytest.raises(plait.BackendError, match="PLT502"):
        plait.rearrange(x, "a b -> b a")


@pytest.mark.slow
def test_reductions_of_nan_and_infinity_in_numba_mode():
    pytest.importorskip("numba")
    rows = [[1, np.nan, 2], [np.inf, 1, -np.inf], [-np.inf] * 3, [1000, 1000, -1000], [np.nan, np.inf, 0]]
    x = variable_of_unknown_sizes((5, 3))
    names = ("max", "min", "logsumexp")
    found = pytensor.function([x], [plait.reduce(x, "a b -> a", name) for name in names], mode="NUMBA")(np.array(rows))
    for name, values in zip(names, found, strict=True):
        expected = [oracle.REDUCTIONS[name](row) for row in rows]
        np.testing.assert_allclose(values, expected, rtol=1e-14, err_msg=name)
    constant = plait.reduce(x, "a b -> a", "max").eval({x: np.array(rows)})
    np.testing.assert_array_equal(constant, found[0])
