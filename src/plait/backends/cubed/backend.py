"""The backend of Cubed: the functions of its array API, and reshapes that it refuses in two steps."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import cubed
import cubed.array_api as xp

from plait.backends.array_api.backend import EINSUM, ArrayAPIBackend
from plait.backends.common.contraction import einsum_by_matmul
from plait.backends.common.independent_reshapes import common_factors, independent_reshapes
from plait.backends.interface import ReductionFunction


def _reshape(tensor: Any, shape: Sequence[int]) -> Any:
    """Reshape an array: Cubed does not merge and split the same dimensions at once, and needs chunks of one size."""
    shape = tuple(shape)
    if tensor.shape == shape:
        return tensor
    if 0 in shape:
        return xp.zeros(shape, dtype=tensor.dtype, spec=tensor.spec)
    groups = list(independent_reshapes(tensor.shape, shape))
    mixed = [stop - start > 1 and len(new) > 1 for start, stop, new in groups]
    if any(mixed):
        between = [
            factor
            for (start, stop, new), is_mixed in zip(groups, mixed, strict=True)
            for factor in (_shape_between(tensor.shape[start:stop], new) if is_mixed else new)
        ]
        return _reshape(_reshape(tensor, between), shape)
    chunks = list(tensor.chunksize)
    for start, stop, new in groups:
        if stop - start != 1:  # merged: one chunk in all dimensions but the first
            chunks[start + 1 : stop] = tensor.shape[start + 1 : stop]
        else:  # split: each chunk a multiple of the inner dimensions
            inner = prod(new[1:])
            chunks[start] = max(1, chunks[start] // inner) * inner
    return xp.reshape(cubed.rechunk(tensor, tuple(chunks)), shape)


def _shape_between(old: tuple[int, ...], new: tuple[int, ...]) -> Sequence[int]:
    """Return a shape between two, such that the step to it only merges or only splits."""
    without_ones = [length for length in old if length != 1]
    if len(without_ones) < len(old):
        return without_ones
    factors = common_factors(old, new)
    return factors if tuple(factors) != old else [length for length in new if length != 1]


def _reduce_empty(_: ReductionFunction, tensor: Any, axes: tuple[int, ...], value: Any) -> Any:
    """Return the result of a reduction of no elements."""
    shape = tuple([length for dimension, length in enumerate(tensor.shape) if dimension not in axes])
    sample = xp.real(tensor) if xp.isdtype(tensor.dtype, "complex floating") else tensor
    return xp.full(shape, value, dtype=xp.bool if isinstance(value, bool) else sample.dtype, spec=tensor.spec)


class _Namespace:
    """The array API of Cubed with the reshape above, for `einsum_by_matmul`."""

    reshape = staticmethod(_reshape)

    def __getattr__(self, name: str) -> Any:
        return getattr(xp, name)


_CUBED_EINSUM = EINSUM._replace(einsum=lambda equation, *tensors: einsum_by_matmul(_Namespace(), equation, *tensors))


class CubedBackend(ArrayAPIBackend):
    """Adds operations to a plan and computes nothing."""

    reductions = ArrayAPIBackend.reductions._replace(
        unsupported_empty=("logsumexp", "mean", "var", "std", "any", "all"), reduce_empty=_reduce_empty
    )
    reshape = staticmethod(_reshape)

    def __init__(self, tensor_type: type) -> None:
        if not issubclass(tensor_type, cubed.Array):
            raise TypeError(f"{tensor_type.__qualname__} is not an array")
        super().__init__(tensor_type)

    @staticmethod
    def concat(tensors: Sequence[Any], axis: int) -> Any:
        shape = list(tensors[0].shape)
        shape[axis] = sum([tensor.shape[axis] for tensor in tensors])
        if 0 in shape:  # Cubed's own fails when it is computed
            return xp.zeros(tuple(shape), dtype=xp.result_type(*tensors), spec=tensors[0].spec)
        chunks = list(tensors[0].chunksize)
        chunks[axis] = max(1, *[tensor.chunksize[axis] for tensor in tensors])
        return xp.concat([cubed.rechunk(tensor, tuple(chunks)) for tensor in tensors], axis=axis)

    @staticmethod
    def stack(tensors: Sequence[Any]) -> Any:
        if 0 in tensors[0].shape:  # as above
            shape = (len(tensors), *tensors[0].shape)
            return xp.zeros(shape, dtype=xp.result_type(*tensors), spec=tensors[0].spec)
        return xp.stack(tensors)

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        return _CUBED_EINSUM(equation, *tensors)

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        return tensor.compute()


BACKEND_FACTORY = CubedBackend
