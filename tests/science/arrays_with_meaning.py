"""The classes of arrays that the tests of this folder use, and their own functions as the oracle."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest


@dataclass(frozen=True)
class ArrayClass:
    """A class of arrays whose elements mean more than their numbers.

    Attributes:
        name: the name of the test parameter.
        packages: what must be installed.
        make: makes an array of an array of integers from 1 to 6; what is masked depends on the place.
        is_equal: compares two results: the class, the numbers, the unit and the mask.
        unit: the unit of an array as text, to compare units of products.
    """

    name: str
    packages: tuple[str, ...]
    make: Callable[[np.ndarray], Any]
    undefined_reductions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name

    def version(self) -> str:
        """Return the name and the version of the package that defines the class, for `tests/record.py`."""
        package = self.packages[0] if self.packages else "numpy"
        return f"{package} {importlib.metadata.version(package)}"


def masked(array):
    """A masked array whose one element of four is masked."""
    return np.ma.masked_array(array.astype(float), np.arange(array.size).reshape(array.shape) % 4 == 1)


def astropy_quantity(array):
    from astropy import units

    return array * units.m


def astropy_masked(array):
    from astropy.utils.masked import Masked

    return Masked(array.astype(float), mask=np.arange(array.size).reshape(array.shape) % 4 == 1)


def astropy_masked_quantity(array):
    from astropy import units
    from astropy.utils.masked import Masked

    return Masked(array * units.m, mask=np.arange(array.size).reshape(array.shape) % 4 == 1)


def astropy_magnitude(array):
    from astropy import units

    return units.Magnitude(array.astype(float))


def unyt(array):
    from unyt import unyt_array

    return unyt_array(array.astype(float), "m")


def quantities(array):
    import quantities

    return array.astype(float) * quantities.m


def pint_quantity(array):
    return pint_registry().Quantity(array.astype(float), "m")


_REGISTRIES: list[Any] = []


def pint_registry():
    """One registry of units for all tests, since quantities of two registries cannot be combined."""
    import pint

    if not _REGISTRIES:
        _REGISTRIES.append(pint.UnitRegistry())
    return _REGISTRIES[0]


def uncertain(array):
    from uncertainties import unumpy

    return unumpy.uarray(array.astype(float), 0.1 * array)


def galois(array):
    import galois

    return galois.GF(7)(array.astype(np.uint8))


def quad(array):
    from numpy_quaddtype import QuadPrecDType

    return array.astype(QuadPrecDType())


def objects(array):
    return np.array([int(number) * 10**20 for number in array.flat], object).reshape(array.shape)


class NamedArray(np.ndarray):
    """A subclass with an attribute and no arithmetic of its own, as in NumPy's guide to subclassing."""

    def __array_finalize__(self, other):
        self.name = getattr(other, "name", None)


def named(array):
    result = array.astype(float).view(NamedArray)
    result.name = "heat"
    return result


class MetresArray(np.ndarray):
    """A subclass that counts the power of its unit in ``__array_ufunc__``, for few ufuncs alone."""

    power = 1

    def __array_finalize__(self, other):
        self.power = getattr(other, "power", 0)

    def __array_ufunc__(self, ufunc, method, *inputs, **keywords):
        powers = [getattr(each, "power", 0) for each in inputs]
        arrays = [each.view(np.ndarray) if isinstance(each, np.ndarray) else each for each in inputs]
        if ufunc not in (np.add, np.multiply, np.maximum, np.equal, np.subtract) or (
            ufunc is np.add and len({*powers}) > 1
        ):
            return NotImplemented
        result = np.asarray(getattr(ufunc, method)(*arrays, **keywords)).view(MetresArray)
        result.power = sum(powers) if ufunc is np.multiply else powers[0]
        return result


def metres(array):
    result = array.astype(float).view(MetresArray)
    result.power = 1
    return result


ARRAY_CLASSES = (
    ArrayClass("numpy.ma", (), masked, ("logsumexp",)),
    ArrayClass("object", (), objects, ("logsumexp",)),
    ArrayClass("named", (), named),
    ArrayClass("astropy.Quantity", ("astropy",), astropy_quantity, ("prod", "any", "all", "logsumexp")),
    ArrayClass("astropy.Masked", ("astropy",), astropy_masked),
    ArrayClass("astropy.Masked(Quantity)", ("astropy",), astropy_masked_quantity, ("prod", "any", "all", "logsumexp")),
    ArrayClass("astropy.Magnitude", ("astropy",), astropy_magnitude, ("prod", "any", "all", "logsumexp")),
    ArrayClass("unyt", ("unyt",), unyt, ("logsumexp",)),
    ArrayClass("quantities", ("quantities",), quantities, ("logsumexp",)),
    ArrayClass("pint", ("pint",), pint_quantity, ("logsumexp",)),
    ArrayClass("uncertainties", ("uncertainties",), uncertain, ("logsumexp",)),
    ArrayClass("galois", ("galois",), galois, ("mean", "std", "var", "logsumexp")),
    ArrayClass("quaddtype", ("numpy_quaddtype",), quad, ("logsumexp",)),
)


def parametrize_classes(classes=ARRAY_CLASSES):
    """The classes as parameters of a test; one whose package is missing is skipped."""
    return pytest.mark.parametrize("cls", classes, ids=str)


def make(cls: ArrayClass, array: np.ndarray) -> Any:
    """Make an array of a class, or skip the test if its package is missing."""
    for package in cls.packages:
        pytest.importorskip(package)
    return cls.make(array)


def meaning(array: Any) -> tuple[Any, ...]:
    """What an array means: its class, unit, mask and numbers; numbers that are masked do not count."""
    unit = next(
        (
            str(getattr(array, name))
            for name in ("unit", "units", "dimensionality", "power", "name")
            if hasattr(array, name)
        ),
        "",
    )
    mask = np.broadcast_to(np.asarray(getattr(array, "mask", False)), np.shape(array))
    numbers = array
    for name in ("magnitude", "unmasked", "value"):
        numbers = getattr(numbers, name, numbers)
    numbers = np.ma.getdata(numbers) if isinstance(numbers, np.ma.MaskedArray) else numbers
    values = [None if hidden else _number(value) for value, hidden in zip(_flat(numbers), mask.ravel(), strict=True)]
    return type(array), unit, np.shape(array), values


def _flat(numbers: Any) -> list[Any]:
    """The elements in row-major order, without units."""
    if isinstance(numbers, np.ndarray) and numbers.dtype != object:
        return list(np.asarray(numbers).view(np.ndarray).ravel())
    return [numbers] if np.shape(numbers) == () and not isinstance(numbers, np.ndarray) else list(numbers.ravel())


def _number(value: Any) -> Any:
    """An element, rounded so that the order of a sum does not matter."""
    if hasattr(value, "nominal_value"):
        return float(f"{value.nominal_value:.9g}"), float(f"{value.std_dev:.9g}")
    if isinstance(value, (bool, int, np.bool_, np.integer)):
        return int(value)
    return float(f"{float(value):.9g}")
