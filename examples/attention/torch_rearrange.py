"""Multi-head attention in PyTorch: `rearrange` splits the heads from the channels, and merges them again."""

from __future__ import annotations

from math import sqrt

import torch

from plait import rearrange


def attention(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, heads: int, mask: torch.Tensor | float = 0.0
) -> torch.Tensor:
    """Multi-head attention of projected queries, keys and values.

    Args:
        queries: the queries, ``b i (h d)``: batch, position, head and channel of the head.
        keys: the keys, ``b j (h d)``.
        values: the values, ``b j (h d)``.
        heads: the number of heads, ``h``.
        mask: a term that is added to the scores, ``b h i j``: -∞ if a query must not attend to a key.

    Returns:
        The output sequence, ``b i (h d)``.
    """
    queries = rearrange(queries, "b i (h d) -> b h i d", h=heads)
    keys = rearrange(keys, "b j (h d) -> b h d j", h=heads)
    values = rearrange(values, "b j (h d) -> b h j d", h=heads)
    scores = queries @ keys / sqrt(queries.shape[-1]) + mask
    return rearrange(scores.softmax(-1) @ values, "b h i d -> b i (h d)")
