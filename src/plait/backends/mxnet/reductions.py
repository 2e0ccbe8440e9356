"""MXNet's reductions: the functions of arrays, and those of symbols by the same names.

Sum and mean are the classic ones: the NumPy ones carry a remainder along, which makes NaN of an infinity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import mxnet as mx

Reduction: TypeAlias = Callable[[Any, tuple[int, ...]], Any]


def is_symbol(tensor: Any) -> bool:
    """Whether it stands for arrays to come."""
    return isinstance(tensor, mx.sym.Symbol)


def space_of(tensor: Any) -> Any:
    """The functions that take it, Gluon's ``F``."""
    return mx.sym.np if is_symbol(tensor) else mx.np


def type_of(tensor: Any) -> Any:
    """The type of the elements; of a symbol where its graph tells, or else ``None``."""
    return tensor.infer_type_partial()[1][0] if is_symbol(tensor) else tensor.dtype


def reduction(name: str, kind: str | None, dtype: Any) -> Reduction:
    """The reduction of that name, for elements of that type (``None``: unknown)."""
    if kind in ("bool", "integer") and name in ("sum", "prod"):
        reduce: Reduction = _COUNTING[name]
    else:
        reduce = _REDUCTIONS.get(name) or _numpys(name)
    if name in _ROUNDING and "float16" in str(dtype):
        return lambda tensor, axes: reduce(tensor.astype("float32"), axes).astype("float16")
    return reduce


def _numpys(name: str) -> Reduction:
    return lambda tensor, axes: getattr(space_of(tensor), name)(tensor, axis=axes)


def _is_empty(tensor: Any) -> bool:
    return not is_symbol(tensor) and not tensor.size


def _classic(name: str, of_nothing: float) -> Callable[..., Any]:
    """A classic reduction, which leaves no tensor without dimensions, and takes none without elements."""

    def reduce(tensor: Any, axes: tuple[int, ...], *, keepdims: bool = False) -> Any:
        if _is_empty(tensor):
            return mx.np.sum(tensor, axis=axes, keepdims=keepdims) + of_nothing
        function = getattr(mx.sym if is_symbol(tensor) else mx.nd, name)
        keeps = keepdims or is_symbol(tensor) or len(axes) == tensor.ndim
        result = function(tensor.as_nd_ndarray(), axis=axes, keepdims=keeps).as_np_ndarray()
        return space_of(tensor).squeeze(result, axis=axes) if keeps and not keepdims else result

    return reduce


_sum, _mean = _classic("sum", 0), _classic("mean", float("nan"))


def _prod(tensor: Any, axes: tuple[int, ...], dtype: str | None = None) -> Any:
    if _is_empty(tensor):
        return mx.np.sum(tensor, axis=axes, dtype=dtype) + 1  # MXNet's own product of nothing is 0
    return space_of(tensor).prod(tensor, axis=axes, dtype=dtype)


def _var(tensor: Any, axes: tuple[int, ...]) -> Any:
    """MXNet's own reads beyond the memory of a tensor of more than 6 dimensions."""
    apart = tensor - _mean(tensor, axes, keepdims=True)
    return _mean(apart * apart, axes)


def _logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
    space = space_of(tensor)
    if _is_empty(tensor):
        return space.log(_sum(tensor, axes))  # the logarithm of nothing's sum, 0
    peak = space.nan_to_num(space.max(tensor, axis=axes, keepdims=True), posinf=0.0, neginf=0.0)
    return space.log(_sum(space.exp(tensor - peak), axes)) + space.squeeze(peak, axis=axes)


_REDUCTIONS: dict[str, Reduction] = {
    "sum": _sum,
    "prod": _prod,
    "mean": _mean,
    "var": _var,
    "std": lambda tensor, axes: space_of(tensor).sqrt(_var(tensor, axes)),
    "logsumexp": _logsumexp,
}
_COUNTING: dict[str, Reduction] = {
    "sum": lambda tensor, axes: space_of(tensor).sum(tensor, axis=axes, dtype="int64"),
    "prod": lambda tensor, axes: _prod(tensor, axes, "int64"),
}
_ROUNDING = ("sum", "prod", "mean", "var", "std", "logsumexp")
"""The reductions that round, and so need more digits than half types have."""
