"""JAX: arrays, their tracers, and ``jax.ShapeDtypeStruct``, which has a shape alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import export, lax

from plait.backends.interface import Backend, Reduction, TensorCall
from plait.backends.jax.sharding import einsum, einsum_and_reshape, explained, part, reshape


def _compiled(call: TensorCall) -> TensorCall:
    """The calls of a plan as one: dispatched once, and without an array after each."""

    def plait(*tensors: Any) -> Any:  # the name that a profile shows
        return call(*tensors)

    return jax.jit(plait, inline=True)  # a trace that calls it on arrays must show the equations


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
    einsum = staticmethod(einsum)
    slice = staticmethod(part)
    to_numpy: Callable[[Any], Any] = staticmethod(np.asarray)

    def __init__(self, kind: type) -> None:
        if issubclass(kind, jax.Array):
            self.wrap_callable = _compiled

    def for_any_type(self) -> Backend:
        return _TRACED

    def reduction(self, name: str, dtype: Any) -> Reduction:
        return jax.nn.logsumexp if name == "logsumexp" else getattr(jnp, name)

    def einsum_with_backend_kwargs(
        self, equation: str, shape: Sequence[Any] | None, kwargs: dict[str, Any]
    ) -> TensorCall:
        return einsum_and_reshape(equation, shape, **kwargs)

    def is_symbolic(self, size: Any) -> bool:
        return export.is_symbolic_dim(size)

    def static_shape(self, tensor: Any, rank: int) -> Sequence[Any]:
        return tensor.shape  # symbols are equal where JAX can prove it


def _of_shapes(function: Callable[..., Any]) -> Any:
    """A function of a tensor or a list of them, which computes shapes alone unless it is traced."""

    def call(tensors: Any, *constants: Any) -> Any:
        if isinstance(jax.tree.leaves(tensors)[0], jax.core.Tracer):
            return function(tensors, *constants)
        return jax.eval_shape(lambda traced: function(traced, *constants), tensors)

    return staticmethod(call)


class ShapeBackend(JaxBackend):
    """``jax.ShapeDtypeStruct``: plans are evaluated on shapes, and so is what pack and lists call beside a plan."""

    reshape, slice = _of_shapes(JaxBackend.reshape), _of_shapes(JaxBackend.slice)
    concat, stack = _of_shapes(JaxBackend.concat), _of_shapes(JaxBackend.stack)
    to_numpy = staticmethod(np.ndarray.__array__)  # an error; np.asarray takes it for an object

    @staticmethod
    def wrap_callable(call: TensorCall) -> TensorCall:
        return partial(jax.eval_shape, call)


def backend_for(kind: type) -> Backend:
    """The backend for tensors of a type."""
    if issubclass(kind, jax.ShapeDtypeStruct):
        return ShapeBackend(kind)
    if not hasattr(kind, "__array__"):
        raise TypeError("it is no array; a Ref is read by ref[...]")
    return JaxBackend(kind)


BACKEND = backend_for
_TRACED = JaxBackend(jax.core.Tracer)
