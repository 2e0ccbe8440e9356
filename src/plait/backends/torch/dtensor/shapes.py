"""Reshapes of a DTensor with as little communication as there can be.

torch forgets the sharding where one reshape merges and splits, and refuses to cut the rows of an uneven shard apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.distributed.tensor import DTensor, Replicate, Shard

from plait._caches import clearable_lru_cache
from plait.backends.common.reshape_groups import common_factors, reshape_groups

Shape = tuple[int, ...]


def is_uneven(error: RuntimeError) -> bool:
    """Whether torch has refused a reshape that it could make of a tensor that is sharded otherwise."""
    return "redistribut" in str(error)


def reshape(tensor: Any, shape: Sequence[int]) -> Any:
    """The elements in row-major order in another shape."""
    if 0 in tensor.shape:  # torch 2.13 would look for groups of dimensions forever
        whole = [Replicate()] * tensor.device_mesh.ndim
        return DTensor.from_local(tensor.to_local().reshape(shape), tensor.device_mesh, whole, run_check=False)
    last = tuple(shape)
    for step in steps(tuple(tensor.shape), last):
        tensor = _reshaped(tensor, step, last)
    return tensor


@clearable_lru_cache(maxsize=1024)
def steps(before: Shape, after: Shape) -> tuple[Shape, ...]:
    """The splits, and then the merges, where a run of dimensions needs both: either alone keeps a sharding."""
    between: list[int] = []
    for start, stop, run in reshape_groups(before, after):
        between += common_factors(before[start:stop], run) if min(stop - start, len(run)) > 1 else run
    return (after,) if tuple(between) == after else (tuple(between), after)


def _reshaped(tensor: Any, shape: Shape, last: Shape, tried: int = 0) -> Any:
    """As it is sharded; then without the uneven shards that prevent the reshape; then without any that do."""
    if not tried and _is_cut_twice(tensor):
        tensor = _moved(tensor, _placements(tensor, shape, last, all_of_them=False))
    try:
        return torch.reshape(tensor, shape)
    except RuntimeError as error:
        if not is_uneven(error) or tried == 2:
            raise
    placements = _placements(tensor, shape, last, all_of_them=tried == 1)
    return _reshaped(_moved(tensor, placements), shape, last, tried + 1)


def _is_cut_twice(tensor: Any) -> bool:
    """Whether two dimensions of the mesh cut one of the tensor: torch 2.13 checks only whether each does evenly."""
    cut = [placement.dim for placement in tensor.placements if hasattr(placement, "dim")]
    return len(set(cut)) < len(cut)


def _moved(tensor: Any, placements: list[Any]) -> Any:
    """Redistributed, and contiguous in every process as in the whole: by strides of the whole, torch makes views."""
    if list(tensor.placements) == placements:
        return tensor
    stride = torch.empty(tensor.shape, device="meta").stride()
    local = tensor.redistribute(placements=placements).to_local().contiguous()  # it may be a part of what was received
    return DTensor.from_local(local, tensor.device_mesh, placements, run_check=False, shape=tensor.shape, stride=stride)


def _placements(tensor: Any, shape: Shape, last: Shape, *, all_of_them: bool) -> list[Any]:
    """Where shards go that a reshape would cut apart: evenly to a dimension that stays, or else all to each process."""
    rows = {}  # of each dimension that changes, how many rows there are, each of which must stay in one process
    for start, stop, run in reshape_groups(tuple(tensor.shape), shape):
        old = tuple(tensor.shape[start:stop])
        counts = (run[0],) if len(run) > 1 else (*old[:-1], 0)  # the last of those that are merged may be cut anyhow
        rows.update({start + place: count for place, count in enumerate(counts) if old != run})
    placements = list(tensor.placements)
    sharded = {getattr(placement, "dim", None) for placement in placements}
    kept = [
        (start, run) for start, stop, run in reshape_groups(tuple(tensor.shape), last) if stop - start == len(run) == 1
    ]
    free = {start: run[0] for start, run in kept if start not in sharded}
    for number, placement in enumerate(placements):
        place, count = getattr(placement, "dim", None), tensor.device_mesh.size(number)
        if place not in rows:
            continue
        if not all_of_them and rows[place] % count == 0:
            rows[place] //= count  # what the next dimension of the mesh cuts
            continue
        other = next((other for other, size in free.items() if size % count == 0), -1)
        placements[number] = Replicate() if other < 0 else Shard(other)
        free.pop(other, None)
    return placements
