"""An einsum whose result is sharded as the caller says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.sharding import AxisType, NamedSharding, PartitionSpec, auto_axes, get_abstract_mesh

from plait.backends.interface import TensorCall
from plait.backends.jax.sharding import first_line
from plait.errors import fail, short


def sharded_einsum(equation: str, shape: Sequence[Any] | None, out_sharding: Any, **kwargs: Any) -> TensorCall:
    """An einsum, and a reshape where there is a shape, with that sharding of the result."""
    sharding = out_sharding
    if not isinstance(sharding, (NamedSharding, PartitionSpec)):
        kind = type(sharding).__name__
        raise fail(
            "PLT509", f"out_sharding is a PartitionSpec or a NamedSharding, and this is {kind}: {short(sharding)}"
        )
    terms = equation.partition("->")[0].replace("...", "").split(",")
    direct = shape is None and len(terms) == 2 and all(len(set(term)) == len(term) for term in terms)

    def product(*tensors: Any) -> Any:
        result = jnp.einsum(equation, *tensors, **kwargs)
        return result if shape is None else lax.reshape(result, shape)

    def call(*tensors: Any) -> Any:
        mesh = getattr(sharding, "mesh", None) or get_abstract_mesh()
        try:
            if AxisType.Explicit not in mesh.axis_types:
                result = product(*tensors)
                NamedSharding(mesh, getattr(sharding, "spec", sharding)).shard_shape(result.shape)  # or an error
                return lax.with_sharding_constraint(result, sharding)
            if direct:  # for all else JAX's einsum applies the sharding to what is not yet the result
                return jnp.einsum(equation, *tensors, out_sharding=sharding, **kwargs)
            return auto_axes(product, out_sharding=sharding)(*tensors)
        except Exception as error:
            message = f"the result cannot have the sharding {sharding}"
            raise fail("PLT509", message, facts={"reason": first_line(error)}) from error

    return call
