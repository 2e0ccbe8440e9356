"""How large tensors of PyTorch are reduced: on the CPU, unless a tracer records the calls."""

from __future__ import annotations

from typing import Any

import torch

from plait.backends.capabilities import LargeTensorOps
from plait.backends.torch.reduction_ops import reduction_ops
from plait.backends.torch.tracing import why_not_decompose


def _layout(tensor: torch.Tensor) -> Any:
    return None if why_not_decompose(tensor) else (tensor.stride(), tensor.dtype, _requires_grad(tensor))


def _requires_grad(tensor: torch.Tensor) -> bool:
    return tensor.requires_grad and torch.is_grad_enabled()


def _memory(tensor: torch.Tensor) -> tuple[tuple[int, ...], int]:
    size = tensor.element_size()
    return tuple([stride * size for stride in tensor.stride()]), size


OPS = LargeTensorOps(
    why_not_decompose=why_not_decompose,
    layout=_layout,
    requires_grad=_requires_grad,
    memory=_memory,
    reduction_ops=reduction_ops,
)
