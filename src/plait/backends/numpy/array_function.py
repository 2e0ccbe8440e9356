"""The backend for arrays of other classes that define ``__array_function__``, so that NumPy's functions accept them.

Such a class, for example pint's ``Quantity``, holds an array and what it means. NumPy's public functions call methods
of the class, which keep the meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from plait.backends.common.reductions import ReductionTable
from plait.backends.interface import Backend, ReductionFunction
from plait.backends.numpy.dtypes import kind_of_dtype
from plait.backends.numpy.own_arithmetic import (
    concat_of_classes,
    einsum_by_operators,
    logsumexp_by_arithmetic,
    magnitude_of_another_class,
    reduce_axis_by_axis,
    stack_of_classes,
    with_magnitude,
    with_own_errors,
)
from plait.backends.reduction_rules import is_low_precision
from plait.backends.registry import common_backend

_numpy: Any = np  # whose types promise an ndarray, while the class decides


def _with_axis_keyword(function: Callable[..., Any]) -> ReductionFunction:
    """Return a function of NumPy that gets its dimensions by keyword, as some arrays inside a quantity demand."""
    return lambda tensor, axes: function(tensor, axis=axes)


class ArrayFunctionBackend(Backend):
    """Calls NumPy's public functions alone, each of which calls the class of the tensor."""

    reductions = ReductionTable(
        function=lambda name: partial(reduce_axis_by_axis, name, _with_axis_keyword(getattr(np, name))),
        overrides={"logsumexp": logsumexp_by_arithmetic},
        is_low_precision=is_low_precision,
    )
    accepts = frozenset({"numpy"})
    reshape: Callable[[Any, Sequence[Any]], Any] = staticmethod(_numpy.reshape)
    view = staticmethod(_numpy.reshape)
    permute: Callable[[Any, Sequence[int]], Any] = staticmethod(_numpy.transpose)
    concat = staticmethod(concat_of_classes)
    stack = staticmethod(stack_of_classes)
    einsum = staticmethod(einsum_by_operators)
    kind = staticmethod(kind_of_dtype)

    def __init__(self, tensor_type: type) -> None:
        if not hasattr(tensor_type, "__array_function__"):
            raise TypeError(
                f"{tensor_type.__qualname__} is no subclass of numpy.ndarray and has no method __array_function__, "
                "so NumPy's functions do not accept it; convert it with numpy.asarray, or write a backend for it"
            )
        self.name = tensor_type.__module__.partition(".")[0]  # type: ignore[misc]  # each library counts as a framework

    @staticmethod
    def expand(tensor: Any, shape: Sequence[Any]) -> Any:
        magnitude = magnitude_of_another_class(tensor)
        if magnitude is None:
            return _numpy.broadcast_to(tensor, shape)
        return with_magnitude(tensor, common_backend((type(magnitude),)).expand(magnitude, shape))

    @staticmethod
    def copy_if_broadcast(tensor: Any, _: None) -> Any:
        magnitude = magnitude_of_another_class(tensor)
        if magnitude is not None:
            copy = common_backend((type(magnitude),)).copy_if_broadcast
            return tensor if copy is None else with_magnitude(tensor, copy(magnitude, None))
        flags = getattr(tensor, "flags", None)  # an array of another library inside, such as Dask's, has none
        return tensor if flags is None or flags.writeable else np.copy(tensor)

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        array = np.asarray(tensor)
        if array.shape != tuple(tensor.shape):  # NumPy takes the tensor itself for the only element
            raise TypeError(f"{type(tensor).__name__} has no method __array__")
        return array

    def reduction(self, name: str, dtype: Any) -> ReductionFunction:
        return with_own_errors(name, super().reduction(name, dtype))

    def strides(self, tensor: Any) -> tuple[int, ...] | None:
        strides: tuple[int, ...] | None = getattr(tensor, "strides", None)
        return strides


BACKEND_FACTORY = ArrayFunctionBackend
