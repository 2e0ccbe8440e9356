"""NumPy: arrays, their subclasses, and scalars, which are tensors of rank 0; of masked arrays the masks are kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from plait._caches import clearable_lru_cache
from plait.backends.interface import Backend, LargeTensors, Reduction
from plait.errors import make_error

if TYPE_CHECKING:
    from plait.backends.capabilities import ContractionOps, LargeTensorOps

_KINDS = {"b": "bool", "i": "integer", "u": "integer", "f": "floating", "c": "complex"}


def _large_tensor_ops() -> LargeTensorOps:
    from plait.backends.numpy.large_tensors import OPS

    return OPS


def _contraction_ops(dtypes: tuple[Any, ...]) -> ContractionOps | None:
    from plait.backends.numpy.contraction import contraction_ops

    return contraction_ops(dtypes)


LARGE_TENSORS = LargeTensors(_large_tensor_ops, min_elements=2048)


class NumpyBackend(Backend):
    """Plans call the methods of the tensor's own class, so that a subclass keeps what it overrides."""

    name = "numpy"
    concat: Callable[[Sequence[Any], int], Any] = staticmethod(np.concatenate)
    stack: Callable[[Sequence[Any]], Any] = staticmethod(np.stack)
    expand: Callable[[Any, Sequence[int]], Any] = staticmethod(np.broadcast_to)

    def __init__(self, kind: type) -> None:
        if not issubclass(kind, (np.ndarray, np.generic)) or issubclass(kind, np.matrix):
            raise TypeError(f"{kind.__qualname__} is no array of any rank")
        cls: Any = kind
        self.cls = cls
        if kind is np.ndarray:
            self.contraction_ops, self.large_tensors = _contraction_ops, LARGE_TENSORS
        self.reshape, self.view, self.permute = cls.reshape, cls.reshape, cls.transpose
        if issubclass(kind, np.generic):  # which becomes an array as soon as it is expanded
            self.reshape = self.view = lambda tensor, shape: tensor.reshape(shape)
        if issubclass(kind, np.ndarray) and kind is not np.ndarray:
            self.expand = partial(np.broadcast_to, subok=True)
        if _is_masked(kind):
            self.expand, self.concat, self.stack = _expand_masked, np.ma.concatenate, np.ma.stack

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        for tensor in tensors:
            if type(tensor) is not np.ndarray:
                _refuse_masks(type(tensor), "einsum")
        try:
            return np.einsum(equation, *tensors)
        except TypeError as error:
            raise make_error("PLT503", f"einsum is not defined on {tensors[0].dtype}") from error

    def reduction(self, name: str, dtype: Any) -> Reduction:
        from plait.backends.numpy.reductions import reductions_of

        if name == "logsumexp":
            _refuse_masks(self.cls, name)
        return reductions_of(self.cls).build(name, None if dtype is None else self.kind(dtype), dtype)

    def for_any_type(self) -> Backend:
        return _arrays_and_scalars(self.cls)

    def kind(self, dtype: Any) -> str:
        return _KINDS.get(dtype.kind) or (super().kind(dtype) if dtype.kind == "V" and not dtype.names else "other")

    def strides(self, tensor: Any) -> tuple[int, ...] | None:
        return tensor.strides

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        return tensor if isinstance(tensor, np.ndarray) else np.asarray(tensor)


def _is_masked(kind: type) -> bool:
    """Whether arrays of that type have masks; `numpy.ma`, which takes long to import, is not needed to tell."""
    masked_array = getattr(sys.modules.get("numpy.ma"), "MaskedArray", None)  # not while another thread imports it
    return masked_array is not None and issubclass(kind, masked_array)


def _expand_masked(tensor: Any, shape: Sequence[int]) -> Any:
    """Broadcast by copies, masks included."""
    tensor = tensor.reshape((1,) * (len(shape) - tensor.ndim) + tensor.shape)
    for axis, size in enumerate(shape):
        if tensor.shape[axis] != size:
            tensor = tensor.repeat(size, axis)
    return tensor


def _concat(tensors: Sequence[Any], axis: int) -> Any:
    """By the function that sees the masks, if there are any."""
    return (np.ma if any(_is_masked(type(tensor)) for tensor in tensors) else np).concatenate(tensors, axis)


def _refuse_masks(kind: type, name: str) -> None:
    """Raise PLT503 for what has no meaning with a mask."""
    if _is_masked(kind):
        raise make_error("PLT503", f"{name} is not defined on masked arrays; fill them first, as x.filled(0) does")


class _ArraysAndScalars(NumpyBackend):
    """Scalars, as a reduction of all axes returns them, and subclasses have methods of their own."""

    def __init__(self, kind: type) -> None:
        super().__init__(kind)
        self.reshape = self.view = lambda tensor, shape: tensor.reshape(shape)
        self.permute = lambda tensor, order: tensor.transpose(order)
        self.concat = _concat


_arrays_and_scalars = clearable_lru_cache(maxsize=64)(_ArraysAndScalars)

BACKEND = NumpyBackend
