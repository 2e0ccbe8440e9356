"""PaddlePaddle's reductions, each on element types that it has a kernel for.

On a CPU most of them know neither half types nor small integers; these are reduced in a wider type. What is exact in
the narrow one, and what is to come back in it, is a table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import paddle

Reduction: TypeAlias = Callable[[Any, tuple[int, ...]], Any]


def reduction(name: str, dtype: Any, kind: str | None) -> Reduction:
    """The reduction of that name, for elements of that type (``None``: unknown)."""
    reduce = _COMPLEX.get(name) if kind == "complex" else None
    reduce = reduce or (_TRUTHS.get(name) if kind == "bool" else None) or _REDUCTIONS[name]
    if name in ("any", "all") or reduce is _TRUTHS.get(name):
        return reduce if dtype == paddle.bool else lambda tensor, axes: reduce(paddle.cast(tensor, "bool"), axes)
    if kind in ("bool", "integer") and name in ("sum", "prod"):
        return lambda tensor, axes: reduce(paddle.cast(tensor, "int64"), axes)
    wide = _WIDE.get(dtype)
    return (lambda tensor, axes: paddle.cast(reduce(paddle.cast(tensor, wide), axes), dtype)) if wide else reduce


def _extreme(reduce: Callable[..., Any], of_two: Callable[[Any, Any], Any]) -> Reduction:
    """Paddle's own gradient along several axes of five or six is memory that nobody wrote; along one it is right.

    Along a short axis, that of a pooling, the gradient of a chain of pairs is computed twenty times as fast.
    """

    def extreme(tensor: Any, axes: tuple[int, ...]) -> Any:
        if tensor.stop_gradient or len(tensor.shape) not in (5, 6):
            return reduce(tensor, axes)
        for axis in sorted(axes, reverse=True):
            if 1 < tensor.shape[axis] <= _SHORT:
                tensor, *parts = paddle.unbind(tensor, axis)
                for part in parts:
                    tensor = of_two(tensor, part)
            else:
                tensor = reduce(tensor, axis)
        return tensor

    return extreme


def _var(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Paddle's own takes fifteen times as long."""
    apart = tensor - paddle.mean(tensor, axes, True)
    return paddle.mean(apart * apart, axes)


def _complex_var(tensor: Any, axes: tuple[int, ...]) -> Any:
    apart = tensor - paddle.mean(tensor, axes, True)
    return paddle.mean(paddle.real(apart) ** 2 + paddle.imag(apart) ** 2, axes)


def _logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Paddle's own takes no rank above 4, and is NaN where the largest is infinite."""
    peak = paddle.amax(tensor, axes, True).detach()  # of nothing it is anything, which log 0 outweighs
    zero = paddle.cast(peak < peak, peak.dtype)  # noqa: PLR0124  # zeros_like warns in a static program
    peak = paddle.where(paddle.isfinite(peak), peak, zero)
    total = paddle.sum(paddle.exp(tensor - peak), axes)
    total = total * paddle.cast(total > 0.5, total.dtype)  # Paddle's exp(-inf) is not 0 but 2e-308
    return paddle.log(total) + paddle.squeeze(peak, axes)


_SHORT = 4
"""How long an axis is at most whose elements are compared in pairs."""

_WIDE = {
    paddle.float16: "float32",
    paddle.bfloat16: "float32",
    paddle.uint8: "int32",
    paddle.int8: "int32",
    paddle.int16: "int32",
}

_REDUCTIONS: dict[str, Reduction] = {
    "min": _extreme(paddle.amin, paddle.minimum),
    "max": _extreme(paddle.amax, paddle.maximum),
    "sum": paddle.sum,
    "mean": paddle.mean,
    "prod": paddle.prod,
    "any": paddle.any,
    "all": paddle.all,
    "var": _var,
    "std": lambda tensor, axes: paddle.sqrt(_var(tensor, axes)),
    "logsumexp": _logsumexp,
}

_TRUTHS: dict[str, Reduction] = {"min": paddle.all, "max": paddle.any}

_COMPLEX: dict[str, Reduction] = {
    "var": _complex_var,
    "std": lambda tensor, axes: paddle.sqrt(_complex_var(tensor, axes)),
}
