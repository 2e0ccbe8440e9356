"""Layers of Haiku: modules with plait's operations, for ``hk.Sequential`` and everywhere else.

>>> import haiku as hk, jax
>>> from plait.layers.haiku import EinMix, Reduce
>>> @hk.without_apply_rng
... @hk.transform
... def model(images):
...     return hk.Sequential([
...         hk.Conv2D(16, 3),
...         Reduce("b (h 2) (w 2) c -> b (c h w)", "max"),
...         EinMix("b f -> b k", weight_shape="f k", bias_shape="k", f=256, k=10),
...     ])(images)
>>> images = jax.numpy.ones((32, 8, 8, 1))
>>> parameters = model.init(jax.random.key(0), images)
>>> model.apply(parameters, images).shape
(32, 10)
"""

from __future__ import annotations

from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from plait.layers import MixSpec, OperationSpec, Parameter, _spec
from plait.layers._jax_parameters import uniform
from plait.layers._spec import Reduction


class _Operation(hk.Module):
    """A module without parameters."""

    def __init__(self, operation: OperationSpec, name: str | None) -> None:
        super().__init__(name=name)
        self.spec = operation

    def __call__(self, tensor: Any) -> jax.Array:
        return self.spec(tensor)


@_spec.documented()
class Rearrange(_Operation):
    """`plait.rearrange` as a module."""

    def __init__(self, /, pattern: str, *, name: str | None = None, **sizes: int) -> None:
        super().__init__(_spec.operation("rearrange", pattern, sizes, name=name), name)


@_spec.documented()
class Reduce(_Operation):
    """`plait.reduce` as a module."""

    def __init__(self, /, pattern: str, reduction: Reduction, *, name: str | None = None, **sizes: int) -> None:
        super().__init__(_spec.operation("reduce", pattern, sizes, reduction, name=name), name)


@_spec.documented()
class Repeat(_Operation):
    """`plait.repeat` as a module."""

    def __init__(self, /, pattern: str, *, name: str | None = None, **sizes: int) -> None:
        super().__init__(_spec.operation("repeat", pattern, sizes, name=name), name)


@_spec.documented(w_init="how the weight is drawn, instead of uniformly: one of `haiku.initializers`.")
class EinMix(hk.Module):
    """A general linear layer: einsum of the input and a weight, and a bias.

    The parameters ``weight`` and ``bias`` have the input's element type, or float32 where that is not inexact.
    The weight is uniform in ±√3 / √fan_in, where fan_in is the number of elements of the weight in each sum; the bias
    is uniform in ±1 / √fan_in, with one dimension for each axis of the right side.
    """

    def __init__(
        self,
        /,
        pattern: str,
        weight_shape: str,
        bias_shape: str | None = None,
        *,
        w_init: hk.initializers.Initializer | None = None,
        b_init: hk.initializers.Initializer | None = None,
        name: str | None = None,
        **sizes: int,
    ) -> None:
        read = MixSpec.read(pattern, weight_shape, bias_shape, sizes, name=name)
        super().__init__(name=name)
        self.spec = read
        self.w_init = w_init
        self.b_init = b_init

    def __call__(self, tensor: Any) -> jax.Array:
        given = getattr(tensor, "dtype", None)
        inexact = isinstance(given, jnp.dtype) and jnp.issubdtype(given, jnp.inexact)
        dtype = jax.dtypes.canonicalize_dtype(given if inexact else jnp.float32)

        def draw(name: str, made: Parameter, init: hk.initializers.Initializer | None) -> jax.Array:
            default = lambda shape, dtype: uniform(made.bound)(hk.next_rng_key(), shape, dtype)
            return hk.get_parameter(name, made.shape, dtype, init=init or default)

        bias = self.spec.bias
        weight = draw("weight", self.spec.weight, self.w_init)
        return self.spec(tensor, weight, None if bias is None else draw("bias", bias, self.b_init))
