"""Small networks of PyTorch that are exported to runtimes, and what the runtimes may compute with."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

import plait


class Patches(nn.Module):
    """The patches of a vision transformer."""

    def forward(self, x):
        return plait.rearrange(x, "b c (h p) (w q) -> b (h w) (p q c)", p=4, q=4)


class Windows(nn.Module):
    """The windows of a Swin transformer."""

    def forward(self, x):
        return plait.rearrange(x, "b (h p) (w q) c -> (b h w) (p q) c", p=4, q=4)


class PatchesOfVideo(nn.Module):
    """The patches of a video."""

    def forward(self, x):
        return plait.rearrange(x, "b c (t r) (h p) (w q) -> b (t h w) (r p q c)", r=2, p=4, q=4)


class Pooling(nn.Module):
    """The maxima of blocks, and the mean of each channel."""

    def forward(self, x):
        return plait.reduce(x, "b c (h 2) (w 2) -> b h w c", "max"), plait.reduce(x, "b c h w -> b c", "mean")


class Attention(nn.Module):
    """An attention with several heads."""

    def __init__(self):
        super().__init__()
        self.project, self.combine = nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, x):
        parts = self.project(x).chunk(3, -1)
        q, k, v = [plait.rearrange(part, "b t (h d) -> b h t d", h=4) for part in parts]
        weights = plait.einsum(q, k, "b h i d, b h j d -> b h i j").softmax(-1)
        return self.combine(plait.einsum(weights, v, "b h i j, b h j d -> b i (h d)"))


class Network(NamedTuple):
    """A network with the shape of its input; ``is_movement``: its results are elements of the input."""

    module: type[nn.Module]
    shape: tuple[int, ...]
    is_movement: bool = True


NETWORKS = {
    "ViT patches": Network(Patches, (1, 3, 8, 12)),
    "Swin windows": Network(Windows, (1, 8, 8, 3)),
    "video patches": Network(PatchesOfVideo, (1, 3, 4, 8, 8)),
    "pooling": Network(Pooling, (1, 3, 8, 8), is_movement=False),
    "attention": Network(Attention, (1, 5, 16), is_movement=False),
}
"""The networks that each runtime must run, by name; ncnn takes a batch of one only."""


def module_and_input(name):
    """Return the network of that name, for inference, and an input."""
    torch.manual_seed(0)
    network = NETWORKS[name]
    return network.module().eval(), torch.randn(network.shape)


def expected_results(module, x):
    """Return the results of PyTorch itself, a tuple."""
    with torch.no_grad():
        results = module(x)
    return results if isinstance(results, tuple) else (results,)
