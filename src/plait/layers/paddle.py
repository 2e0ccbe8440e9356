"""Layers of PaddlePaddle, for ``nn.Sequential`` and everywhere else.

>>> from paddle import nn
>>> from plait.layers.paddle import EinMix, Reduce
>>> nn.Sequential(
...     nn.Conv2D(1, 16, 3, padding=1),
...     Reduce("b c (h 2) (w 2) -> b (c h w)", "max"),
...     EinMix("b f -> b k", weight_shape="f k", bias_shape="k", f=256, k=10),
... )
Sequential(
  (0): Conv2D(1, 16, kernel_size=[3, 3], padding=1, data_format=NCHW)
  (1): Reduce('b c (h 2) (w 2) -> b (c h w)', 'max')
  (2): EinMix('b f -> b k', 'f k', 'k', f=256, k=10)
)
"""

from __future__ import annotations

from typing import Any

import paddle
from paddle import nn

from plait.layers import _einmix as mix
from plait.layers import _spec as spec


class _Operation(nn.Layer):
    """A layer without parameters, but for those of a reduction that is a layer itself."""

    def __init__(self, operation: spec.OperationSpec) -> None:
        super().__init__()
        self.spec, self.module = spec.apart(operation, nn.Layer)

    def forward(self, tensor: Any) -> paddle.Tensor:
        return self.spec(tensor, self.module)

    def extra_repr(self) -> str:
        return self.spec.arguments


class Rearrange(spec.Rearranging, _Operation):
    """`plait.rearrange` as a layer."""


class Reduce(spec.Reducing, _Operation):
    """`plait.reduce` as a layer; a reduction that is a layer is its sublayer ``module``."""


class Repeat(spec.Repeating, _Operation):
    """`plait.repeat` as a layer."""


class EinMix(nn.Layer):
    """A general linear layer: einsum of the input and a weight, and a bias.

    The parameters have the type that ``paddle.get_default_dtype()`` names.

    Args:
        pattern: what goes in and what comes out; groups and an ellipsis are allowed on both sides.
        weight_shape: the axes of the weight, with blanks between them.
        bias_shape: the axes that the bias depends on, or ``None`` for no bias.
        weight_attr: a ``paddle.ParamAttr`` of the weight, or what stands for one: an initializer or a name.
        bias_attr: the same of the bias; ``False`` for no bias.
        sizes: the sizes of axes, in elements: of all in the weight and the bias.

    Attributes:
        weight: uniform in ±√3 / √fan_in, where fan_in elements of the weight meet in one of the result.
        bias: uniform in ±1 / √fan_in, or ``None``; one dimension for each axis of the right side.

    Raises:
        PlaitError: the pattern, a shape or a size is wrong.
    """

    def __init__(
        self,
        /,
        pattern: str,
        weight_shape: str,
        bias_shape: str | None = None,
        *,
        weight_attr: Any = None,
        bias_attr: Any = None,
        **sizes: int,
    ) -> None:
        super().__init__()
        spec.unambiguous(pattern, weight_attr=weight_attr, bias_attr=bias_attr)
        self.spec = mix.mix(pattern, weight_shape, None if bias_attr is False else bias_shape, sizes)
        self.weight = self._uniform(self.spec.weight, weight_attr)
        self.bias = None if self.spec.bias is None else self._uniform(self.spec.bias, bias_attr, is_bias=True)

    def _uniform(self, made: mix.Parameter, attr: Any, *, is_bias: bool = False) -> Any:
        uniform = nn.initializer.Uniform(-made.bound, made.bound)
        return self.create_parameter(made.shape, attr, is_bias=is_bias, default_initializer=uniform)

    def forward(self, tensor: paddle.Tensor) -> paddle.Tensor:
        return self.spec(tensor, self.weight, self.bias)

    def extra_repr(self) -> str:
        return self.spec.arguments
