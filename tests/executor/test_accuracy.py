"""Sums in several calls are as accurate as NumPy's in one: on data whose sums round in every addition."""

from __future__ import annotations

from math import fsum

import pytest
from cost_models import changed_costs

import plait
from plait._plan.schedule.techniques import TWO_PASSES

np = pytest.importorskip("numpy")

CASES = {
    "b c (h p) (w q) -> b c h w": ((2, 3, 64, 64), {"p": 2, "q": 2}),
    "b c (h p) (w q) -> b c h w ": ((2, 3, 64, 64), {"p": 16, "q": 16}),
    "b (h p) (w q) c -> b h w c": ((8, 28, 30, 3), {"p": 7, "q": 5}),
    "b p q w -> b w": ((2, 32, 28, 24), {}),
    "p c q w -> c w": ((8, 16, 16, 24), {}),
    "a p c -> a c": ((2, 8192, 6), {}),
    "a (b p) -> a b": ((64, 33 * 9), {"p": 33}),
}


@pytest.fixture(autouse=True)
def _no_kernels(monkeypatch):
    """A kernel that becomes ready in between adds up in another order."""
    monkeypatch.setenv("PLAIT_KERNELS", "off")
    plait.cache_clear()


def growing(rng, shape):
    """All positive: the terms are added to a sum that is much larger than they are."""
    return rng.random(shape) + 0.5


def cancelling(rng, shape):
    """Large terms that cancel, and small ones that are all that is left."""
    large = rng.choice([-1e6, 1e6], shape)
    large.flat[1::2] = -large.flat[: large.size // 2 * 2 : 2]
    return large + rng.random(shape)


def spread(rng, shape):
    """Terms of both signs whose magnitudes have nothing to do with one another."""
    return rng.standard_normal(shape) * 10.0 ** rng.integers(-6, 6, shape)


def exact(array, pattern, sizes):
    """The sums with one rounding each, and the sums of the magnitudes, by which an error is measured."""
    apart = f"{pattern} {'(p q)' if 'q' in pattern else 'p'}"
    grouped = plait.rearrange(array.astype(np.float64), apart, **sizes)
    flat = grouped.reshape(-1, grouped.shape[-1])
    return np.array([fsum(row) for row in flat]), np.abs(flat).sum(1)


@pytest.mark.parametrize("data", [growing, cancelling, spread])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("pattern", CASES)
def test_a_sum_is_as_accurate_as_numpys(pattern, dtype, data):
    shape, sizes = CASES[pattern]
    array = data(np.random.default_rng(7), shape).astype(dtype)
    meant, magnitude = exact(array, pattern, sizes)
    assert plait.explain(pattern, array, reduction="sum", **sizes).rewrites  # else this would be NumPy against itself
    ours, again = [plait.reduce(array, pattern, "sum", **sizes) for _ in range(2)]
    np.testing.assert_array_equal(ours, again)  # whatever is decided, and when
    theirs = plait.reduce(array, pattern, np.sum, **sizes)
    errors = [np.abs(found.astype(np.float64).ravel() - meant) / magnitude for found in (ours, theirs)]
    most = 2 * np.finfo(dtype).eps
    assert errors[0].max() <= max(1.5 * errors[1].max(), most)
    assert errors[0].mean() <= max(1.1 * errors[1].mean(), most / 4)


def test_a_mean_of_halves_is_rounded_once():
    array = np.random.default_rng(7).random((4, 3, 64, 64)).astype(np.float16)
    wide = plait.reduce(array.astype(np.float32), "b c (h 2) (w 2) -> b c h w", "mean")
    found = plait.reduce(array, "b c (h 2) (w 2) -> b c h w", "mean")
    np.testing.assert_array_equal(found, wide.astype(np.float16))


def far_away(rng, shape):
    """A large number, and a noise that is all that a variance is made of."""
    return 1e8 + 100 * rng.standard_normal(shape)


CENTRED = {
    "b c h w ->": (8, 16, 128, 120),
    "b c h w -> c": (8, 16, 128, 120),
    "b c h w -> w": (8, 16, 128, 120),
    "b c h w -> b c": (8, 16, 128, 120),
    "b p h -> b h": (2, 331, 5003),
    "p q c -> c": (256, 2731, 3),
}


@pytest.mark.parametrize("data", [growing, cancelling, spread, far_away])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("pattern", CENTRED)
@pytest.mark.parametrize("name", ["var", "logsumexp"])
def test_what_has_a_centre_is_as_accurate_as_numpys(name, pattern, dtype, data):
    """In many blocks: the mean, and the sum about it."""
    array = data(np.random.default_rng(7), CENTRED[pattern])
    array = (array if name == "var" else array % 32).astype(dtype)
    axes = tuple([place for place, axis in enumerate(pattern.split(" ->")[0].split()) if axis not in pattern[-4:]])
    axes = axes if "-> " in pattern else tuple(range(array.ndim))
    wide = array.astype(np.longdouble)
    if name == "var":
        meant = wide.var(axes)
        theirs = array.var(axes)
    else:
        peak = wide.max(axes, keepdims=True)
        meant = np.log(np.exp(wide - peak).sum(axes)) + peak.squeeze(axes)
        theirs = np.log(np.exp(array - peak.astype(dtype)).sum(axes)) + peak.squeeze(axes).astype(dtype)
    with changed_costs(lambda costs: costs._replace(two_pass_bytes=1 << 20)):
        assert TWO_PASSES in plait.explain(pattern, array, reduction=name).rewrites
        ours, again = [plait.reduce(array, pattern, name) for _ in range(2)]
    np.testing.assert_array_equal(ours, again)
    errors = [np.abs((found - meant) / meant).astype(float) for found in (ours, theirs)]
    most = 4 * np.finfo(dtype).eps
    assert errors[0].max() <= max(1.5 * errors[1].max(), most)
    assert errors[0].mean() <= max(1.1 * errors[1].mean(), most / 2)
