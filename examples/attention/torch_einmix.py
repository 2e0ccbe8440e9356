"""Multi-head attention as a PyTorch module whose projections are `EinMix`, with separate weights for each head."""

from __future__ import annotations

from math import sqrt

import torch
from torch import nn

from plait.layers.torch import EinMix


class Attention(nn.Module):
    """Multi-head attention of one sequence to another, or to itself.

    Args:
        channels: the number of channels of both sequences, ``c``; a multiple of the number of heads.
        heads: the number of heads, ``h``.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        sizes = dict(c=channels, h=heads, d=channels // heads)
        self.queries = EinMix("b i c -> b h i d", weight_shape="c h d", bias_shape="h d", **sizes)
        self.keys_values = EinMix("b j c -> kv b h j d", weight_shape="kv c h d", bias_shape="kv h d", kv=2, **sizes)
        self.output = EinMix("b h i d -> b i c", weight_shape="h d c", bias_shape="c", **sizes)

    def forward(self, x: torch.Tensor, context: torch.Tensor, mask: torch.Tensor | float = 0.0) -> torch.Tensor:
        """Return the output sequence, ``b i c``.

        Args:
            x: the sequence that attends, ``b i c``.
            context: the sequence that is attended to, ``b j c``.
            mask: a term that is added to the scores, ``b h i j``.
        """
        queries = self.queries(x)
        keys, values = self.keys_values(context)
        scores = queries @ keys.mT / sqrt(queries.shape[-1]) + mask
        return self.output(scores.softmax(-1) @ values)
