"""PyTensor: graphs of symbols, whose dimensions may be known when the graph is built, or not.

Tensors with labelled dimensions, of ``pytensor.xtensor``, are not served: they have names for their axes already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytensor.tensor as pt
from pytensor.compile import SharedVariable
from pytensor.graph import Constant

from plait.backends.common.equation import expand_ellipsis
from plait.backends.common.lazy_sizes import Unknown, dimensions
from plait.backends.interface import Backend
from plait.backends.pytensor.reductions import SPECIAL, Reduction
from plait.backends.pytensor.shapes import (
    expanded,
    reshaped,
    static,
    value,
)


class PyTensorBackend(Backend):
    """Plans call the functions of ``pytensor.tensor``, which take NumPy's arrays for constants."""

    name = "pytensor"
    accepts = frozenset({"numpy"})
    reshape = staticmethod(reshaped)
    permute = staticmethod(pt.transpose)
    expand = staticmethod(expanded)
    concat = staticmethod(pt.concatenate)
    stack = staticmethod(pt.stack)
    size_to_user = staticmethod(value)

    def __init__(self, kind: type) -> None:
        if not issubclass(kind, pt.TensorVariable):
            raise TypeError(f"{kind.__qualname__} is no TensorVariable")

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        terms, output, operands = expand_ellipsis(equation, tensors, [static(tensor) for tensor in tensors], pt.squeeze)
        result = pt.einsum(",".join(terms) + "->" + output, *operands)
        known = {
            letter: size for term, each in zip(terms, operands, strict=True) for letter, size in _named(term, each)
        }
        shape = tuple([known.get(letter) for letter in output])
        if 0 in known.values() and None not in shape:  # which it does not vectorize
            nothing = [pt.sum(operand.flatten()[:0]) for operand in operands]  # 0, by which gradients reach them
            return pt.zeros(shape, dtype=result.dtype) + sum(nothing).astype(result.dtype)
        return result if shape == static(result) else pt.specify_shape(result, shape)  # it forgets some sizes

    def reduction(self, name: str, dtype: Any) -> Reduction:
        kind = None if dtype is None else self.kind(dtype)
        reduce: Reduction = SPECIAL.get((name, kind), getattr(pt, name))
        if dtype == "float16" and name in ("prod", "var", "std", "logsumexp"):
            return lambda tensor, axes: reduce(pt.cast(tensor, "float32"), axes).astype(dtype)
        return reduce

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        if isinstance(tensor, Constant):
            return tensor.data
        return tensor.get_value() if isinstance(tensor, SharedVariable) else tensor.eval()

    def rank(self, tensor: Any) -> int | None:
        return tensor.ndim

    def slice(self, tensor: Any, axis: int, start: Any, stop: Any) -> Any:
        return super().slice(tensor, axis, value(start), value(stop))

    def shape(self, tensor: Any) -> Sequence[Any]:
        known = static(tensor)
        return dimensions(tensor, known) if None in known else known

    def static_shape(self, tensor: Any, rank: int) -> Sequence[int | None]:
        return static(tensor)

    def is_symbolic(self, size: Any) -> bool:
        if isinstance(size, pt.TensorVariable):
            return not size.ndim and "int" in size.dtype
        return isinstance(size, Unknown)

    def comparable(self, tensors: Sequence[Any]) -> bool:
        return False  # where they are not known


def _named(term: str, tensor: Any) -> list[tuple[str, int]]:
    """The letters of a term whose sizes are known."""
    return [(letter, size) for letter, size in zip(term, static(tensor), strict=True) if size is not None]


BACKEND = PyTensorBackend
