"""Layers of Flax NNX: modules with plait's operations, for ``nnx.Sequential`` and everywhere else.

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
from plait.layers._jax_parameters import cast, uniform


class _Operation(nnx.Module):
    """A module without state."""

    def __init__(self, operation: OperationSpec) -> None:
        self.spec, self.module = _spec.split_module(operation, nnx.Module)

    def __call__(self, tensor: Any) -> jax.Array:
        return self.spec(tensor, self.module)


class Rearrange(_spec.RearrangeConstructor, _Operation):
    """`plait.rearrange` as a module."""


class Reduce(_spec.ReduceConstructor, _Operation):
    """`plait.reduce` as a module; a reduction that is a module is its child ``module``."""


class Repeat(_spec.RepeatConstructor, _Operation):
    """`plait.repeat` as a module."""


@_spec.documented(
    _spec.PARAMETERS,
    dtype="the element type of the computation; ``None`` is that of the input and the parameters.",
    weight_init="how the weight is drawn, instead of uniformly: one of `flax.nnx.initializers`.",
    weight_metadata="what the variable of the weight is given beside its value, such as a sharding.",
    bias_metadata="the same of the bias.",
    rngs="what the parameters are drawn from; its stream ``params``.",
)
class EinMix(nnx.Module):
    """A general linear layer: einsum of the input and a weight, and a bias."""

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
        own = {"dtype": dtype, "param_dtype": param_dtype, "rngs": rngs}
        self.spec = MixSpec.read(pattern, weight_shape, bias_shape, sizes, **own)
        self.dtype = dtype
        self.param_dtype = param_dtype

        def draw(made: Parameter, init: nnx.Initializer | None, metadata: Mapping[str, Any]) -> nnx.Param:
            value = (init or uniform(made.bound))(rngs.params(), made.shape, param_dtype)
            return nnx.Param(value, **metadata)

        bias = self.spec.bias
        self.weight = draw(self.spec.weight, weight_init, weight_metadata)
        self.bias = nnx.data(None if bias is None else draw(bias, bias_init, bias_metadata))

    def __call__(self, tensor: Any) -> jax.Array:
        return self.spec(*cast(self.dtype, tensor, self.weight[...], None if self.bias is None else self.bias[...]))
