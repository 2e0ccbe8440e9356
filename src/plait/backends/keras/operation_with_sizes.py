"""A Keras operation with any number of unknown sizes, which can be saved with its model.

``keras.ops.reshape`` takes only one unknown size, as -1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import KerasTensor, ops

from plait.backends.common.lazy_sizes import SIZE_OPERATORS, LazyShape, LazySize


def _slice(tensor: Any, sizes: Sequence[Any]) -> Any:
    """Return an interval of one dimension of a tensor; the sizes are the dimension, the start and the stop."""
    axis, start, stop = sizes
    part = (*((slice(None),) * axis), slice(start, stop))
    return tensor[part]


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "reshape": ops.reshape,
    "broadcast_to": ops.broadcast_to,
    "slice": _slice,
}


@keras.saving.register_keras_serializable(package="plait")
class OperationWithSizes(keras.Operation):  # type: ignore[misc]  # Keras has no types
    """An operation on a tensor, such as a reshape, with sizes that may be known only when it is called.

    Each size is an int, or a list of an operator and two operands: ``["[]", 0, 2]`` is the length of dimension 2 of
    tensor 0.
    """

    def __init__(self, operation: str, sizes: Sequence[Any], name: str | None = None) -> None:
        super().__init__(name=name)
        self.operation = operation
        self.sizes = sizes

    def call(self, *tensors: Any) -> Any:
        """Apply the operation to the first tensor, with sizes that are computed from the shapes of all."""
        shapes = [*map(ops.shape, tensors)]
        return _OPERATIONS[self.operation](tensors[0], [_evaluate_size(size, shapes) for size in self.sizes])

    def compute_output_spec(self, *tensors: Any) -> Any:
        """Return a symbolic tensor with the lengths that are known."""
        sizes = [size if isinstance(size, int) else None for size in self.sizes]
        if self.operation == "slice":
            axis, start, stop = sizes
            length = None if start is None or stop is None else stop - start
            sizes = [length if dimension == axis else size for dimension, size in enumerate(tensors[0].shape)]
        return KerasTensor(sizes, tensors[0].dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"name": self.name, "operation": self.operation, "sizes": self.sizes}


def _evaluate_size(size: Any, shapes: Sequence[Sequence[Any]]) -> Any:
    """Compute a serialized size from the shapes of the tensors."""
    if isinstance(size, int):
        return size
    name, first, second = size
    return (
        shapes[first][second]
        if name == "[]"
        else SIZE_OPERATORS[name](_evaluate_size(first, shapes), _evaluate_size(second, shapes))
    )


def _serialize_size(size: Any, tensors: list[Any]) -> Any:
    """Serialize a size for `OperationWithSizes`, and append the tensors that it reads to the list."""
    if not isinstance(size, LazySize):
        return size
    name, first, second = size.parts
    if not isinstance(first, LazyShape):
        return [name, _serialize_size(first, tensors), _serialize_size(second, tensors)]
    if not any(tensor is first.source_tensor for tensor in tensors):
        tensors.append(first.source_tensor)
    return [name, [tensor is first.source_tensor for tensor in tensors].index(True), second]


def apply_with_sizes(operation: str, tensor: Any, sizes: Sequence[Any]) -> Any:
    """Apply an operation by name with sizes; by Keras' own function if all of them are ints."""
    if all(isinstance(size, int) for size in sizes):
        return _OPERATIONS[operation](tensor, sizes)
    tensors = [tensor]
    return OperationWithSizes(operation, [_serialize_size(size, tensors) for size in sizes])(*tensors)
