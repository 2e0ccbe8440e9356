"""Where more happens to PyTorch's tensors than that their elements are computed."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd import forward_ad

_autocasts: Any = getattr(torch._C, "_is_any_autocast_enabled", torch.is_autocast_cpu_enabled)


def watched(tensor: torch.Tensor) -> str | None:
    """Why one call is best for a tensor, or ``None``."""
    if not tensor.is_cpu:
        return f"on {tensor.device.type} one call takes the whole device"
    if tensor.layout is not torch.strided or tensor.is_quantized or _autocasts():
        return "its elements are not combined as they are"
    if torch.jit.is_tracing() or torch._C._len_torch_dispatch_stack():
        return "a tracer watches, whose compiler fuses it"
    if torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0:
        return "it is transformed, which knows what becomes of it"
    return None
