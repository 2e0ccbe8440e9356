"""Reshapes of a DTensor with as little communication as possible.

torch loses the sharding in a reshape that both merges and splits dimensions, and raises an error where a reshape would
split an uneven shard.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.distributed.tensor import DTensor, Replicate, Shard

from plait._caches import clearable_lru_cache
from plait.backends.common.split_reshape import common_factors, split_reshape

Shape = tuple[int, ...]
"""The length of each dimension."""


def is_redistribution_error(error: RuntimeError) -> bool:
    """Return whether an error of torch says that a reshape needs a tensor with another sharding."""
    return "redistribut" in str(error)


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
    for start, stop, run in split_reshape(old_shape, new_shape):
        split_shape += common_factors(old_shape[start:stop], run) if min(stop - start, len(run)) > 1 else run
    return (new_shape,) if tuple(split_shape) == new_shape else (tuple(split_shape), new_shape)


def _reshape_step(tensor: Any, shape: Shape, final_shape: Shape, attempt: int = 0) -> Any:
    """Reshape to ``shape``, and redistribute the tensor only as far as torch requires it.

    The first attempt keeps the placements, unless a dimension is sharded twice. The second moves uneven shards of
    changed dimensions to other dimensions, or replicates them; the third does so with all shards of these dimensions.
    """
    if not attempt and _has_dimension_sharded_twice(tensor):
        tensor = _redistribute(tensor, _choose_placements(tensor, shape, final_shape, move_even_shards=False))
    try:
        return torch.reshape(tensor, shape)
    except RuntimeError as error:
        if not is_redistribution_error(error) or attempt == 2:
            raise
    placements = _choose_placements(tensor, shape, final_shape, move_even_shards=attempt == 1)
    return _reshape_step(_redistribute(tensor, placements), shape, final_shape, attempt + 1)


def _has_dimension_sharded_twice(tensor: Any) -> bool:
    """Return whether a dimension of the tensor is sharded along two dimensions of the mesh.

    torch 2.13 does not check whether such shards have the same length.
    """
    sharded = [placement.dim for placement in tensor.placements if hasattr(placement, "dim")]
    return len(set(sharded)) < len(sharded)


def _redistribute(tensor: Any, placements: list[Any]) -> Any:
    """Redistribute a tensor, and make the shard on every process contiguous.

    A shard may be a slice of the data that a process received, but torch decides from the strides of the whole tensor
    whether a view of each shard is possible.
    """
    if list(tensor.placements) == placements:
        return tensor
    stride = torch.empty(tensor.shape, device="meta").stride()
    local = tensor.redistribute(placements=placements).to_local().contiguous()
    return DTensor.from_local(local, tensor.device_mesh, placements, run_check=False, shape=tensor.shape, stride=stride)


def _choose_placements(tensor: Any, shape: Shape, final_shape: Shape, *, move_even_shards: bool) -> list[Any]:
    """Return placements without the shards of dimensions that the reshape to ``shape`` changes.

    Each of them is moved to an unsharded dimension that the reshape to ``final_shape`` keeps and that can be divided
    evenly; if there is none, it is replicated. A *row* is a part of a changed dimension that must stay on one process.
    If ``move_even_shards`` is false, a dimension whose shards have equal numbers of rows keeps them.
    """
    rows = {}  # by changed dimension, its number of rows
    for start, stop, run in split_reshape(tuple(tensor.shape), shape):
        old = tuple(tensor.shape[start:stop])
        counts = (run[0],) if len(run) > 1 else (*old[:-1], 0)  # the last merged dimension may have any sharding
        rows.update({start + dimension: count for dimension, count in enumerate(counts) if old != run})
    placements = list(tensor.placements)
    sharded = {getattr(placement, "dim", None) for placement in placements}
    kept = [
        (start, run)
        for start, stop, run in split_reshape(tuple(tensor.shape), final_shape)
        if stop - start == len(run) == 1
    ]
    free = {start: run[0] for start, run in kept if start not in sharded}
    for mesh_dimension, placement in enumerate(placements):
        dimension, count = getattr(placement, "dim", None), tensor.device_mesh.size(mesh_dimension)
        if dimension not in rows:
            continue
        if not move_even_shards and rows[dimension] % count == 0:
            rows[dimension] //= count  # the rows of a shard, for the next dimension of the mesh
            continue
        other = next((other for other, size in free.items() if size % count == 0), -1)
        placements[mesh_dimension] = Replicate() if other < 0 else Shard(other)
        free.pop(other, None)
    return placements
