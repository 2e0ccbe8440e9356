"""The sharding of a result along ``Explicit`` axes of a mesh, where it could have several and JAX infers none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from plait.backends.interface import TensorCall
from plait.errors import make_error, short_repr


def explained(function: Callable[..., Any], advice: str) -> Callable[..., Any]:
    """A function of JAX's, whose complaints about explicit shardings come as plait's errors."""

    def call(*arguments: Any, **kwargs: Any) -> Any:
        try:
            return function(*arguments, **kwargs)
        except Exception as error:
            if type(error).__name__ != "ShardingTypeError":  # the class has no public name
                raise
            raise make_error("PLT509", advice, facts={"reason": _first_line(error)}) from error

    return call


def reshape(tensor: Any, shape: Sequence[Any]) -> Any:
    """JAX's own, and beyond it every reshape that can leave each element on its device."""
    try:
        return lax.reshape(tensor, shape)
    except Exception as error:
        if type(error).__name__ != "ShardingTypeError":
            raise
        sharding = carried(tensor, shape)
        if sharding is None:
            message = f"{jax.typeof(tensor)} cannot become {tuple(shape)} where it lies; jax.sharding.reshard it first"
            raise make_error("PLT509", message) from error
    return lax.reshape(tensor, shape, out_sharding=sharding)


def part(tensor: Any, axis: int, start: Any, stop: Any) -> Any:
    """The part from ``start`` up to ``stop`` of one dimension."""
    try:
        return _slice(tensor, start, stop, 1, axis)
    except jax.errors.InconclusiveDimensionOperation as error:
        part = f"{start}:{stop} is a part of {tensor.shape[axis]}"
        raise make_error("PLT309", f"whether {part} is not known; a constraint of jax.export can say so") from error


_slice = explained(lax.slice_in_dim, "an axis is sharded, and a part of it would be on some devices only; reshard it")


def carried(tensor: Any, shape: Sequence[Any]) -> NamedSharding | None:
    """The sharding after a reshape that moves no element between devices, or ``None`` where there is none."""
    mesh, spec = jax.typeof(tensor).sharding.mesh, jax.typeof(tensor).sharding.spec
    if not all(type(size) is int and size for size in (*tensor.shape, *shape)):
        return None
    cuts: list[tuple[int, str]] = []  # into how many parts the elements are cut before each mesh axis: then as now
    parts = 1
    for size, axes in zip(tensor.shape, spec, strict=True):
        inner = parts
        for name in (axes,) if isinstance(axes, str) else axes or ():
            cuts.append((inner, name))
            inner *= mesh.shape[name]
        parts *= size
    partitions: list[tuple[str, ...]] = []
    parts = 1
    for size in shape:
        names: list[str] = []
        inner, parts = parts, parts * size
        while size > 1 and cuts and cuts[0][0] == inner and parts % (inner * mesh.shape[cuts[0][1]]) == 0:
            names.append(cuts.pop(0)[1])
            inner *= mesh.shape[names[-1]]
        partitions.append(tuple(names))
    if any(mesh.shape[name] > 1 for _, name in cuts):
        return None
    return NamedSharding(mesh, PartitionSpec(*partitions, unreduced=spec.unreduced, reduced=spec.reduced))


einsum = explained(jnp.einsum, "the result could be sharded in several ways; out_sharding says which")


def einsum_and_reshape(equation: str, shape: Sequence[Any] | None, **kwargs: Any) -> TensorCall:
    """An einsum, and a reshape where there is a shape; ``out_sharding`` is the sharding of what they give."""

    def product(*tensors: Any) -> Any:
        result = einsum(equation, *tensors, **kwargs)
        return result if shape is None else reshape(result, shape)

    if "out_sharding" not in kwargs:
        return product
    from jax.sharding import AxisType, auto_axes, get_abstract_mesh  # of a newer JAX than the rest needs

    sharding = kwargs.pop("out_sharding")
    if not isinstance(sharding, (NamedSharding, PartitionSpec)):
        kind = type(sharding).__name__
        raise make_error(
            "PLT509", f"out_sharding is a PartitionSpec or a NamedSharding, and this is {kind}: {short_repr(sharding)}"
        )
    terms = equation.partition("->")[0].replace("...", "").split(",")
    direct = shape is None and len(terms) == 2 and all(len(set(term)) == len(term) for term in terms)

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
            raise make_error("PLT509", message, facts={"reason": _first_line(error)}) from error

    return call


def _first_line(error: Exception) -> str:
    """What an error says, without its explanations."""
    return str(error).strip().partition("\n")[0]
