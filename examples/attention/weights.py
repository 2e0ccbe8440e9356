"""Convert the weights of four linear layers for the implementations that have projections."""

from __future__ import annotations

import numpy as np
import torch

from examples.attention import plain
from plait import asnumpy, rearrange


def weights_for_numpy(layers: plain.Attention) -> tuple[np.ndarray, ...]:
    """Return the weights that `numpy_einsum.attention` takes."""
    projections = [layers.queries.weight, layers.keys.weight, layers.values.weight]
    weights = [rearrange(weight, "(h d) c -> c h d", h=layers.heads) for weight in projections]
    weights.append(rearrange(layers.output.weight, "c (h d) -> h d c", h=layers.heads))
    return tuple(map(asnumpy, weights))


def state_for_einmix(layers: plain.Attention) -> dict[str, torch.Tensor]:
    """Return the parameters of a `torch_einmix.Attention` by name."""
    queries, keys, values, output, h = layers.queries, layers.keys, layers.values, layers.output, layers.heads
    return {
        "queries.weight": rearrange(queries.weight, "(h d) c -> c h d", h=h),
        "queries.bias": rearrange(queries.bias, "(h d) -> 1 h 1 d", h=h),
        "keys_values.weight": rearrange([keys.weight, values.weight], "kv (h d) c -> kv c h d", h=h),
        "keys_values.bias": rearrange([keys.bias, values.bias], "kv (h d) -> kv 1 h 1 d", h=h),
        "output.weight": rearrange(output.weight, "c (h d) -> h d c", h=h),
        "output.bias": rearrange(output.bias, "c -> 1 1 c"),
    }
