"""What plans call for the symbolic tensors of Keras: ``keras.ops``, and one operation more.

``keras.ops.reshape`` takes one unknown size, as -1, and a model of images of any height and width has several. They are
written into the configuration of an operation as arithmetic on the shapes of its inputs, and so are saved with a model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import KerasTensor, ops

from weft.backends.unknown import OPERATORS, Shape, Unknown, inferred


def _part(tensor: Any, sizes: Sequence[Any]) -> Any:
    axis, start, stop = sizes
    return tensor[(*((slice(None),) * axis), slice(start, stop))]


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "reshape": ops.reshape,
    "broadcast_to": ops.broadcast_to,
    "slice": _part,
}


@keras.saving.register_keras_serializable(package="weft")
class Sized(keras.Operation):  # type: ignore[misc]  # Keras is untyped
    """An operation on a tensor, with sizes that may be known only when it is called.

    Args:
        operation: a row of the table.
        sizes: its constant, each an int, or an operator with two sizes: ``["[]", 0, 2]`` is dimension 2 of tensor 0.
        name: of the operation in its model.
    """

    def __init__(self, operation: str, sizes: Sequence[Any], name: str | None = None) -> None:
        super().__init__(name=name)
        self.operation = operation
        self.sizes = sizes

    def call(self, *tensors: Any) -> Any:
        """The operation on the first tensor, with sizes of all of them."""
        shapes = [*map(ops.shape, tensors)]
        return _OPERATIONS[self.operation](tensors[0], [_read(size, shapes) for size in self.sizes])

    def compute_output_spec(self, tensor: Any, *others: Any) -> Any:
        """The sizes that are known."""
        sizes = [size if isinstance(size, int) else None for size in self.sizes]
        if self.operation == "slice":
            axis, start, stop = sizes
            length = None if start is None or stop is None else stop - start
            sizes = [length if place == axis else size for place, size in enumerate(tensor.shape)]
        return KerasTensor(sizes, tensor.dtype)

    def get_config(self) -> dict[str, Any]:
        """What makes it anew."""
        return {"name": self.name, "operation": self.operation, "sizes": self.sizes}


def _read(size: Any, shapes: Sequence[Sequence[Any]]) -> Any:
    if isinstance(size, int):
        return size
    name, first, second = size
    if name == "[]":
        return shapes[first][second]
    return OPERATORS[name](_read(first, shapes), _read(second, shapes))


def _written(size: Any, tensors: list[Any]) -> Any:
    """A size as `Sized` takes it; a tensor whose shape it reads joins the others."""
    if not isinstance(size, Unknown):
        return size
    name, first, second = size.parts
    if not isinstance(first, Shape):
        return [name, _written(first, tensors), _written(second, tensors)]
    if not any(tensor is first.source for tensor in tensors):
        tensors.append(first.source)
    return [name, [tensor is first.source for tensor in tensors].index(True), second]


def _apply(operation: str, tensor: Any, sizes: Sequence[Any]) -> Any:
    """By a function of Keras' own where all sizes are ints."""
    if all(isinstance(size, int) for size in sizes):
        return _OPERATIONS[operation](tensor, sizes)
    tensors = [tensor]
    return Sized(operation, [_written(size, tensors) for size in sizes])(*tensors)


def reshape(tensor: Any, shape: Sequence[Any]) -> Any:
    return _apply("reshape", tensor, inferred(shape, tensor.shape))


def expand(tensor: Any, shape: Sequence[Any]) -> Any:
    return _apply("broadcast_to", tensor, shape)
