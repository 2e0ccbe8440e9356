"""PyTorch's DTensor, whose shards lie on many processes: torch shards and communicates, plait makes the calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard

from plait.backends.common.equation import axis_sizes, replace_ellipsis
from plait.backends.interface import Reduction
from plait.backends.torch.backend import TorchBackend
from plait.backends.torch.dtensor.shapes import is_uneven, reshape, steps
from plait.errors import make_error

_MIXED = "some of these tensors are DTensors, and others are not; distribute those too"


def _together(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of several tensors, whose complaint about plain ones among them is plait's."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except RuntimeError as error:
            if "mixed torch.Tensor and DTensor" not in str(error):
                raise
            raise make_error("PLT504", _MIXED) from error

    return call


def _einsum(equation: str, *tensors: Any) -> Any:
    try:
        if not any(0 in tensor.shape for tensor in tensors):  # of which torch's reshape may never return
            return torch.einsum(equation, *tensors)
    except RuntimeError as error:  # it reshapes
        if not is_uneven(error):
            raise
    if not all(isinstance(tensor, DTensor) for tensor in tensors):
        raise make_error("PLT504", _MIXED)
    return _einsum_by_shards(equation, tensors)


def _einsum_by_shards(equation: str, tensors: Sequence[Any]) -> Any:
    """Cut one axis along each dimension of the mesh, in all tensors that have it; torch would merge uneven shards."""
    terms, output = replace_ellipsis(equation, [tensor.ndim for tensor in tensors])
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


def _added_up(tensor: Any) -> Any:
    """The same without summands on several processes, of which torch's ``any`` takes each for the whole."""
    placements = [Replicate() if placement.is_partial() else placement for placement in tensor.placements]
    return tensor if list(tensor.placements) == placements else tensor.redistribute(placements=placements)


class DTensorBackend(TorchBackend):
    """The functions of torch, and where they refuse or forget a sharding, others."""

    name = "DTensor"
    einsum_optimizes_path = True
    accepts = frozenset({"torch"})
    reshape = staticmethod(reshape)
    concat = staticmethod(_together(torch.cat))
    stack = staticmethod(_together(torch.stack))
    einsum = staticmethod(_together(_einsum))

    @staticmethod
    def view(tensor: Any, shape: Sequence[Any]) -> Any:
        if 0 in tensor.shape:
            return reshape(tensor, shape)
        try:
            for step in steps(tuple(tensor.shape), tuple(shape)):
                tensor = tensor.view(step)
        except RuntimeError as error:
            message = f"a tensor that lies as {tuple(tensor.placements)} has no such view; rearrange redistributes it"
            raise make_error("PLT509", message) from error
        return tensor

    def split(self, tensor: Any, axis: int, lengths: Sequence[int]) -> Sequence[Any]:
        return torch.split(tensor, lengths, axis)  # communicates once, and not for each part

    def reduction(self, name: str, dtype: Any) -> Reduction:
        reduce = super().reduction(name, dtype)
        return (lambda tensor, axes: reduce(_added_up(tensor), axes)) if name == "any" else reduce

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        return TorchBackend.to_numpy(tensor.detach().full_tensor() if isinstance(tensor, DTensor) else tensor)


BACKEND = DTensorBackend
