"""Quantities of pint around masked, lazy and sparse arrays, and Dask arrays of quantities: units and masks are kept."""

from __future__ import annotations

import numpy as np
import pytest
from science.arrays_with_meaning import pint_registry

import plait

pytest.importorskip("pint")

MASKED = np.ma.masked_array([[1.0, 2.0, 100.0], [3.0, 4.0, 5.0], [7.0, 8.0, 9.0]], [[0, 0, 1], [0, 1, 0], [0, 0, 0]])


def quantity(array, unit="m"):
    return pint_registry().Quantity(array, unit)


def dask_array(array):
    return pytest.importorskip("dask.array").from_array(array, chunks=(2, 2))


def sparse_array(array):
    return pytest.importorskip("sparse").COO.from_numpy(np.ma.filled(array, 0))


def to_masked_array(result):
    """The array inside a quantity, computed if it is lazy and dense if it is sparse."""
    array = result.magnitude
    array = array.compute() if hasattr(array, "compute") else array
    return np.ma.asarray(array.todense() if hasattr(array, "todense") else array)


CALLS = {
    "repeat": (
        lambda x: plait.repeat(x, "a b -> (a r) b", r=2),
        lambda x: np.ma.concatenate([x[row : row + 1] for row in (0, 0, 1, 1, 2, 2)]),
        "meter",
    ),
    "stack": (lambda x: plait.rearrange([x, x], "n a b -> a b n"), lambda x: np.ma.stack([x, x], 2), "meter"),
    "pack": (lambda x: plait.pack([x, x], "a *")[0], lambda x: np.ma.concatenate([x, x], 1), "meter"),
    "sum": (lambda x: plait.reduce(x, "a b -> b", "sum"), lambda x: x.sum(0), "meter"),
    "einsum": (
        lambda x: plait.einsum(x, x, "a b, b c -> a c"),
        lambda x: (x[:, :, None] * x[None]).sum(1),
        "meter ** 2",
    ),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("inside", [lambda array: array, dask_array, sparse_array], ids=["masked", "dask", "sparse"])
def test_a_quantity_around_another_array(inside, name):
    """The square matrix would be multiplied by `numpy.matmul`, which reads masked numbers, without an error."""
    call, call_of_numpy, unit = CALLS[name]
    array = inside(MASKED)
    for _ in range(2):  # the second one is out of the cache
        result = call(quantity(array))
        assert str(result.units) == unit
        assert type(result.magnitude) is type(array)
        expected = call_of_numpy(np.ma.masked_array(np.ma.filled(MASKED, 0)) if inside is sparse_array else MASKED)
        assert to_masked_array(result).tolist() == expected.tolist()


def test_arrays_of_several_units_are_joined_in_the_first_unit():
    result = plait.rearrange([quantity(MASKED.data, "m"), quantity(MASKED, "km")], "n a b -> n a b")
    assert str(result.units) == "meter"
    assert result.magnitude.tolist() == [MASKED.data.tolist(), (MASKED * 1000).tolist()]
    ratio = plait.rearrange([quantity(MASKED, ""), np.ones((3, 3))], "n a b -> n a b")
    assert ratio.magnitude[1].tolist() == np.ones((3, 3)).tolist()
    for other in (quantity(MASKED, "s"), MASKED.data):
        with pytest.raises(plait.SizeError, match=r"PLT308.*cannot be joined"):
            plait.rearrange([quantity(MASKED), other], "n a b -> n a b")


def test_dask_arrays_whose_chunks_are_quantities():
    da = pytest.importorskip("dask.array")
    numbers = MASKED.data
    lengths = da.from_array(quantity(numbers), chunks=(1, 2), asarray=False)
    product = plait.reduce(lengths, "a b -> a", "prod").compute()
    assert (product == quantity(numbers.prod(1), "m**3")).all()
    square = plait.einsum(lengths, lengths, "a b, c b -> a c").compute()
    assert np.allclose(square.magnitude, numbers @ numbers.T)
    assert str(square.units) == "meter ** 2"
    with pytest.raises(plait.SizeError, match=r"PLT308.*cannot be joined"):
        plait.rearrange([np.ones((3, 3)), lengths], "n a b -> n a b")


def test_a_scalar_with_a_unit_is_repeated():
    """unyt has a class of its own for arrays without dimensions, which a full reduction returns."""
    unyt = pytest.importorskip("unyt")
    total = plait.reduce(unyt.unyt_array(np.ones((2, 3)), "m"), "a b ->", "sum")
    repeated = plait.repeat(total, "-> r s", r=2, s=1)
    assert type(repeated) is unyt.unyt_array
    assert str(repeated.units) == "m"
    assert repeated.tolist() == [[6], [6]]
