"""Layers of MLX: modules with plait's operations, for ``nn.Sequential`` and everywhere else.

>>> from mlx import nn
>>> from plait.layers.mlx import EinMix, Reduce
>>> nn.Sequential(
...     nn.Conv2d(1, 16, 3, padding=1),
...     Reduce("b (h 2) (w 2) c -> b (c h w)", "max"),
...     EinMix("b f -> b k", weight_shape="f k", bias_shape="k", f=256, k=10),
... )
Sequential(
  (layers.0): Conv2d(1, 16, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), dilation=1, groups=1, bias=True)
  (layers.1): Reduce('b (h 2) (w 2) c -> b (c h w)', 'max')
  (layers.2): EinMix('b f -> b k', 'f k', 'k', f=256, k=10)
)
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
from mlx import nn

from plait.layers import _einmix as mix
from plait.layers import _spec as spec


class _Operation(nn.Module):
    """A module without parameters."""

    def __init__(self, operation: spec.OperationSpec) -> None:
        super().__init__()
        self.spec, self.module = spec.apart(operation, nn.Module)

    def __call__(self, tensor: Any) -> mx.array:
        return self.spec(tensor, self.module)

    def _extra_repr(self) -> str:
        return self.spec.arguments


class Rearrange(spec.Rearranging, _Operation):
    """`plait.rearrange` as a module."""


class Reduce(spec.Reducing, _Operation):
    """`plait.reduce` as a module; a reduction that is a module is its child ``module``."""


class Repeat(spec.Repeating, _Operation):
    """`plait.repeat` as a module."""


class EinMix(nn.Module):
    """A general linear layer: einsum of the input and a weight, and a bias.

    The parameters are made in float32, as those of MLX's own layers; ``set_dtype`` changes that.

    Args:
        pattern: what goes in and what comes out; groups and an ellipsis are allowed on both sides.
        weight_shape: the axes of the weight, with blanks between them.
        bias_shape: the axes that the bias depends on, or ``None`` for no bias.
        sizes: the sizes of axes, in elements: of all in the weight and the bias.

    Attributes:
        weight: uniform in ±√3 / √fan_in, where fan_in elements of the weight meet in one of the result.
        bias: uniform in ±1 / √fan_in, one dimension for each axis of the right side; without one the module has no
            such key.

    Raises:
        PlaitError: the pattern, a shape or a size is wrong.
    """

    def __init__(self, /, pattern: str, weight_shape: str, bias_shape: str | None = None, **sizes: int) -> None:
        super().__init__()
        self.spec = mix.mix(pattern, weight_shape, bias_shape, sizes)
        self.weight = _uniform(self.spec.weight)
        if self.spec.bias is not None:
            self.bias = _uniform(self.spec.bias)

    def __call__(self, tensor: mx.array) -> mx.array:
        return self.spec(tensor, self["weight"], self.get("bias"))

    def _extra_repr(self) -> str:
        return self.spec.arguments


def _uniform(parameter: mix.Parameter) -> mx.array:
    return mx.random.uniform(-parameter.bound, parameter.bound, parameter.shape)
