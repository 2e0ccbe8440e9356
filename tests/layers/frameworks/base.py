"""What the suite of the layers asks of a framework under test."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np


def quietly(module: str) -> Any:
    """A module; what an old framework says while it is imported is not plait's doing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(module)


@dataclass(frozen=True)
class Framework:
    """One framework: its module ``plait.layers.<name>``, and how its layers are made, called and looked into.

    What `build` returns is whatever the other methods need: a layer, or a layer with its variables.
    """

    name: str
    needs: tuple[str, ...]
    """The packages that must be installed; the first is the framework."""

    any_name: ClassVar[bool] = True
    """Whether an axis may be called ``self``: how Haiku and NNX make a module does not allow it."""

    def __str__(self) -> str:
        return self.name

    def installed(self) -> bool:
        return all(importlib.util.find_spec(package) for package in self.needs)

    def module(self) -> Any:
        """The framework."""
        return quietly(self.needs[0])

    def layers(self) -> Any:
        """The module with the four layers."""
        return quietly(f"plait.layers.{self.name}")

    def make(self, array: np.ndarray) -> Any:
        """A tensor of the same elements."""
        raise NotImplementedError

    def array(self, tensor: Any) -> np.ndarray:
        """The elements of a tensor, or of a parameter."""
        return np.asarray(tensor)

    def construct(self, /, kind: str, *arguments: Any, **sizes: Any) -> Any:
        """A layer, as the framework's users make it."""
        return getattr(self.layers(), kind)(*arguments, **sizes)

    def build(self, /, kind: str, *arguments: Any, example: np.ndarray, seed: int = 0, **sizes: Any) -> Any:
        """A layer that is ready to be called on tensors like the example, its parameters drawn from this seed."""
        raise NotImplementedError

    def call(self, built: Any, tensor: Any) -> Any:
        """The result for a tensor, or for a list of tensors."""
        return built(tensor)

    def parameters(self, built: Any) -> dict[str, np.ndarray]:
        """The parameters by name: ``weight`` and ``bias``, as far as there are any; found as the framework's
        optimizers find them."""
        raise NotImplementedError

    def gradients(self, built: Any, tensor: Any) -> dict[str, np.ndarray]:
        """The gradients of the sum of the result, by the names of the parameters."""
        raise NotImplementedError

    def description(self, built: Any) -> str:
        """What the framework prints of a layer."""
        return repr(built)
