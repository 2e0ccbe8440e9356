"""tinygrad: lazy tensors, whose sizes may be variables; no kernel is compiled before the caller reads values."""

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
from plait.backends.interface import Backend, Reduction
from plait.backends.reduction_rules import COUNTING_REDUCTIONS

_SPACE = SimpleNamespace(permute_dims=Tensor.permute, reshape=Tensor.reshape)


def _cast(tensor: Any, dtype: Any) -> Any:
    """The elements in another type; unsigned integers are counted in unsigned ones."""
    return tensor.cast("uint64" if dtype == "int64" and dtypes.is_unsigned(tensor.dtype) else dtype)


def _squeeze(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Remove dimensions of length 1, of which the method takes one at a time."""
    return tensor.reshape([size for axis, size in enumerate(tensor.shape) if axis not in axes])


def _with_nan(reduce: Reduction) -> Reduction:
    """With NaN where there is one; the method loses it."""
    return lambda tensor, axes: tensor.isnan().any(axes).where(math.nan, reduce(tensor, axes))


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    found = tensor.max(axes, keepdim=True).detach()
    return found.isinf().where(0, found)


class TinygradBackend(Backend):
    """Plans call the methods of ``Tensor``."""

    name = "tinygrad"
    reshape = staticmethod(Tensor.reshape)
    permute = staticmethod(Tensor.permute)
    expand = staticmethod(Tensor.expand)
    to_numpy = staticmethod(Tensor.numpy)
    reductions = ReductionTable(
        function=partial(getattr, Tensor),
        cast=_cast,
        overrides={
            ("min", "floating"): _with_nan(Tensor.min),
            ("max", "floating"): _with_nan(Tensor.max),
            "var": lambda tensor, axes: tensor.var(axes, correction=0),
            # the method takes one axis, and makes NaN of infinities
            "logsumexp": build_logsumexp(_finite_max, Tensor.exp, Tensor.sum, Tensor.log, _squeeze),
        },
        upcast={
            "bool": COUNTING_REDUCTIONS,
            "integer": COUNTING_REDUCTIONS,
            "half": ("min", "max", "prod", "var", "std", "logsumexp"),  # which it rounds early, or does not compile
        },
        is_half_precision=lambda dtype: dtypes.is_float(dtype) and dtype.itemsize < 4,
    )

    def __init__(self, kind: type) -> None:
        if not issubclass(kind, Tensor):
            raise TypeError(f"{kind.__qualname__} is no tensor")

    @staticmethod
    def concat(tensors: Sequence[Any], axis: int) -> Any:
        return Tensor.cat(*tensors, dim=axis)

    @staticmethod
    def stack(tensors: Sequence[Any]) -> Any:
        return Tensor.stack(*tensors)

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        """``Tensor.einsum`` (0.14) does not stretch length 1 in ``...``, and mixes up axes where one is repeated."""
        dtype = least_upper_dtype(*[tensor.dtype for tensor in tensors])
        tensors = tuple([tensor.cast(dtype) for tensor in tensors])  # which it forgets, where one holds truth values
        terms, output, operands = replace_ellipsis_and_squeeze(
            equation, tensors, [tensor.shape for tensor in tensors], _squeeze
        )
        for place, term in enumerate(terms):
            if len(set(term)) < len(term):
                terms[place], operands[place] = take_diagonal(_SPACE, term, operands[place])
        return Tensor.einsum(",".join(terms) + "->" + output, *operands)

    def kind(self, dtype: Any) -> str:
        if dtype == dtypes.bool:
            return "bool"
        return "floating" if dtypes.is_float(dtype) else "integer"

    def static_shape(self, tensor: Any, rank: int) -> Sequence[int | None]:
        return [size if type(size) is int else None for size in tensor.shape]

    def is_symbolic(self, size: Any) -> bool:
        return isinstance(size, UOp)

    def comparable(self, tensors: Sequence[Any]) -> bool:
        return False  # called only where there are variables, and a comparison of those may raise


BACKEND = TinygradBackend
