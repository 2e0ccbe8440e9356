"""`Framework`, which tells the conformance suite how to make the tensors of a framework, and what it does not have."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True)
class Framework:
    """A framework under test: how its tensors are made, and what it does not have.

    A subclass defines `make`. It defines `shares_memory` if its tensors have views, and `gradient` if the framework
    computes gradients; the suite skips the tests of what a subclass does not define.

    Attributes:
        name: the name of the framework in test ids and messages.
        package: the module that is imported for it.
        unsupported_dtypes: the dtypes that the framework does not have, by their NumPy names, each with the reason.
            Their tests are skipped.
        ignored_warnings: regular expressions of warnings that the framework gives although nothing is wrong with the
            call, each with the reason. All other warnings fail the test of a reduction.
        copying_operations: operations (such as ``"repeat"``) or patterns that copy where frameworks with views
            give a view, each with the reason.

    Examples:
        >>> import numpy as np
        >>> class NumPy(Framework):
        ...     def make(self, array):
        ...         return array.copy()
        >>> numpy = NumPy("numpy", "numpy", unsupported_dtypes={"bfloat16": "NumPy has no such dtype"})
        >>> numpy.make(np.zeros((2, 3))).shape
        (2, 3)
        >>> numpy.has_views, numpy.has_gradients
        (False, False)
    """

    name: str
    package: str
    unsupported_dtypes: dict[str, str] = field(default_factory=dict)
    ignored_warnings: dict[str, str] = field(default_factory=dict)
    copying_operations: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    def make(self, array: NDArray[Any]) -> Any:
        """Make a tensor of the framework with the elements, the shape and the dtype of a NumPy array.

        Args:
            array: the array; the tensor may share memory with it.

        Returns:
            The tensor.

        Raises:
            NotImplementedError: the subclass does not define this method.
        """
        raise NotImplementedError(f"{type(self).__name__} must define make(array), which returns a tensor")

    def shape(self, tensor: Any) -> tuple[int, ...]:
        """Return the shape of a tensor. A subclass overrides this if ``tensor.shape`` is something else.

        Args:
            tensor: a tensor of the framework.

        Returns:
            Its shape.
        """
        return tuple(tensor.shape)

    def dtype(self, tensor: Any) -> Any:
        """Return the dtype of a tensor. A subclass overrides this if ``tensor.dtype`` is something else.

        Args:
            tensor: a tensor of the framework.

        Returns:
            Any object that is equal for tensors of the same dtype.
        """
        return tensor.dtype

    def result_types(self, tensor: Any) -> tuple[type, ...]:
        """Return the types that results of calls with a tensor may have. A subclass overrides this if there are more.

        Args:
            tensor: a tensor of the framework, as `make` returns it.

        Returns:
            The types; by default only the type of the tensor.
        """
        return (type(tensor),)

    def shares_memory(self, first: Any, second: Any) -> bool:
        """Return whether two tensors have memory in common. A subclass overrides this if the framework has views.

        Args:
            first: a tensor of the framework.
            second: another one, which may be a view of it.

        Returns:
            Whether they have memory in common.

        Raises:
            NotImplementedError: the subclass does not define this method.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define shares_memory")

    def gradient(self, function: Callable[[Any], Any], array: NDArray[Any]) -> NDArray[Any]:
        """Compute the gradient of ``function(make(array)).sum()``. A subclass overrides this if there are gradients.

        Args:
            function: a function of a tensor, which returns a tensor of any shape; it may multiply tensors by ``*``.
            array: the elements of the tensor for which the gradient is computed.

        Returns:
            The gradient as a NumPy array, of the shape of ``array``.

        Raises:
            NotImplementedError: the subclass does not define this method.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define gradient")

    @property
    def has_views(self) -> bool:
        """Whether the class defines `shares_memory`."""
        return type(self).shares_memory is not Framework.shares_memory

    @property
    def has_gradients(self) -> bool:
        """Whether the class defines `gradient`."""
        return type(self).gradient is not Framework.gradient

    def installed(self) -> bool:
        """Return whether the package is installed.

        Returns:
            Whether it can be found; it is not imported.
        """
        return importlib.util.find_spec(self.package.partition(".")[0]) is not None

    def module(self) -> ModuleType:
        """Import the package without showing the warnings that it gives while it is imported.

        Returns:
            The module.

        Raises:
            ImportError: it is not installed.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(self.package)

    def version(self) -> str:
        """Return the version of the package.

        Returns:
            The version in the metadata of the installed package.
        """
        return importlib.metadata.version(self.package.partition(".")[0])
