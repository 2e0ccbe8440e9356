"""Each operation on each element type, on arrays of drawn shapes and strides, compared with its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from calls import call
from cases import check_copy, check_gradient, check_reduction
from drawing import HypothesisDraw, example_count
from elements import ELEMENT_TYPES, FLOATS, SUPPORTED, SUPPORTED_GRADIENTS, result_dtype
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(("operation", "element"), SUPPORTED)
@given(data=st.data())
@settings(max_examples=example_count(10))
def test_a_reduction_gives_what_its_definition_says(operation, element, data) -> None:
    check_reduction(HypothesisDraw(data), operation, element)


@pytest.mark.parametrize(("operation", "element"), SUPPORTED_GRADIENTS)
@given(data=st.data())
@settings(max_examples=example_count(20))
def test_a_gradient_is_what_its_definition_says(operation, element, data) -> None:
    check_gradient(HypothesisDraw(data), operation, element)


def test_seven_reductions_of_floats_have_gradients() -> None:
    operations = ("min", "max", "mean", "prod", "var", "std", "logsumexp")
    assert [(operation, element) for operation in operations for element in FLOATS] == SUPPORTED_GRADIENTS


@given(data=st.data())
@settings(max_examples=example_count(200))
def test_a_copy_has_the_bytes_of_its_source(data) -> None:
    check_copy(HypothesisDraw(data))


def _compute(operation: str, values, name: str = "float64", axes=(0,)) -> np.ndarray:
    element = ELEMENT_TYPES[name]
    source = element.round(np.asarray(values, np.float64)) if np.asarray(values).dtype.kind == "f" else values
    shape = [n for axis, n in enumerate(source.shape) if axis not in axes]
    result = np.empty(shape, result_dtype(operation, element))
    assert call(operation, element, source, result, axes) == 0
    return result


@pytest.mark.parametrize("length", [1, 2, 64, 65, 1000, 16385])
@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_the_index_of_an_extremum_is_that_of_the_first(name, length) -> None:
    assert _compute("argmax", np.zeros(length), name) == 0
    assert _compute("argmin", np.zeros(length), name) == 0
    for place in {length // 2, length - 1}:
        values = np.zeros(length)
        values[place:] = -1.0
        assert _compute("argmin", values, name) == place
        values[place:] = np.nan
        assert _compute("argmin", values, name) == place
        assert _compute("argmax", values, name) == place
        assert np.isnan(_compute("min", values, name))
    for infinity in (np.inf, -np.inf):
        assert _compute("argmin", np.full(length, infinity), name) == 0
        assert _compute("argmax", np.full(length, infinity), name) == 0


@pytest.mark.parametrize("operation", ["min", "max"])
@pytest.mark.parametrize("place", [0, 63, 64, 999])
def test_nat_is_the_extremum_of_dates(operation, place) -> None:
    dates = np.arange(1000).astype("datetime64[s]")
    dates[place] = "NaT"
    assert np.isnat(_compute(operation, dates, "datetime64"))


def test_the_logsumexp_of_a_large_and_a_small_number_has_both() -> None:
    assert _compute("logsumexp", [0.0, -40.0]) == pytest.approx(math.exp(-40), rel=1e-15, abs=0)
    assert _compute("logsumexp", [0.0, -40.0], "float32") == pytest.approx(math.exp(-40), rel=1e-6, abs=0)
    assert _compute("logsumexp", [-np.inf, -np.inf]) == -np.inf
    assert _compute("logsumexp", [np.inf, 0.0]) == np.inf
    assert np.isnan(_compute("logsumexp", [np.nan, 0.0]))


@pytest.mark.slow
@pytest.mark.parametrize("stride", [1, -2])
def test_sums_of_ten_million_numbers_are_accurate(stride) -> None:
    generator = np.random.default_rng(0)
    numbers = (generator.random(10_000_000 * abs(stride)).astype(np.float32) + np.float32(100))[::stride]
    exact = numbers.astype(np.float64)
    mean = exact.mean()
    variance = np.square(exact - mean).mean()
    expected = {"sum": exact.sum(), "mean": mean, "var": variance, "std": math.sqrt(variance)}
    expected["logsumexp"] = 101 + math.log(np.exp(exact - 101).sum())
    for operation, value in expected.items():
        result = np.empty((), np.float32)
        assert call(operation, "float32", numbers, result, (0,)) == 0
        assert abs(float(result) - value) <= np.spacing(np.float32(value)), operation


def test_sums_in_double_precision_are_rounded_once() -> None:
    generator = np.random.default_rng(0)
    numbers = generator.standard_normal(100_000) * np.exp2(generator.integers(-30, 30, 100_000))
    for values in (numbers, np.concatenate([numbers, -numbers, [1e-9]])):
        assert float(_compute("sum", values)) == pytest.approx(math.fsum(values), rel=3e-16, abs=1e-18)
