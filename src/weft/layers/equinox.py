"""Layers of Equinox: modules with weft's operations, for ``eqx.nn.Sequential`` and everywhere else.

As Equinox's own they are written for one example, and `jax.vmap` makes them work on a batch; or the pattern has an axis
for it.

>>> import equinox as eqx, jax
>>> from weft.layers.equinox import EinMix, Reduce
>>> conv, mix = jax.random.split(jax.random.key(0))
>>> model = eqx.nn.Sequential([
...     eqx.nn.Conv2d(1, 16, 3, padding=1, key=conv),
...     Reduce("c (h 2) (w 2) -> (c h w)", "max"),
...     EinMix("f -> k", weight_shape="f k", bias_shape="k", f=256, k=10, key=mix),
... ])
>>> jax.vmap(model)(jax.numpy.ones((32, 1, 8, 8))).shape
(32, 10)
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from weft.layers import mix, spec
from weft.layers.jax_parameters import uniform
from weft.layers.mix import MixSpec
from weft.layers.spec import OperationSpec, Reduction


class _Operation(eqx.Module):
    """A module without leaves."""

    spec: OperationSpec = eqx.field(static=True)

    def __call__(self, tensor: Any, *, key: Any = None) -> jax.Array:
        """The operation on an array, or on a list of equally shaped ones; the key is not used."""
        return self.spec(tensor)


class Rearrange(_Operation):
    def __init__(self, pattern: str, **sizes: int) -> None:
        self.spec = spec.rearrange(pattern, sizes)


class Reduce(_Operation):
    def __init__(self, pattern: str, reduction: Reduction, **sizes: int) -> None:
        self.spec = spec.reduce(pattern, reduction, sizes)


class EinMix(eqx.Module):
    weight: jax.Array
    bias: jax.Array | None
    spec: MixSpec = eqx.field(static=True)

    def __init__(
        self,
        pattern: str,
        weight_shape: str,
        bias_shape: str | None = None,
        *,
        key: Any,
        dtype: Any = None,
        **sizes: int,
    ) -> None:
        self.spec = mix.mix(pattern, weight_shape, bias_shape, sizes)
        dtype = jnp.result_type(float) if dtype is None else dtype
        for name, half in zip(("weight", "bias"), jax.random.split(key), strict=True):
            made = getattr(self.spec, name)
            setattr(self, name, made and uniform(made.bound)(half, made.shape, dtype))

    def __call__(self, tensor: Any, *, key: Any = None) -> jax.Array:
        """The product with the weight, and the bias; the key is not used."""
        return self.spec(tensor, self.weight, self.bias)
