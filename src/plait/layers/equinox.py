"""Layers of Equinox: modules with plait's operations, for ``eqx.nn.Sequential`` and everywhere else.

As Equinox's own they may be written for one example, and `jax.vmap` makes them work on a batch.

>>> import equinox as eqx, jax
>>> from plait.layers.equinox import EinMix, Reduce
>>> first, second = jax.random.split(jax.random.key(0))
>>> model = eqx.nn.Sequential([
...     eqx.nn.Conv2d(1, 16, 3, padding=1, key=first),
...     Reduce("c (h 2) (w 2) -> (c h w)", "max"),
...     EinMix("f -> k", weight_shape="f k", bias_shape="k", f=256, k=10, key=second),
... ])
>>> jax.vmap(model)(jax.numpy.ones((32, 1, 8, 8))).shape
(32, 10)
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from plait.layers import MixSpec, OperationSpec, _spec
from plait.layers._jax_parameters import uniform
from plait.layers._spec import Reduction


class _Operation(eqx.Module):
    """A module without leaves."""

    spec: OperationSpec = eqx.field(static=True)

    def __init__(self, operation: OperationSpec) -> None:
        self.spec = operation

    def __call__(self, tensor: Any, *, key: Any = None) -> jax.Array:
        """The operation on an array, or on a list of equally shaped ones; the key is not used."""
        return self.spec(tensor)


class Rearrange(_spec.RearrangeConstructor, _Operation):
    """`plait.rearrange` as a module."""


@_spec.documented()
class Reduce(_Operation):
    """`plait.reduce` as a module; a reduction that is a module is its field ``module``."""

    module: eqx.Module | None = None

    def __init__(self, /, pattern: str, reduction: Reduction, **sizes: int) -> None:
        self.spec, self.module = _spec.split_module(_spec.operation("reduce", pattern, sizes, reduction), eqx.Module)

    def __call__(self, tensor: Any, *, key: Any = None) -> jax.Array:
        return self.spec(tensor, self.module)


class Repeat(_spec.RepeatConstructor, _Operation):
    """`plait.repeat` as a module."""


@_spec.documented(
    _spec.PARAMETERS,
    key="what the parameters are drawn from.",
    dtype="the element type of the parameters; ``None`` is JAX's own, which is float64 where JAX counts in 64 bits.",
)
class EinMix(eqx.Module):
    """A general linear layer: einsum of the input and a weight, and a bias."""

    weight: jax.Array
    bias: jax.Array | None
    spec: MixSpec = eqx.field(static=True)

    def __init__(
        self,
        /,
        pattern: str,
        weight_shape: str,
        bias_shape: str | None = None,
        *,
        key: jax.Array,
        dtype: Any = None,
        **sizes: int,
    ) -> None:
        self.spec = MixSpec.read(pattern, weight_shape, bias_shape, sizes, key=key, dtype=dtype)
        dtype = jnp.result_type(float) if dtype is None else dtype
        first, second = jax.random.split(key)
        made = self.spec.bias
        self.weight = uniform(self.spec.weight.bound)(first, self.spec.weight.shape, dtype)
        self.bias = None if made is None else uniform(made.bound)(second, made.shape, dtype)

    def __call__(self, tensor: Any, *, key: Any = None) -> jax.Array:
        """The product with the weight, and the bias; the key is not used."""
        return self.spec(tensor, self.weight, self.bias)
