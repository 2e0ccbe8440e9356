"""Operations on JAX arrays that are sharded along ``Explicit`` axes of a mesh.

JAX raises an error if it cannot infer the sharding of a result. Here a reshape gets the sharding with which no element
moves, if there is one, and all other such errors become PLT509, which says what to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate, groupby
from operator import itemgetter, mul
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from plait.backends.common.einsum_dtypes import LOW_PRECISION_NAMES, EinsumWithCasts, compute_names
from plait.backends.interface import AxesOfDimensions, TensorFunction
from plait.errors import make_error, short_repr

AxesBeforeAndAfter: TypeAlias = "tuple[AxesOfDimensions, AxesOfDimensions]"
"""The axes of each dimension before a reshape, and of each dimension after it, as numbers."""

_NARROW_TYPE_REGEX = re.compile(r"^float[468]_|int[124]$")
"""Matches the names of element types of fewer than 16 bits, except 8-bit integers."""


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


def build_reshape_of_axes(before: AxesOfDimensions, after: AxesOfDimensions) -> TensorFunction:
    """Return ``f(tensor, shape)``, which calls `reshape` with the axes of each dimension before and after it."""
    return lambda tensor, shape: reshape(tensor, shape, (before, after))


def reshape(tensor: Any, shape: Sequence[Any], axes: AxesBeforeAndAfter | None = None) -> Any:
    """Reshape an array, and give the result the sharding with which every element stays on its device.

    `sharding_after_reshape` finds this sharding. JAX itself finds it for few reshapes only, and then does not keep the
    mesh axes of size 1.

    Args:
        tensor: The array.
        shape: The shape of the result.
        axes: The axes of each dimension of the array and of the result, which tell to which dimension a mesh axis of
            size 1 belongs; ``None`` if they are unknown.

    Raises:
        BackendError: PLT509, there is no such sharding.
    """
    if not _is_sharded_explicitly(tensor):
        return lax.reshape(tensor, shape)
    sharding = sharding_after_reshape(tensor, shape, axes)
    try:
        return lax.reshape(tensor, shape, out_sharding=sharding)
    except Exception as error:
        if sharding is not None or type(error).__name__ not in ("ShardingTypeError", "AssertionError"):
            raise
        message = f"{jax.typeof(tensor)} cannot be reshaped to {tuple(shape)} without communication; reshard it first"
        raise make_error("PLT509", message) from error


def slice_dimension(tensor: Any, axis: int, start: Any, stop: Any) -> Any:
    """Return the interval from ``start`` to ``stop`` of one dimension.

    Raise PLT509 if the interval would be on some devices only, and PLT309 if JAX cannot tell whether symbolic bounds
    lie within the dimension.
    """
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


def _is_sharded_explicitly(tensor: Any) -> bool:
    """Return whether the type of an array says that a dimension is sharded."""
    sharding = getattr(getattr(jax, "typeof", lambda _: None)(tensor), "sharding", None)
    return sharding is not None and any(sharding.spec)


def _sharded_dimensions(sharding: Any) -> list[tuple[int, str]]:
    """Return for each mesh axis of a sharding the dimension that it divides, and its name, by increasing dimension."""
    entries = enumerate(sharding.spec)
    return [(dim, name) for dim, names in entries for name in ((names,) if isinstance(names, str) else names or ())]


def sharding_after_reshape(
    tensor: Any, shape: Sequence[Any], axes: AxesBeforeAndAfter | None = None
) -> NamedSharding | None:
    """Return the sharding after a reshape that moves no element between devices, or ``None`` if there is none.

    A mesh axis of size 1 divides nothing. If ``axes`` is given, it goes to the dimension that has the axis along which
    it was, and otherwise to the dimension at the same place in row-major order.
    """
    sharding = jax.typeof(tensor).sharding
    mesh, spec = sharding.mesh, sharding.spec
    if not all(type(size) is int and size for size in (*tensor.shape, *shape)):
        return None
    sharded = _sharded_dimensions(sharding)
    parts_before = [*accumulate(tensor.shape, mul, initial=1)]
    # for each mesh axis: the number of equal parts of the row-major order that it divides further, and its name
    splits: list[tuple[int, str]] = []
    for dim, group in groupby([pair for pair in sharded if mesh.shape[pair[1]] > 1], itemgetter(0)):
        inner = parts_before[dim]
        for _, name in group:
            splits.append((inner, name))
            inner *= mesh.shape[name]
    dim_by_name: dict[str, int | None] = {}
    parts = 1
    for dim, size in enumerate(shape):
        inner, parts = parts, parts * size
        while size > 1 and splits and splits[0][0] == inner and parts % (inner * mesh.shape[splits[0][1]]) == 0:
            _, name = splits.pop(0)
            dim_by_name[name] = dim
            inner *= mesh.shape[name]
    if splits:
        return None
    for dim, name in sharded:
        if name not in dim_by_name:
            dim_by_name[name] = (
                _dimension_by_part_count(parts_before[dim], shape) if axes is None else _dimension_after(dim, *axes)
            )
    partitions = [tuple([name for _, name in sharded if dim_by_name[name] == dim]) for dim in range(len(shape))]
    return NamedSharding(mesh, PartitionSpec(*partitions, unreduced=spec.unreduced, reduced=spec.reduced))


def _dimension_by_part_count(part: int, shape: Sequence[int]) -> int | None:
    """Return the dimension of ``shape`` at a place in row-major order; ``None`` if there is none.

    The dimensions before the place divide the array into ``part`` parts. The dimension at the place is the first that
    makes more parts than that, or has length 1 and leaves exactly that number.
    """
    ends = zip(shape, accumulate(shape, mul), strict=True)
    return next((dim for dim, (size, end) in enumerate(ends) if end > part or (size == 1 and end == part)), None)


def _dimension_after(dim: int, before: AxesOfDimensions, after: AxesOfDimensions) -> int | None:
    """Return the dimension after a reshape that has the first axis of dimension ``dim`` before it, or ``None``.

    ``before`` and ``after`` are the axes of each dimension before the reshape and after it. A dimension without axes,
    which has length 1, keeps its place among those between the same two axes.
    """
    if before[dim]:
        return next((place for place, axes in enumerate(after) if before[dim][0] in axes), None)
    start = next((place for place in range(dim, 0, -1) if before[place - 1]), 0)
    first = (
        0
        if start == 0
        else next((place + 1 for place, axes in enumerate(after) if before[start - 1][-1] in axes), len(after))
    )
    place = first + dim - start
    return place if place < len(after) and not any(after[first : place + 1]) else None


_einsum_of_wide_types = with_sharding_errors(
    partial(jnp.einsum, optimize="auto"),  # the default of old versions takes hours for a dozen tensors
    "the result could be sharded in several ways; out_sharding says which",
)
_einsum_of_narrow_types = EinsumWithCasts(
    einsum=_einsum_of_wide_types,
    cast=lambda tensor, dtype: tensor.astype(dtype),
    name=lambda tensor: str(tensor.dtype),
    compute_names=compute_names(
        sub_byte="int32", extra=[(name, "float32") for name in LOW_PRECISION_NAMES if not name.endswith("float16")]
    ),
)
"""An einsum of operands of which some have a type that `_NARROW_TYPE_REGEX` matches.

They are cast to the promoted type, or to 32 bits if that matches too: JAX would sum in the type itself, or
cannot promote.
"""


def einsum(equation: str, *tensors: Any) -> Any:
    """``jnp.einsum``, except that it sums types that `_NARROW_TYPE_REGEX` matches in 32 bits."""
    if any(_NARROW_TYPE_REGEX.search(str(tensor.dtype)) for tensor in tensors):
        return _einsum_of_narrow_types(equation, *tensors)
    return _einsum_of_wide_types(equation, *tensors)


def build_einsum_and_reshape(equation: str, shape: Sequence[Any] | None, **kwargs: Any) -> TensorFunction:
    """Return a function of tensors that computes an einsum, and reshapes its result unless ``shape`` is ``None``.

    ``kwargs`` are passed to ``jnp.einsum``, except ``out_sharding``, the sharding of the final result. PLT509 is raised
    here if that is not a sharding, and by the function if the result cannot have it.
    """

    def einsum_then_reshape(*tensors: Any) -> Any:
        result = _einsum_of_wide_types(equation, *tensors, **kwargs)
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
