"""CuPy. Without a GPU the suite runs on a stand-in, a module named ``cupy`` whose arrays are NumPy arrays.

This tests the backend, not CuPy; `tests/backends/test_cupy_functions_exist.py` checks that CuPy has every name that it
uses.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types

import numpy as np
import pytest

from plait.testing import Framework


class ArrayStandIn(np.ndarray):
    """A stand-in for `cupy.ndarray`: reductions return arrays of rank 0, not scalars; `get` returns a NumPy array."""

    def get(self):
        return self.view(np.ndarray)

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return array.view(ArrayStandIn)

    def _reduction_method(name):  # a helper that creates the methods below
        def reduce(self, axis=None, keepdims=False):
            with np.errstate(all="ignore"):  # a GPU gives no warning of a division by zero
                return np.asarray(getattr(np.ndarray, name)(self.get(), axis, keepdims=keepdims)).view(ArrayStandIn)

        return reduce

    max, min, sum, prod, mean, var, std, any, all = map(
        _reduction_method, "max min sum prod mean var std any all".split()
    )


ArrayStandIn.__module__ = "cupy"
WRAPPED_FUNCTIONS = "concatenate stack broadcast_to einsum where isfinite zeros_like log log1p exp squeeze".split()
"""The functions that the backend calls."""


def _wrapped_numpy_function(name):
    def function(*args, **kwargs):
        with np.errstate(all="ignore"):
            return np.asarray(getattr(np, name)(*_to_numpy_arguments(args), **kwargs)).view(ArrayStandIn)

    return function


def _to_numpy_arguments(value):
    """Convert the stand-ins in a value, also in lists and tuples, to NumPy arrays."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_to_numpy_arguments, value))
    return value.get() if isinstance(value, ArrayStandIn) else value


def has_device() -> bool:
    if importlib.util.find_spec("cupy") is None:
        return False
    import cupy

    return cupy.is_available()


class CuPy(Framework):
    def installed(self):
        return True  # without CuPy or a GPU the stand-in is used

    def module(self):
        if has_device():
            return super().module()
        if "plait.backends.cupy.backend" not in sys.modules:
            # the stand-in is in sys.modules only during this import, so that no other code imports it
            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(sys.modules, "cupy", MODULE_STAND_IN)
                importlib.import_module("plait.backends.cupy.backend")
        return MODULE_STAND_IN

    def version(self):
        return super().version() if has_device() else "stand-in"

    def make(self, array):
        return self.module().asarray(array)

    def shares_memory(self, first, second):
        return self.module().shares_memory(first, second)


class ModuleStandIn(types.ModuleType):
    """A stand-in for the module ``cupy``, with functions of NumPy."""

    ndarray = ArrayStandIn
    float32 = np.float32
    nan = np.nan

    @staticmethod
    def asarray(array):
        return np.array(array, copy=True).view(ArrayStandIn)

    @staticmethod
    def shares_memory(first, second):
        return np.shares_memory(first, second)


for name in WRAPPED_FUNCTIONS:
    setattr(ModuleStandIn, name, staticmethod(_wrapped_numpy_function(name)))

MODULE_STAND_IN = ModuleStandIn("cupy")
FRAMEWORK = CuPy("cupy", "cupy", copying_operations={"repeat": "as einops; view gives the broadcast"})
