"""Dask arrays whose chunks are masked or have units: each result is that of the whole array."""

from __future__ import annotations

import numpy as np
import pytest
from science.arrays_with_meaning import ARRAY_CLASSES, make, meaning, parametrize_classes

import plait

da = pytest.importorskip("dask.array")

NUMBERS = np.array([[1, 2, 3], [4, 5, 6], [6, 2, 1], [3, 3, 5]])
IN_CHUNKS = [cls for cls in ARRAY_CLASSES if cls.name in ("numpy.ma", "astropy.Quantity", "unyt")]
"""Dask's own ``from_array`` does not take astropy's `Masked`."""


def in_chunks(array):
    return da.from_array(array, chunks=2, asarray=False)


def check(result, expected):
    """Compare the computed result; the class of the chunks is known before."""
    computed = result.compute(scheduler="synchronous")
    assert meaning(computed)[1:] == meaning(expected)[1:]
    if computed.ndim:
        assert type(computed) is type(result._meta)


@parametrize_classes(IN_CHUNKS)
def test_movements_and_repeat(cls):
    array = make(cls, NUMBERS)
    chunked = in_chunks(array)
    for pattern, sizes in (("a b -> (b a)", {}), ("(a c) b -> c (a b)", {"c": 2}), ("a b -> (a b)", {})):
        check(plait.rearrange(chunked, pattern, **sizes), plait.rearrange(array, pattern, **sizes))
    for pattern in ("a b -> a b r", "a b -> a (b r)", "a b -> r a b"):
        check(plait.repeat(chunked, pattern, r=3), plait.repeat(array, pattern, r=3))
    check(plait.reduce(plait.repeat(chunked, "a b -> a b r", r=2), "a b r ->", "sum"), 2 * array.sum())


@parametrize_classes(IN_CHUNKS)
@pytest.mark.parametrize("reduction", ["sum", "prod", "min", "max", "any", "all", "mean", "std", "var", "logsumexp"])
def test_reductions(cls, reduction):
    array = make(cls, NUMBERS)
    if reduction in cls.undefined_reductions or reduction == "logsumexp":
        if reduction in cls.undefined_reductions:
            with pytest.raises(plait.BackendError, match=rf"PLT503.*{reduction} is not defined on"):
                plait.reduce(in_chunks(array), "a b -> a", reduction).compute(scheduler="synchronous")
        return
    for pattern in ("a b -> a", "a b -> b", "a b ->"):
        check(plait.reduce(in_chunks(array), pattern, reduction), plait.reduce(array, pattern, reduction))


@parametrize_classes(IN_CHUNKS)
def test_einsum(cls):
    array = make(cls, NUMBERS)
    chunked, plain = in_chunks(array), NUMBERS + 1.0
    for pattern in ("a b, c b -> a c", "a b, a b -> b", "a b, a b ->", "a b, a c -> b c"):
        check(plait.einsum(chunked, chunked, pattern), plait.einsum(array, array, pattern))
        check(plait.einsum(chunked, plain, pattern), plait.einsum(array, plain, pattern))
        check(plait.einsum(da.from_array(plain, chunks=3), chunked, pattern), plait.einsum(plain, array, pattern))
    check(plait.einsum(chunked, "a b -> b"), plait.einsum(array, "a b -> b"))
    largest = plait.reduce(chunked, "a b -> b", "max")
    check(
        plait.einsum(largest, largest, "b, b -> b"),
        plait.einsum(*[plait.reduce(array, "a b -> b", "max")] * 2, "b, b -> b"),
    )


def test_hidden_numbers_of_a_fully_masked_column_are_not_read():
    """Such a maximum is masked, and its hidden number is 1e20, which an einsum must not add."""
    array = np.ma.masked_array(NUMBERS * 1.0, NUMBERS == NUMBERS)
    array[:, 1:] = NUMBERS[:, 1:]
    largest = plait.reduce(in_chunks(array), "a b -> b", "max")
    assert plait.einsum(largest, np.ones(3), "b, b ->").compute() == array.max(axis=0).sum() == 11


@parametrize_classes(IN_CHUNKS)
def test_lists(cls):
    array = make(cls, NUMBERS)
    plain = NUMBERS + 1.0
    check(plait.rearrange([in_chunks(array)] * 2, "n a b -> a n b"), plait.rearrange([array] * 2, "n a b -> a n b"))
    for tensors in ([in_chunks(array), da.ones((4, 3), chunks=2)], [plain, in_chunks(array)]):
        if cls.name == "numpy.ma":
            where = 0 if tensors[0] is not plain else 1
            result = plait.rearrange(tensors, "n a b -> n a b")
            assert meaning(result[where].compute(scheduler="synchronous"))[1:] == meaning(array)[1:]
        else:
            with pytest.raises(plait.SizeError, match=r"PLT308.*cannot be joined"):
                plait.rearrange(tensors, "n a b -> n a b")
            with pytest.raises(plait.SizeError, match=r"PLT308.*cannot be joined"):
                plait.pack(tensors, "* b")


def test_pint_around_dask_stays_lazy():
    pint = pytest.importorskip("pint")
    length = pint.UnitRegistry().Quantity(da.from_array(NUMBERS * 1.0, chunks=2), "m")
    for result in (
        plait.rearrange(length, "a b -> (b a)"),
        plait.reduce(length, "a b -> a", "max"),
        plait.repeat(length, "a b -> a (b r)", r=2),
        plait.einsum(length, length, "a b, c b -> a c"),
    ):
        assert isinstance(result.magnitude, da.Array)
    assert str(result.units) == "meter ** 2"
    assert result.magnitude.compute(scheduler="synchronous").tolist() == (NUMBERS @ NUMBERS.T).tolist()
