"""PyTorch's DTensor, whose shards lie on many processes: torch shards and communicates, plait makes the calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.distributed.tensor import DTensor, Replicate

from plait.backends.interface import Reduction
from plait.backends.torch.backend import TorchBackend
from plait.backends.torch.dtensor.einsum import by_shards
from plait.backends.torch.dtensor.shapes import is_uneven, reshape, steps
from plait.errors import fail

_MIXED = "some of these tensors are DTensors, and others are not; distribute those too"


def _together(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of several tensors, whose complaint about plain ones among them is plait's."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except RuntimeError as error:
            if "mixed torch.Tensor and DTensor" not in str(error):
                raise
            raise fail("PLT504", _MIXED) from error

    return call


def _einsum(equation: str, *tensors: Any) -> Any:
    try:
        if not any(0 in tensor.shape for tensor in tensors):  # of which torch's reshape may never return
            return torch.einsum(equation, *tensors)
    except RuntimeError as error:  # it reshapes
        if not is_uneven(error):
            raise
    if not all(isinstance(tensor, DTensor) for tensor in tensors):
        raise fail("PLT504", _MIXED)
    return by_shards(equation, tensors)


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
            raise fail("PLT509", message) from error
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
