"""Keras 3: the symbolic tensors of functional models, and variables beside the tensors of Keras' own backend.

Symbolic tensors take ``keras.ops``. A variable holds a tensor of TensorFlow, JAX or PyTorch, whose backend serves it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import keras
from keras import KerasTensor, ops

from plait.backends.common.lazy_sizes import Unknown, dimensions
from plait.backends.interface import Backend
from plait.backends.keras import symbolic as keras_symbols
from plait.backends.keras.native import (
    either,
    is_symbol,
    native,
    reduction,
    value,
)


class KerasBackend(Backend):
    """What a model does not know of its sizes is `Unknown`, and read from its inputs when the model is called."""

    name = "keras"
    einsum_optimizes_path = True
    accepts: ClassVar[frozenset[str]] = frozenset({"tensorflow", "jax", "torch", "numpy"})
    reshape = either("reshape", keras_symbols.reshape)
    permute = either("permute", ops.transpose)
    expand = either("expand", keras_symbols.expand)
    slice = either("slice", keras_symbols.part)
    to_numpy = either("to_numpy", KerasTensor.__array__)
    concat = either("concat", ops.concatenate)
    stack = either("stack", ops.stack)
    rank = either("rank", lambda tensor: tensor.ndim)
    comparable = either("comparable", lambda _: False)

    def __init__(self, kind: type) -> None:
        if not issubclass(kind, (KerasTensor, keras.Variable)):
            raise TypeError("it is neither a KerasTensor nor a Variable")

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        if any(map(is_symbol, tensors)):
            return ops.einsum(equation, *tensors)
        return native().einsum(equation, *map(value, tensors))

    def reduction(self, name: str, dtype: Any) -> Callable[[Any, tuple[int, ...]], Any]:
        return reduction(name, keras_symbols.reduction(name, str(dtype)))

    def shape(self, tensor: Any) -> Any:
        if not is_symbol(tensor):
            return native().shape(value(tensor))
        return dimensions(tensor, tensor.shape) if None in tensor.shape else tensor.shape

    def static_shape(self, tensor: Any, rank: int) -> list[int | None]:
        shape = self.shape(tensor)
        return [shape[place] if type(shape[place]) is int else None for place in range(rank)]

    def shape_as_tuple(self, shape: Any) -> tuple[int, ...] | None:
        return native().shape_as_tuple(shape)

    def is_symbolic(self, size: Any) -> bool:
        return isinstance(size, Unknown) or native().is_symbolic(size)

    def size_from_user(self, size: Any) -> Any:
        return Unknown(*size.parts, exact=True) if isinstance(size, Unknown) else native().size_from_user(size)

    def size_to_user(self, size: Any) -> Any:
        return size if isinstance(size, Unknown) and is_symbol(size.source) else native().size_to_user(size)


BACKEND = KerasBackend
