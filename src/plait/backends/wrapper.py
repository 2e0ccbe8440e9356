"""Backends of objects that wrap a tensor of another framework; plait makes each call on the tensors inside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from plait.backends.interface import Backend
from plait.backends.registry import backend_for_type, common_backend

OperandDimension = tuple[int, int]
"""A dimension of an operand of a call: the number of the operand, and the index of the dimension."""


class ResultDimension(NamedTuple):
    """A dimension of the result of a call: its name in the pattern, and the dimensions of operands that it equals."""

    name: str | None
    operand_dimensions: tuple[OperandDimension, ...]


class CallDimensions(NamedTuple):
    """What a pattern says of the dimensions of a call: those of the result, and those of operands that are equal."""

    result: tuple[ResultDimension, ...]
    equal_operand_dimensions: tuple[tuple[OperandDimension, ...], ...]


class WrapperBackend(Backend):
    """A backend of objects that wrap a tensor. A subclass defines `unwrap`, and `wrap` if results are wrapped too."""

    is_wrapper: ClassVar[bool] = True

    def unwrap(self, wrapper: Any) -> Any:
        """Return the tensor inside an object of this backend."""
        raise NotImplementedError

    def wrap(self, result: Any, operands: Sequence[Any], dimensions: CallDimensions) -> Any:
        """Return what the caller gets for the result of a call on the tensors inside.

        Args:
            result: the result, a tensor of another backend.
            operands: the operands of the call; some may be tensors that are not wrapped.
            dimensions: which dimensions of the operands and of the result are equal.

        Returns:
            The result itself, where a subclass does not wrap it.
        """
        return result

    def wrap_stacked(self, result: Any, tensors: Sequence[Any]) -> Any:
        """Return what a list of tensors becomes when it is stacked along a new first dimension."""
        return result

    def missing(self) -> list[str]:
        """Return no names: the tensors inside have backends of their own."""
        return []

    def stack(self, tensors: Sequence[Any]) -> Any:
        data = unwrap_tensors(tensors)
        return self.wrap_stacked(common_backend(tuple(map(type, data))).stack(data), tensors)

    def rank(self, tensor: Any) -> int | None:
        data, backend = _unwrap_with_backend(tensor)
        return backend.rank(data)

    def shape(self, tensor: Any) -> Any:
        data, backend = _unwrap_with_backend(tensor)
        return backend.shape(data)

    def dtype(self, tensor: Any) -> Any:
        data, backend = _unwrap_with_backend(tensor)
        return backend.dtype(data)

    def strides(self, tensor: Any) -> tuple[int, ...] | None:
        data, backend = _unwrap_with_backend(tensor)
        return backend.strides(data)

    def static_shape(self, tensor: Any, rank: int) -> Sequence[int | None]:
        data, backend = _unwrap_with_backend(tensor)
        return backend.static_shape(data, rank)


def _unwrap_with_backend(wrapper: Any) -> tuple[Any, Backend]:
    """Return the tensor inside an object, and the backend of the tensor."""
    data = unwrap_tensor(wrapper)
    kind: Any = type(data)
    return data, backend_for_type(kind)


def unwrap_tensor(tensor: Any) -> Any:
    """Return the tensor inside an object that wraps one, and any other tensor unchanged."""
    kind: Any = type(tensor)
    backend = backend_for_type(kind)
    return unwrap_tensor(backend.unwrap(tensor)) if isinstance(backend, WrapperBackend) else tensor


def unwrap_tensors(tensors: Sequence[Any]) -> list[Any]:
    """Return the tensors, each without what wraps it."""
    return [unwrap_tensor(tensor) for tensor in tensors]
