"""Whose functions a call takes: those of ``keras.ops`` for symbolic tensors, or those of a native backend."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import keras
from keras import KerasTensor, ops

from plait.backends.interface import Backend
from plait.backends.registry import backend_of


@lru_cache(maxsize=1)
def native() -> Backend:
    """The backend of the tensors that Keras computes with: they are of one framework in a process."""
    kind: Any = type(ops.convert_to_tensor(0.0))
    return backend_of(kind).for_any_type()


def is_symbol(tensor: Any) -> bool:
    """Whether a tensor stands for one to come, in a functional model."""
    return isinstance(tensor, KerasTensor)


def value(tensor: Any) -> Any:
    """What a variable holds; what is an array of NumPy's as a tensor."""
    return tensor.value if isinstance(tensor, keras.Variable) else ops.convert_to_tensor(tensor)


def either(name: str, symbolic: Callable[..., Any]) -> Any:
    """A function of a tensor or a list of them: for symbolic ones, or else a method of the native backend."""

    def call(tensors: Any, *constants: Any) -> Any:
        if any(map(is_symbol, keras.tree.flatten(tensors))):
            return symbolic(tensors, *constants)
        return getattr(native(), name)(keras.tree.map_structure(value, tensors), *constants)

    return staticmethod(call)


def reduction(name: str, symbolic: Callable[..., Any]) -> Any:
    """A reduction: for symbolic tensors, or else the native one of its elements' type."""

    def call(tensor: Any, axes: tuple[int, ...]) -> Any:
        if is_symbol(tensor):
            return symbolic(tensor, axes)
        tensor = value(tensor)
        return native().reduction(name, tensor.dtype)(tensor, axes)

    return call
