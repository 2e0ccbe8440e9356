"""PaddlePaddle's reductions, each on element types that it has a kernel for.

On a CPU most of them know neither half types nor small integers; these are reduced in a wider type.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import paddle

from plait.backends.common.reductions import ReductionTable, build_logsumexp, build_var
from plait.backends.interface import Reduction
from plait.backends.reduction_rules import COUNTING, ROUNDING


def _extreme(reduce: Callable[..., Any], of_two: Callable[[Any, Any], Any]) -> Reduction:
    """Paddle's own gradient along several axes of five or six is uninitialized memory; along one it is right.

    Along a short axis, that of a pooling, the gradient of a chain of pairs is computed twenty times as fast.
    """

    def extreme(tensor: Any, axes: tuple[int, ...]) -> Any:
        if tensor.dtype in _NARROW:
            return paddle.cast(extreme(paddle.cast(tensor, "int32"), axes), tensor.dtype)
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


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    found = paddle.amax(tensor, axes, True).detach()  # of nothing it is anything, which log 0 outweighs
    zero = paddle.cast(found < found, found.dtype)  # noqa: PLR0124  # zeros_like warns in a static program
    return paddle.where(paddle.isfinite(found), found, zero)


def _log(total: Any) -> Any:
    return paddle.log(total * paddle.cast(total > 0.5, total.dtype))  # Paddle's exp(-inf) is not 0 but 2e-308


_SHORT = 4
"""How long an axis is at most whose elements are compared in pairs."""

_NARROW = (paddle.uint8, paddle.int8, paddle.int16)

_mean_kept = partial(paddle.mean, keepdim=True)
_var = build_var(_mean_kept, lambda tensor: tensor * tensor, paddle.mean)
_complex_var = build_var(_mean_kept, lambda tensor: paddle.real(tensor) ** 2 + paddle.imag(tensor) ** 2, paddle.mean)

REDUCTIONS = ReductionTable(
    function=partial(getattr, paddle),
    cast=paddle.cast,
    special={
        "min": _extreme(paddle.amin, paddle.minimum),
        "max": _extreme(paddle.amax, paddle.maximum),
        "var": _var,  # Paddle's own takes fifteen times as long
        "std": lambda tensor, axes: paddle.sqrt(_var(tensor, axes)),
        # Paddle's own takes no rank above 4, and is NaN where the largest is infinite
        "logsumexp": build_logsumexp(_finite_max, paddle.exp, paddle.sum, _log, paddle.squeeze),
        ("var", "complex"): _complex_var,
        ("std", "complex"): lambda tensor, axes: paddle.sqrt(_complex_var(tensor, axes)),
    },
    upcast={"bool": COUNTING, "integer": COUNTING, "half": {*ROUNDING, "min", "max"}},
    orders_bools=False,
    tests_numbers=False,
)
