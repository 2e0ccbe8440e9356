"""The frameworks of the conformance suite: how each makes a tensor, and what it is known to do."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, field

import numpy as np
import pytest


@dataclass(frozen=True)
class Framework:
    """One framework under test.

    ``make`` turns a NumPy array into a tensor; ``lacks`` are the element types that it does not have.
    """

    name: str
    package: str
    lacks: frozenset[str] = field(default_factory=frozenset)
    views: bool = True

    def __str__(self) -> str:
        return self.name

    def module(self):
        return importlib.import_module(self.package)

    def make(self, array: np.ndarray):
        raise NotImplementedError

    def shares_memory(self, one, other) -> bool:
        raise NotImplementedError

    def gradient(self, function, array: np.ndarray) -> np.ndarray:
        """The gradient of the sum of a function's result."""
        raise NotImplementedError


class NumPy(Framework):
    def make(self, array):
        return array

    def shares_memory(self, one, other):
        return np.shares_memory(one, other)


class Torch(Framework):
    def make(self, array):
        torch = self.module()
        if array.dtype.name == "bfloat16":
            return torch.tensor(array.astype(np.float32)).to(torch.bfloat16)
        return torch.tensor(array)

    def shares_memory(self, one, other):
        return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()

    def gradient(self, function, array):
        tensor = self.make(array).requires_grad_()
        function(tensor).sum().backward()
        return tensor.grad.numpy()


class ArrayAPI(Framework):
    def make(self, array):
        return self.module().asarray(array)

    def shares_memory(self, one, other):
        return np.shares_memory(one._array, other._array)


FRAMEWORKS = (
    NumPy("numpy", "numpy"),
    Torch("torch", "torch"),
    ArrayAPI("array_api_strict", "array_api_strict", lacks=frozenset({"float16", "bfloat16"})),
)

WITH_GRADIENTS = tuple(framework for framework in FRAMEWORKS if type(framework).gradient is not Framework.gradient)


def each(frameworks=FRAMEWORKS):
    """Parametrize a test by the frameworks; one that is not installed is a skip with its name."""
    return pytest.mark.parametrize(
        "framework",
        [
            pytest.param(
                framework,
                id=framework.name,
                marks=pytest.mark.skipif(
                    importlib.util.find_spec(framework.package) is None, reason=f"{framework.name} is not installed"
                ),
            )
            for framework in frameworks
        ],
    )
