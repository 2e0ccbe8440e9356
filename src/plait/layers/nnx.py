"""Layers of Flax NNX: modules with plait's operations, for ``nnx.Sequential`` and for use inside other modules.

Examples:
    >>> from flax import nnx
    >>> from plait.layers.nnx import EinMix, Reduce
    >>> rngs = nnx.Rngs(0)
    >>> model = nnx.Sequential(
    ...     nnx.Conv(1, 16, (3, 3), rngs=rngs),
    ...     Reduce("b (h 2) (w 2) c -> b (c h w)", "max"),
    ...     EinMix("b f -> b k", weight_shape="f k", bias_shape="k", f=256, k=10, rngs=rngs),
    ... )
    >>> model(nnx.initializers.ones(rngs.params(), (32, 8, 8, 1))).shape
    (32, 10)
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from plait.layers import MixSpec, OperationSpec, Parameter, _spec
from plait.layers._jax_parameters import cast_arrays, uniform_initializer


class _Operation(nnx.Module):
    """The base class of the modules without state of their own; a reduction that is a module is a child."""

    def __init__(self, spec: OperationSpec) -> None:
        self.spec, self.module = _spec.extract_reduction_module(spec, nnx.Module)

    def __call__(self, tensor: Any) -> jax.Array:
        return self.spec(tensor, self.module)


class Rearrange(_spec.RearrangeInitMixin, _Operation):
    """A module that computes `plait.rearrange`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from plait.layers.nnx import Rearrange
        >>> Rearrange("b c h w -> b (c h w)")(jnp.zeros((2, 3, 4, 5))).shape
        (2, 60)
    """


class Reduce(_spec.ReduceInitMixin, _Operation):
    """A module that computes `plait.reduce`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right. If the reduction is a module, it becomes the
    child ``module``.

    Examples:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from plait.layers.nnx import Reduce
        >>> Reduce("b c (h 2) (w 2) -> b c h w", "max")(jnp.zeros((2, 3, 4, 6))).shape
        (2, 3, 2, 3)
    """


class Repeat(_spec.RepeatInitMixin, _Operation):
    """A module that computes `plait.repeat`.

    It takes a tensor with the axes on the left of the pattern, or a list of equally shaped tensors, which it stacks on
    a new first axis. It returns a tensor with the axes on the right.

    Examples:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from plait.layers.nnx import Repeat
        >>> Repeat("b c -> b c r", r=3)(jnp.zeros((2, 5))).shape
        (2, 5, 3)
    """


@_spec.complete_docstring(
    _spec.WEIGHT_AND_BIAS_DOCS,
    dtype="the element type of the computation; ``None`` for the common type of the input and the parameters.",
    weight_init="the initializer of the weight, such as one of `flax.nnx.initializers`; uniform by default.",
    weight_metadata="metadata for the variable of the weight, such as a sharding.",
    bias_metadata="the same for the bias.",
    rngs="the random streams; the parameters are drawn from the stream ``params``.",
)
class EinMix(nnx.Module):
    """A general linear layer: the einsum of the input and a weight, plus a bias.

    It takes a tensor with the axes on the left of the pattern, and returns one with the axes on the right. The product
    is summed along the axes that are missing on the right.

    Examples:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from plait.layers.nnx import EinMix
        >>> layer = EinMix("b t (h c) -> b t (h d)", "h c d", "h d", h=8, c=4, d=16, rngs=nnx.Rngs(0))
        >>> layer(jnp.zeros((2, 10, 32))).shape
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
        dtype: Any = None,
        param_dtype: Any = jnp.float32,
        weight_init: nnx.Initializer | None = None,
        bias_init: nnx.Initializer | None = None,
        weight_metadata: Mapping[str, Any] = MappingProxyType({}),
        bias_metadata: Mapping[str, Any] = MappingProxyType({}),
        rngs: nnx.Rngs,
        **sizes: int,
    ) -> None:
        layer_arguments = {"dtype": dtype, "param_dtype": param_dtype, "rngs": rngs}
        self.spec = MixSpec.read(pattern, weight_shape, bias_shape, sizes, **layer_arguments)
        self.dtype = dtype
        self.param_dtype = param_dtype

        def draw(parameter: Parameter, init: nnx.Initializer | None, metadata: Mapping[str, Any]) -> nnx.Param:
            value = (init or uniform_initializer(parameter.bound))(rngs.params(), parameter.shape, param_dtype)
            return nnx.Param(value, **metadata)

        bias = self.spec.bias
        self.weight = draw(self.spec.weight, weight_init, weight_metadata)
        self.bias = nnx.data(None if bias is None else draw(bias, bias_init, bias_metadata))

    def __call__(self, tensor: Any) -> jax.Array:
        return self.spec(
            *cast_arrays(self.dtype, tensor, self.weight[...], None if self.bias is None else self.bias[...])
        )
