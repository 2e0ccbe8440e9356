"""Shapes and axes as TensorFlow's operations take them: tensors in eager code, and in graphs what is known.

A conversion of the same few ints at each eager call would take longer than the operation.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import tensorflow as tf

from plait.backends.common.lazy_sizes import (
    OPERATORS,
    Shape,
    Unknown,
    inferred,
)

_INT32 = 2**31


@lru_cache(maxsize=4096)
def _eager(ints: tuple[int, ...]) -> Any:
    """Ints as a tensor in the host's memory, where operations read them."""
    with tf.device("CPU"):
        return tf.constant(ints, tf.int32 if all(size < _INT32 for size in ints) else tf.int64)


def constant(ints: tuple[int, ...]) -> Any:
    """Axes, or an order of dimensions."""
    return _eager(ints) if tf.executing_eagerly() else ints


def reshaping(tensor: Any, shape: tuple[Any, ...]) -> Any:
    """A shape for the elements of a tensor."""
    return _eager(shape) if tf.executing_eagerly() else [*map(value, inferred(shape, static(tensor)))]


def expanding(shape: tuple[Any, ...]) -> Any:
    """A shape to broadcast to, which leaves nothing to be inferred."""
    return _eager(shape) if tf.executing_eagerly() else [*map(value, shape)]


def static(tensor: Any) -> list[int | None]:
    """The shape as far as a graph tells; where it does not tell the rank, nothing."""
    shape = tf.TensorShape(tensor.shape)
    return [] if shape.rank is None else shape.as_list()


def value(size: Any) -> Any:
    """An int as it is; what is not known yet as a tensor, made once."""
    if isinstance(size, tf.Tensor):
        return tf.cast(size, tf.int32)
    if isinstance(size, (Shape, Unknown)):
        if size.made is None:
            size.made = _made(size)
        return size.made
    return size


def _made(size: Shape | Unknown) -> Any:
    if isinstance(size, Shape):
        return tf.shape(size.source)
    name, *parts = size.parts
    return OPERATORS[name](*map(value, parts))


def _converted(size: Unknown, dtype: Any = None, **_: Any) -> Any:
    return tf.cast(value(size), dtype or tf.int32)


tf.register_tensor_conversion_function(Unknown, _converted)  # for arithmetic with sizes that are tensors
