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

from plait.layers import MixSpec, OperationSpec, Parameter, _spec


class _Layer(nn.Layer):
    """A layer that is written as the call that makes it."""

    def extra_repr(self) -> str:
        return self.spec.arguments


class _Operation(_Layer):
    """A layer without parameters, except those of a reduction that is itself a layer."""

    def __init__(self, operation: OperationSpec) -> None:
        super().__init__()
        self.spec, self.module = _spec.split_module(operation, nn.Layer)

    def forward(self, tensor: Any) -> paddle.Tensor:
        return self.spec(tensor, self.module)


class Rearrange(_spec.RearrangeConstructor, _Operation):
    """`plait.rearrange` as a layer."""


class Reduce(_spec.ReduceConstructor, _Operation):
    """`plait.reduce` as a layer; a reduction that is a layer is its sublayer ``module``."""


class Repeat(_spec.RepeatConstructor, _Operation):
    """`plait.repeat` as a layer."""


@_spec.documented(
    _spec.PARAMETERS,
    weight_attr="a ``paddle.ParamAttr`` of the weight, or what stands for one: an initializer or a name.",
    bias_attr="the same of the bias; ``False`` for no bias.",
)
class EinMix(_Layer):
    """A general linear layer: einsum of the input and a weight, and a bias.

    The parameters have the type that ``paddle.get_default_dtype()`` names.
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
        bias_shape = None if bias_attr is False else bias_shape
        own = {"weight_attr": weight_attr, "bias_attr": bias_attr}
        self.spec = MixSpec.read(pattern, weight_shape, bias_shape, sizes, **own)
        self.weight = self._uniform(self.spec.weight, weight_attr)
        self.bias = None if self.spec.bias is None else self._uniform(self.spec.bias, bias_attr, is_bias=True)

    def _uniform(self, made: Parameter, attr: Any, *, is_bias: bool = False) -> Any:
        uniform = nn.initializer.Uniform(-made.bound, made.bound)
        return self.create_parameter(made.shape, attr, is_bias=is_bias, default_initializer=uniform)

    def forward(self, tensor: paddle.Tensor) -> paddle.Tensor:
        return self.spec(tensor, self.weight, self.bias)
