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
from plait.backends.common.lazy_sizes import LazyShapes
from plait.backends.pytensor.reductions import REDUCTIONS


def _static(tensor: Any) -> tuple[int | None, ...]:
    """The shape of a variable or an array, ``None`` where it is not known before the graph runs."""
    return tensor.type.shape if isinstance(tensor, pt.TensorVariable) else tensor.shape


class PyTensorBackend(LazyShapes):
    """Plans call the functions of ``pytensor.tensor``, which take NumPy's arrays for constants."""

    name = "pytensor"
    reductions = REDUCTIONS
    accepts = frozenset({"numpy"})
    permute = staticmethod(pt.transpose)
    concat = staticmethod(pt.concatenate)
    stack = staticmethod(pt.stack)
    static_sizes = staticmethod(_static)
    shape_tensor = staticmethod(pt.shape)

    def __init__(self, kind: type) -> None:
        if not issubclass(kind, pt.TensorVariable):
            raise TypeError(f"{kind.__qualname__} is no TensorVariable")

    def reshape(self, tensor: Any, shape: Sequence[Any]) -> Any:
        sizes = self.materialize_all(self.inferred(tensor, shape))  # to infer one, PyTensor needs a smaller graph
        return pt.reshape(tensor, sizes, ndim=len(shape))

    def expand(self, tensor: Any, shape: Sequence[Any]) -> Any:
        return pt.broadcast_to(tensor, tuple(self.materialize_all(shape)))

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        terms, output, operands = expand_ellipsis(
            equation, tensors, [_static(tensor) for tensor in tensors], pt.squeeze
        )
        result = pt.einsum(",".join(terms) + "->" + output, *operands)
        known = {
            letter: size for term, each in zip(terms, operands, strict=True) for letter, size in _named(term, each)
        }
        shape = tuple([known.get(letter) for letter in output])
        if 0 in known.values() and None not in shape:  # which it does not vectorize
            nothing = [pt.sum(operand.flatten()[:0]) for operand in operands]  # 0, by which gradients reach them
            return pt.zeros(shape, dtype=result.dtype) + sum(nothing).astype(result.dtype)
        return result if shape == _static(result) else pt.specify_shape(result, shape)  # it forgets some sizes

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        if isinstance(tensor, Constant):
            return tensor.data
        return tensor.get_value() if isinstance(tensor, SharedVariable) else tensor.eval()

    def rank(self, tensor: Any) -> int | None:
        return tensor.ndim

    def is_symbolic(self, size: Any) -> bool:
        if isinstance(size, pt.TensorVariable):
            return not size.ndim and "int" in size.dtype
        return super().is_symbolic(size)

    def comparable(self, tensors: Sequence[Any]) -> bool:
        return False  # where they are not known


def _named(term: str, tensor: Any) -> list[tuple[str, int]]:
    """The letters of a term whose sizes are known."""
    return [(letter, size) for letter, size in zip(term, _static(tensor), strict=True) if size is not None]


BACKEND = PyTensorBackend
