"""What PyTorch's reductions on the CPU are made of.

On a GPU and under a tracer one call is best, which a compiler fuses with its neighbours. Where a gradient is recorded,
all calls are one node of the graph; what that takes, and what the gradient of one call would, is among the prices.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from plait.backends.capabilities import Calls
from plait.backends.torch.autograd import added, averaged, chosen

_HALF = (torch.float16, torch.bfloat16)
_COMBINE: dict[str, Any] = {
    "min": torch.minimum,
    "max": torch.maximum,
    "sum": torch.add,
    "mean": torch.add,
    "prod": torch.mul,
    "any": torch.logical_or,
    "all": torch.logical_and,
}
_ALONG: dict[str, Any] = {**_COMBINE, "min": torch.amin, "max": torch.amax, "any": torch.any, "all": torch.all}
_ALONG |= {"sum": torch.sum, "mean": torch.sum, "prod": torch.prod}
_SLOW = (("call", 5000.0), ("stopped", False), ("row", 3.0), ("longest", 4), ("fault", 0.6), ("block", 1 << 20))
_PRICES = {
    "min": (
        *_SLOW,
        ("vector", 128),
        ("loose", 1.2),
        ("several", 4.0),
        ("reduced_row", 5.0),
        ("strided", 1.9),
        ("combined", 0.5),
    ),
    "sum": (
        *_SLOW,
        ("vector", 128),
        ("several", 1.3),
        ("jump", 16.0),
        ("reduced_row", 5.0),
        ("strided", 0.6),
        ("combined", 0.5),
    ),
}
_ADDED = (("recorded", 60000.0),)
_CHOSEN = (("recorded", 105000.0), ("tied_row", 8.0), ("tied", 1.5))
_RECORDED = {"min": _CHOSEN, "max": _CHOSEN, "sum": _ADDED, "mean": _ADDED}


@lru_cache(maxsize=256)
def calls(name: str, dtype: torch.dtype, recorded: bool) -> Calls | None:
    """What there is for a reduction of that name."""
    exact = dtype.is_floating_point or dtype.is_complex
    chooses = name in ("min", "max", "any", "all")
    half = dtype in _HALF and not chooses
    if dtype is torch.bool:
        served = name in ("any", "all")
    elif name == "mean":
        served = exact
    else:
        served = name in ("sum", "prod") or (name in ("min", "max") and not dtype.is_complex)
    if not served or (recorded and name not in _RECORDED):
        return None
    result = dtype if chooses or exact else torch.int64  # of narrow integers a sum is wide
    wide = torch.float32 if half else result
    combine, along = _COMBINE[name], _ALONG[name]
    size = max(wide.itemsize / 4, 1.0)
    typed: dict[str, Any] = {} if chooses else {"dtype": wide}
    return Calls(
        empty=lambda tensor, shape: tensor.new_empty(shape, dtype=result),
        room=lambda tensor, shape: tensor.new_empty(shape, dtype=wide),
        combine=lambda one, other, out: combine(one, other, out=out),
        along=lambda tensor, axis, out: along(tensor, axis, **typed, out=out),
        product=None,
        rows=None,
        widen=None if wide is dtype else lambda tensor: tensor.to(wide),
        finish=_FINISH.get(name) if exact else None,
        narrow=half,
        itemsize=(dtype if half else result).itemsize,
        prices=(
            *_PRICES["min" if chooses else "sum"],
            ("widened", max(wide.itemsize / dtype.itemsize, 1.0)),
            *(() if chooses else (("reduced", 0.13 * size), ("outer", 0.09 * size))),
            *(_RECORDED[name] if recorded else ()),
        ),
        recorded=_GRADIENTS[name](calls("sum", dtype, False)) if recorded else None,
    )


_GRADIENTS: dict[str, Any] = {"min": chosen, "max": chosen, "sum": added, "mean": averaged}
_FINISH: dict[str, Any] = {"mean": lambda out, count: out.div_(count), "sum": lambda out, _: out.add_(0)}
