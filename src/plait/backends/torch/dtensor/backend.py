"""The backend of PyTorch's DTensor, whose shards are on several processes; torch does all communication."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard

from plait.backends.common.equation import axis_sizes, replace_ellipsis
from plait.backends.interface import ReductionFunction
from plait.backends.torch.backend import TorchBackend
from plait.backends.torch.dtensor.shapes import (
    is_redistribution_error,
    reshape,
    split_and_merge_shapes,
    try_reshape_without_communication,
)
from plait.errors import make_error

_MIXED_TENSORS_MESSAGE = "some of these tensors are DTensors, and others are not; distribute those too"


def _with_mixed_tensors_error(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function of several tensors so that its error about plain tensors among DTensors becomes PLT504."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except RuntimeError as error:
            if "mixed torch.Tensor and DTensor" not in str(error):
                raise
            raise make_error("PLT504", _MIXED_TENSORS_MESSAGE) from error

    return call


def _einsum(equation: str, *tensors: Any) -> Any:
    """Call ``torch.einsum``; where it fails, redistribute the tensors and call it with the shards of each process."""
    try:
        if not any(0 in tensor.shape for tensor in tensors):  # torch's reshape may never return for them
            return torch.einsum(equation, *tensors)
    except RuntimeError as error:  # raised by a reshape inside
        if not is_redistribution_error(error):
            raise
    if not all(isinstance(tensor, DTensor) for tensor in tensors):
        raise make_error("PLT504", _MIXED_TENSORS_MESSAGE)
    return _einsum_by_shards(equation, tensors)


def _einsum_by_shards(equation: str, tensors: Sequence[Any]) -> Any:
    """Shard one axis along each dimension of the mesh, in all tensors that have it, and contract the shards."""
    terms, output = replace_ellipsis(equation, [tensor.ndim for tensor in tensors])
    mesh = tensors[0].device_mesh
    axes = [_choose_sharded_axis(terms, output, tensors, mesh_dimension) for mesh_dimension in range(mesh.ndim)]
    parts = []
    for term, tensor in zip(terms, tensors, strict=True):
        placements = [_wanted_placement(axis, term, tensor) for axis in axes]
        gradient_placements = [
            _gradient_placement(axis, placement) for axis, placement in zip(axes, placements, strict=True)
        ]
        parts.append(tensor.redistribute(placements=placements).to_local(grad_placements=gradient_placements))
    sizes = axis_sizes(terms, tensors)
    meta_result = torch.empty([sizes[name] for name in output], device="meta")
    return DTensor.from_local(
        torch.einsum(equation, *parts).contiguous(),
        mesh,
        [Replicate() if axis is None else Shard(output.index(axis)) if axis in output else Partial() for axis in axes],
        run_check=False,
        shape=meta_result.shape,
        stride=meta_result.stride(),
    )


def _choose_sharded_axis(terms: list[str], output: str, tensors: Sequence[Any], mesh_dimension: int) -> str | None:
    """Return the axis to shard along a dimension of the mesh so that the fewest elements move.

    ``None`` means that all tensors are replicated along it.
    """
    candidates = {
        term[placement.dim]: None
        for term, tensor in zip(terms, tensors, strict=True)
        if isinstance(placement := tensor.placements[mesh_dimension], Shard)
        and all(other.count(term[placement.dim]) < 2 for other in terms)  # not along a diagonal
        and tensor.shape[placement.dim] > 1
    }

    def elements_moved(axis: str | None) -> tuple[int, bool]:
        count = 0
        for term, tensor in zip(terms, tensors, strict=True):
            current, wanted = tensor.placements[mesh_dimension], _wanted_placement(axis, term, tensor)
            if current != wanted and not current.is_replicate():
                count += tensor.numel()
        return count, axis is None or axis not in output

    return min([*candidates, None], key=elements_moved)


def _wanted_placement(axis: str | None, term: str, tensor: Any) -> Any:
    """Return the placement of a tensor along a dimension of the mesh along which ``axis`` is sharded, if any.

    It is a shard of this axis, or a replica if ``term``, the axes of the tensor, does not have it.
    """
    if axis is None or axis not in term or tensor.shape[term.index(axis)] == 1:
        return Replicate()
    return Shard(term.index(axis))


def _gradient_placement(axis: str | None, placement: Any) -> Any:
    """Return the placement of a gradient: partial sums if the tensor is replicated while an axis is sharded."""
    return Partial() if axis is not None and placement.is_replicate() else placement


def _view(tensor: Any, shape: Sequence[int]) -> Any:
    """View a tensor in another shape, without a copy."""
    return tensor.view(shape)


def _without_partial_sums(tensor: Any) -> Any:
    """Replicate a tensor where it consists of partial sums, for which torch's ``any`` gives wrong results."""
    placements = [Replicate() if placement.is_partial() else placement for placement in tensor.placements]
    return tensor if list(tensor.placements) == placements else tensor.redistribute(placements=placements)


class DTensorBackend(TorchBackend):
    """The backend of DTensor; it calls functions of ``torch``, or replacements where these fail or lose a sharding."""

    name = "DTensor"
    einsum_optimizes_path = True
    accepts = frozenset({"torch"})
    reshape = staticmethod(reshape)
    concat = staticmethod(_with_mixed_tensors_error(torch.cat))
    stack = staticmethod(_with_mixed_tensors_error(torch.stack))
    einsum = staticmethod(_with_mixed_tensors_error(_einsum))

    @staticmethod
    def view(tensor: Any, shape: Sequence[Any]) -> Any:
        if 0 in tensor.shape:
            return reshape(tensor, shape)
        viewed = tensor
        for step in split_and_merge_shapes(tuple(tensor.shape), tuple(shape)):
            viewed = try_reshape_without_communication(viewed, step, _view)
            if viewed is None:
                message = (
                    f"placements {tuple(tensor.placements)} do not allow this view; use rearrange, which redistributes"
                )
                raise make_error("PLT509", message)
        return viewed

    def split(self, tensor: Any, axis: int, lengths: Sequence[int]) -> Sequence[Any]:
        return torch.split(tensor, lengths, axis)  # one communication for all parts

    def reduction(self, name: str, dtype: Any) -> ReductionFunction:
        reduce = super().reduction(name, dtype)
        return (lambda tensor, axes: reduce(_without_partial_sums(tensor), axes)) if name == "any" else reduce

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        return TorchBackend.to_numpy(tensor.detach().full_tensor() if isinstance(tensor, DTensor) else tensor)


BACKEND_FACTORY = DTensorBackend
