"""The backend of objects that have ``__jax_array__``, such as ``flax.nnx.Param``: they stand for a JAX array."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from plait.backends.wrapper import WrapperBackend


class JaxArrayProtocolBackend(WrapperBackend):
    """Makes calls on the JAX array that an object stands for, and returns JAX arrays, as `jax.numpy` does."""

    name = "jax"

    def unwrap(self, wrapper: Any) -> Any:
        return jnp.asarray(wrapper.__jax_array__())


BACKEND_FACTORY = JaxArrayProtocolBackend
