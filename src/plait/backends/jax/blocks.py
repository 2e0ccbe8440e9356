"""The operations with which einsums of JAX arrays under a limit of memory are computed block by block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from plait.backends.capabilities import BlockFunctions
from plait.backends.reduction_rules import is_low_precision


def load_block_functions() -> BlockFunctions:
    """Return the operations."""
    return BlockFunctions(
        compute_and_result_dtypes=_compute_and_result_dtypes,
        itemsize=lambda dtype: dtype.itemsize,
        cast=lambda tensor, dtype: tensor.astype(dtype),
        can_widen=lambda _: False,  # double precision is disabled by default
        allocate=lambda value, shape, _: jnp.empty(shape, value.dtype),
        store=partial(_update, _store_block),
        add=partial(_update, _add_block),
        finish=lambda result, dtype: result.astype(dtype),
        why_not=lambda tensor: "an array that JAX traces" if isinstance(tensor, jax.core.Tracer) else None,
        run=_run,
        compiled_bytes=_compiled_bytes,
        slices_are_copies=True,
    )


def _compute_and_result_dtypes(dtypes: tuple[Any, ...]) -> tuple[Any, Any]:
    """Return the element type in which arrays of these types are contracted, and that of the result."""
    result = jnp.result_type(*dtypes)
    return jnp.dtype(jnp.float32) if is_low_precision(result) else result, result


def _compiled_bytes(call: Callable[..., Any], shapes: Sequence[tuple[int, ...]], dtypes: Sequence[Any]) -> int:
    """Return how many bytes a call allocates, as the compiler says."""
    arguments = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
    analysis = jax.jit(call).lower(*arguments).compile().memory_analysis()
    return int(analysis.output_size_in_bytes + analysis.temp_size_in_bytes)


@partial(jax.jit, donate_argnums=0)
def _store_block(result: jax.Array, value: jax.Array, starts: tuple[int, ...]) -> jax.Array:
    """Write a block into a result, whose memory is used again."""
    return jax.lax.dynamic_update_slice(result, value, starts)


@partial(jax.jit, donate_argnums=0)
def _add_block(result: jax.Array, value: jax.Array, starts: tuple[int, ...]) -> jax.Array:
    """Add a block to a part of a result, whose memory is used again."""
    before = jax.lax.dynamic_slice(result, starts, value.shape)
    total = before | value if result.dtype == bool else before + value
    return jax.lax.dynamic_update_slice(result, total, starts)


def _update(update: Callable[..., Any], result: Any, index: tuple[slice, ...], value: Any) -> Any:
    """Apply an update to a block, and wait until it is made: calls that wait would keep their operands."""
    return jax.block_until_ready(update(result, value, tuple([part.start or 0 for part in index])))


def _run(call: Callable[..., Any], blocks: Sequence[Any]) -> Any:
    """Contract blocks, and wait for the result."""
    return jax.block_until_ready(call(*blocks))
