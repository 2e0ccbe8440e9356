"""CuPy. Without a GPU the suite runs over a stand-in: a module of that name, whose arrays are NumPy's.

That shows the backend's own logic, and not that CuPy does what its manual says; `tests/backends/test_cupy.py` looks in
CuPy itself for every name that the backend calls.
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
    """A NumPy array that says it is CuPy's, and like those never becomes a scalar or, by itself, a NumPy array."""

    def get(self):
        return self.view(np.ndarray)

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return array.view(ArrayStandIn)

    def _reduction_method(name):  # makes the methods below, and is none
        def reduce(self, axis=None, keepdims=False):
            with np.errstate(all="ignore"):  # a GPU divides by zero without a word
                return np.asarray(getattr(np.ndarray, name)(self.get(), axis, keepdims=keepdims)).view(ArrayStandIn)

        return reduce

    max, min, sum, prod, mean, var, std, any, all = map(
        _reduction_method, "max min sum prod mean var std any all".split()
    )


ArrayStandIn.__module__ = "cupy"
WRAPPED_FUNCTIONS = "concatenate stack broadcast_to einsum where isfinite zeros_like log exp squeeze".split()
"""The functions that the backend calls."""


def _wrapped_numpy_function(name):
    def function(*args, **kwargs):
        with np.errstate(all="ignore"):
            return np.asarray(getattr(np, name)(*_to_numpy_arguments(args), **kwargs)).view(ArrayStandIn)

    return function


def _to_numpy_arguments(value):
    """Arguments as NumPy knows them."""
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
        return True  # the stand-in is

    def module(self):
        if has_device():
            return super().module()
        if (
            "plait.backends.cupy.backend" not in sys.modules
        ):  # only for as long as the import takes, lest others meet it
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
    """NumPy in CuPy's place."""

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
FRAMEWORK = CuPy("cupy", "cupy")
