"""One list of cases × every framework, against the oracle: values, element types, gradients, views, errors."""

from __future__ import annotations

import math
import warnings

import ml_dtypes
import numpy as np
import pytest

import oracle
import plait
from backends.cases import EINSUM, EMPTY, REARRANGE, REDUCE, REPEAT
from backends.frameworks import WITH_GRADIENTS, WITH_VIEWS, WITHOUT_VIEWS, each

DTYPES = "bool uint8 int32 int64 float16 bfloat16 float32 float64 complex64 complex128".split()
DIGITS = {"float16": 1e-3, "bfloat16": 8e-3, "float32": 1e-6, "complex64": 1e-6, "float64": 1e-14, "complex128": 1e-14}
"""The relative spacing of each floating type; results may differ by a few of these."""


def filled(shape, dtype="float64", seed=0):
    """An array of small distinct-looking values of any element type."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(shape) < 0.6
    if dtype in ("uint8", "int32", "int64"):
        return rng.integers(0, 5, shape).astype(dtype)
    values = rng.normal(size=shape)
    if dtype.startswith("complex"):
        return (values + 1j * rng.normal(size=shape)).astype(dtype)
    return values.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def distinct(shape):
    """An array in which no two elements are equal, so that none can be mistaken for another."""
    return np.arange(math.prod(shape), dtype=np.float64).reshape(shape)


def as_array(found) -> np.ndarray:
    shape, elements = found
    array = np.empty(shape, dtype=object)
    for place, value in elements.items():
        array[place] = value
    return array


def assert_same(result, found):
    actual = plait.asnumpy(result)
    expected = as_array(found)
    assert actual.shape == expected.shape
    assert actual.size == 0 or (actual == expected.astype(actual.dtype)).all()


def assert_near(result, found, dtype):
    actual = plait.asnumpy(result)
    expected = as_array(found)
    assert actual.shape == expected.shape
    wide = np.complex128 if actual.dtype.kind == "c" else np.float64
    spacing = DIGITS.get(dtype, 1e-14)
    np.testing.assert_allclose(actual.astype(wide), expected.astype(wide), rtol=4 * spacing, atol=8 * spacing)


@each()
@pytest.mark.parametrize("case", REARRANGE, ids=str)
def test_rearrange(framework, case):
    array = distinct(case.shape)
    tensor = framework.make(array)
    result = plait.rearrange(tensor, case.pattern, **case.sizes)
    assert type(result) in framework.result_types(tensor)
    assert_same(result, oracle.move(case.pattern, array, case.sizes))


@each()
@pytest.mark.parametrize("case", REPEAT, ids=str)
def test_repeat(framework, case):
    array = distinct(case.shape)
    tensor = framework.make(array)
    result = plait.repeat(tensor, case.pattern, **case.sizes)
    assert type(result) in framework.result_types(tensor)
    assert_same(result, oracle.move(case.pattern, array, case.sizes))


@each()
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [REARRANGE[9], REPEAT[8]], ids=str)
def test_movement_keeps_the_element_type(framework, dtype, case):
    if dtype in framework.lacks:
        pytest.skip(f"{framework.name} has no {dtype}: {framework.lacks[dtype]}")
    tensor = framework.make(filled(case.shape, dtype))
    operation = plait.repeat if case in REPEAT else plait.rearrange
    result = operation(tensor, case.pattern, **case.sizes)
    assert result.dtype == tensor.dtype
    expected = oracle.move(case.pattern, plait.asnumpy(tensor), case.sizes)
    assert_same(result, expected)


@each()
@pytest.mark.parametrize("reduction", sorted(oracle.REDUCTIONS))
@pytest.mark.parametrize("case", REDUCE, ids=str)
def test_reduce(framework, case, reduction):
    array = filled(case.shape)
    result = plait.reduce(framework.make(array), case.pattern, reduction, **case.sizes)
    if case.pattern in ("->", "a b -> a b"):
        assert_same(result, oracle.move(case.pattern, array, case.sizes))  # nothing is reduced, and nothing done
    else:
        assert_near(result, oracle.reduce(case.pattern, array, reduction, case.sizes), "float64")


DEFINED = {
    "min": "bool uint8 int32 int64 float16 bfloat16 float32 float64",
    "max": "bool uint8 int32 int64 float16 bfloat16 float32 float64",
    "sum": "bool uint8 int32 int64 float16 bfloat16 float32 float64 complex64 complex128",
    "prod": "bool uint8 int32 int64 float16 bfloat16 float32 float64 complex64 complex128",
    "any": "bool uint8 int32 int64 float16 bfloat16 float32 float64 complex64 complex128",
    "all": "bool uint8 int32 int64 float16 bfloat16 float32 float64 complex64 complex128",
    "mean": "float16 bfloat16 float32 float64 complex64 complex128",
    "var": "float16 bfloat16 float32 float64 complex64 complex128",
    "std": "float16 bfloat16 float32 float64 complex64 complex128",
    "logsumexp": "float16 bfloat16 float32 float64",
}


@each()
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", sorted(DEFINED))
def test_reduce_of_every_element_type(framework, dtype, reduction):
    if dtype in framework.lacks:
        pytest.skip(f"{framework.name} has no {dtype}: {framework.lacks[dtype]}")
    array = filled((2, 6, 3), dtype, seed=1)
    tensor = framework.make(array)
    if dtype not in DEFINED[reduction].split():
        with pytest.raises(plait.BackendError, match="PLT503") as caught:
            plait.reduce(tensor, "a (b c) d -> d b", reduction, b=2)
        assert reduction in caught.value.message
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for message in framework.warns:
            warnings.filterwarnings("ignore", message)
        result = plait.reduce(tensor, "a (b c) d -> d b", reduction, b=2)
    wide = array.astype(np.float64) if dtype in ("float16", "bfloat16", "float32") else array
    assert_near(result, oracle.reduce("a (b c) d -> d b", wide, reduction, {"b": 2}), dtype)
    if reduction in ("any", "all"):
        assert plait.asnumpy(result).dtype == bool
    elif dtype.endswith(("float16", "float32", "float64")):
        assert result.dtype == tensor.dtype
    elif dtype in ("bool", "int32", "int64") and reduction in ("sum", "prod"):
        assert plait.asnumpy(result).dtype == np.int64
    elif reduction in ("min", "max"):
        assert result.dtype == tensor.dtype


@each()
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("reduction", "expected"), [("sum", 4096.0), ("mean", 1.0), ("var", 0.0)])
def test_half_types_do_not_lose_what_they_sum(framework, dtype, reduction, expected):
    if dtype in framework.lacks:
        pytest.skip(f"{framework.name} has no {dtype}: {framework.lacks[dtype]}")
    tensor = framework.make(np.ones((4096, 2), ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype))
    assert (plait.asnumpy(plait.reduce(tensor, "n c -> c", reduction)).astype(float) == expected).all()


@each()
@pytest.mark.parametrize("reduction", sorted(oracle.REDUCTIONS))
@pytest.mark.parametrize("case", EMPTY, ids=str)
def test_reduce_of_nothing(framework, case, reduction):
    tensor = framework.make(np.zeros(case.shape))
    if reduction in ("min", "max"):
        with pytest.raises(plait.SizeError, match="PLT307"):
            plait.reduce(tensor, case.pattern, reduction)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # frameworks warn of a mean of nothing, each in its way
        result = plait.reduce(tensor, case.pattern, reduction)
    assert_near(result, oracle.reduce(case.pattern, np.zeros(case.shape), reduction, case.sizes), "float64")


NAN = np.array([[1.0, np.nan, 2.0], [np.inf, 1.0, -np.inf], [-np.inf, -np.inf, -np.inf], [1000.0, 1000.0, -1000.0]])


@each()
@pytest.mark.parametrize("reduction", ["min", "max", "sum", "mean", "any", "all", "logsumexp", "var", "std", "prod"])
def test_nan_and_infinity(framework, reduction):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = plait.asnumpy(plait.reduce(framework.make(NAN), "a b -> a", reduction))
        if reduction == "logsumexp":
            expected = np.array([np.nan, np.inf, -np.inf, 1000 + np.log(2)])
        else:
            expected = getattr(np, reduction)(NAN, axis=1)
    np.testing.assert_allclose(result, expected, rtol=1e-14)


@each()
def test_reduce_by_a_callable(framework):
    array = filled((2, 3, 4))
    seen = []

    def longest(tensor, axes):
        seen.append(axes)
        return plait.reduce(tensor, "a b c -> b", "max") if axes == (0, 2) else None

    result = plait.reduce(framework.make(array), "a b c -> b", longest)
    assert seen == [(0, 2)]
    assert_near(result, oracle.reduce("a b c -> b", array, "max", {}), "float64")


@each()
@pytest.mark.parametrize("case", EINSUM, ids=str)
def test_einsum(framework, case):
    arrays = [filled(shape, seed=number) for number, shape in enumerate(case.shapes)]
    result = plait.einsum(*map(framework.make, arrays), case.pattern, **case.sizes)
    assert_near(result, oracle.einsum(case.pattern, arrays, case.sizes), "float64")


@each()
@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk", [(2, 3), (3, 4)]),
        ("ba", [(2, 3)]),
        ("ii", [(3, 3)]),
        ("ii->i", [(3, 3)]),
        ("Ab, bC -> AC", [(2, 3), (3, 4)]),
        ("...ij,...jk->...ik", [(5, 2, 3), (5, 3, 4)]),
        ("...ij,...jk", [(5, 2, 3), (1, 3, 4)]),
        ("i...->...", [(2, 3, 4)]),
        ("i,j,k->kji", [(2,), (3,), (4,)]),
        (",->", [(), ()]),
        ("...,...", [(2, 3), (3,)]),
        ("b...c,c->b...", [(2, 4), (4,)]),
    ],
)
def test_classical_einsum(framework, equation, shapes):
    arrays = [filled(shape, seed=number) for number, shape in enumerate(shapes)]
    result = plait.asnumpy(plait.einsum(equation, *map(framework.make, arrays)))
    expected = np.einsum(equation, *arrays)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)


@each(WITH_VIEWS)
@pytest.mark.parametrize("case", [case for case in (*REARRANGE, *REPEAT) if case.view is not None], ids=str)
def test_view_or_copy(framework, case):
    tensor = framework.make(distinct(case.shape))
    operation = plait.repeat if case in REPEAT else plait.rearrange
    result = operation(tensor, case.pattern, **case.sizes)
    copies = {operation.__name__, case.pattern} & framework.copies.keys()
    assert framework.shares_memory(tensor, result) == (case.view and not copies)


@each(WITHOUT_VIEWS)
def test_view_is_not_promised_where_memory_is_hidden(framework):
    with pytest.raises(plait.BackendError, match="PLT507"):
        plait.view(framework.make(distinct((2, 3))), "a b -> b a")


@each(WITH_VIEWS)
@pytest.mark.parametrize("case", [case for case in REARRANGE if case.view is not None], ids=str)
def test_view_is_a_view_or_an_error(framework, case):
    tensor = framework.make(distinct(case.shape))
    if case.view:
        result = plait.view(tensor, case.pattern, **case.sizes)
        assert framework.shares_memory(tensor, result)
        assert_same(result, oracle.move(case.pattern, distinct(case.shape), case.sizes))
    else:
        with pytest.raises(plait.CopyRequiredError, match="PLT401"):
            plait.view(tensor, case.pattern, **case.sizes)


@each(WITH_GRADIENTS)
@pytest.mark.parametrize("case", [*REARRANGE, *REPEAT], ids=str)
def test_gradient_of_movement(framework, case):
    operation = plait.repeat if case in REPEAT else plait.rearrange
    array = distinct(case.shape)
    weights = np.random.default_rng(0).normal(size=plait.compile(case.pattern, **case.sizes).output_shape(case.shape))
    gradient = framework.gradient(
        lambda tensor: operation(tensor, case.pattern, **case.sizes) * framework.make(weights), array
    )
    meaning = oracle.Meaning(case.pattern, [case.shape], case.sizes)
    expected = np.zeros(case.shape)
    for place, sources in meaning.sources.items():
        for (source,) in sources:
            expected[source] += weights[place]
    np.testing.assert_allclose(gradient, expected, rtol=1e-14)


@each(WITH_GRADIENTS)
@pytest.mark.parametrize("reduction", ["sum", "mean", "max", "min", "prod", "var", "std", "logsumexp"])
def test_gradient_of_reductions(framework, reduction):
    array = filled((2, 6, 3), seed=3)
    gradient = framework.gradient(lambda t: plait.reduce(t, "a (b c) d -> d b", reduction, b=2), array)
    step = 1e-6
    for place in [(0, 0, 0), (1, 5, 2), (0, 3, 1)]:
        moved = np.zeros_like(array)
        moved[place] = step
        up = plait.reduce(array + moved, "a (b c) d -> d b", reduction, b=2).sum()
        down = plait.reduce(array - moved, "a (b c) d -> d b", reduction, b=2).sum()
        assert abs(gradient[place] - (up - down) / (2 * step)) < 1e-6


@each()
@pytest.mark.parametrize("form", [list, tuple])
def test_a_list_of_tensors_is_stacked(framework, form):
    arrays = [distinct((2, 3)) + 10 * number for number in range(4)]
    result = plait.rearrange(form(framework.make(array) for array in arrays), "n h w -> h (n w)")
    assert_same(result, oracle.move("n h w -> h (n w)", np.stack(arrays), {}))
    reduced = plait.reduce(form(framework.make(array) for array in arrays), "n h w -> h w", "max")
    assert (plait.asnumpy(reduced) == np.stack(arrays).max(0)).all()
    repeated = plait.repeat(form(framework.make(array) for array in arrays), "n h w -> n h w 2")
    assert framework.shape(repeated) == (4, 2, 3, 2)


@each()
def test_pack_and_unpack(framework):
    shapes = [(2, 3, 5), (2, 5), (2, 4, 2, 5), (2, 0, 5)]
    arrays = [distinct(shape) + 100 * number for number, shape in enumerate(shapes)]
    packed, packed_shapes = plait.pack([framework.make(array) for array in arrays], "b * c")
    assert [tuple(shape) for shape in packed_shapes] == [(3,), (), (4, 2), (0,)]
    expected = np.concatenate([array.reshape(2, -1 if array.size else 0, 5) for array in arrays], axis=1)
    assert (plait.asnumpy(packed) == expected).all()
    for part, array in zip(plait.unpack(packed, packed_shapes, "b * c"), arrays, strict=True):
        assert (plait.asnumpy(part) == array).all()
    parts = plait.unpack(packed, [(3,), (), (-1, 2), (0,)], "b * c")
    assert [framework.shape(part) for part in parts] == shapes


@each()
def test_parse_shape(framework):
    tensor = framework.make(distinct((2, 3, 1, 5)))
    assert plait.parse_shape(tensor, "b _ 1 w") == {"b": 2, "w": 5}
    assert plait.parse_shape(tensor, "b ... w") == {"b": 2, "w": 5}
    assert plait.parse_shape(tensor, "... a b c d") == {"a": 2, "b": 3, "c": 1, "d": 5}
    assert plait.parse_shape(tensor, "b 3 () w") == {"b": 2, "w": 5}


@each()
def test_asnumpy(framework):
    array = distinct((2, 3))
    result = plait.asnumpy(framework.make(array))
    assert type(result) is np.ndarray
    assert (result == array).all()


@each()
def test_errors_are_the_same_on_every_framework(framework):
    tensor = framework.make(distinct((2, 3, 4, 6)))
    texts = []
    for call in (
        lambda: plait.rearrange(tensor, "b c (h p) w -> b c h w p", p=3),
        lambda: plait.rearrange(tensor, "b c h -> b c"),
        lambda: plait.reduce(tensor, "b c h w -> b", "median"),
        lambda: plait.repeat(tensor, "b c h w -> b c h w r"),
        lambda: plait.einsum(tensor, tensor, "a b c d, b c d a -> a"),
    ):
        with pytest.raises(plait.PlaitError) as caught:
            call()
        texts.append(str(caught.value))
    assert texts == ERRORS


ERRORS = []


@pytest.fixture(autouse=True, scope="module")
def _numpys_errors():
    array = np.zeros((2, 3, 4, 6))
    for call in (
        lambda: plait.rearrange(array, "b c (h p) w -> b c h w p", p=3),
        lambda: plait.rearrange(array, "b c h -> b c"),
        lambda: plait.reduce(array, "b c h w -> b", "median"),
        lambda: plait.repeat(array, "b c h w -> b c h w r"),
        lambda: plait.einsum(array, array, "a b c d, b c d a -> a"),
    ):
        with pytest.raises(plait.PlaitError) as caught:
            call()
        ERRORS.append(str(caught.value))
