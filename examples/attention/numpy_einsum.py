"""Multi-head attention in NumPy: every product is an `einsum`, including the projections."""

from __future__ import annotations

from math import sqrt

import numpy as np

from plait import einsum, reduce


def attention(
    x: np.ndarray, context: np.ndarray, weights: tuple[np.ndarray, ...], mask: np.ndarray | float = 0.0
) -> np.ndarray:
    """Multi-head attention of one sequence to another, or to itself.

    Args:
        x: the sequence that attends, ``b i c``: batch, position, channel.
        context: the sequence that is attended to, ``b j c``.
        weights: the weights of the queries, keys and values, ``c h d``: channel, head, channel of the head; and of the
            output projection, ``h d c``.
        mask: a term that is added to the scores, ``b h i j``: -∞ if a query must not attend to a key.

    Returns:
        The output sequence, ``b i c``.
    """
    to_queries, to_keys, to_values, to_output = weights
    queries = einsum(x, to_queries, "b i c, c h d -> b h i d")
    keys = einsum(context, to_keys, "b j c, c h d -> b h j d")
    values = einsum(context, to_values, "b j c, c h d -> b h j d")
    scores = einsum(queries, keys, "b h i d, b h j d -> b h i j") / sqrt(queries.shape[-1]) + mask
    probabilities = np.exp(scores - reduce(scores, "b h i j -> b h i 1", "logsumexp"))
    return einsum(probabilities, values, to_output, "b h i j, b h j d, h d c -> b i c")
