"""Links of Chainer, for ``chainer.Sequential``, ``chainer.Chain`` and for use inside other links.

Examples:
    >>> import chainer
    >>> from plait.layers.chainer import EinMix, Reduce
    >>> print(chainer.Sequential(
    ...     chainer.links.Convolution2D(1, 16, 3, pad=1),
    ...     Reduce("b c (h 2) (w 2) -> b (c h w)", "max"),
    ...     EinMix("b f -> b k", weight_shape="f k", bias_shape="k", f=256, k=10),
    ... ))
    Sequential(
      (0): Convolution2D(in_channels=1, out_channels=16, ksize=3, stride=(1, 1), pad=(1, 1), nobias=False, dilate=(1, 1), groups=1),
      (1): Reduce(pattern='b c (h 2) (w 2) -> b (c h w)', reduction='max'),
      (2): EinMix(pattern='b f -> b k', weight_shape='f k', bias_shape='k', f=256, k=10),
    )
"""  # noqa: E501  # the long line is printed by Chainer

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import chainer
from chainer.initializers import Uniform

from plait.layers import MixSpec, OperationSpec, Parameter, _spec


def _as_variables(tensor: Any) -> Any:
    """Convert an array, or each array of a list, to a variable, since links return variables."""
    return [*map(_as_variables, tensor)] if isinstance(tensor, (list, tuple)) else chainer.as_variable(tensor)


class _Link(chainer.Link):
    """A link whose ``repr`` shows the arguments of its constructor."""

    spec: Any

    @property
    def printable_specs(self) -> Iterator[tuple[str, str]]:
        config = self.spec.config
        sizes = config.pop("sizes")
        for name, value in {**config, **sizes}.items():
            if value is not None:
                yield name, _spec.format_value(value)

    def __repr__(self) -> str:
        return str(self)


class _Operation(_Link):
    """The base class of the links without parameters."""

    def __init__(self, spec: OperationSpec) -> None:
        super().__init__()
        self.spec = _spec.forbid_reduction_module(spec, chainer.Link)

    def forward(self, tensor: Any) -> chainer.Variable:
        return self.spec(_as_variables(tensor))


class Rearrange(_spec.RearrangeInitMixin, _Operation):
    """A link that computes `plait.rearrange`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import numpy as np
        >>> from plait.layers.chainer import Rearrange
        >>> Rearrange("b c h w -> b (c h w)")(np.zeros((2, 3, 4, 5), "float32")).shape
        (2, 60)
    """


class Reduce(_spec.ReduceInitMixin, _Operation):
    """A link that computes `plait.reduce`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right. The reduction cannot be a link, since
    Chainer would not find its parameters.

    Examples:
        >>> import numpy as np
        >>> from plait.layers.chainer import Reduce
        >>> Reduce("b c (h 2) (w 2) -> b c h w", "max")(np.zeros((2, 3, 4, 6), "float32")).shape
        (2, 3, 2, 3)
    """


class Repeat(_spec.RepeatInitMixin, _Operation):
    """A link that computes `plait.repeat`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import numpy as np
        >>> from plait.layers.chainer import Repeat
        >>> Repeat("b c -> b c r", r=3)(np.zeros((2, 5), "float32")).shape
        (2, 5, 3)
    """


@_spec.complete_docstring(
    _spec.WEIGHT_AND_BIAS_DOCS,
    initialW="an initializer of the weight, an array or a number. The element type is that of the initializer, or else"
    " ``chainer.config.dtype``.",
)
class EinMix(_Link):
    """A general linear layer: the einsum of the input and a weight, plus a bias.

    It takes a tensor with the axes on the left of the pattern, and returns one with the axes on the right. The product
    is summed along the axes that are missing on the right.

    Examples:
        >>> import numpy as np
        >>> from plait.layers.chainer import EinMix
        >>> layer = EinMix("b t (h c) -> b t (h d)", "h c d", "h d", h=8, c=4, d=16)
        >>> layer(np.zeros((2, 10, 32), "float32")).shape
        (2, 10, 128)
        >>> layer.weight.shape, layer.bias.shape
        ((8, 4, 16), (1, 1, 8, 16))
    """

    def __init__(
        self,
        /,
        pattern: str,
        weight_shape: str,
        bias_shape: str | None = None,
        *,
        initialW: Any = None,  # noqa: N803  # as Chainer's links call it
        initial_bias: Any = None,
        **sizes: int,
    ) -> None:
        super().__init__()
        layer_arguments = {"initialW": initialW, "initial_bias": initial_bias}
        self.spec = MixSpec.read(pattern, weight_shape, bias_shape, sizes, **layer_arguments)
        with self.init_scope():
            self.weight = _create_parameter(self.spec.weight, initialW)
            self.bias = None if self.spec.bias is None else _create_parameter(self.spec.bias, initial_bias)

    def forward(self, tensor: Any) -> chainer.Variable:
        return self.spec(_as_variables(tensor), self.weight, self.bias)


def _create_parameter(parameter: Parameter, initializer: Any) -> chainer.Parameter:
    """Create a weight or a bias; without an initializer its elements are drawn uniformly."""
    return chainer.Parameter(Uniform(parameter.bound) if initializer is None else initializer, parameter.shape)
