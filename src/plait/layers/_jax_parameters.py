"""Initialization of parameters and conversion of element types, for the layers of the frameworks on JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def uniform_initializer(bound: float) -> Callable[[Any, Sequence[int], Any], jax.Array]:
    """Return an initializer like those of `jax.nn.initializers`, which draws uniformly from ``-bound`` to ``bound``.

    It takes a key, a shape and a dtype. For a complex dtype it draws the real and the imaginary parts.
    """

    def draw(key: Any, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        if jnp.issubdtype(dtype, jnp.complexfloating):
            real, imaginary = (draw(subkey, shape, jnp.finfo(dtype).dtype) for subkey in jax.random.split(key))
            return lax.complex(real, imaginary)
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return draw


def cast_arrays(dtype: Any, *arrays: Any) -> tuple[Any, ...]:
    """Convert arrays to a dtype, or return them unchanged if it is ``None``.

    An object that is not an array is returned unchanged too: plait raises the error for it later.
    """
    return tuple([array.astype(dtype) if dtype is not None and hasattr(array, "astype") else array for array in arrays])
