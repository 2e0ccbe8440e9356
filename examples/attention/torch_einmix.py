"""PyTorch: a module whose projections are `EinMix`, so that every head has weights of its own."""

from __future__ import annotations

from math import sqrt

import torch
from torch import nn

from plait.layers.torch import EinMix


class Attention(nn.Module):
    """Multi-head attention of one sequence to another, or to itself.

    Args:
        channels: ``c``, of both sequences; a multiple of the heads.
        heads: ``h``.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        sizes = dict(c=channels, h=heads, d=channels // heads)
        self.queries = EinMix("b i c -> b h i d", weight_shape="c h d", bias_shape="h d", **sizes)
        self.keys_values = EinMix("b j c -> kv b h j d", weight_shape="kv c h d", bias_shape="kv h d", kv=2, **sizes)
        self.back = EinMix("b h i d -> b i c", weight_shape="h d c", bias_shape="c", **sizes)

    def forward(self, x: torch.Tensor, context: torch.Tensor, mask: torch.Tensor | float = 0.0) -> torch.Tensor:
        """Let `x`, ``b i c``, look at the context, ``b j c``; the mask is added to the scores, ``b h i j``."""
        queries = self.queries(x)
        keys, values = self.keys_values(context)
        scores = queries @ keys.mT / sqrt(queries.shape[-1]) + mask
        return self.back(scores.softmax(-1) @ values)
