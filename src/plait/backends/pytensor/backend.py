"""PyTensor: graphs, whose sizes may be unknown; ``pytensor.xtensor`` has names for its axes already: not served."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytensor.tensor as pt
from pytensor.compile import SharedVariable
from pytensor.gradient import disconnected_grad
from pytensor.graph import Constant

from plait.backends.common.equation import replace_ellipsis_and_squeeze
from plait.backends.common.lazy_sizes import LazySizeBackend
from plait.backends.common.reductions import ReductionTable, build_logsumexp, build_var
from plait.backends.interface import Reduction


def _static(tensor: Any) -> tuple[int | None, ...]:
    """The shape of a variable or an array, ``None`` where it is not known before the graph runs."""
    return tensor.type.shape if isinstance(tensor, pt.TensorVariable) else tensor.shape


def _with_nan(reduce: Reduction) -> Reduction:
    """With NaN where there is one: what PyTensor compiles by default loses it."""

    def with_nan(tensor: Any, axes: tuple[int, ...]) -> Any:
        found = pt.any(pt.isnan(tensor), axes)
        return pt.switch(found, pt.constant(float("nan"), dtype=tensor.dtype), reduce(tensor, axes))

    return with_nan


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    found = pt.max(tensor, axes, keepdims=True)
    return disconnected_grad(pt.switch(pt.isinf(found), 0, found))


_logsumexp = build_logsumexp(_finite_max, pt.exp, pt.sum, lambda total: pt.log1p(total - 1), pt.squeeze)
"""PyTensor rewrites its own into this, but not in every mode, and with ``log`` would subtract the maximum once more."""

_complex_var = build_var(
    partial(pt.mean, keepdims=True),
    lambda tensor: pt.real(tensor) ** 2 + pt.imag(tensor) ** 2,  # pt.var squares, and squares may be negative
    pt.mean,
)


class PyTensorBackend(LazySizeBackend):
    """Plans call the functions of ``pytensor.tensor``, which take NumPy's arrays for constants."""

    name = "pytensor"
    accepts = frozenset({"numpy"})
    permute = staticmethod(pt.transpose)
    concat = staticmethod(pt.concatenate)
    stack = staticmethod(pt.stack)
    static_sizes = staticmethod(_static)
    shape_tensor = staticmethod(pt.shape)
    reductions = ReductionTable(
        function=partial(getattr, pt),
        cast=pt.cast,
        overrides={
            ("min", "floating"): _with_nan(pt.min),
            ("max", "floating"): _with_nan(pt.max),
            "logsumexp": _logsumexp,
            ("var", "complex"): _complex_var,
        },
        upcast={"half": ("prod", "var", "std", "logsumexp")},  # it accumulates sums and means in float32 by itself
        unsupported_empty=("logsumexp",),
        is_empty=lambda tensor: 0 in tensor.type.shape,
    )

    def __init__(self, kind: type) -> None:
        if not issubclass(kind, pt.TensorVariable):
            raise TypeError(f"{kind.__qualname__} is no TensorVariable")

    def reshape(self, tensor: Any, shape: Sequence[Any]) -> Any:
        sizes = self.materialize_all(self.infer_one_size(tensor, shape))  # to infer one, PyTensor needs a smaller graph
        return pt.reshape(tensor, sizes, ndim=len(shape))

    def expand(self, tensor: Any, shape: Sequence[Any]) -> Any:
        return pt.broadcast_to(tensor, tuple(self.materialize_all(shape)))

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        terms, output, operands = replace_ellipsis_and_squeeze(
            equation, tensors, [_static(tensor) for tensor in tensors], pt.squeeze
        )
        result = pt.einsum(",".join(terms) + "->" + output, *operands)
        known = {
            letter: size
            for term, operand in zip(terms, operands, strict=True)
            for letter, size in zip(term, _static(operand), strict=True)
            if size is not None
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

    def is_symbolic(self, size: Any) -> bool:
        if isinstance(size, pt.TensorVariable):
            return not size.ndim and "int" in size.dtype
        return super().is_symbolic(size)


BACKEND = PyTensorBackend
