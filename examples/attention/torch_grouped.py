"""PyTorch: one `einsum` for the scores and one for the result, over axes that stay grouped; nothing is split."""

from __future__ import annotations

from math import sqrt

import torch

from plait import einsum


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
    scores = einsum(queries, keys, "b i (h d), b j (h d) -> b h i j", h=heads)
    probabilities = (scores / sqrt(queries.shape[-1] / heads) + mask).softmax(-1)
    return einsum(probabilities, values, "b h i j, b j (h d) -> b i (h d)")
