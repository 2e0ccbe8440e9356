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

from plait.layers import _einmix as mix
from plait.layers import _spec as spec


class _Operation(HybridBlock):
    """A block without parameters."""

    def __init__(self, operation: spec.OperationSpec, **names: Any) -> None:
        super().__init__(**names)
        self.spec = operation

    def hybrid_forward(self, F: Any, tensor: Any) -> Any:  # noqa: N803  # as Gluon calls it
        return self.spec(tensor)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec.arguments})"


class Rearrange(_Operation):
    """`plait.rearrange` as a block.

    Args:
        pattern: what goes in and what comes out.
        prefix: what the name of the block begins with, as in every block.
        params: parameters to share, as in every block; there are none.
        sizes: the sizes of axes, in elements, that cannot be inferred.

    Raises:
        PlaitError: the pattern or a size is wrong.
    """

    def __init__(self, /, pattern: str, *, prefix: str | None = None, params: Any = None, **sizes: int) -> None:
        spec.unambiguous(pattern, prefix=prefix, params=params)
        super().__init__(spec.rearrange(pattern, sizes), prefix=prefix, params=params)


class Reduce(_Operation):
    """`plait.reduce` as a block.

    Args:
        pattern: what goes in and what comes out.
        reduction: a name that `plait.reduce` takes, or a callable ``f(tensor, axes)``.
        prefix: what the name of the block begins with, as in every block.
        params: parameters to share, as in every block; there are none.
        sizes: the sizes of axes, in elements, that cannot be inferred.

    Raises:
        PlaitError: the pattern, the reduction or a size is wrong.
    """

    def __init__(
        self,
        /,
        pattern: str,
        reduction: spec.Reduction,
        *,
        prefix: str | None = None,
        params: Any = None,
        **sizes: int,
    ) -> None:
        spec.unambiguous(pattern, prefix=prefix, params=params)
        operation = spec.without_parameters(spec.reduce(pattern, reduction, sizes), Block)
        super().__init__(operation, prefix=prefix, params=params)


class Repeat(_Operation):
    """`plait.repeat` as a block.

    Args:
        pattern: what goes in and what comes out.
        prefix: what the name of the block begins with, as in every block.
        params: parameters to share, as in every block; there are none.
        sizes: the sizes of axes, in elements: of all that stand on the right only.

    Raises:
        PlaitError: the pattern or a size is wrong.
    """

    def __init__(self, /, pattern: str, *, prefix: str | None = None, params: Any = None, **sizes: int) -> None:
        spec.unambiguous(pattern, prefix=prefix, params=params)
        super().__init__(spec.repeat(pattern, sizes), prefix=prefix, params=params)


class EinMix(HybridBlock):
    """A general linear layer: einsum of the input and a weight, and a bias.

    All shapes are known from the start, so that ``initialize`` makes the parameters at once.

    Args:
        pattern: what goes in and what comes out; groups and an ellipsis are allowed on both sides.
        weight_shape: the axes of the weight, with blanks between them.
        bias_shape: the axes that the bias depends on, or ``None`` for no bias.
        dtype: the element type of the parameters.
        weight_initializer: an initializer of the weight, or its name.
        bias_initializer: the same of the bias.
        prefix: what the names of the block and of its parameters begin with, as in every block.
        params: parameters to share, as in every block: the ``params`` of another ``EinMix``.
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
        dtype: Any = "float32",
        weight_initializer: Any = None,
        bias_initializer: Any = None,
        prefix: str | None = None,
        params: Any = None,
        **sizes: int,
    ) -> None:
        spec.unambiguous(pattern, dtype=dtype, prefix=prefix, params=params)
        super().__init__(prefix=prefix, params=params)
        self.spec = mix.mix(pattern, weight_shape, bias_shape, sizes)
        made = {"weight": (self.spec.weight, weight_initializer), "bias": (self.spec.bias, bias_initializer)}
        for name, (parameter, initializer) in made.items():
            given = None
            if parameter is not None:
                init = mx.init.Uniform(parameter.bound) if initializer is None else initializer
                given = self.params.get(name, shape=parameter.shape, dtype=dtype, init=init)
            setattr(self, name, given)

    def hybrid_forward(self, F: Any, tensor: Any, weight: Any, bias: Any = None) -> Any:  # noqa: N803  # Gluon's name
        if mx.util.is_np_array():
            return self.spec(tensor, weight, bias)
        # The sum of two classic symbols does not broadcast; that of NumPy's, which stand for the same arrays, does.
        modern = [None if given is None else given.as_np_ndarray() for given in (tensor, weight, bias)]
        return self.spec(*modern).as_nd_ndarray()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec.arguments})"
