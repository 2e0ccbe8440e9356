"""What a layer of plait costs in PyTorch, beside einops' layer and a module written by hand.

From the root of the repository::

    python -m benchmarks.layers

One thread, no gradients, small tensors. Microseconds, the least of several rounds in turn.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import einops.layers.torch
import torch
from torch import nn

import plait.layers.torch
from benchmarks.frameworks import times

IMAGES = (2, 3, 4, 6)


class ByHand(nn.Module):
    """A module of a function and its parameters."""

    def __init__(self, function: Callable[..., torch.Tensor], *shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.function = function
        self.parameters_ = nn.ParameterList(nn.Parameter(torch.randn(shape)) for shape in shapes)
        self.held = tuple(self.parameters_)

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        return self.function(tensor, *self.held)


@dataclass(frozen=True)
class Row:
    """A layer, the shape of its input, and how it is written by hand."""

    name: str
    kind: str
    arguments: tuple[str, ...]
    sizes: dict[str, int]
    shape: tuple[int, ...]
    by_hand: Callable[[], nn.Module]


ROWS = (
    Row(
        "merge",
        "Rearrange",
        ("b c h w -> b (c h w)",),
        {},
        IMAGES,
        nn.Flatten,
    ),
    Row(
        "space to depth",
        "Rearrange",
        ("b c (h p) (w q) -> b (c p q) h w",),
        {"p": 2, "q": 2},
        IMAGES,
        lambda: ByHand(lambda x: x.reshape(2, 3, 2, 2, 3, 2).permute(0, 1, 3, 5, 2, 4).reshape(2, 12, 2, 3)),
    ),
    Row(
        "max pool",
        "Reduce",
        ("b c (h 2) (w 2) -> b (c h w)", "max"),
        {},
        IMAGES,
        lambda: ByHand(lambda x: x.reshape(2, 3, 2, 2, 3, 2).amax((3, 5)).reshape(2, 18)),
    ),
    Row(
        "linear",
        "EinMix",
        ("b c -> b d", "c d", "d"),
        {"c": 64, "d": 64},
        (32, 64),
        lambda: ByHand(lambda x, w, b: torch.einsum("bc,cd->bd", x, w) + b, (64, 64), (1, 64)),
    ),
    Row(
        "a linear layer for each head",
        "EinMix",
        ("b t (h c) -> b t (h d)", "h c d", "h d"),
        {"h": 4, "c": 16, "d": 16},
        (2, 16, 64),
        lambda: ByHand(
            lambda x, w, b: (torch.einsum("bthc,hcd->bthd", x.reshape(2, 16, 4, 16), w) + b).reshape(2, 16, 64),
            (4, 16, 16),
            (1, 1, 4, 16),
        ),
    ),
)


@torch.no_grad()
def measure(row: Row) -> dict[str, float]:
    """Microseconds of one call of each variant."""
    layers = {
        "by hand": row.by_hand(),
        "einops": getattr(einops.layers.torch, row.kind)(*row.arguments, **row.sizes),
        "plait": getattr(plait.layers.torch, row.kind)(*row.arguments, **row.sizes),
    }
    names = {name: f"v{number}" for number, name in enumerate(layers)}
    namespace = {names[name]: layer for name, layer in layers.items()}
    return times({name: f"{names[name]}(x)" for name in layers}, {**namespace, "x": torch.randn(row.shape)})


def main() -> int:
    """Print the table."""
    torch.set_num_threads(1)
    print("| | by hand | einops | plait | plait / einops | plait / by hand |\n|---|---:|---:|---:|---:|---:|")
    for row in ROWS:
        found = measure(row)
        cells = [f"{found[name]:.1f}" for name in ("by hand", "einops", "plait")]
        ratios = [f"{found['plait'] / found[name]:.2f}" for name in ("einops", "by hand")]
        print(f"| {' | '.join([row.name, *cells, *ratios])} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
