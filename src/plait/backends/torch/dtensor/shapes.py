"""Reshapes of a DTensor with as little communication as possible.

torch loses the sharding in a reshape that both merges and splits dimensions, and raises an error where a reshape would
split an uneven shard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from math import gcd, prod
from typing import Any, TypeAlias

import torch
from torch.distributed.tensor import DTensor, Replicate, Shard

from plait._caches import clearable_lru_cache
from plait.backends.common.independent_reshapes import common_factors, independent_reshapes

Shape = tuple[int, ...]
"""The length of each dimension."""
DimensionAndSplitFactor: TypeAlias = "tuple[int, int]"
"""A dimension that is sharded, and the split factor: the number of parts that are divided among all processes."""
ShardingByMeshDimension: TypeAlias = "tuple[DimensionAndSplitFactor | None, ...]"
"""For each dimension of the mesh the dimension of the tensor that is sharded along it, or ``None``."""
FactorAndMeshDimension: TypeAlias = "tuple[int, int | None]"
"""A factor of a dimension's length, and the dimension of the mesh along which it is divided, or ``None``."""


def is_redistribution_error(error: RuntimeError) -> bool:
    """Return whether an error of torch says that a reshape needs a tensor with another sharding."""
    return any(text in str(error) for text in ("redistribut", "_StridedShard", "is invalid for input of size"))


def reshape(tensor: Any, shape: Sequence[int]) -> Any:
    """Reshape a DTensor in row-major order, and redistribute it only as far as torch requires."""
    if 0 in tensor.shape:  # torch 2.13 would not return
        replicated = [Replicate()] * tensor.device_mesh.ndim
        return DTensor.from_local(tensor.to_local().reshape(shape), tensor.device_mesh, replicated, run_check=False)
    final_shape = tuple(shape)
    for step in split_and_merge_shapes(tuple(tensor.shape), final_shape):
        tensor = _reshape_step(tensor, step, final_shape)
    return tensor


@clearable_lru_cache(maxsize=1024)
def split_and_merge_shapes(old_shape: Shape, new_shape: Shape) -> tuple[Shape, ...]:
    """Return the shapes of a reshape in two steps, which first splits dimensions and then merges them.

    torch keeps the sharding in each of these steps, but not in one that does both.
    """
    split_shape: list[int] = []
    for start, stop, run in independent_reshapes(old_shape, new_shape):
        split_shape += common_factors(old_shape[start:stop], run) if min(stop - start, len(run)) > 1 else run
    return (new_shape,) if tuple(split_shape) == new_shape else (tuple(split_shape), new_shape)


def _reshape_step(tensor: Any, shape: Shape, final_shape: Shape) -> Any:
    """Reshape a tensor to ``shape``, a step to ``final_shape``, and redistribute it only as far as it must be.

    The first attempt keeps the placements; the second has no uneven shards of changed dimensions; the third has no
    shards of them.
    """
    reshaped = try_reshape_without_communication(tensor, shape)
    for move_even_shards in (False, True):
        if reshaped is not None:
            return reshaped
        placements = _choose_placements(tensor, shape, final_shape, move_even_shards=move_even_shards)
        tensor = _redistribute(tensor, placements)
        reshaped = try_reshape_without_communication(tensor, shape)
        if reshaped is None:  # shards of the last one of the merged dimensions may differ
            reshaped = _reshape_by_torch(tensor, shape, torch.reshape)
    return torch.reshape(tensor, shape) if reshaped is None else reshaped


def try_reshape_without_communication(
    tensor: Any, shape: Shape, function: Callable[[Any, Sequence[int]], Any] = torch.reshape
) -> Any:
    """Reshape a tensor by a function of torch, or each shard of it; ``None`` if it needs another sharding."""
    reshaped = None if _has_dimension_sharded_twice(tensor) else _reshape_by_torch(tensor, shape, function)
    return _reshape_shards_if_possible(tensor, shape, function) if reshaped is None else reshaped


def _reshape_by_torch(tensor: Any, shape: Shape, function: Callable[[Any, Sequence[int]], Any]) -> Any:
    """Reshape a tensor by a function of torch; ``None`` if it needs another sharding, which torch says in many ways."""
    try:
        reshaped = function(tensor, shape)
    except RuntimeError:
        return None
    if torch.is_grad_enabled() and tensor.requires_grad and _has_dimension_sharded_twice(reshaped):
        return _Reshape.apply(tensor, lambda each: function(each, shape))  # torch cannot reshape its gradient
    return reshaped


def _has_dimension_sharded_twice(tensor: Any) -> bool:
    """Return whether a dimension of the tensor is sharded along two dimensions of the mesh.

    torch 2.13 does not check whether such shards have the same length, and cannot split such a dimension.
    """
    sharded = [placement.dim for placement in tensor.placements if hasattr(placement, "dim")]
    return len(set(sharded)) < len(sharded)


