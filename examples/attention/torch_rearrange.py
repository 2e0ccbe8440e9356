"""PyTorch: `rearrange` moves the heads out of the channels, and back into them."""

from __future__ import annotations

from math import sqrt

import torch

from plait import rearrange


def attention(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, heads: int, mask: torch.Tensor | float = 0.0
) -> torch.Tensor:
    """Multi-head attention of what is projected already.

    Args:
        queries: ``b i (h d)``: batch, position, head and channel of the head.
        keys: ``b j (h d)``.
        values: ``b j (h d)``.
        heads: ``h``.
        mask: is added to the scores, ``b h i j``; -∞ where a query may not look at a key.

    Returns:
        As the queries: ``b i (h d)``.
    """
    queries = rearrange(queries, "b i (h d) -> b h i d", h=heads)
    keys = rearrange(keys, "b j (h d) -> b h d j", h=heads)
    values = rearrange(values, "b j (h d) -> b h j d", h=heads)
    scores = queries @ keys / sqrt(queries.shape[-1]) + mask
    return rearrange(scores.softmax(-1) @ values, "b h i d -> b i (h d)")
