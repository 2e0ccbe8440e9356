"""JAX: arrays, the tracers that stand for them, and ``jax.ShapeDtypeStruct``, which has a shape alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import export, lax

from plait.backends.interface import Backend
from plait.backends.jax.sharding import explained, part, reshape


class JaxBackend(Backend):
    """Plans call functions that leave one equation each, so that a jaxpr is that of hand-written code."""

    name = "jax"
    einsum_optimizes_path = True
    accepts: ClassVar[frozenset[str]] = frozenset({"numpy"})
    reshape = staticmethod(reshape)
    permute = staticmethod(lax.transpose)
    expand = staticmethod(jnp.broadcast_to)
    concat = staticmethod(explained(jnp.concatenate, "the sharding differs from one tensor to another; reshard them"))
    stack = staticmethod(explained(jnp.stack, "the sharding differs from one tensor to another; reshard them"))
    einsum = staticmethod(explained(jnp.einsum, "the result could be sharded in several ways; out_sharding says which"))
    slice = staticmethod(part)
    to_numpy: Callable[[Any], Any] = staticmethod(np.asarray)

    def __init__(self, kind: type) -> None:
        if issubclass(kind, jax.Array):
            self.wrap_callable = _compiled
        elif issubclass(kind, jax.ShapeDtypeStruct):
            self.wrap_callable = lambda call: partial(jax.eval_shape, call)
            self.to_numpy = np.ndarray.__array__  # an error; np.asarray takes it for an object
            for name in ("reshape", "concat", "stack", "slice"):  # what pack and lists call beside a plan
                setattr(self, name, _of_shapes(getattr(self, name)))
        elif not hasattr(kind, "__array__"):
            raise TypeError("it is no array; a Ref is read by ref[...]")

    def for_any_type(self) -> Backend:
        return _TRACED

    def reduction(self, name: str, dtype: Any) -> Callable[[Any, tuple[int, ...]], Any]:
        return _REDUCTIONS[name]

    def einsum_with_backend_kwargs(
        self, equation: str, shape: Sequence[Any] | None, kwargs: dict[str, Any]
    ) -> Callable[..., Any]:
        if "out_sharding" not in kwargs:
            return lambda *tensors: _shaped(self.einsum(equation, *tensors, **kwargs), shape)
        from plait.backends.jax.einsum import sharded_einsum  # needs a newer JAX than the rest

        return sharded_einsum(equation, shape, **kwargs)

    def is_symbolic(self, size: Any) -> bool:
        return export.is_symbolic_dim(size)

    def static_shape(self, tensor: Any, rank: int) -> Sequence[Any]:
        return tensor.shape  # symbols are equal where JAX can prove it


def _shaped(tensor: Any, shape: Sequence[Any] | None) -> Any:
    return tensor if shape is None else reshape(tensor, shape)


def _compiled(call: Callable[..., Any]) -> Callable[..., Any]:
    """The calls of a plan as one: dispatched once, and without an array after each."""

    def plait(*tensors: Any) -> Any:  # the name that a profile shows
        return call(*tensors)

    return jax.jit(plait, inline=True)  # where a trace meets an array, it shall see the equations


def _of_shapes(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(tensors: Any, *constants: Any) -> Any:
        if isinstance(jax.tree.leaves(tensors)[0], jax.core.Tracer):
            return function(tensors, *constants)
        return jax.eval_shape(lambda traced: function(traced, *constants), tensors)

    return call


_REDUCTIONS: dict[str, Callable[[Any, tuple[int, ...]], Any]] = {
    "min": jnp.min,
    "max": jnp.max,
    "sum": jnp.sum,
    "mean": jnp.mean,
    "prod": jnp.prod,
    "any": jnp.any,
    "all": jnp.all,
    "std": jnp.std,
    "var": jnp.var,
    "logsumexp": jax.nn.logsumexp,
}

BACKEND = JaxBackend
_TRACED = JaxBackend(jax.core.Tracer)
