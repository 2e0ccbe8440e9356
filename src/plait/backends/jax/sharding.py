"""Arrays on many devices: their sharding after an operation, where JAX does not infer it.

Along the ``Auto`` axes of a mesh the compiler decides. Along its ``Explicit`` axes the sharding is a part of an array's
type, and JAX refuses an operation whose result could have several.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import gcd
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from plait.backends.interface import TensorCall
from plait.errors import fail, short


def explained(function: Callable[..., Any], advice: str) -> Callable[..., Any]:
    """A function of JAX's, whose complaints about explicit shardings come as plait's errors."""

    def call(*arguments: Any, **kwargs: Any) -> Any:
        try:
            return function(*arguments, **kwargs)
        except Exception as error:
            if type(error).__name__ != "ShardingTypeError":  # the class has no public name
                raise
            raise fail("PLT509", advice, facts={"reason": _first_line(error)}) from error

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
            raise fail("PLT509", message) from error
    return lax.reshape(tensor, shape, out_sharding=sharding)


def part(tensor: Any, axis: int, start: Any, stop: Any) -> Any:
    """The part from ``start`` up to ``stop`` of one dimension."""
    try:
        return _slice(tensor, start, stop, 1, axis)
    except jax.errors.InconclusiveDimensionOperation as error:
        part = f"{start}:{stop} is a part of {tensor.shape[axis]}"
        raise fail("PLT309", f"whether {part} is not known; a constraint of jax.export can say so") from error


_slice = explained(lax.slice_in_dim, "an axis is sharded, and a part of it would be on some devices only; reshard it")


def carried(tensor: Any, shape: Sequence[Any]) -> NamedSharding | None:
    """The sharding after a reshape that moves no element between devices, or ``None`` where there is none.

    A sharded dimension is a product: its shards, and what each of them holds. The new dimensions are filled with these
    factors from left to right. Shards can only begin a dimension; what they hold may be cut anywhere.
    """
    mesh, spec = jax.typeof(tensor).sharding.mesh, jax.typeof(tensor).sharding.spec
    if not all(type(size) is int and size for size in (*tensor.shape, *shape)):
        return None
    factors: list[tuple[str, int]] = []
    for size, axes in zip(tensor.shape, spec, strict=True):
        held = size
        for name in (axes,) if isinstance(axes, str) else axes or ():
            factors.append((name, mesh.shape[name]))
            held //= mesh.shape[name]
        if factors and not factors[-1][0]:
            held *= factors.pop()[1]  # with that of the dimension before, one run of elements
        factors.append(("", held))
    factors.reverse()
    partitions: list[tuple[str, ...]] = []
    for size in shape:
        names: tuple[str, ...] = ()
        left, begun = size, False
        while left > 1:
            name, count = factors.pop()
            common = gcd(left, count)
            if name and not begun and common == count:
                names = (*names, name)
            elif name or common == 1 < count:
                return None
            elif count > 1:
                factors.append(("", count // common))
                begun = True
            left //= common
        partitions.append(names)
    return NamedSharding(mesh, PartitionSpec(*partitions, unreduced=spec.unreduced, reduced=spec.reduced))


def sharded_einsum(equation: str, shape: Sequence[Any] | None, out_sharding: Any, **kwargs: Any) -> TensorCall:
    """An einsum, and a reshape where there is a shape, with that sharding of the result."""
    from jax.sharding import AxisType, auto_axes, get_abstract_mesh  # of a newer JAX than the rest needs

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
            raise fail("PLT509", message, facts={"reason": _first_line(error)}) from error

    return call


def _first_line(error: Exception) -> str:
    """What an error says, without its explanations."""
    return str(error).strip().partition("\n")[0]
