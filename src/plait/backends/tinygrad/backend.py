"""The backend of tinygrad, whose tensors are computed only when values are read, and may have variables as sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

from tinygrad import Tensor, UOp, dtypes
from tinygrad.dtype import least_upper_dtype

from plait.backends.common.contraction import take_diagonal
from plait.backends.common.equation import replace_ellipsis_and_squeeze
from plait.backends.common.reductions import ReductionTable, build_logsumexp
from plait.backends.interface import Backend, ReductionFunction
from plait.backends.reduction_rules import INT64_REDUCTIONS

_ARRAY_API_NAMESPACE = SimpleNamespace(permute_dims=Tensor.permute, reshape=Tensor.reshape)


def _cast_keeping_unsigned(tensor: Any, dtype: Any) -> Any:
    """Cast a tensor to an element type; a cast of unsigned integers to ``int64`` gives ``uint64``."""
    return tensor.cast("uint64" if dtype == "int64" and dtypes.is_unsigned(tensor.dtype) else dtype)


def _squeeze(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Remove several dimensions of length 1; ``Tensor.squeeze`` removes one."""
    return tensor.reshape([size for axis, size in enumerate(tensor.shape) if axis not in axes])


def _with_nan_propagation(reduce: ReductionFunction) -> ReductionFunction:
    """Wrap a min or max so that a NaN element gives NaN; tinygrad's own methods may ignore it."""
    return lambda tensor, axes: tensor.isnan().any(axes).where(math.nan, reduce(tensor, axes))


def _max_or_zero_if_infinite(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Return the maximum with dimensions kept, or 0 where it is infinite, so that it can be subtracted."""
    maximum = tensor.max(axes, keepdim=True).detach()
    return maximum.isinf().where(0, maximum)


class TinygradBackend(Backend):
    """The backend of tinygrad's tensors; it calls the methods of ``Tensor``."""

    name = "tinygrad"
    reshape = staticmethod(Tensor.reshape)
    permute = staticmethod(Tensor.permute)
    expand = staticmethod(Tensor.expand)
    to_numpy = staticmethod(Tensor.numpy)
    reductions = ReductionTable(
        function=partial(getattr, Tensor),
        cast=_cast_keeping_unsigned,
        overrides={
            ("min", "floating"): _with_nan_propagation(Tensor.min),
            ("max", "floating"): _with_nan_propagation(Tensor.max),
            "var": lambda tensor, axes: tensor.var(axes, correction=0),
            # ``Tensor.logsumexp`` reduces one axis, and gives NaN if the maximum is infinite
            "logsumexp": build_logsumexp(_max_or_zero_if_infinite, Tensor.exp, Tensor.sum, Tensor.log, _squeeze),
        },
        upcast={
            "bool": INT64_REDUCTIONS,
            "integer": INT64_REDUCTIONS,
            # tinygrad rounds intermediate results of these, or cannot compile them in half precision
            "half": ("min", "max", "prod", "var", "std", "logsumexp"),
        },
        is_low_precision=lambda dtype: dtypes.is_float(dtype) and dtype.itemsize < 4,
    )

    def __init__(self, tensor_type: type) -> None:
        if not issubclass(tensor_type, Tensor):
            raise TypeError(f"{tensor_type.__qualname__} is not a tensor")

    @staticmethod
    def concat(tensors: Sequence[Any], axis: int) -> Any:
        return Tensor.cat(*tensors, dim=axis)

    @staticmethod
    def stack(tensors: Sequence[Any]) -> Any:
        return Tensor.stack(*tensors)

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        """Call ``Tensor.einsum`` without ``...`` and diagonals, which it computes wrongly (in 0.14)."""
        dtype = least_upper_dtype(*[tensor.dtype for tensor in tensors])
        compute = dtypes.int32 if dtype == dtypes.bool else dtype
        tensors = tuple([tensor.cast(compute) for tensor in tensors])  # Tensor.einsum does not promote bools
        terms, output, operands = replace_ellipsis_and_squeeze(
            equation, tensors, [tensor.shape for tensor in tensors], _squeeze
        )
        for number, term in enumerate(terms):
            if len(set(term)) < len(term):
                terms[number], operands[number] = take_diagonal(_ARRAY_API_NAMESPACE, term, operands[number])
        return Tensor.einsum(",".join(terms) + "->" + output, *operands).cast(dtype)  # it widens narrow integers

    def kind(self, dtype: Any) -> str:
        if dtype == dtypes.bool:
            return "bool"
        return "floating" if dtypes.is_float(dtype) else "integer"

    def static_shape(self, tensor: Any, rank: int) -> Sequence[int | None]:
        return [size if type(size) is int else None for size in tensor.shape]

    def is_symbolic_size(self, size: Any) -> bool:
        return isinstance(size, UOp)

    def can_compare_sizes(self, tensors: Sequence[Any]) -> bool:
        return False  # called only if some sizes are variables, whose comparison may raise an error


BACKEND_FACTORY = TinygradBackend
