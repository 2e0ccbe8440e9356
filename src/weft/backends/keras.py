"""Keras 3: the symbolic tensors of functional models, and variables beside the tensors of Keras' own backend.

Symbolic tensors take ``keras.ops``. A variable is a tensor of TensorFlow, JAX or PyTorch, and is handed to their
backends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import keras
from keras import KerasTensor, ops

from weft.backends import keras_symbols
from weft.backends.base import Backend
from weft.backends.registry import backend_of
from weft.backends.unknown import Unknown, dimensions, tensors_of


@lru_cache(maxsize=1)
def _native() -> Backend:
    """The backend of the tensors that Keras computes with, which is one for the whole process."""
    return backend_of(type(ops.convert_to_tensor(0.0))).any_type()


def _is_symbol(tensor: Any) -> bool:
    return isinstance(tensor, KerasTensor)


def _of_one(name: str, symbolic: Callable[..., Any]) -> Any:
    """A function of a tensor and constants."""

    def call(tensor: Any, *constants: Any) -> Any:
        if _is_symbol(tensor):
            return symbolic(tensor, *constants)
        return getattr(_native(), name)(ops.convert_to_tensor(tensor), *constants)

    return staticmethod(call)


def _of_several(name: str, symbolic: Callable[..., Any]) -> Any:
    """A function of tensors and constants."""

    def call(tensors: Sequence[Any], *constants: Any) -> Any:
        if any(map(_is_symbol, tensors)):
            return symbolic(tensors, *constants)
        return getattr(_native(), name)([*map(ops.convert_to_tensor, tensors)], *constants)

    return staticmethod(call)


class KerasBackend(Backend):
    """Sizes that a functional model does not know stay `Unknown`, and are asked for when the model is called."""

    name = "keras"
    takes: ClassVar[frozenset[str]] = frozenset({"tensorflow", "jax", "torch", "numpy"})
    reshape = _of_one("reshape", keras_symbols.reshape)
    permute = _of_one("permute", ops.transpose)
    expand = _of_one("expand", keras_symbols.expand)
    slice = _of_one("slice", keras_symbols.slice)
    to_numpy = _of_one("to_numpy", KerasTensor.__array__)
    concat = _of_several("concat", ops.concatenate)
    stack = _of_several("stack", ops.stack)
    rank = _of_one("rank", lambda tensor: len(tensor.shape))
    known = _of_one("known", lambda tensor, rank: tensor.shape)
    shape = _of_one("shape", lambda tensor: tensor.shape if None not in tensor.shape else dimensions(tensor, tensor.shape))

    def __init__(self, kind: type) -> None:
        if not issubclass(kind, (KerasTensor, keras.Variable)):
            raise TypeError("it is neither a KerasTensor nor a Variable")

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        if any(map(_is_symbol, tensors)):
            return ops.einsum(equation, *tensors)
        return _native().einsum(equation, *map(ops.convert_to_tensor, tensors))

    def reduction(self, name: str, dtype: Any) -> Callable[[Any, tuple[int, ...]], Any]:
        symbolic = keras_symbols.reduction(name, dtype)
