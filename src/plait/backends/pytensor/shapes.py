"""Shapes as PyTensor takes them: what is known of them, and symbols, which are made when something needs them."""

from __future__ import annotations

from typing import Any

import pytensor.tensor as pt

from plait.backends.common.lazy_sizes import (
    OPERATORS,
    Shape,
    Unknown,
    inferred,
)


def static(tensor: Any) -> tuple[int | None, ...]:
    """The shape, ``None`` where it is not known before the graph runs."""
    return tensor.type.shape if isinstance(tensor, pt.TensorVariable) else tensor.shape


def reshaped(tensor: Any, shape: Any) -> Any:
    """The tensor in another shape, of which PyTensor may infer one size, which it does with a smaller graph."""
    return pt.reshape(tensor, [value(size) for size in inferred(shape, static(tensor))], ndim=len(shape))


def expanded(tensor: Any, shape: Any) -> Any:
    """The tensor broadcast to a shape."""
    return pt.broadcast_to(tensor, tuple([value(size) for size in shape]))


def value(size: Any) -> Any:
    """An int or a variable as it is; what is not known yet as a variable, made once."""
    if not isinstance(size, (Shape, Unknown)):
        return size
    if size.made is None:
        size.made = _made(size)
    return size.made


def _made(size: Shape | Unknown) -> Any:
    if isinstance(size, Shape):
        return pt.shape(size.source)
    name, *parts = size.parts
    return OPERATORS[name](*map(value, parts))


def _converted(size: Unknown, *_: Any, **__: Any) -> Any:
    return value(size)


pt._as_tensor_variable.register(Unknown, _converted)  # for arithmetic with sizes that are variables
