"""How plans pass over the memory of PyTorch's tensors: on the CPU, where nobody watches."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd import forward_ad

from weft.backends.passes import Passes
from weft.backends.torch_calls import calls

_autocasts: Any = getattr(torch._C, "_is_any_autocast_enabled", torch.is_autocast_cpu_enabled)


def _reason(tensor: torch.Tensor) -> str | None:
    if not tensor.is_cpu:
        return f"on {tensor.device.type} one call takes the whole device"
    if tensor.layout is not torch.strided or tensor.is_quantized or _autocasts():
        return "its elements are not combined as they are"
    if torch.jit.is_tracing() or torch._C._len_torch_dispatch_stack():
        return "a tracer watches, whose compiler fuses it"
    if torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0:
        return "it is transformed, which knows what becomes of it"
    return None


def _layout(tensor: torch.Tensor) -> Any:
    return None if _reason(tensor) else (tensor.stride(), tensor.dtype, _recorded(tensor))


def _recorded(tensor: torch.Tensor) -> bool:
    return tensor.requires_grad and torch.is_grad_enabled()


def _memory(tensor: torch.Tensor) -> tuple[tuple[int, ...], int]:
    size = tensor.element_size()
    return tuple([stride * size for stride in tensor.stride()]), size


PASSES = Passes(least=4096, reason=_reason, layout=_layout, recorded=_recorded, memory=_memory, calls=calls)
