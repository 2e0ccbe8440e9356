"""Multi-head attention with PyTorch's ``scaled_dot_product_attention``, without plait: the reference."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention


def attention(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, heads: int, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Multi-head attention of projected tensors; the arguments are those of `torch_rearrange.attention`."""
    split = [tensor.unflatten(-1, (heads, -1)).transpose(1, 2) for tensor in (queries, keys, values)]
    return scaled_dot_product_attention(*split, attn_mask=mask).transpose(1, 2).flatten(2)


class Attention(nn.Module):
    """Multi-head attention with projections, which have biases if ``bias`` is true."""

    def __init__(self, channels: int, heads: int, *, bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.queries, self.keys, self.values, self.output = (nn.Linear(channels, channels, bias) for _ in range(4))

    def forward(self, x: torch.Tensor, context: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return the output sequence, ``b i c``, where ``x``, ``b i c``, attends to ``context``, ``b j c``."""
        projected = self.queries(x), self.keys(context), self.values(context)
        return self.output(attention(*projected, self.heads, mask))
