"""Any library that follows the Python array API standard and has no file of its own.

The namespace comes from each array, so one backend serves them all. Source: https://data-apis.org/array-api/
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from plait.backends.array_api.reductions import REDUCTIONS, space_of
from plait.backends.common.contraction import contract
from plait.backends.common.equation import einsum_in
from plait.backends.interface import Backend

_TO_NUMPY = ("todense", "unwrap_numpy")
"""Methods that give a NumPy array where the library has no other way: of PyData Sparse and of ndonnx."""


class ArrayAPIBackend(Backend):
    """Plans call the functions of the array's own namespace."""

    reductions = REDUCTIONS

    def __init__(self, kind: type) -> None:
        self.name = kind.__module__.partition(".")[0]  # type: ignore[misc]  # each library is a framework of its own

    @staticmethod
    def reshape(tensor: Any, shape: Sequence[int]) -> Any:
        return space_of(tensor).reshape(tensor, tuple(shape))

    @staticmethod
    def view(tensor: Any, shape: Sequence[int]) -> Any:
        return space_of(tensor).reshape(tensor, tuple(shape), copy=False)

    @staticmethod
    def permute(tensor: Any, order: Sequence[int]) -> Any:
        return space_of(tensor).permute_dims(tensor, tuple(order))

    @staticmethod
    def expand(tensor: Any, shape: Sequence[int]) -> Any:
        return space_of(tensor).broadcast_to(tensor, tuple(shape))

    @staticmethod
    def concat(tensors: Sequence[Any], axis: int) -> Any:
        return space_of(tensors[0]).concat(list(tensors), axis=axis)

    @staticmethod
    def stack(tensors: Sequence[Any]) -> Any:
        return space_of(tensors[0]).stack(list(tensors))

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        space = space_of(tensors[0])
        if str(tensors[0].dtype).endswith("float16"):
            return einsum_in(space.float32, partial(contract, space), space.astype, equation, tensors)
        return contract(space, equation, *tensors)

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        import numpy as np

        for method in _TO_NUMPY:
            if hasattr(tensor, method):
                return getattr(tensor, method)()
        try:
            return np.from_dlpack(tensor)
        except Exception:  # a library may have no DLPack, or a device that NumPy cannot read
            array = np.asarray(tensor)
        if array.dtype == object:  # NumPy has made the tensor itself the only element
            raise TypeError("NumPy sees no elements in it")
        return array


BACKEND = ArrayAPIBackend
