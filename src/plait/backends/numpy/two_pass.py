"""What NumPy's variances and sums of exponentials are made of: what is left of a part without its pivot, added up.

Element by element it is what ``numpy.var`` and plait's own `logsumexp` do.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import lru_cache
from typing import Any

import numpy as np

from plait._caches import register
from plait.backends.capabilities import TwoPassOps
from plait.backends.numpy.reduction_ops import reduction_ops
from plait.backends.numpy.reductions import is_half
from plait.backends.reduction_rules import PIVOTS

_PART = 128
"""How many elements a product with ones adds up."""


@register
@lru_cache(maxsize=64)
def two_pass_ops(name: str, dtype: Any) -> TwoPassOps | None:
    """What there is for a reduction of that name."""
    exponentials = name == "logsumexp"
    if dtype.kind not in ("f" if exponentials else "fc"):
        return None
    half = is_half(dtype)
    wide = np.dtype(np.float32) if half else dtype.newbyteorder("=")
    real = np.empty(0, wide).real.dtype
    pivot, total = reduction_ops(PIVOTS[name], wide), reduction_ops("sum", real)
    if pivot is None or total is None:
        return None
    transform, element = _TRANSFORM[exponentials, wide.kind]
    held = wide.itemsize if real == wide else wide.itemsize + real.itemsize
    element *= wide.itemsize / 4
    costs = total.costs._replace(max_matmul_part=_PART, transform_element=element, transform_bytes=held)
    return TwoPassOps(
        pivot=pivot,
        fix_pivot=(lambda peak: np.where(np.isfinite(peak), peak, wide.type(0))) if exponentials else None,
        upcast=None if wide == dtype else lambda array: array.astype(wide),
        scratch=lambda _, shape: np.empty(shape, wide),
        transform=transform,
        total=total._replace(finish=None, costs=costs),
        empty=lambda _, shape: np.empty(shape, dtype if half else real),
        errstate=_errstate if exponentials else nullcontext,
        finish=_FINISH[name],
    )


def _errstate() -> Any:
    return np.errstate(divide="ignore", over="ignore")  # log 0 is -inf, and exp(inf) is inf


def _without(part: Any, pivot: Any, memory: Any) -> None:
    if part.dtype != memory.dtype:  # made wide all at once, which is faster than in the ufunc's own buffers
        np.copyto(memory, part)
        part = memory
    np.subtract(part, pivot, memory)


def _squares(part: Any, pivot: Any, memory: Any) -> Any:
    _without(part, pivot, memory)
    return np.square(memory, memory)


def _squares_of_complex(part: Any, pivot: Any, memory: Any) -> Any:
    _without(part, pivot, memory)
    pairs = memory.reshape(-1).view(memory.real.dtype).reshape(*memory.shape, 2)
    np.square(pairs, pairs)
    return np.add(pairs[..., 0], pairs[..., 1])


def _exponentials(part: Any, pivot: Any, memory: Any) -> Any:
    _without(part, pivot, memory)
    return np.exp(memory, memory)


_TRANSFORM: dict[tuple[bool, str], tuple[Any, float]] = {
    (False, "f"): (_squares, 0.25),
    (False, "c"): (_squares_of_complex, 0.4),
    (True, "f"): (_exponentials, 1.2),
}
"""What is made of each element, and how many nanoseconds that takes for one of 32 bits."""


def _var(total: Any, _: Any, count: int) -> Any:
    return np.true_divide(total, count, dtype=total.dtype)


def _logarithm(total: Any, pivot: Any, _: int) -> Any:
    return np.log(total) + pivot


_FINISH: dict[str, Any] = {
    "var": _var,
    "std": lambda total, pivot, count: np.sqrt(_var(total, pivot, count)),
    "logsumexp": _logarithm,
}
