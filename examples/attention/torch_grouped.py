"""Multi-head attention in PyTorch: two `einsum` on grouped axes, one for the scores and one for the result."""

from __future__ import annotations

from math import sqrt

import torch

from plait import einsum


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
    scores = einsum(queries, keys, "b i (h d), b j (h d) -> b h i j", h=heads)
    probabilities = (scores / sqrt(queries.shape[-1] / heads) + mask).softmax(-1)
    return einsum(probabilities, values, "b h i j, b j (h d) -> b i (h d)")
