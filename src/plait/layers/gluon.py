"""Blocks of MXNet Gluon, for ``nn.HybridSequential`` and for use inside other blocks.

Examples:
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

from plait._types import Reduction
from plait.layers import MixSpec, Parameter, _spec


class _Block(HybridBlock):
    """A block whose ``repr`` shows the arguments of its constructor."""

    def __init__(self, spec: Any, **block_arguments: Any) -> None:
        super().__init__(**block_arguments)
        self.spec = spec

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec.arguments_text})"


class _Operation(_Block):
    """The base class of the blocks without parameters."""

    def __init__(self, operation: str, pattern: str, sizes: Any, reduction: Any = None, **block_arguments: Any) -> None:
        spec = _spec.operation_spec(operation, pattern, sizes, reduction, **block_arguments)
        super().__init__(_spec.forbid_reduction_module(spec, Block), **block_arguments)

    def hybrid_forward(self, F: Any, tensor: Any) -> Any:  # noqa: N803  # as Gluon calls it
        return self.spec(tensor)


@_spec.complete_docstring()
class Rearrange(_Operation):
    """A block that computes `plait.rearrange`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import mxnet as mx
        >>> from plait.layers.gluon import Rearrange
        >>> Rearrange("b c h w -> b (c h w)")(mx.np.zeros((2, 3, 4, 5))).shape
        (2, 60)
    """

    def __init__(self, /, pattern: str, *, prefix: str | None = None, params: Any = None, **sizes: int) -> None:
        super().__init__("rearrange", pattern, sizes, prefix=prefix, params=params)


@_spec.complete_docstring()
class Reduce(_Operation):
    """A block that computes `plait.reduce`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right. The reduction cannot be a block, since
    Gluon would not find its parameters.

    Examples:
        >>> import mxnet as mx
        >>> from plait.layers.gluon import Reduce
        >>> Reduce("b c (h 2) (w 2) -> b c h w", "max")(mx.np.zeros((2, 3, 4, 6))).shape
        (2, 3, 2, 3)
    """

    def __init__(
        self, /, pattern: str, reduction: Reduction, *, prefix: str | None = None, params: Any = None, **sizes: int
    ) -> None:
        super().__init__("reduce", pattern, sizes, reduction, prefix=prefix, params=params)


@_spec.complete_docstring()
class Repeat(_Operation):
    """A block that computes `plait.repeat`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import mxnet as mx
        >>> from plait.layers.gluon import Repeat
        >>> Repeat("b c -> b c r", r=3)(mx.np.zeros((2, 5))).shape
        (2, 5, 3)
    """

    def __init__(self, /, pattern: str, *, prefix: str | None = None, params: Any = None, **sizes: int) -> None:
        super().__init__("repeat", pattern, sizes, prefix=prefix, params=params)


@_spec.complete_docstring(
    _spec.WEIGHT_AND_BIAS_DOCS,
    dtype="the element type of the parameters.",
    weight_initializer="an initializer of the weight, or its name.",
    prefix="the prefix of the names of the block and its parameters, as in every block.",
    params="parameters to share, as in every block: the ``params`` of another ``EinMix``.",
)
class EinMix(_Block):
    """A general linear layer: the einsum of the input and a weight, plus a bias.

    It takes a tensor with the axes on the left of the pattern, and returns one with the axes on the right. The product
    is summed along the axes that are missing on the right.

    The shapes of the parameters do not depend on the input, so that ``initialize`` creates them before the first call.

    Examples:
        >>> import mxnet as mx
        >>> from plait.layers.gluon import EinMix
        >>> layer = EinMix("b t (h c) -> b t (h d)", "h c d", "h d", h=8, c=4, d=16)
        >>> layer.initialize()
        >>> layer(mx.np.zeros((2, 10, 32))).shape
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
        dtype: Any = "float32",
        weight_initializer: Any = None,
        bias_initializer: Any = None,
        prefix: str | None = None,
        params: Any = None,
        **sizes: int,
    ) -> None:
        block_arguments = {"prefix": prefix, "params": params}
        spec = MixSpec.read(pattern, weight_shape, bias_shape, sizes, dtype=dtype, **block_arguments)
        super().__init__(spec, **block_arguments)

        def create_parameter(name: str, parameter: Parameter, initializer: Any) -> Any:
            init = mx.init.Uniform(parameter.bound) if initializer is None else initializer
            return self.params.get(name, shape=parameter.shape, dtype=dtype, init=init)

        self.weight = create_parameter("weight", spec.weight, weight_initializer)
        self.bias = None if spec.bias is None else create_parameter("bias", spec.bias, bias_initializer)

    def hybrid_forward(self, F: Any, tensor: Any, weight: Any, bias: Any = None) -> Any:  # noqa: N803  # Gluon's name
        if mx.util.is_np_array():
            return self.spec(tensor, weight, bias)
        # Adding two classic symbols does not broadcast; adding the NumPy views of the same arrays does.
        views = [None if array is None else array.as_np_ndarray() for array in (tensor, weight, bias)]
        return self.spec(*views).as_nd_ndarray()
