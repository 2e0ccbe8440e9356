"""The accuracy of sums that are computed in several calls: at least that of one NumPy call."""

from __future__ import annotations

from math import fsum

import pytest
from cost_models import changed_costs

import plait
from plait._plan.schedule.techniques import TWO_PASSES

np = pytest.importorskip("numpy")

pytestmark = pytest.mark.usefixtures("without_kernels")

SHAPE_AND_SIZES_BY_PATTERN = {
    "b c (h p) (w q) -> b c h w": ((2, 3, 64, 64), {"p": 2, "q": 2}),
    "b c (h p) (w q) -> b c h w ": ((2, 3, 64, 64), {"p": 16, "q": 16}),
    "b (h p) (w q) c -> b h w c": ((8, 28, 30, 3), {"p": 7, "q": 5}),
    "b p q w -> b w": ((2, 32, 28, 24), {}),
    "p c q w -> c w": ((8, 16, 16, 24), {}),
    "a p c -> a c": ((2, 8192, 6), {}),
    "a (b p) -> a b": ((64, 33 * 9), {"p": 33}),
}


def positive_terms(rng, shape):
    """Return positive numbers: each is added to a sum that is much larger."""
    return rng.random(shape) + 0.5


def cancelling_terms(rng, shape):
    """Return large numbers that cancel, so that small ones make the sum."""
    large = rng.choice([-1e6, 1e6], shape)
    large.flat[1::2] = -large.flat[: large.size // 2 * 2 : 2]
    return large + rng.random(shape)


def terms_of_all_magnitudes(rng, shape):
    """Return numbers of both signs with magnitudes from 1e-6 to 1e6."""
    return rng.standard_normal(shape) * 10.0 ** rng.integers(-6, 6, shape)


TERMS_FUNCTIONS = {"growing": positive_terms, "cancelling": cancelling_terms, "spread": terms_of_all_magnitudes}


def exact_sums_and_magnitudes(array, pattern, sizes):
    """Return the correctly rounded sums, and the sums of the absolute values, to which errors are relative."""
    ungrouped_pattern = f"{pattern} {'(p q)' if 'q' in pattern else 'p'}"
    grouped = plait.rearrange(array.astype(np.float64), ungrouped_pattern, **sizes)
    flat = grouped.reshape(-1, grouped.shape[-1])
    return np.array([fsum(row) for row in flat]), np.abs(flat).sum(1)


@pytest.mark.parametrize("data", TERMS_FUNCTIONS.values(), ids=TERMS_FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("pattern", SHAPE_AND_SIZES_BY_PATTERN)
def test_sum_is_as_accurate_as_numpy(pattern, dtype, data):
    shape, sizes = SHAPE_AND_SIZES_BY_PATTERN[pattern]
    array = data(np.random.default_rng(7), shape).astype(dtype)
    exact_sums, magnitude = exact_sums_and_magnitudes(array, pattern, sizes)
    assert plait.explain(
        pattern, array, reduction="sum", **sizes
    ).rewrites  # otherwise this would compare NumPy with itself
    result, second_result = [plait.reduce(array, pattern, "sum", **sizes) for _ in range(2)]
    np.testing.assert_array_equal(result, second_result)  # the first and the second call may use different schedules
    numpy_result = plait.reduce(array, pattern, np.sum, **sizes)
    errors = [np.abs(sums.astype(np.float64).ravel() - exact_sums) / magnitude for sums in (result, numpy_result)]
    tolerance = 2 * np.finfo(dtype).eps
    assert errors[0].max() <= max(1.5 * errors[1].max(), tolerance)
    assert errors[0].mean() <= max(1.1 * errors[1].mean(), tolerance / 4)


def test_mean_of_float16_is_rounded_once():
    array = np.random.default_rng(7).random((4, 3, 64, 64)).astype(np.float16)
    float32_mean = plait.reduce(array.astype(np.float32), "b c (h 2) (w 2) -> b c h w", "mean")
    mean = plait.reduce(array, "b c (h 2) (w 2) -> b c h w", "mean")
    np.testing.assert_array_equal(mean, float32_mean.astype(np.float16))


def noise_around_large_number(rng, shape):
    """Return a large constant plus noise; the variance is that of the noise alone."""
    return 1e8 + 100 * rng.standard_normal(shape)


TWO_PASS_TERMS_FUNCTIONS = {**TERMS_FUNCTIONS, "far_away": noise_around_large_number}

SHAPE_BY_TWO_PASS_PATTERN = {
    "b c h w ->": (8, 16, 128, 120),
    "b c h w -> c": (8, 16, 128, 120),
    "b c h w -> w": (8, 16, 128, 120),
    "b c h w -> b c": (8, 16, 128, 120),
    "b p h -> b h": (2, 331, 5003),
    "p q c -> c": (256, 2731, 3),
}


@pytest.mark.parametrize("data", TWO_PASS_TERMS_FUNCTIONS.values(), ids=TWO_PASS_TERMS_FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("pattern", SHAPE_BY_TWO_PASS_PATTERN)
@pytest.mark.parametrize("name", ["var", "logsumexp"])
def test_two_pass_reduction_is_as_accurate_as_numpy(name, pattern, dtype, data):
    """Compare ``var`` and ``logsumexp``, reduced in many blocks, with NumPy."""
    array = data(np.random.default_rng(7), SHAPE_BY_TWO_PASS_PATTERN[pattern])
    array = (array if name == "var" else array % 32).astype(dtype)
    axes = tuple([place for place, axis in enumerate(pattern.split(" ->")[0].split()) if axis not in pattern[-4:]])
    axes = axes if "-> " in pattern else tuple(range(array.ndim))
    longdouble_array = array.astype(np.longdouble)
    if name == "var":
        expected = longdouble_array.var(axes)
        numpy_result = array.var(axes)
    else:
        maximum = longdouble_array.max(axes, keepdims=True)
        expected = np.log(np.exp(longdouble_array - maximum).sum(axes)) + maximum.squeeze(axes)
        numpy_result = np.log(np.exp(array - maximum.astype(dtype)).sum(axes)) + maximum.squeeze(axes).astype(dtype)
    with changed_costs(lambda costs: costs._replace(two_pass_bytes=1 << 20)):
        assert TWO_PASSES in plait.explain(pattern, array, reduction=name).rewrites
        result, second_result = [plait.reduce(array, pattern, name) for _ in range(2)]
    np.testing.assert_array_equal(result, second_result)
    errors = [np.abs((values - expected) / expected).astype(float) for values in (result, numpy_result)]
    tolerance = 4 * np.finfo(dtype).eps
    assert errors[0].max() <= max(1.5 * errors[1].max(), tolerance)
    assert errors[0].mean() <= max(1.1 * errors[1].mean(), tolerance / 2)
