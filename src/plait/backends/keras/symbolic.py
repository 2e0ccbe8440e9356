"""What plans call for the symbolic tensors of Keras: ``keras.ops``, and `Sized` where those need what is not known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
from keras import KerasTensor, ops

from plait.backends.common.lazy_sizes import LazyShapes, LazySize
from plait.backends.common.reductions import ReductionTable
from plait.backends.interface import Reduction
from plait.backends.keras.shapes import sized
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


class SymbolicBackend(LazyShapes):
    """What a model does not know of its sizes is a `LazySize`, and read from its inputs when the model is called."""

    name = "keras"
    reductions = REDUCTIONS
    permute = staticmethod(ops.transpose)
    concat = staticmethod(ops.concatenate)
    stack = staticmethod(ops.stack)
    einsum = staticmethod(ops.einsum)
    to_numpy = staticmethod(KerasTensor.__array__)

    def reshape(self, tensor: Any, shape: Sequence[Any]) -> Any:
        return sized("reshape", tensor, self.inferred(tensor, shape))  # mostly of the batch, which takes Keras' own way

    def expand(self, tensor: Any, shape: Sequence[Any]) -> Any:
        return sized("broadcast_to", tensor, shape)

    def slice(self, tensor: Any, axis: int, start: Any, stop: Any) -> Any:
        return sized("slice", tensor, (axis, start, stop))

    @staticmethod
    def static_sizes(tensor: Any) -> Any:
        return tensor.shape

    def comparable(self, tensors: Sequence[Any]) -> bool:
        return False

    def size_from_user(self, size: Any) -> Any:
        return LazySize(*size.parts, from_user=True)

    def size_to_user(self, size: Any) -> Any:
        return size
