"""TensorFlow's einsum, for the element types too that its kernels leave out."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from plait._caches import cached
from plait.backends.common.equation import einsum_in
from plait.errors import fail

_CONTRACTED = frozenset(
    {tf.float16, tf.bfloat16, tf.float32, tf.float64, tf.int32, tf.int64, tf.complex64, tf.complex128}
)
"""The element types that einsum has kernels for."""


def einsum(equation: str, *tensors: Any) -> Any:
    """One operation for one or two tensors; for more, ``tf.einsum`` finds an order."""
    dtype = tf.as_dtype(tensors[0].dtype)
    if any(tf.as_dtype(tensor.dtype) != dtype for tensor in tensors):
        kinds = " and ".join(dict.fromkeys([tf.as_dtype(tensor.dtype).name for tensor in tensors]))
        raise fail("PLT503", f"einsum is not defined on a mixture of {kinds}; cast one of them")
    if dtype in (tf.float16, tf.bfloat16) and _is_all_cpu():
        return einsum_in(tf.float32, einsum, tf.cast, equation, tensors)
    if dtype not in _CONTRACTED:
        return einsum_in(tf.int64, einsum, tf.cast, equation, tensors)
    return tf.raw_ops.Einsum(inputs=tensors, equation=equation) if len(tensors) < 3 else tf.einsum(equation, *tensors)


@cached(maxsize=1)
def _is_all_cpu() -> bool:
    """Whether there is nothing else to compute on, where half types would lose most of their digits in a sum."""
    return {device.device_type for device in tf.config.list_logical_devices()} == {"CPU"}
