"""MXNet's reductions: the functions of arrays, and those of symbols by the same names.

Sum and mean are the classic ones: the NumPy ones carry a remainder along, which makes NaN of an infinity.
"""

from __future__ import annotations

from typing import Any

import mxnet as mx

from plait.backends.common.reductions import Elementwise, ReductionTable, build_logsumexp, build_var
from plait.backends.interface import Reduction
from plait.backends.reduction_rules import COUNTING, ROUNDING


def is_symbol(tensor: Any) -> bool:
    """Whether it is a symbol of a graph, and not an array."""
    return isinstance(tensor, mx.sym.Symbol)


def space_of(tensor: Any) -> Any:
    """The functions that take it, Gluon's ``F``."""
    return mx.sym.np if is_symbol(tensor) else mx.np


def type_of(tensor: Any) -> Any:
    """The type of the elements; of a symbol where its graph tells, or else ``None``."""
    return tensor.infer_type_partial()[1][0] if is_symbol(tensor) else tensor.dtype


def _along(name: str, **keywords: Any) -> Reduction:
    return lambda tensor, axes: getattr(space_of(tensor), name)(tensor, axis=axes, **keywords)


def _each(name: str) -> Elementwise:
    return lambda tensor: getattr(space_of(tensor), name)(tensor)


def _classic(name: str, *, keepdims: bool = False) -> Reduction:
    """A classic reduction, which leaves no tensor without dimensions, and takes none without elements."""

    def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
        function = getattr(mx.sym if is_symbol(tensor) else mx.nd, name)
        keeps = keepdims or is_symbol(tensor) or len(axes) == tensor.ndim
        result = function(tensor.as_nd_ndarray(), axis=axes, keepdims=keeps).as_np_ndarray()
        return space_of(tensor).squeeze(result, axis=axes) if keeps and not keepdims else result

    return reduce


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    space = space_of(tensor)
    return space.nan_to_num(space.max(tensor, axis=axes, keepdims=True), posinf=0.0, neginf=0.0)


def _fill(_: Reduction, tensor: Any, axes: tuple[int, ...], value: float | None) -> Any:
    dtype = None if "float" in str(tensor.dtype) else "int64"
    return mx.np.sum(tensor, axis=axes, dtype=dtype) + value


_sum, _mean = _classic("sum"), _classic("mean")
_var = build_var(_classic("mean", keepdims=True), lambda tensor: tensor * tensor, _mean)

REDUCTIONS = ReductionTable(
    function=_along,
    cast=lambda tensor, dtype: tensor.astype(dtype),
    special={
        "sum": _sum,
        "mean": _mean,
        "var": _var,  # MXNet's own reads beyond the memory of a tensor of more than 6 dimensions
        "std": lambda tensor, axes: space_of(tensor).sqrt(_var(tensor, axes)),
        "logsumexp": build_logsumexp(_finite_max, _each("exp"), _sum, _each("log"), _along("squeeze")),
        **{(name, kind): _along(name, dtype="int64") for name in COUNTING for kind in ("bool", "integer")},
    },
    upcast={"half": ROUNDING},
    not_of_empty=ROUNDING,
    is_empty=lambda tensor: not is_symbol(tensor) and not tensor.size,
    fill=_fill,
)
