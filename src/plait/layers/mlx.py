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

from plait.layers import MixSpec, OperationSpec, Parameter, _spec


class _Layer(nn.Module):
    """A module that is written as the call that makes it."""

    def _extra_repr(self) -> str:
        return self.spec.arguments


class _Operation(_Layer):
    """A module without parameters, except those of a reduction that is itself a module."""

    def __init__(self, operation: OperationSpec) -> None:
        super().__init__()
        self.spec, self.module = _spec.split_module(operation, nn.Module)

    def __call__(self, tensor: Any) -> mx.array:
        return self.spec(tensor, self.module)


class Rearrange(_spec.RearrangeConstructor, _Operation):
    """`plait.rearrange` as a module."""


class Reduce(_spec.ReduceConstructor, _Operation):
    """`plait.reduce` as a module; a reduction that is a module is its child ``module``."""


class Repeat(_spec.RepeatConstructor, _Operation):
    """`plait.repeat` as a module."""


@_spec.documented({**_spec.PARAMETERS, "bias": f"{_spec.PARAMETERS['bias'][:-1]}; without one there is no such key."})
class EinMix(_Layer):
    """A general linear layer: einsum of the input and a weight, and a bias.

    The parameters are made in float32, as those of MLX's own layers; ``set_dtype`` changes that.
    """

    def __init__(self, /, pattern: str, weight_shape: str, bias_shape: str | None = None, **sizes: int) -> None:
        super().__init__()
        self.spec = MixSpec.read(pattern, weight_shape, bias_shape, sizes)
        self.weight = _uniform(self.spec.weight)
        if self.spec.bias is not None:
            self.bias = _uniform(self.spec.bias)

    def __call__(self, tensor: mx.array) -> mx.array:
        return self.spec(tensor, self["weight"], self.get("bias"))


def _uniform(made: Parameter) -> mx.array:
    return mx.random.uniform(-made.bound, made.bound, made.shape)
