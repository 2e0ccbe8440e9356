"""The reductions of NumPy arrays: the ufuncs that its methods end in, without the Python around them."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from plait._caches import register
from plait.backends.interface import Reduction
from plait.backends.reduction_rules import ROUNDING

if TYPE_CHECKING:
    from plait.backends.common.reductions import ReductionTable

_KINDS = ("bool", "integer", "floating", "complex")


def _mean(tensor: Any, axes: tuple[int, ...], dtype: Any = None) -> Any:
    total = np.add.reduce(tensor, axes, dtype)
    if not tensor.size:
        return np.full_like(total, np.nan)[()]
    return np.true_divide(total, tensor.size // total.size, dtype=total.dtype)


def _var(tensor: Any, axes: tuple[int, ...]) -> Any:
    return tensor.var(axes) if tensor.size else _mean(tensor.real, axes)


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    found = np.maximum.reduce(tensor, axes, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(found), found, 0).astype(tensor.dtype)


def _cast(tensor: Any, dtype: Any) -> Any:
    return tensor.astype(dtype)  # of an array, or of the scalar that all of it is reduced to


def is_half(dtype: Any) -> bool:
    """Whether sums would lose most of their digits: 16 bits and fewer, ``ml_dtypes`` among them."""
    return dtype is not None and dtype.itemsize <= 2 and (dtype.kind == "f" or "float" in dtype.name)


_UFUNCS: dict[str, Reduction] = {
    "min": np.minimum.reduce,
    "max": np.maximum.reduce,
    "sum": np.add.reduce,
    "prod": np.multiply.reduce,
    "any": np.logical_or.reduce,
    "all": np.logical_and.reduce,
    "mean": _mean,
    "var": _var,
    "std": lambda tensor, axes: np.sqrt(_var(tensor, axes)),
}
"""What the methods of arrays end in."""

_IN_FLOAT32: dict[str, Reduction] = {
    "sum": lambda tensor, axes: np.add.reduce(tensor, axes, np.float32).astype(tensor.dtype),
    "prod": lambda tensor, axes: np.multiply.reduce(tensor, axes, np.float32).astype(tensor.dtype),
    "mean": lambda tensor, axes: _mean(tensor, axes, np.float32).astype(tensor.dtype),
}
"""For half types, without a copy of all elements."""


@register
@lru_cache(maxsize=64)
def reductions_of(cls: Any) -> ReductionTable:
    """The reductions of a class of arrays: its methods, which a subclass may have overridden."""
    from plait.backends.common.reductions import ReductionTable, build_logsumexp

    quiet = np.errstate(divide="ignore", over="ignore")  # log 0 is -inf, and exp(inf) is inf
    special: dict[str | tuple[str, str | None], Reduction] = {
        "logsumexp": quiet(build_logsumexp(_finite_max, np.exp, np.add.reduce, np.log, np.squeeze)),
        ("std", "other"): lambda tensor, axes: tensor.var(axes) ** 0.5,  # objects have no method for numpy.sqrt
    }
    if cls is np.ndarray:
        special |= {(name, kind): reduce for name, reduce in _UFUNCS.items() for kind in _KINDS}
        special |= {(name, "half"): reduce for name, reduce in _IN_FLOAT32.items()}
    upcast = [name for name in ROUNDING if (name, "half") not in special]
    return ReductionTable(partial(getattr, cls), _cast, special, {"half": upcast}, is_half=is_half)