def _reshape_shards_if_possible(tensor: Any, shape: Shape, function: Callable[[Any, Sequence[int]], Any]) -> Any:
    """Reshape the shard on each process by a function of torch; ``None`` if no placements describe the result."""
    counts = tuple(tensor.device_mesh.shape)
    found = shards_after_reshape(tuple(tensor.shape), _sharding_by_mesh_dimension(tensor.placements), counts, shape)
    if found is None:
        return None
    if all(place is None or place[1] == 1 for place in found):
        placements = [
            placement if place is None else Shard(place[0])
            for placement, place in zip(tensor.placements, found, strict=True)
        ]
        return _Reshape.apply(tensor, lambda each: _reshape_shards(each, shape, placements, function))
    reshaped = _reshape_by_torch(tensor, shape, function)  # only torch's own functions can make these strided shards
    return reshaped if reshaped is not None and _sharding_by_mesh_dimension(reshaped.placements) == found else None


def _sharding_by_mesh_dimension(placements: Sequence[Any]) -> ShardingByMeshDimension:
    """Return for each placement the dimension of the tensor that it shards, with its split factor."""
    return tuple(
        [
            (placement.dim, getattr(placement, "split_factor", 1)) if hasattr(placement, "dim") else None
            for placement in placements
        ]
    )


class _Reshape(torch.autograd.Function):  # type: ignore[misc]  # PyTorch is Any to the checker
    """A reshape whose gradient is reshaped by `reshape`."""

    @staticmethod
    def forward(ctx: Any, tensor: Any, call: Callable[[Any], Any]) -> Any:
        """Return the tensor reshaped by ``call``, and save its shape for the gradient."""
        ctx.shape = tuple(tensor.shape)
        return call(tensor)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, None]:
        """Return the gradient with the shape of the tensor, and ``None`` for the other argument."""
        return (None if grad is None else reshape(grad, ctx.shape)), None


