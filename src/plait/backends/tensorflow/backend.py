"""TensorFlow 2: eager tensors and variables, and the tensors of graphs, which may have sizes that only a run knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import tensorflow as tf

from plait.backends.common.lazy_sizes import Shape, Unknown, dimensions
from plait.backends.interface import Backend
from plait.backends.tensorflow.reductions import einsum, reduction
from plait.backends.tensorflow.shapes import (
    constant,
    expanding,
    reshaping,
    static,
    value,
)

_DENSE = {"RaggedTensor": "its to_tensor()", "SparseTensor": "tf.sparse.to_dense"}


class TensorflowBackend(Backend):
    """Plans call ``tf.raw_ops``: in a graph they are what the public functions leave, and eager tensors reach them
    without the Python around those.
    """

    name = "tensorflow"
    einsum_optimizes_path = True
    accepts: ClassVar[frozenset[str]] = frozenset({"numpy"})
    concat = staticmethod(tf.concat)
    stack = staticmethod(tf.stack)
    einsum = staticmethod(einsum)
    reduction = staticmethod(reduction)
    size_from_user = size_to_user = staticmethod(value)

    def __init__(self, kind: type) -> None:
        if not issubclass(kind, (tf.Tensor, tf.Variable)):
            raise TypeError(f"it is not dense; {_DENSE.get(kind.__name__, 'tf.convert_to_tensor')} makes it so")

    @staticmethod
    def reshape(tensor: Any, shape: Any) -> Any:
        return tf.raw_ops.Reshape(tensor=tensor, shape=reshaping(tensor, shape))

    @staticmethod
    def permute(tensor: Any, order: Any) -> Any:
        return tf.raw_ops.Transpose(x=tensor, perm=constant(order))

    @staticmethod
    def expand(tensor: Any, shape: Any) -> Any:
        return tf.raw_ops.BroadcastTo(input=tensor, shape=expanding(shape))

    def slice(self, tensor: Any, axis: int, start: Any, stop: Any) -> Any:
        return super().slice(tensor, axis, value(start), value(stop))

    def rank(self, tensor: Any) -> int | None:
        return tf.TensorShape(tensor.shape).rank

    def shape(self, tensor: Any) -> Any:
        shape = tf.TensorShape(tensor.shape)
        if shape.is_fully_defined():
            return tuple(shape.as_list())
        if tf.executing_eagerly():  # a variable that leaves its shape open has one nevertheless
            return tuple(tf.shape(tensor).numpy().tolist())
        return Shape(tensor) if shape.rank is None else dimensions(tensor, shape.as_list())

    def shape_as_tuple(self, shape: Any) -> tuple[int, ...] | None:
        return tuple(shape.as_list()) if shape.is_fully_defined() else None

    def static_shape(self, tensor: Any, rank: int) -> Sequence[int | None]:
        return static(tensor) or super().static_shape(tensor, rank)

    def is_symbolic(self, size: Any) -> bool:
        if isinstance(size, tf.Tensor) and tf.is_symbolic_tensor(size):
            return size.dtype.is_integer and size.shape.rank in (0, None)
        return isinstance(size, Unknown)

    def comparable(self, tensors: Sequence[Any]) -> bool:
        return tf.executing_eagerly()

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        import numpy as np

        return np.asarray(tensor if tensor.shape.rank else tensor.numpy())


BACKEND = TensorflowBackend
