"""Layers of MLX: modules with plait's operations, for ``nn.Sequential`` and for use inside other modules.

Examples:
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
    """A module whose ``repr`` shows the arguments of its constructor."""

    def _extra_repr(self) -> str:
        return self.spec.arguments_text


class _Operation(_Layer):
    """The base class of the modules without parameters of their own; a reduction that is a module is a child."""

    def __init__(self, spec: OperationSpec) -> None:
        super().__init__()
        self.spec, self.module = _spec.extract_reduction_module(spec, nn.Module)

    def __call__(self, tensor: Any) -> mx.array:
        return self.spec(tensor, self.module)


class Rearrange(_spec.RearrangeInitMixin, _Operation):
    """A module that computes `plait.rearrange`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import mlx.core as mx
        >>> from plait.layers.mlx import Rearrange
        >>> Rearrange("b c h w -> b (c h w)")(mx.zeros((2, 3, 4, 5))).shape
        (2, 60)
    """


class Reduce(_spec.ReduceInitMixin, _Operation):
    """A module that computes `plait.reduce`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right. If the reduction is a module, it becomes the
    child ``module``.

    Examples:
        >>> import mlx.core as mx
        >>> from plait.layers.mlx import Reduce
        >>> Reduce("b c (h 2) (w 2) -> b c h w", "max")(mx.zeros((2, 3, 4, 6))).shape
        (2, 3, 2, 3)
    """


class Repeat(_spec.RepeatInitMixin, _Operation):
    """A module that computes `plait.repeat`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import mlx.core as mx
        >>> from plait.layers.mlx import Repeat
        >>> Repeat("b c -> b c r", r=3)(mx.zeros((2, 5))).shape
        (2, 5, 3)
    """


@_spec.complete_docstring(
    {
        **_spec.WEIGHT_AND_BIAS_DOCS,
        "bias": f"{_spec.WEIGHT_AND_BIAS_DOCS['bias'][:-1]}; without a bias the module does not have this key.",
    }
)
class EinMix(_Layer):
    """A general linear layer: the einsum of the input and a weight, plus a bias.

    It takes a tensor with the axes on the left of the pattern, and returns one with the axes on the right. The product
    is summed along the axes that are missing on the right.

    The parameters are created in float32, like those of MLX's own layers; ``set_dtype`` converts them.

    Examples:
        >>> import mlx.core as mx
        >>> from plait.layers.mlx import EinMix
        >>> layer = EinMix("b t (h c) -> b t (h d)", "h c d", "h d", h=8, c=4, d=16)
        >>> layer(mx.zeros((2, 10, 32))).shape
        (2, 10, 128)
        >>> layer.weight.shape, layer.bias.shape
        ((8, 4, 16), (1, 1, 8, 16))
    """

    def __init__(self, /, pattern: str, weight_shape: str, bias_shape: str | None = None, **sizes: int) -> None:
        super().__init__()
        self.spec = MixSpec.read(pattern, weight_shape, bias_shape, sizes)
        self.weight = _draw_uniform(self.spec.weight)
        if self.spec.bias is not None:
            self.bias = _draw_uniform(self.spec.bias)

    def __call__(self, tensor: mx.array) -> mx.array:
        return self.spec(tensor, self["weight"], self.get("bias"))


def _draw_uniform(parameter: Parameter) -> mx.array:
    """Draw the initial elements of a weight or a bias."""
    return mx.random.uniform(-parameter.bound, parameter.bound, parameter.shape)
