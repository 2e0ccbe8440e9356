"""Any other library that follows the Python array API standard, https://data-apis.org/array-api/."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from plait.backends.common.contraction import einsum_by_matmul
from plait.backends.common.equation import einsum_with_dtype
from plait.backends.common.reductions import Elementwise, ReductionTable, build_logsumexp, build_var
from plait.backends.interface import Backend, Reduction
from plait.backends.reduction_rules import COUNTING_REDUCTIONS, ROUNDING_REDUCTIONS

_TO_NUMPY = ("todense", "unwrap_numpy")
"""Methods that give a NumPy array where the library has no other way: of PyData Sparse and of ndonnx."""


def _space(tensor: Any) -> Any:
    return tensor.__array_namespace__()


def _along(name: str, **keywords: Any) -> Reduction:
    return lambda tensor, axes: getattr(_space(tensor), name)(tensor, axis=axes, **keywords)


def _each(name: str) -> Elementwise:
    return lambda tensor: getattr(_space(tensor), name)(tensor)


def _cast(tensor: Any, dtype: Any) -> Any:
    space = _space(tensor)
    return space.astype(tensor, getattr(space, dtype) if isinstance(dtype, str) else dtype)


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    space = _space(tensor)
    found = space.max(tensor, axis=axes, keepdims=True)
    return space.where(space.isfinite(found), found, space.zeros_like(found))


def _squared_magnitude(tensor: Any) -> Any:
    space = _space(tensor)
    return space.real(tensor) ** 2 + space.imag(tensor) ** 2


class ArrayAPIBackend(Backend):
    """Plans call the functions of the array's own namespace."""

    reductions = ReductionTable(
        function=_along,
        cast=_cast,
        overrides={
            "logsumexp": build_logsumexp(_finite_max, _each("exp"), _along("sum"), _each("log"), _along("squeeze")),
            ("var", "complex"): build_var(_along("mean", keepdims=True), _squared_magnitude, _along("mean")),
        },
        upcast={"bool": COUNTING_REDUCTIONS, "half": ROUNDING_REDUCTIONS},
        has_bool_extrema=False,
        unsupported_empty=("logsumexp",),
        is_empty=lambda tensor: 0 in tensor.shape,
    )

    def __init__(self, kind: type) -> None:
        self.name = kind.__module__.partition(".")[0]  # type: ignore[misc]  # each library is a framework of its own

    @staticmethod
    def reshape(tensor: Any, shape: Sequence[int]) -> Any:
        return _space(tensor).reshape(tensor, tuple(shape))

    @staticmethod
    def view(tensor: Any, shape: Sequence[int]) -> Any:
        return _space(tensor).reshape(tensor, tuple(shape), copy=False)

    @staticmethod
    def permute(tensor: Any, order: Sequence[int]) -> Any:
        return _space(tensor).permute_dims(tensor, tuple(order))

    @staticmethod
    def expand(tensor: Any, shape: Sequence[int]) -> Any:
        return _space(tensor).broadcast_to(tensor, tuple(shape))

    @staticmethod
    def concat(tensors: Sequence[Any], axis: int) -> Any:
        return _space(tensors[0]).concat(list(tensors), axis=axis)

    @staticmethod
    def stack(tensors: Sequence[Any]) -> Any:
        return _space(tensors[0]).stack(list(tensors))

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        space = _space(tensors[0])
        if str(tensors[0].dtype).endswith("float16"):
            return einsum_with_dtype(space.float32, partial(einsum_by_matmul, space), space.astype, equation, tensors)
        return einsum_by_matmul(space, equation, *tensors)

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
