"""The weights of four linear layers, as the ways that project want them."""

from __future__ import annotations

import numpy as np
import torch

from examples.attention import plain
from plait import asnumpy, rearrange


def for_numpy(layers: plain.Attention) -> tuple[np.ndarray, ...]:
    """The four weights that `numpy_einsum.attention` takes."""
    projections = [layers.queries.weight, layers.keys.weight, layers.values.weight]
    weights = [rearrange(weight, "(h d) c -> c h d", h=layers.heads) for weight in projections]
    weights.append(rearrange(layers.back.weight, "c (h d) -> h d c", h=layers.heads))
    return tuple(map(asnumpy, weights))


def for_einmix(layers: plain.Attention) -> dict[str, torch.Tensor]:
    """The parameters of a `torch_einmix.Attention`, by name."""
    queries, keys, values, back, h = layers.queries, layers.keys, layers.values, layers.back, layers.heads
    return {
        "queries.weight": rearrange(queries.weight, "(h d) c -> c h d", h=h),
        "queries.bias": rearrange(queries.bias, "(h d) -> 1 h 1 d", h=h),
        "keys_values.weight": rearrange([keys.weight, values.weight], "kv (h d) c -> kv c h d", h=h),
        "keys_values.bias": rearrange([keys.bias, values.bias], "kv (h d) -> kv 1 h 1 d", h=h),
        "back.weight": rearrange(back.weight, "c (h d) -> h d c", h=h),
        "back.bias": rearrange(back.bias, "c -> 1 1 c"),
    }
