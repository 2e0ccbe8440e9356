"""The interface to a framework that the tests of layers use."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np


def import_without_warnings(module: str) -> Any:
    """Import a module, and ignore the warnings that an old framework raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(module)


@dataclass(frozen=True)
class Framework:
    """A framework: how its layers, which are in ``plait.layers.<name>``, are created, called and inspected.

    `build` returns what the other methods take: a layer, or a layer with its variables.
    """

    name: str
    packages: tuple[str, ...]
    """The packages that must be installed; the first is the framework."""

    allows_axis_self: ClassVar[bool] = True
    """Whether an axis may be called ``self``; the metaclasses of Haiku and NNX do not allow it."""

    def __str__(self) -> str:
        return self.name

    def is_installed(self) -> bool:
        """Whether all packages of the framework are installed."""
        return all(importlib.util.find_spec(package) for package in self.packages)

    def import_framework(self) -> Any:
        """Import and return the module of the framework."""
        return import_without_warnings(self.packages[0])

    def import_layers(self) -> Any:
        """Import and return the module with the four layers."""
        return import_without_warnings(f"plait.layers.{self.name}")

    def to_tensor(self, array: np.ndarray) -> Any:
        """Convert an array to a tensor of the framework."""
        raise NotImplementedError

    def to_numpy(self, tensor: Any) -> np.ndarray:
        """Convert a tensor or a parameter to an array."""
        return np.asarray(tensor)

    def construct(self, /, kind: str, *arguments: Any, **sizes: Any) -> Any:
        """Create a layer of this class, as users of the framework do."""
        return getattr(self.import_layers(), kind)(*arguments, **sizes)

    def build(self, /, kind: str, *arguments: Any, example: np.ndarray, seed: int = 0, **sizes: Any) -> Any:
        """Create a layer that can be called on tensors like the example, with parameters drawn from a seed."""
        raise NotImplementedError

    def call(self, built: Any, tensor: Any) -> Any:
        """Call a layer with a tensor, or with a list of tensors."""
        return built(tensor)

    def parameters(self, built: Any) -> dict[str, np.ndarray]:
        """Return the parameters that the framework's optimizers find, by name: ``weight``, ``bias`` or none."""
        raise NotImplementedError

    def parameter_gradients(self, built: Any, tensor: Any) -> dict[str, np.ndarray]:
        """Return the gradients of the sum of the result by the names of the parameters."""
        raise NotImplementedError

    def describe(self, built: Any) -> str:
        """Return the text that the framework prints for a layer."""
        return repr(built)