def _reshape_shards(
    tensor: Any, shape: Shape, placements: Sequence[Any], function: Callable[[Any, Sequence[int]], Any]
) -> Any:
    """Return the tensor whose shards a function of torch has reshaped; it has this shape and these placements."""
    local, mesh = tensor.to_local(), tensor.device_mesh
    local_shape: list[int] = []
    for start, stop, run in independent_reshapes(tuple(tensor.shape), shape):
        if stop - start == len(run) == 1:
            local_shape.append(local.shape[start])
            continue
        for dimension, size in enumerate(run, len(local_shape)):
            sharded = [getattr(placement, "dim", None) == dimension for placement in placements]
            local_shape.append(size // prod(compress(mesh.shape, sharded)))
    stride = torch.empty(shape, device="meta").stride()
    reshaped = function(local, local_shape)
    return DTensor.from_local(reshaped, mesh, placements, run_check=False, shape=torch.Size(shape), stride=stride)


@clearable_lru_cache(maxsize=1024)
def shards_after_reshape(
    old_shape: Shape, sharded: ShardingByMeshDimension, counts: Shape, new_shape: Shape
) -> ShardingByMeshDimension | None:
    """Return what is sharded along each dimension of the mesh after each process has reshaped its shard.

    The mesh divides a dimension along one of the mesh's own dimensions after the other; ``counts`` are their numbers
    of processes. Return ``None`` if an element would have to be moved, or if shards of a changed dimension differ.

    >>> shards_after_reshape((2, 8, 6), ((0, 1), (1, 1)), (2, 2), (16, 6))
    ((0, 1), (0, 1))
    >>> shards_after_reshape((16, 6), ((0, 1), (0, 1)), (2, 2), (2, 8, 6))
    ((0, 1), (1, 1))
    >>> shards_after_reshape((64,), ((0, 4),), (4,), (8, 8)) is None
    True
    """
    found: list[DimensionAndSplitFactor | None] = [None] * len(counts)
    new_start = 0
    for start, stop, run in independent_reshapes(old_shape, new_shape):
        factors: list[FactorAndMeshDimension] = []
        for dimension in range(start, stop):
            divisions = [
                (owner, place[1], count)
                for owner, (place, count) in enumerate(zip(sharded, counts, strict=True))
                if place is not None and place[0] == dimension
            ]
            if stop - start == len(run) == 1:
                for mesh_dimension, split_factor, _ in divisions:
                    found[mesh_dimension] = new_start, split_factor
                continue
            divided = _factor_sharded_dimension(old_shape[dimension], divisions)
            if divided is None:
                return None
            factors += divided
        for dimension, size in enumerate(run, new_start):
            taken = _take_factors(factors, size) if factors else []
            if taken is None:
                return None
            for place, (_, owner) in enumerate(taken):
                if owner is not None:
                    outer = [length for length, other in taken[:place] if other is None or other > owner]
                    found[owner] = dimension, prod(outer)
        new_start += len(run)
    return tuple(found)


def _factor_sharded_dimension(
    length: int, divisions: Sequence[tuple[int, int, int]]
) -> list[FactorAndMeshDimension] | None:
    """Return a dimension as a product of factors, each of which is divided along the mesh or is on every process.

    Each division is a dimension of the mesh, a split factor and a number of processes: what a process has of the
    dimension is split into so many parts, and each part is divided among the processes. Return ``None`` if a factor
    cannot be divided evenly.
    """
    factors: list[FactorAndMeshDimension] = [(length, None)]
    for owner, split_factor, count in divisions:
        place, parts = 0, split_factor
        while place < len(factors) and (parts > 1 or factors[place][1] is not None):
            size, other = factors[place]
            if other is None:
                common = gcd(size, parts)
                if common not in (size, parts):
                    return None
                rest = [(size // common, None)] if common < size else []
                factors = [*factors[:place], (common, None), *rest, *factors[place + 1 :]]
                parts //= common
            place += 1
        if place == len(factors) or parts > 1 or factors[place][0] % count:
            return None
        factors = [*factors[:place], (count, owner), (factors[place][0] // count, None), *factors[place + 1 :]]
        factors = [factor for factor in factors if factor != (1, None)]
    return factors


def _take_factors(factors: list[FactorAndMeshDimension], size: int) -> list[FactorAndMeshDimension] | None:
    """Remove the first factors with the product ``size``, and return them; ``None`` if there are none.

    The last of them is split if it is too large and is not divided along the mesh.
    """
    taken: list[FactorAndMeshDimension] = []
    while factors and (size > 1 or factors[0][0] == 1):
        length, owner = factors.pop(0)
        common = gcd(length, size)
        if common < length:
            if owner is not None or common < size:
                return None
            factors.insert(0, (length // common, None))
        taken.append((common, owner))
        size //= common
    return taken if size == 1 else None


def _redistribute(tensor: Any, placements: list[Any]) -> Any:
    """Redistribute a tensor, and make the shard on every process contiguous.

    A shard may be a slice of the data that a process received, but torch decides from the strides of the whole tensor
    whether a view of each shard is possible.
    """
    if _sharding_by_mesh_dimension(tensor.placements) == _sharding_by_mesh_dimension(placements):
        return tensor
    stride = torch.empty(tensor.shape, device="meta").stride()
    if _has_dimension_sharded_twice(tensor):  # torch 2.13 gives wrong shards if it does not gather these first
        gathered = [Replicate() if hasattr(placement, "dim") else placement for placement in tensor.placements]
        tensor = tensor.redistribute(placements=gathered)
    local = tensor.redistribute(placements=placements).to_local().contiguous()
    return DTensor.from_local(local, tensor.device_mesh, placements, run_check=False, shape=tensor.shape, stride=stride)


def _choose_placements(tensor: Any, shape: Shape, final_shape: Shape, *, move_even_shards: bool) -> list[Any]:
    """Return placements without the shards of dimensions that the reshape to ``shape`` changes.

    Each of them is moved to an unsharded dimension that the reshape to ``final_shape`` keeps and that can be divided
    evenly; if there is none, it is replicated. A *row* is a part of a changed dimension that must stay on one process.
    If ``move_even_shards`` is false, a dimension whose shards have equal numbers of rows keeps them.
    """
    rows = {}  # by changed dimension, its number of rows
    for start, stop, run in independent_reshapes(tuple(tensor.shape), shape):
        old = tuple(tensor.shape[start:stop])
        counts = (run[0],) if len(run) > 1 else (*old[:-1], 0)  # the last merged dimension may have any sharding
        rows.update({start + dimension: count for dimension, count in enumerate(counts) if old != run})
    placements = list(tensor.placements)
    sharded = {getattr(placement, "dim", None) for placement in placements}
    kept = [
        (start, run)
        for start, stop, run in independent_reshapes(tuple(tensor.shape), final_shape)
        if stop - start == len(run) == 1
    ]
    free = {start: run[0] for start, run in kept if start not in sharded}
    for mesh_dimension, placement in enumerate(placements):
        dimension, count = getattr(placement, "dim", None), tensor.device_mesh.size(mesh_dimension)
        if dimension not in rows:
            continue
        if not move_even_shards and rows[dimension] % count == 0:
            rows[dimension] //= count  # the rows of a shard, for the next dimension of the mesh
            placements[mesh_dimension] = Shard(dimension)  # a strided shard would divide the rows
            continue
        other = next((other for other, size in free.items() if size % count == 0), -1)
        placements[mesh_dimension] = Replicate() if other < 0 else Shard(other)
        free.pop(other, None)
    return placements
