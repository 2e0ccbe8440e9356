"""What the layers of JAX's frameworks share: how a parameter is drawn, and how a computation gets its dtype."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def uniform(bound: float) -> Callable[[Any, Sequence[int], Any], jax.Array]:
    """An initialiser as those of `jax.nn.initializers`, uniform between ``-bound`` and ``bound``.

    It is called with a key, a shape and a dtype. Of a complex number both parts are drawn so.
    """

    def draw(key: Any, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        if jnp.issubdtype(dtype, jnp.complexfloating):
            real, imaginary = (draw(half, shape, jnp.finfo(dtype).dtype) for half in jax.random.split(key))
            return lax.complex(real, imaginary)
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return draw


def cast(dtype: Any, *arrays: Any) -> tuple[Any, ...]:
    """The arrays in this dtype, or as they are where it is ``None``; what is no array stays, for plait to refuse it."""
    return tuple([array.astype(dtype) if dtype is not None and hasattr(array, "astype") else array for array in arrays])
