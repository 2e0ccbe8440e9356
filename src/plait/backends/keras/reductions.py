"""The reductions of symbolic tensors: ``keras.ops``, and what they do not have as plait means it."""

from __future__ import annotations

from functools import partial

import keras
from keras import ops

from plait.backends.common.reductions import ReductionTable
from plait.backends.interface import Reduction
from plait.backends.reduction_rules import ROUNDING

_COUNT: dict[str, Reduction] = {
    "sum": lambda tensor, axes: ops.cast(ops.sum(ops.cast(tensor, "int64"), axes), "int64"),
    "prod": lambda tensor, axes: ops.prod(ops.cast(tensor, "int64"), axes, dtype="int64"),
}
"""Sums and products that count in ``int64``; Keras on PyTorch says that a sum of them does not."""

_COUNTED = () if keras.backend.backend() == "jax" else ("bool", "integer")  # JAX does so, where it is allowed 64 bits

REDUCTIONS = ReductionTable(
    function=partial(getattr, ops),
    cast=ops.cast,
    special={
        ("var", "complex"): lambda tensor, axes: ops.square(ops.std(tensor, axes)),  # Keras' takes the real parts alone
        **{(name, kind): count for name, count in _COUNT.items() for kind in _COUNTED},
    },
    upcast={"half": ROUNDING},
    orders_bools=False,
)
