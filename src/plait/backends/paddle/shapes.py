"""Shapes as the functions of PaddlePaddle take them in a static program, where sizes may be unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import paddle

from plait.backends.common.lazy_sizes import (
    OPERATORS,
    Shape,
    Unknown,
    inferred,
)

_OPEN = -1
"""What a static program has in a shape for a size that only its run will tell."""


def static(tensor: Any) -> list[int | None]:
    """The shape as far as it is known before a run."""
    return [None if size == _OPEN else size for size in tensor.shape]


def view(tensor: Any, shape: Sequence[Any]) -> Any:
    """The same memory in another shape."""
    if tensor.ndim:
        return paddle.view(tensor, shape)
    return paddle.unsqueeze(tensor, list(range(len(shape))))  # Paddle's view refuses a tensor of rank 0


def reshape(tensor: Any, shape: Sequence[Any]) -> Any:
    """The elements in another shape; a size that can be inferred is not asked for."""
    return paddle.reshape(tensor, [*map(value, inferred(shape, static(tensor)))])


def expand(tensor: Any, shape: Sequence[Any]) -> Any:
    """Broadcast to a shape; -1 is a size that stays."""
    new = len(shape) - len(tensor.shape)
    stays = [False] * new + [size is None for size in static(tensor)]
    return paddle.expand(tensor, [_OPEN if stay else value(size) for stay, size in zip(stays, shape, strict=True)])


def value(size: Any) -> Any:
    """An int as it is; what is not known yet as a part of the program, made once."""
    if isinstance(size, (Shape, Unknown)):
        if size.made is None:
            size.made = _made(size)
        return size.made
    return size


def given(size: Any) -> Any:
    """A size that the caller gave as a part of the program: it is checked by the run, and never inferred."""
    return Unknown("[]", (size,), 0, exact=True)


def _made(size: Shape | Unknown) -> Any:
    if isinstance(size, Shape):
        return paddle.shape(size.source)
    name, *parts = size.parts
    return OPERATORS[name](*map(value, parts))
