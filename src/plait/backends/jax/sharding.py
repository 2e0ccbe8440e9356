"""Operations on JAX arrays that are sharded along ``Explicit`` axes of a mesh.

JAX raises an error if it cannot infer the sharding of a result. Here a reshape gets the sharding with which no element
moves, if there is one, and all other such errors become PLT509, which says what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from plait.backends.interface import TensorFunction
from plait.errors import make_error, short_repr


def with_sharding_errors(function: Callable[..., Any], advice: str) -> Callable[..., Any]:
    """Wrap a function so that its errors about explicit shardings become PLT509, with this advice."""

    def call(*arguments: Any, **kwargs: Any) -> Any:
        try:
            return function(*arguments, **kwargs)
        except Exception as error:
            if type(error).__name__ != "ShardingTypeError":  # the class has no public name
                raise
            raise make_error("PLT509", advice, facts={"reason": _first_line(error)}) from error

    return call


def reshape(tensor: Any, shape: Sequence[Any]) -> Any:
    """Reshape an array; where JAX cannot infer the sharding, choose one with which every element stays on its device.

    Raises:
        BackendError: PLT509, there is no such sharding.
    """
    try:
        return lax.reshape(tensor, shape)
    except Exception as error:
        if type(error).__name__ != "ShardingTypeError":
            raise
        sharding = sharding_after_reshape(tensor, shape)
        if sharding is None:
            message = (
                f"{jax.typeof(tensor)} cannot be reshaped to {tuple(shape)} without communication; reshard it first"
            )
            raise make_error("PLT509", message) from error
    return lax.reshape(tensor, shape, out_sharding=sharding)


def slice_dimension(tensor: Any, axis: int, start: Any, stop: Any) -> Any:
    """Take the interval from ``start`` to ``stop`` of one dimension."""
    try:
        return _slice(tensor, start, stop, 1, axis)
    except jax.errors.InconclusiveDimensionOperation as error:
        part = f"{start}:{stop} is a part of {tensor.shape[axis]}"
        raise make_error(
            "PLT309", f"jax cannot tell whether {part}; add a constraint to jax.export.symbolic_shape"
        ) from error


_slice = with_sharding_errors(
    lax.slice_in_dim, "an axis is sharded, and a part of it would be on some devices only; reshard it"
)


def sharding_after_reshape(tensor: Any, shape: Sequence[Any]) -> NamedSharding | None:
    """Return the sharding after a reshape that moves no element between devices, or ``None`` if there is none."""
    mesh, spec = jax.typeof(tensor).sharding.mesh, jax.typeof(tensor).sharding.spec
    if not all(type(size) is int and size for size in (*tensor.shape, *shape)):
        return None
    # for each mesh axis: the number of equal parts of the row-major order that it divides further, and its name
    splits: list[tuple[int, str]] = []
    parts = 1
    for size, axes in zip(tensor.shape, spec, strict=True):
        inner = parts
        for name in (axes,) if isinstance(axes, str) else axes or ():
            splits.append((inner, name))
            inner *= mesh.shape[name]
        parts *= size
    partitions: list[tuple[str, ...]] = []
    parts = 1
    for size in shape:
        names: list[str] = []
        inner, parts = parts, parts * size
        while size > 1 and splits and splits[0][0] == inner and parts % (inner * mesh.shape[splits[0][1]]) == 0:
            names.append(splits.pop(0)[1])
            inner *= mesh.shape[names[-1]]
        partitions.append(tuple(names))
    if any(mesh.shape[name] > 1 for _, name in splits):
        return None
    return NamedSharding(mesh, PartitionSpec(*partitions, unreduced=spec.unreduced, reduced=spec.reduced))


einsum = with_sharding_errors(jnp.einsum, "the result could be sharded in several ways; out_sharding says which")


def build_einsum_and_reshape(equation: str, shape: Sequence[Any] | None, **kwargs: Any) -> TensorFunction:
    """Return an einsum and a reshape to the shape, if any; ``out_sharding`` is the sharding of the final result."""

    def einsum_then_reshape(*tensors: Any) -> Any:
        result = einsum(equation, *tensors, **kwargs)
        return result if shape is None else reshape(result, shape)

    if "out_sharding" not in kwargs:
        return einsum_then_reshape
    from jax.sharding import AxisType, auto_axes, get_abstract_mesh  # in newer versions of JAX only

    sharding = kwargs.pop("out_sharding")
    if not isinstance(sharding, (NamedSharding, PartitionSpec)):
        kind = type(sharding).__name__
        raise make_error(
            "PLT509", f"out_sharding must be a PartitionSpec or a NamedSharding, not {kind}: {short_repr(sharding)}"
        )
    terms = equation.partition("->")[0].replace("...", "").split(",")
    is_direct = shape is None and len(terms) == 2 and all(len(set(term)) == len(term) for term in terms)

    def call(*tensors: Any) -> Any:
        mesh = getattr(sharding, "mesh", None) or get_abstract_mesh()
        try:
            if AxisType.Explicit not in mesh.axis_types:
                result = einsum_then_reshape(*tensors)
                # raises an error if the shape cannot be sharded like this
                NamedSharding(mesh, getattr(sharding, "spec", sharding)).shard_shape(result.shape)
                return lax.with_sharding_constraint(result, sharding)
            if is_direct:  # otherwise JAX's einsum applies the sharding to an intermediate result
                return jnp.einsum(equation, *tensors, out_sharding=sharding, **kwargs)
            return auto_axes(einsum_then_reshape, out_sharding=sharding)(*tensors)
        except Exception as error:
            message = f"the result cannot have the sharding {sharding}"
            raise make_error("PLT509", message, facts={"reason": _first_line(error)}) from error

    return call


def _first_line(error: Exception) -> str:
    """Return the first line of an error's text; the explanations of JAX follow in further lines."""
    return str(error).strip().partition("\n")[0]
