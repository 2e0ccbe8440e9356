"""What the conformance suite asks of a framework under test."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import warnings
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class Framework:
    """One framework: how it makes a tensor, and what it is known not to have.

    ``lacks`` maps an element type that the framework does not have to the reason, in its own words or ours. ``warns``
    maps the beginning of a warning that the framework gives of itself, where nothing is wrong with the call, to what
    it is about. ``copies`` maps an operation, or one pattern, that copies where other frameworks with views give
    one to the reason.
    """

    name: str
    package: str
    lacks: dict[str, str] = field(default_factory=dict)
    warns: dict[str, str] = field(default_factory=dict)
    copies: dict[str, str] = field(default_factory=dict)

    views: ClassVar[str] = "promised"
    """``promised``: `plait.view` works, and movement shares memory where the cases say so. ``hidden``: the framework
    does not say how a tensor lies in memory; `plait.view` raises PLT507, and nothing is asked of memory."""

    def __str__(self) -> str:
        return self.name

    def installed(self) -> bool:
        return importlib.util.find_spec(self.package.partition(".")[0]) is not None

    def module(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what an old framework says while it is imported is not plait's doing
            return importlib.import_module(self.package)

    def version(self) -> str:
        return importlib.metadata.version(self.package.partition(".")[0])

    def make(self, array: np.ndarray):
        """A tensor of the same elements."""
        raise NotImplementedError

    def shape(self, tensor) -> tuple[int, ...]:
        """The shape of a tensor, where its framework has another way to say it."""
        return tuple(tensor.shape)

    def result_types(self, tensor) -> tuple[type, ...]:
        """The types that a result may have: the tensor's own, and where that only holds a tensor, the type of this."""
        return (type(tensor),)

    def shares_memory(self, one, other) -> bool:
        """Whether two tensors lie in the same memory; asked only where views are promised."""
        raise NotImplementedError

    def gradient(self, function, array: np.ndarray) -> np.ndarray:
        """The gradient of the sum of a function's result."""
        raise NotImplementedError

    @property
    def differentiates(self) -> bool:
        return type(self).gradient is not Framework.gradient
