"""Every package of the session `science` makes arrays that move; the other files of this folder test what they mean."""

from __future__ import annotations

import numpy as np
import pytest

import plait


def _astropy(array):
    units = pytest.importorskip("astropy.units")
    return array * units.m


def _unyt(array):
    return pytest.importorskip("unyt").unyt_array(array, "m")


def _quantities(array):
    return array * pytest.importorskip("quantities").m


def _uncertainties(array):
    return pytest.importorskip("uncertainties.unumpy").uarray(array, 0.1 * array)


def _galois(array):
    return pytest.importorskip("galois").GF(7)(array.astype(int))


def _quaddtype(array):
    return array.astype(pytest.importorskip("numpy_quaddtype").QuadPrecDType())


@pytest.mark.parametrize("make", [_astropy, _unyt, _quantities, _uncertainties, _galois, _quaddtype])
def test_arrays_of_each_library_move(make):
    array = make(np.arange(6.0).reshape(2, 3))
    result = plait.rearrange(array, "a b -> (b a)")
    assert type(result) is type(array)
    assert (result == array.T.reshape(6)).all()
