"""What plans call for the symbolic tensors of Keras: ``keras.ops``, and `Sized` where those need what is not known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
from keras import ops

from plait.backends.common.lazy_sizes import inferred
from plait.backends.keras.shapes import sized

Reduction: TypeAlias = Callable[[Any, tuple[int, ...]], Any]


def reshape(tensor: Any, shape: Sequence[Any]) -> Any:
    """The elements in another shape; the one unknown size that there mostly is, the batch, takes Keras' own way."""
    return sized("reshape", tensor, inferred(shape, tensor.shape))


def expand(tensor: Any, shape: Sequence[Any]) -> Any:
    """Broadcast to a shape."""
    return sized("broadcast_to", tensor, shape)


def part(tensor: Any, axis: int, start: Any, stop: Any) -> Any:
    """From ``start`` up to ``stop`` along an axis."""
    return sized("slice", tensor, (axis, start, stop))


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
