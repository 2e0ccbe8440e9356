"""Layers of PaddlePaddle, for ``nn.Sequential`` and for use inside other layers.

Examples:
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

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import paddle
from paddle import nn

from plait.layers import MixSpec, OperationSpec, Parameter, _spec


class _Layer(nn.Layer):
    """A layer whose ``repr`` shows the arguments of its constructor."""

    spec: OperationSpec | MixSpec

    def extra_repr(self) -> str:
        return self.spec.arguments_text


class _Operation(_Layer):
    """The base class of the layers without parameters of their own; a reduction that is a layer is a sublayer."""

    spec: OperationSpec
    module: nn.Layer | None

    if TYPE_CHECKING:

        def __call__(self, tensor: paddle.Tensor | Sequence[paddle.Tensor]) -> paddle.Tensor: ...

    def __init__(self, spec: OperationSpec) -> None:
        super().__init__()
        self.spec, self.module = _spec.extract_reduction_module(spec, nn.Layer)

    def forward(self, tensor: Any) -> paddle.Tensor:
        return self.spec(tensor, self.module)


class Rearrange(_spec.RearrangeInitMixin, _Operation):
    """A layer that computes `plait.rearrange`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import paddle
        >>> from plait.layers.paddle import Rearrange
        >>> Rearrange("b c h w -> b (c h w)")(paddle.zeros([2, 3, 4, 5])).shape
        paddle.Size([2, 60])
    """


class Reduce(_spec.ReduceInitMixin, _Operation):
    """A layer that computes `plait.reduce`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right. If the reduction is a layer, it becomes the
    sublayer ``module``.

    Examples:
        >>> import paddle
        >>> from plait.layers.paddle import Reduce
        >>> Reduce("b c (h 2) (w 2) -> b c h w", "max")(paddle.zeros([2, 3, 4, 6])).shape
        paddle.Size([2, 3, 2, 3])
    """


class Repeat(_spec.RepeatInitMixin, _Operation):
    """A layer that computes `plait.repeat`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import paddle
        >>> from plait.layers.paddle import Repeat
        >>> Repeat("b c -> b c r", r=3)(paddle.zeros([2, 5])).shape
        paddle.Size([2, 5, 3])
    """


@_spec.complete_docstring(
    _spec.WEIGHT_AND_BIAS_DOCS,
    weight_attr="the ``paddle.ParamAttr`` of the weight; an initializer or a name is accepted too.",
    bias_attr="the same for the bias; ``False`` for no bias.",
)
class EinMix(_Layer):
    """A general linear layer: the einsum of the input and a weight, plus a bias.

    It takes a tensor with the axes on the left of the pattern, and returns one with the axes on the right. The product
    is summed along the axes that are missing on the right.

    The element type of the parameters is ``paddle.get_default_dtype()``.

    Examples:
        >>> import paddle
        >>> from plait.layers.paddle import EinMix
        >>> layer = EinMix("b t (h c) -> b t (h d)", "h c d", "h d", h=8, c=4, d=16)
        >>> layer(paddle.zeros([2, 10, 32])).shape
        paddle.Size([2, 10, 128])
        >>> layer.weight.shape, layer.bias.shape
        (paddle.Size([8, 4, 16]), paddle.Size([1, 1, 8, 16]))
    """

    spec: MixSpec

    if TYPE_CHECKING:

        def __call__(self, tensor: paddle.Tensor) -> paddle.Tensor: ...

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
        layer_arguments = {"weight_attr": weight_attr, "bias_attr": bias_attr}
        self.spec = MixSpec.read(pattern, weight_shape, bias_shape, sizes, **layer_arguments)
        self.weight = self._create_uniform(self.spec.weight, weight_attr)
        self.bias = None if self.spec.bias is None else self._create_uniform(self.spec.bias, bias_attr, is_bias=True)

    def _create_uniform(self, parameter: Parameter, attr: Any, *, is_bias: bool = False) -> Any:
        uniform = nn.initializer.Uniform(-parameter.bound, parameter.bound)
        return self.create_parameter(parameter.shape, attr, is_bias=is_bias, default_initializer=uniform)

    def forward(self, tensor: paddle.Tensor) -> paddle.Tensor:
        return self.spec(tensor, self.weight, self.bias)
