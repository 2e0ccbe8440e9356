"""Shapes and axes as TensorFlow's operations take them in eager code: as tensors, each made once.

A conversion of the same few ints at each call would take longer than the operation.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from plait._caches import cached

_INT32 = 2**31


@cached(maxsize=4096)
def eager_ints(ints: tuple[int, ...]) -> Any:
    """Ints as a tensor in the host's memory, where operations read them."""
    with tf.device("CPU"):
        return tf.constant(ints, tf.int32 if all(size < _INT32 for size in ints) else tf.int64)


def constant(ints: tuple[int, ...]) -> Any:
    """Axes, or an order of dimensions."""
    return eager_ints(ints) if tf.executing_eagerly() else ints
