"""Blocks of MXNet Gluon, for ``nn.HybridSequential`` and everywhere else.

>>> from mxnet.gluon import nn
>>> from plait.layers.gluon import EinMix, Reduce
>>> network = nn.HybridSequential()
>>> network.add(
...     nn.Conv2D(16, 3, padding=1, in_channels=1),
...     Reduce("b c (h 2) (w 2) -> b (c h w)", "max"),
...     EinMix("b f -> b k", weight_shape="f k", bias_shape="k", f=256, k=10),
... )
>>> network
HybridSequential(
  (0): Conv2D(1 -> 16, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
  (1): Reduce('b c (h 2) (w 2) -> b (c h w)', 'max')
  (2): EinMix('b f -> b k', 'f k', 'k', f=256, k=10)
)
"""

from __future__ import annotations

from typing import Any

import mxnet as mx
from mxnet.gluon import Block, HybridBlock

from plait.layers import MixSpec, Parameter, _spec
from plait.layers._spec import Reduction


class _Block(HybridBlock):
    """A block that prints as the call that makes it."""

    def __init__(self, spec: Any, **names: Any) -> None:
        super().__init__(**names)
        self.spec = spec

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec.arguments})"


class _Operation(_Block):
    """A block without parameters."""

    def __init__(self, kind: str, pattern: str, sizes: Any, reduction: Any = None, **names: Any) -> None:
        operation = _spec.operation(kind, pattern, sizes, reduction, **names)
        super().__init__(_spec.forbid_module(operation, Block), **names)

    def hybrid_forward(self, F: Any, tensor: Any) -> Any:  # noqa: N803  # as Gluon calls it
        return self.spec(tensor)


@_spec.documented()
class Rearrange(_Operation):
    """`plait.rearrange` as a block."""

    def __init__(self, /, pattern: str, *, prefix: str | None = None, params: Any = None, **sizes: int) -> None:
        super().__init__("rearrange", pattern, sizes, prefix=prefix, params=params)


@_spec.documented()
class Reduce(_Operation):
    """`plait.reduce` as a block."""

    def __init__(
        self, /, pattern: str, reduction: Reduction, *, prefix: str | None = None, params: Any = None, **sizes: int
    ) -> None:
        super().__init__("reduce", pattern, sizes, reduction, prefix=prefix, params=params)


@_spec.documented()
class Repeat(_Operation):
    """`plait.repeat` as a block."""

    def __init__(self, /, pattern: str, *, prefix: str | None = None, params: Any = None, **sizes: int) -> None:
        super().__init__("repeat", pattern, sizes, prefix=prefix, params=params)


@_spec.documented(
    _spec.PARAMETERS,
    dtype="the element type of the parameters.",
    weight_initializer="an initializer of the weight, or its name.",
    prefix="what the names of the block and of its parameters begin with, as in every block.",
    params="parameters to share, as in every block: the ``params`` of another ``EinMix``.",
)
class EinMix(_Block):
    """A general linear layer: einsum of the input and a weight, and a bias.

    All shapes are known from the start, so that ``initialize`` makes the parameters at once.
    """

    def __init__(
        self,
        /,
        pattern: str,
        weight_shape: str,
        bias_shape: str | None = None,
        *,
        dtype: Any = "float32",
        weight_initializer: Any = None,
        bias_initializer: Any = None,
        prefix: str | None = None,
        params: Any = None,
        **sizes: int,
    ) -> None:
        names = {"prefix": prefix, "params": params}
        read = MixSpec.read(pattern, weight_shape, bias_shape, sizes, dtype=dtype, **names)
        super().__init__(read, **names)

        def parameter(name: str, made: Parameter, initializer: Any) -> Any:
            init = mx.init.Uniform(made.bound) if initializer is None else initializer
            return self.params.get(name, shape=made.shape, dtype=dtype, init=init)

        self.weight = parameter("weight", read.weight, weight_initializer)
        self.bias = None if read.bias is None else parameter("bias", read.bias, bias_initializer)

    def hybrid_forward(self, F: Any, tensor: Any, weight: Any, bias: Any = None) -> Any:  # noqa: N803  # Gluon's name
        if mx.util.is_np_array():
            return self.spec(tensor, weight, bias)
        # The sum of two classic symbols does not broadcast; that of the NumPy views of the same arrays does.
        modern = [None if given is None else given.as_np_ndarray() for given in (tensor, weight, bias)]
        return self.spec(*modern).as_nd_ndarray()
