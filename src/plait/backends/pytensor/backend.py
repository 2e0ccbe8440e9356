"""The backend of PyTensor, whose graphs may have unknown sizes; ``pytensor.xtensor`` is not supported."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.compile import SharedVariable
from pytensor.gradient import disconnected_grad
from pytensor.graph import Constant
from pytensor.scalar import upcast

from plait.backends.common.equation import replace_ellipsis_and_squeeze
from plait.backends.common.lazy_sizes import LazySizeBackend
from plait.backends.common.reductions import ReductionTable, build_logsumexp, build_var
from plait.backends.interface import ReductionFunction


def _static_shape(tensor: Any) -> tuple[int | None, ...]:
    """Return the shape of a variable or an array, with ``None`` for lengths that are unknown before the graph runs."""
    return tensor.type.shape if isinstance(tensor, pt.TensorVariable) else tensor.shape


def _with_nan_propagation(reduce: ReductionFunction) -> ReductionFunction:
    """Wrap a min or max so that a NaN element gives NaN; in PyTensor's default mode it may not."""

    def reduce_with_nan(tensor: Any, axes: tuple[int, ...]) -> Any:
        has_nan = pt.any(pt.isnan(tensor), axes)
        return pt.switch(has_nan, pt.constant(float("nan"), dtype=tensor.dtype), reduce(tensor, axes))

    return reduce_with_nan


def _max_or_zero_if_infinite(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Return the maximum with dimensions kept, or 0 where it is infinite, so that it can be subtracted."""
    maximum = pt.max(tensor, axes, keepdims=True)
    return disconnected_grad(pt.switch(pt.isinf(maximum), 0, maximum))


_logsumexp = build_logsumexp(_max_or_zero_if_infinite, pt.exp, pt.sum, lambda total: pt.log1p(total - 1), pt.squeeze)
"""A ``logsumexp`` that does not overflow; PyTensor's own may in some modes.

It has ``log1p`` because PyTensor would replace a ``log`` of a sum by its own form.
"""

_complex_var = build_var(
    partial(pt.mean, keepdims=True),
    lambda tensor: pt.real(tensor) ** 2 + pt.imag(tensor) ** 2,  # pt.var squares complex numbers
    pt.mean,
)


def _cast_with_wrap_around(integers: Any, dtype: str) -> Any:
    """Cast a sum of bools or narrow integers, which PyTensor computes in 64 bits, back to their type.

    PyTensor's own cast of a number that the type cannot represent may raise an error.
    """
    if dtype == "bool":
        return pt.neq(integers, 0)
    info = np.iinfo(dtype)
    return pt.cast((integers - info.min) % (2**info.bits) + info.min, dtype)


class PyTensorBackend(LazySizeBackend):
    """The backend of variables; it calls functions of ``pytensor.tensor``, which convert NumPy arrays to constants."""

    name = "pytensor"
    accepts = frozenset({"numpy"})
    permute = staticmethod(pt.transpose)
    concat = staticmethod(pt.concatenate)
    stack = staticmethod(pt.stack)
    static_sizes = staticmethod(_static_shape)
    shape_tensor = staticmethod(pt.shape)
    reductions = ReductionTable(
        function=partial(getattr, pt),
        cast=pt.cast,
        overrides={
            ("min", "floating"): _with_nan_propagation(pt.min),
            ("max", "floating"): _with_nan_propagation(pt.max),
            "logsumexp": _logsumexp,
            ("var", "complex"): _complex_var,
        },
        upcast={"half": ("prod", "var", "std", "logsumexp")},  # PyTensor accumulates sums and means in float32
        unsupported_empty=("logsumexp",),
        is_empty=lambda tensor: 0 in tensor.type.shape,
    )

    def __init__(self, tensor_type: type) -> None:
        if not issubclass(tensor_type, pt.TensorVariable):
            raise TypeError(f"{tensor_type.__qualname__} is not a TensorVariable")

    def reshape(self, tensor: Any, shape: Sequence[Any]) -> Any:
        sizes = self.materialize_all(self.infer_one_size(tensor, shape))  # an inferred size makes a smaller graph
        return pt.reshape(tensor, sizes, ndim=len(shape))

    def expand(self, tensor: Any, shape: Sequence[Any]) -> Any:
        return pt.broadcast_to(tensor, tuple(self.materialize_all(shape)))

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        dtypes = [str(tensor.dtype) for tensor in tensors]
        if len({*dtypes}) > 1:  # PyTensor's einsum would promote two at a time
            tensors = tuple([tensor.astype(upcast(*dtypes)) for tensor in tensors])
        terms, output, operands = replace_ellipsis_and_squeeze(
            equation, tensors, [_static_shape(tensor) for tensor in tensors], pt.squeeze
        )
        result = pt.einsum(",".join(terms) + "->" + output, *operands)
        if result.dtype != operands[0].dtype:  # PyTensor sums an axis of one tensor in int64
            result = _cast_with_wrap_around(result, operands[0].dtype)
        lengths = {
            letter: size
            for term, operand in zip(terms, operands, strict=True)
            for letter, size in zip(term, _static_shape(operand), strict=True)
            if size is not None
        }
        shape = tuple([lengths.get(letter) for letter in output])
        if 0 in lengths.values() and None not in shape:  # PyTensor may raise NotImplementedError when it runs
            zeros = [pt.sum(operand.flatten()[:0]) for operand in operands]  # connects gradients with the operands
            return pt.zeros(shape, dtype=result.dtype) + sum(zeros).astype(result.dtype)
        # PyTensor's einsum loses some static sizes
        return result if shape == _static_shape(result) else pt.specify_shape(result, shape)

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        if isinstance(tensor, Constant):
            return tensor.data
        return tensor.get_value() if isinstance(tensor, SharedVariable) else tensor.eval()

    def is_symbolic_size(self, size: Any) -> bool:
        if isinstance(size, pt.TensorVariable):
            return not size.ndim and "int" in size.dtype
        return super().is_symbolic_size(size)


BACKEND_FACTORY = PyTensorBackend
