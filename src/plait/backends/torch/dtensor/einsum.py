"""Products of DTensors shard by shard, for those that torch's einsum refuses: it would merge uneven shards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard

from plait.backends.common.equation import axis_sizes, expand_terms


def by_shards(equation: str, tensors: Sequence[Any]) -> Any:
    """Along each dimension of the mesh one axis is cut, in all tensors that have it, and each process multiplies."""
    terms, output = expand_terms(equation, [tensor.ndim for tensor in tensors])
    mesh = tensors[0].device_mesh
    axes = [_axis(terms, output, tensors, number) for number in range(mesh.ndim)]
    parts = []
    for term, tensor in zip(terms, tensors, strict=True):
        placements = [_wanted(axis, term, tensor) for axis in axes]
        gradients = [_gradient(axis, placement) for axis, placement in zip(axes, placements, strict=True)]
        parts.append(tensor.redistribute(placements=placements).to_local(grad_placements=gradients))
    sizes = axis_sizes(terms, tensors)
    whole = torch.empty([sizes[name] for name in output], device="meta")
    return DTensor.from_local(
        torch.einsum(equation, *parts).contiguous(),
        mesh,
        [Replicate() if axis is None else Shard(output.index(axis)) if axis in output else Partial() for axis in axes],
        run_check=False,
        shape=whole.shape,
        stride=whole.stride(),
    )


def _axis(terms: list[str], output: str, tensors: Sequence[Any], number: int) -> str | None:
    """The axis whose shards along a dimension of the mesh let the fewest elements move."""
    cut = {
        term[placement.dim]: None
        for term, tensor in zip(terms, tensors, strict=True)
        if isinstance(placement := tensor.placements[number], Shard)
        and all(other.count(term[placement.dim]) < 2 for other in terms)  # not along a diagonal
        and tensor.shape[placement.dim] > 1
    }

    def moved(axis: str | None) -> tuple[int, bool]:
        count = 0
        for term, tensor in zip(terms, tensors, strict=True):
            now, then = tensor.placements[number], _wanted(axis, term, tensor)
            if now != then and not now.is_replicate():
                count += tensor.numel()
        return count, axis is None or axis not in output

    return min([*cut, None], key=moved)


def _wanted(axis: str | None, term: str, tensor: Any) -> Any:
    if axis is None or axis not in term or tensor.shape[term.index(axis)] == 1:
        return Replicate()
    return Shard(term.index(axis))


def _gradient(axis: str | None, placement: Any) -> Any:
    """A tensor that all processes have whole has from each of them a part of its gradient."""
    return Partial() if axis is not None and placement.is_replicate() else placement
