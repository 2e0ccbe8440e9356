"""Einsum and the reductions: TensorFlow's operations, for the element types too that their kernels leave out."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import tensorflow as tf

from plait.backends.tensorflow.shapes import constant
from plait.errors import fail

Reduction: TypeAlias = Callable[[Any, tuple[int, ...]], Any]

_CONTRACTED = frozenset(
    {tf.float16, tf.bfloat16, tf.float32, tf.float64, tf.int32, tf.int64, tf.complex64, tf.complex128}
)
"""The element types that einsum has kernels for."""

_ROUNDING = ("sum", "prod", "mean", "var", "std", "logsumexp")
"""The reductions that round, and so need more digits than half types have."""


def einsum(equation: str, *tensors: Any) -> Any:
    """One operation for one or two tensors; for more, ``tf.einsum`` finds an order."""
    dtype = tf.as_dtype(tensors[0].dtype)
    if any(tf.as_dtype(tensor.dtype) != dtype for tensor in tensors):
        kinds = " and ".join(dict.fromkeys([tf.as_dtype(tensor.dtype).name for tensor in tensors]))
        raise fail("PLT503", f"einsum is not defined on a mixture of {kinds}; cast one of them")
    if dtype in (tf.float16, tf.bfloat16) and _is_all_cpu():
        return tf.cast(einsum(equation, *[tf.cast(tensor, tf.float32) for tensor in tensors]), dtype)
    if dtype not in _CONTRACTED:
        return tf.cast(einsum(equation, *[tf.cast(tensor, tf.int64) for tensor in tensors]), dtype)
    return tf.raw_ops.Einsum(inputs=tensors, equation=equation) if len(tensors) < 3 else tf.einsum(equation, *tensors)


@lru_cache(maxsize=1)
def _is_all_cpu() -> bool:
    """Whether there is nothing else to compute on, where half types would lose most of their digits in a sum."""
    return {device.device_type for device in tf.config.list_logical_devices()} == {"CPU"}


def reduction(name: str, dtype: Any) -> Reduction:
    """The reduction of that name, for elements of that type."""
    if name in ("any", "all"):
        return _of(_REDUCTIONS[name], tf.bool) if dtype != tf.bool else _REDUCTIONS[name]
    if dtype == tf.bool and name in ("min", "max"):
        return _REDUCTIONS["all" if name == "min" else "any"]
    if name in ("sum", "prod") and (dtype == tf.bool or dtype.is_integer) and dtype.size < tf.int64.size:
        return _of(_REDUCTIONS[name], tf.int64)
    if name in _ROUNDING and dtype in (tf.float16, tf.bfloat16):
        wide = _of(_REDUCTIONS[name], tf.float32)
        return lambda tensor, axes: tf.cast(wide(tensor, axes), dtype)
    return _REDUCTIONS[name]


def _of(reduce: Reduction, dtype: Any) -> Reduction:
    return lambda tensor, axes: reduce(tf.cast(tensor, dtype), axes)


def _raw(operation: Callable[..., Any]) -> Reduction:
    return lambda tensor, axes: operation(input=tensor, axis=constant(axes))


_REDUCTIONS: dict[str, Reduction] = {
    "min": _raw(tf.raw_ops.Min),
    "max": _raw(tf.raw_ops.Max),
    "sum": _raw(tf.raw_ops.Sum),
    "mean": _raw(tf.raw_ops.Mean),
    "prod": _raw(tf.raw_ops.Prod),
    "any": _raw(tf.raw_ops.Any),
    "all": _raw(tf.raw_ops.All),
    "std": lambda tensor, axes: tf.math.reduce_std(tensor, constant(axes)),
    "var": lambda tensor, axes: tf.math.reduce_variance(tensor, constant(axes)),
    "logsumexp": lambda tensor, axes: tf.math.reduce_logsumexp(tensor, constant(axes)),
}
