"""Links of Chainer, for ``chainer.Sequential``, ``chainer.Chain`` and everywhere else.

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
"""  # noqa: E501  # Chainer writes long lines

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import chainer
from chainer.initializers import Uniform

from plait.layers import MixSpec, OperationSpec, Parameter, _spec


def _variable(tensor: Any) -> Any:
    """Arrays as variables, which is what links give on."""
    return [*map(_variable, tensor)] if isinstance(tensor, (list, tuple)) else chainer.as_variable(tensor)


class _Link(chainer.Link):
    """A link that is written as the call that makes it."""

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
    """A link without parameters."""

    def __init__(self, operation: OperationSpec) -> None:
        super().__init__()
        self.spec = _spec.forbid_module(operation, chainer.Link)

    def forward(self, tensor: Any) -> chainer.Variable:
        return self.spec(_variable(tensor))


class Rearrange(_spec.RearrangeConstructor, _Operation):
    """`plait.rearrange` as a link."""


class Reduce(_spec.ReduceConstructor, _Operation):
    """`plait.reduce` as a link; a reduction that is a link is refused, since nothing would find its parameters."""


class Repeat(_spec.RepeatConstructor, _Operation):
    """`plait.repeat` as a link."""


@_spec.documented(
    _spec.PARAMETERS,
    initialW="an initializer of the weight, with the element type that it names, else ``chainer.config.dtype``; or an"
    " array, or a number.",
)
class EinMix(_Link):
    """A general linear layer: einsum of the input and a weight, and a bias."""

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
        own = {"initialW": initialW, "initial_bias": initial_bias}
        self.spec = MixSpec.read(pattern, weight_shape, bias_shape, sizes, **own)
        with self.init_scope():
            self.weight = _parameter(self.spec.weight, initialW)
            self.bias = None if self.spec.bias is None else _parameter(self.spec.bias, initial_bias)

    def forward(self, tensor: Any) -> chainer.Variable:
        return self.spec(_variable(tensor), self.weight, self.bias)


def _parameter(made: Parameter, initializer: Any) -> chainer.Parameter:
    return chainer.Parameter(Uniform(made.bound) if initializer is None else initializer, made.shape)
