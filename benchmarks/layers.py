"""Compare layers of plait in PyTorch with those of einops and with hand-written modules.

From the root of the repository::

    python -m benchmarks.layers

One thread, no gradients, small tensors; the time is that of the fastest round, in microseconds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import einops.layers.torch
import torch
from torch import nn

import plait.layers.torch
from benchmarks.frameworks import measure_microseconds

IMAGE_SHAPE = (2, 3, 4, 6)
"""The shape of the images, ``b c h w``."""


class HandwrittenModule(nn.Module):
    """A module that calls a function of its input and of parameters of given shapes."""

    def __init__(self, function: Callable[..., torch.Tensor], *shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.function = function
        self.parameters_ = nn.ParameterList(nn.Parameter(torch.randn(shape)) for shape in shapes)
        self.parameter_tuple = tuple(self.parameters_)

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        return self.function(tensor, *self.parameter_tuple)


@dataclass(frozen=True)
class LayerCase:
    """A layer to measure.

    Attributes:
        name: a short description.
        layer: the name of the layer class in plait and einops.
        arguments: the positional arguments of the layer.
        sizes: the sizes of axes, in elements.
        shape: the shape of the input.
        handwritten: returns a module that computes the same without plait or einops.
    """

    name: str
    layer: str
    arguments: tuple[str, ...]
    sizes: dict[str, int]
    shape: tuple[int, ...]
    handwritten: Callable[[], nn.Module]


LAYER_CASES = (
    LayerCase(
        "merge",
        "Rearrange",
        ("b c h w -> b (c h w)",),
        {},
        IMAGE_SHAPE,
        nn.Flatten,
    ),
    LayerCase(
        "space to depth",
        "Rearrange",
        ("b c (h p) (w q) -> b (c p q) h w",),
        {"p": 2, "q": 2},
        IMAGE_SHAPE,
        lambda: HandwrittenModule(lambda x: x.reshape(2, 3, 2, 2, 3, 2).permute(0, 1, 3, 5, 2, 4).reshape(2, 12, 2, 3)),
    ),
    LayerCase(
        "max pool",
        "Reduce",
        ("b c (h 2) (w 2) -> b (c h w)", "max"),
        {},
        IMAGE_SHAPE,
        lambda: HandwrittenModule(lambda x: x.reshape(2, 3, 2, 2, 3, 2).amax((3, 5)).reshape(2, 18)),
    ),
    LayerCase(
        "linear",
        "EinMix",
        ("b c -> b d", "c d", "d"),
        {"c": 64, "d": 64},
        (32, 64),
        lambda: HandwrittenModule(lambda x, w, b: torch.einsum("bc,cd->bd", x, w) + b, (64, 64), (1, 64)),
    ),
    LayerCase(
        "a linear layer for each head",
        "EinMix",
        ("b t (h c) -> b t (h d)", "h c d", "h d"),
        {"h": 4, "c": 16, "d": 16},
        (2, 16, 64),
        lambda: HandwrittenModule(
            lambda x, w, b: (torch.einsum("bthc,hcd->bthd", x.reshape(2, 16, 4, 16), w) + b).reshape(2, 16, 64),
            (4, 16, 16),
            (1, 1, 4, 16),
        ),
    ),
)


@torch.no_grad()
def measure_case(case: LayerCase) -> dict[str, float]:
    """Return the microseconds of one call of each variant."""
    modules = {
        "by hand": case.handwritten(),
        "einops": getattr(einops.layers.torch, case.layer)(*case.arguments, **case.sizes),
        "plait": getattr(plait.layers.torch, case.layer)(*case.arguments, **case.sizes),
    }
    names = {name: f"v{number}" for number, name in enumerate(modules)}
    namespace = {names[name]: module for name, module in modules.items()}
    return measure_microseconds(
        {name: f"{names[name]}(x)" for name in modules}, {**namespace, "x": torch.randn(case.shape)}
    )


def main() -> int:
    """Run the command."""
    torch.set_num_threads(1)
    print("| | by hand | einops | plait | plait / einops | plait / by hand |\n|---|---:|---:|---:|---:|---:|")
    for case in LAYER_CASES:
        microseconds = measure_case(case)
        cells = [f"{microseconds[name]:.1f}" for name in ("by hand", "einops", "plait")]
        ratios = [f"{microseconds['plait'] / microseconds[name]:.2f}" for name in ("einops", "by hand")]
        print(f"| {' | '.join([case.name, *cells, *ratios])} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
