"""How plans pass over the memory of PyTorch's tensors: on the CPU, where nobody watches."""

from __future__ import annotations

from typing import Any

import torch

from plait.backends.capabilities import Passes
from plait.backends.torch.reduction_ops import calls
from plait.backends.torch.tracing import watched


def _layout(tensor: torch.Tensor) -> Any:
    return None if watched(tensor) else (tensor.stride(), tensor.dtype, _recorded(tensor))


def _recorded(tensor: torch.Tensor) -> bool:
    return tensor.requires_grad and torch.is_grad_enabled()


def _memory(tensor: torch.Tensor) -> tuple[tuple[int, ...], int]:
    size = tensor.element_size()
    return tuple([stride * size for stride in tensor.stride()]), size


PASSES = Passes(least=4096, reason=watched, layout=_layout, recorded=_recorded, memory=_memory, calls=calls)
