"""What PyTorch's reductions on the CPU are made of, for tensors whose gradient nobody records.

On a GPU and under a tracer one call is best, which a compiler fuses with its neighbours. Where a gradient is recorded,
each call would leave its own step for the way back, and ties of a minimum would share their gradient in another way.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch.autograd import forward_ad

from weft.backends.passes import Calls, Passes

_autocasts: Any = getattr(torch._C, "_is_any_autocast_enabled", torch.is_autocast_cpu_enabled)
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
_SLOW = (("call", 5000.0), ("row", 3.0), ("longest", 4), ("fault", 0.6), ("block", 1 << 20))
_PRICES = {
    "min": (*_SLOW, ("several", 4.0), ("reduced_row", 20.0), ("strided", 1.9), ("combined", 0.5)),
    "sum": (
        *_SLOW,
        ("several", 1.3),
        ("outer", 0.3),
        ("reduced_row", 5.0),
        ("strided", 0.6),
        ("combined", 0.35),
        ("reduced", 0.1),
    ),
}


@lru_cache(maxsize=256)
def _calls(name: str, dtype: torch.dtype) -> Calls | None:
    """What there is for a reduction of that name."""
    if name not in _COMBINE or (name in ("any", "all") and dtype is not torch.bool):
        return None
    chooses = name in ("min", "max", "any", "all")
    if (chooses and dtype.is_complex) or (name == "mean" and not (dtype.is_floating_point or dtype.is_complex)):
        return None
    if dtype is torch.bool and name not in ("any", "all"):
        return None
    half = dtype in _HALF and not chooses
    exact = dtype.is_floating_point or dtype.is_complex
    result = dtype if chooses or exact else torch.int64  # of narrow integers a sum is wide
    wide = torch.float32 if half else result
    combine, along = _COMBINE[name], _ALONG[name]
    typed: dict[str, Any] = {} if chooses else {"dtype": wide}
    return Calls(
        empty=lambda tensor, shape: tensor.new_empty(shape, dtype=result),
        room=lambda tensor, shape: tensor.new_empty(shape, dtype=wide),
        combine=lambda one, other, out: combine(one, other, out=out),
        along=lambda tensor, axis, out: along(tensor, axis, **typed, out=out),
        product=None,
        widen=None if wide is dtype else lambda tensor: tensor.to(wide),
        finish=_FINISH.get(name) if exact else None,
        narrow=half,
        itemsize=(dtype if half else result).itemsize,
        prices=_PRICES["min" if chooses else "sum"],
    )


_FINISH: dict[str, Any] = {"mean": lambda out, count: out.div_(count), "sum": lambda out, _: out.add_(0)}


def _reason(tensor: torch.Tensor) -> str | None:
    if not tensor.is_cpu:
        return f"on {tensor.device.type} one call takes the whole device"
    if tensor.requires_grad and torch.is_grad_enabled():
        return "a gradient is recorded, to which each call would add a step"
    if tensor.layout is not torch.strided or tensor.is_quantized or _autocasts():
        return "its elements are not combined as they are"
    if torch.jit.is_tracing() or torch._C._len_torch_dispatch_stack():
        return "a tracer watches, whose compiler fuses it"
    if torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0:
        return "it is transformed, which knows what becomes of it"
    return None


def _layout(tensor: torch.Tensor) -> Any:
    return None if _reason(tensor) else (tensor.stride(), tensor.dtype)


def _memory(tensor: torch.Tensor) -> tuple[tuple[int, ...], int]:
    size = tensor.element_size()
    return tuple([stride * size for stride in tensor.stride()]), size


PASSES = Passes(least=4096, reason=_reason, layout=_layout, memory=_memory, calls=_calls)
