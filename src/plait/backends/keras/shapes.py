"""Operations with any number of unknown sizes, which a saved model keeps; ``keras.ops.reshape`` takes one, as -1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import KerasTensor, ops

from plait.backends.common.lazy_sizes import SIZE_OPERATORS, LazyShape, LazySize


def _part(tensor: Any, sizes: Sequence[Any]) -> Any:
    axis, start, stop = sizes
    part = (*((slice(None),) * axis), slice(start, stop))
    return tensor[part]


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "reshape": ops.reshape,
    "broadcast_to": ops.broadcast_to,
    "slice": _part,
}


@keras.saving.register_keras_serializable(package="plait")
class Sized(keras.Operation):  # type: ignore[misc]  # Keras says nothing of its types
    """An operation on a tensor, with sizes that may be known only when it is called.

    Each size is an int, or an operator and two sizes: ``["[]", 0, 2]`` is dimension 2 of tensor 0.
    """

    def __init__(self, operation: str, sizes: Sequence[Any], name: str | None = None) -> None:
        super().__init__(name=name)
        self.operation = operation
        self.sizes = sizes

    def call(self, *tensors: Any) -> Any:
        """The operation on the first tensor, with sizes of all of them."""
        shapes = [*map(ops.shape, tensors)]
        return _OPERATIONS[self.operation](tensors[0], [_read(size, shapes) for size in self.sizes])

    def compute_output_spec(self, *tensors: Any) -> Any:
        """The sizes that are known."""
        sizes = [size if isinstance(size, int) else None for size in self.sizes]
        if self.operation == "slice":
            axis, start, stop = sizes
            length = None if start is None or stop is None else stop - start
            sizes = [length if place == axis else size for place, size in enumerate(tensors[0].shape)]
        return KerasTensor(sizes, tensors[0].dtype)

    def get_config(self) -> dict[str, Any]:
        """What makes it anew."""
        return {"name": self.name, "operation": self.operation, "sizes": self.sizes}


def _read(size: Any, shapes: Sequence[Sequence[Any]]) -> Any:
    if isinstance(size, int):
        return size
    name, first, second = size
    return shapes[first][second] if name == "[]" else SIZE_OPERATORS[name](_read(first, shapes), _read(second, shapes))


def _written(size: Any, tensors: list[Any]) -> Any:
    """A size as `Sized` takes it; a tensor whose shape it reads joins the others."""
    if not isinstance(size, LazySize):
        return size
    name, first, second = size.parts
    if not isinstance(first, LazyShape):
        return [name, _written(first, tensors), _written(second, tensors)]
    if not any(tensor is first.source_tensor for tensor in tensors):
        tensors.append(first.source_tensor)
    return [name, [tensor is first.source_tensor for tensor in tensors].index(True), second]


def sized(operation: str, tensor: Any, sizes: Sequence[Any]) -> Any:
    """The operation, by Keras' own function where all sizes are ints."""
    if all(isinstance(size, int) for size in sizes):
        return _OPERATIONS[operation](tensor, sizes)
    tensors = [tensor]
    return Sized(operation, [_written(size, tensors) for size in sizes])(*tensors)
