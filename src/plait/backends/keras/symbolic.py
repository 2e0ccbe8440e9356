"""What plans call for the symbolic tensors of Keras: ``keras.ops``, and `Sized` where those need what is not known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor, ops

from plait.backends.common.lazy_sizes import LazyShapes, LazySize
from plait.backends.interface import Reduction
from plait.backends.keras.shapes import sized


class SymbolicBackend(LazyShapes):
    """What a model does not know of its sizes is a `LazySize`, and read from its inputs when the model is called."""

    name = "keras"
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

    def reduction(self, name: str, dtype: Any) -> Reduction:
        return reduction(name, str(dtype))

    @staticmethod
    def static_sizes(tensor: Any) -> Any:
        return tensor.shape

    def comparable(self, tensors: Sequence[Any]) -> bool:
        return False

    def size_from_user(self, size: Any) -> Any:
        return LazySize(*size.parts, from_user=True)

    def size_to_user(self, size: Any) -> Any:
        return size


def reduction(name: str, dtype: str) -> Reduction:
    """The reduction of that name, for elements of that type."""
    if dtype == "bool" and name in ("min", "max"):
        name = {"min": "all", "max": "any"}[name]
    reduce: Reduction = getattr(ops, name)
    if name in _COUNTING and ("int" in dtype or dtype == "bool") and keras.backend.backend() != "jax":
        return _COUNTING[name]  # JAX does so by itself, where it is allowed 64 bits
    if name == "var" and "complex" in dtype:  # Keras' own takes the real parts alone
        return lambda tensor, axes: ops.square(ops.std(tensor, axes))
    if name in _ROUNDING and dtype in ("float16", "bfloat16"):
        return lambda tensor, axes: ops.cast(reduce(ops.cast(tensor, "float32"), axes), dtype)
    return reduce


_ROUNDING = ("sum", "prod", "mean", "var", "std", "logsumexp")
"""The reductions that round, and so need more digits than half types have."""

_COUNTING: dict[str, Reduction] = {
    "sum": lambda tensor, axes: ops.cast(ops.sum(ops.cast(tensor, "int64"), axes), "int64"),
    "prod": lambda tensor, axes: ops.prod(ops.cast(tensor, "int64"), axes, dtype="int64"),
}
"""Those of integers and truth values, which count in ``int64``; Keras on PyTorch says that a sum of them does not."""
