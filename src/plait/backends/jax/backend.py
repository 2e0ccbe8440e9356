"""The backends of JAX: arrays and their tracers, and ``jax.ShapeDtypeStruct``, which has a shape and no elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import export, lax

from plait.backends.common.reductions import ReductionTable
from plait.backends.interface import Backend, ReductionFunction, TensorFunction
from plait.backends.jax.sharding import (
    build_einsum_and_reshape,
    build_reshape_of_axes,
    einsum,
    reshape,
    slice_dimension,
    with_sharding_errors,
)
from plait.errors import PlaitError

if TYPE_CHECKING:
    from plait.backends.capabilities import BlockFunctions

_INLINE_IN_JAXPR: Any = jax.Inline.JAX_EARLY if hasattr(jax, "Inline") else True
"""The ``inline`` argument of `jax.jit` that shows the equations of a call in a jaxpr.

Since JAX 0.12 ``True`` means `jax.Inline.JAX_LATE`, which leaves a nested call in the jaxpr.
"""


def _jit_plan(call: TensorFunction) -> TensorFunction:
    """Compile the calls of a plan as one function, so that intermediate results need not be arrays in memory."""

    def plait(*tensors: Any) -> Any:  # profiles show this name
        return call(*tensors)

    compiled = jax.jit(plait, inline=_INLINE_IN_JAXPR)

    def call_compiled(*tensors: Any) -> Any:
        try:
            return compiled(*tensors)
        except PlaitError:
            raise
        except Exception:  # the compiler may be unable to partition all calls as one, and able to partition each
            if any(isinstance(tensor, jax.core.Tracer) for tensor in tensors):
                raise
        return call(*tensors)

    return call_compiled


def _load_block_functions() -> BlockFunctions:
    """Import and return the operations that compute einsums in blocks, which few programs need."""
    from plait.backends.jax.blocks import load_block_functions

    return load_block_functions()


class JaxBackend(Backend):
    """The backend of arrays and tracers; it calls functions that add one equation each to a jaxpr."""

    name = "jax"
    einsum_optimizes_path = True
    load_block_functions = staticmethod(_load_block_functions)
    accepts: ClassVar[frozenset[str]] = frozenset({"numpy"})
    reshape = staticmethod(reshape)
    permute = staticmethod(lax.transpose)
    build_reshape_of_axes = staticmethod(build_reshape_of_axes)
    expand = staticmethod(jnp.broadcast_to)
    concat = staticmethod(
        with_sharding_errors(jnp.concatenate, "the sharding differs from one tensor to another; reshard them")
    )
    stack = staticmethod(
        with_sharding_errors(jnp.stack, "the sharding differs from one tensor to another; reshard them")
    )
    einsum = staticmethod(einsum)
    tensor_from_number = staticmethod(lambda number, tensor: jnp.asarray(number, dtype=jnp.result_type(tensor, number)))
    reductions = ReductionTable(
        function=lambda name: jax.nn.logsumexp if name == "logsumexp" else getattr(jnp, name),
        overrides={  # `jnp.any` and `jnp.all` look at the real part alone
            ("any", "complex"): lambda tensor, axes: jnp.any(tensor != 0, axes),
            ("all", "complex"): lambda tensor, axes: jnp.all(tensor != 0, axes),
        },
        upcast={},  # JAX itself accumulates in 32 bits, but for types of 8 bits
    )
    slice = staticmethod(slice_dimension)
    to_numpy: Callable[[Any], Any] = staticmethod(np.asarray)

    def __init__(self, tensor_type: type) -> None:
        if issubclass(tensor_type, jax.Array):
            self.wrap_callable = _jit_plan

    def for_any_type(self) -> Backend:
        return _ANY_TYPE_BACKEND

    def reduction(self, name: str, dtype: Any) -> ReductionFunction:
        return self.reductions.reduction(name, None if dtype is None else self.kind(dtype), dtype)

    def einsum_with_backend_kwargs(
        self, equation: str, shape: Sequence[Any] | None, kwargs: dict[str, Any]
    ) -> TensorFunction:
        return build_einsum_and_reshape(equation, shape, **kwargs)

    def version(self, tensor: Any) -> int | None:
        return None if isinstance(tensor, jax.core.Tracer) else 0

    def outside_of_traces(self) -> AbstractContextManager[Any]:
        return jax.ensure_compile_time_eval()

    def is_signal(self, error: Exception) -> bool:
        is_undecidable = type(error).__name__ == "InconclusiveDimensionOperation"  # each version has it elsewhere
        return is_undecidable or isinstance(error, (jax.errors.JAXTypeError, jax.errors.JAXIndexError))

    def is_symbolic_size(self, size: Any) -> bool:
        return export.is_symbolic_dim(size)

    def is_zero_size(self, size: Any) -> bool | None:
        try:
            return not size >= 1  # for symbols ``==`` is false if JAX cannot tell, and this comparison raises
        except jax.errors.InconclusiveDimensionOperation:
            return None

    def static_shape(self, tensor: Any, rank: int) -> Sequence[Any]:
        return tensor.shape  # symbolic sizes too: comparing them returns False where JAX cannot prove equality


def _with_eval_shape_unless_traced(function: Callable[..., Any]) -> Any:
    """Wrap a function of one or several tensors so that it only computes the shape of its result, unless JAX traces."""

    def call(tensors: Any, *constants: Any) -> Any:
        if isinstance(jax.tree.leaves(tensors)[0], jax.core.Tracer):
            return function(tensors, *constants)
        return jax.eval_shape(lambda traced: function(traced, *constants), tensors)

    return staticmethod(call)


class ShapeBackend(JaxBackend):
    """The backend of ``jax.ShapeDtypeStruct``: it computes the shape and the dtype of each result, and no elements."""

    reshape, slice = (
        _with_eval_shape_unless_traced(JaxBackend.reshape),
        _with_eval_shape_unless_traced(JaxBackend.slice),
    )
    concat, stack = _with_eval_shape_unless_traced(JaxBackend.concat), _with_eval_shape_unless_traced(JaxBackend.stack)
    to_numpy = staticmethod(np.ndarray.__array__)  # raises an error, which np.asarray would not

    def version(self, tensor: Any) -> int | None:
        return None

    @staticmethod
    def wrap_callable(call: TensorFunction) -> TensorFunction:
        return partial(jax.eval_shape, call)


def create_backend(tensor_type: type) -> Backend:
    """Return the backend for tensors of a type."""
    if issubclass(tensor_type, jax.ShapeDtypeStruct):
        return ShapeBackend(tensor_type)
    if not hasattr(tensor_type, "__array__"):
        is_ref = "Ref" in tensor_type.__name__
        raise TypeError("it is not an array; read a Ref with ref[...]" if is_ref else "it is not an array")
    return JaxBackend(tensor_type)


BACKEND_FACTORY = create_backend
_ANY_TYPE_BACKEND = JaxBackend(jax.core.Tracer)
