"""NumPy: every product is an `einsum`, those with the weights too."""

from __future__ import annotations

from math import sqrt

import numpy as np

from plait import einsum, reduce


def attention(
    x: np.ndarray, context: np.ndarray, weights: tuple[np.ndarray, ...], mask: np.ndarray | float = 0.0
) -> np.ndarray:
    """Multi-head attention of one sequence to another, or to itself.

    Args:
        x: what asks, ``b i c``: batch, position, channel.
        context: what answers, ``b j c``.
        weights: of the queries, of the keys and of the values, ``c h d``: channel, head, channel of the head; and of
            the way back, ``h d c``.
        mask: is added to the scores, ``b h i j``; -∞ where a query may not look at a key.

    Returns:
        As `x`: ``b i c``.
    """
    to_queries, to_keys, to_values, back = weights
    queries = einsum(x, to_queries, "b i c, c h d -> b h i d")
    keys = einsum(context, to_keys, "b j c, c h d -> b h j d")
    values = einsum(context, to_values, "b j c, c h d -> b h j d")
    scores = einsum(queries, keys, "b h i d, b h j d -> b h i j") / sqrt(queries.shape[-1]) + mask
    probabilities = np.exp(scores - reduce(scores, "b h i j -> b h i 1", "logsumexp"))
    return einsum(probabilities, values, back, "b h i j, b h j d, h d c -> b i c")
