"""TensorFlow's reductions: its operations, for the element types too that their kernels leave out."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from plait.backends.common.reductions import ReductionTable
from plait.backends.interface import Reduction
from plait.backends.reduction_rules import COUNTING, ROUNDING
from plait.backends.tensorflow.shapes import constant

_COMPOSED: dict[str, Any] = {
    "std": tf.math.reduce_std,
    "var": tf.math.reduce_variance,
    "logsumexp": tf.math.reduce_logsumexp,
}
"""Where one operation is not enough."""


def _function(name: str) -> Reduction:
    if name in _COMPOSED:
        return lambda tensor, axes: _COMPOSED[name](tensor, constant(axes))
    operation = getattr(tf.raw_ops, name.capitalize())
    return lambda tensor, axes: operation(input=tensor, axis=constant(axes))


REDUCTIONS = ReductionTable(
    function=_function,
    cast=tf.cast,
    special={},
    upcast={"bool": COUNTING, "integer": COUNTING, "half": ROUNDING},
    orders_bools=False,
    tests_numbers=False,
)
