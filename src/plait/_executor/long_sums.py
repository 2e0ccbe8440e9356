"""Einsums that sum so many products in single precision that digits would be lost.

They are computed block by block: each block of the longest summed axis is contracted in single precision, and the
results are added in double precision. A sum within a block is short enough to keep its digits, and only the small
results are cast, so this takes hardly longer than one contraction of the whole tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from math import prod
from typing import Any

from plait._shapes.solver import SolvedPattern
from plait.backends.capabilities import LongSumCasts
from plait.backends.interface import Backend

MIN_SUMMED_PRODUCTS = 1 << 17
"""The number of products in one sum from which single precision loses too many digits."""

MAX_RESULT_ELEMENTS_PER_SUMMED_PRODUCT = 1 / 16
"""Larger results, in elements per summed product, come from products of matrices, which sum in short blocks."""

MAX_BLOCK_LENGTH = 1 << 13
"""The most elements of the divided axis in one block: a product of matrices adds that many without losing digits."""

MAX_BLOCK_ELEMENTS = 1 << 17
"""The most elements of all operands in one block: the caches hold them."""


def find_long_summed_axis(solved: SolvedPattern, slots: Sequence[int]) -> int | None:
    """Return the longest of the axes of a long sum; ``None`` if all sums are short, or none of their axes is divisible.

    Axes that the same tensors have are summed together. An axis is divisible if it is a dimension of its own in each of
    these tensors.
    """
    kept = {*chain(*solved.output)}
    lengths = {axis: slots[solved.slots[axis]] for axis in {*chain(*chain(*solved.inputs))}}
    result_size = prod([lengths.get(axis, 1) for axis in kept])
    summed_together: dict[tuple[bool, ...], list[int]] = {}
    for axis in lengths.keys() - kept:
        summed_together.setdefault(tuple([axis in chain(*dims) for dims in solved.inputs]), []).append(axis)
    for axes in summed_together.values():
        products = prod([lengths[axis] for axis in axes])
        if products >= MIN_SUMMED_PRODUCTS and result_size <= products * MAX_RESULT_ELEMENTS_PER_SUMMED_PRODUCT:
            divisible = [axis for axis in axes if _is_dimension_of_its_own(solved, axis)]
            return max(divisible, key=lengths.__getitem__, default=None)
    return None


def _is_dimension_of_its_own(solved: SolvedPattern, axis: int) -> bool:
    """Return whether an axis is one dimension of its own in each tensor that has it."""
    return all(dims.count((axis,)) == [*chain(*dims)].count(axis) <= 1 for dims in solved.inputs)


def build_blockwise_sum(
    solved: SolvedPattern,
    axis: int,
    shapes: Sequence[Sequence[int]],
    backend: Backend,
    casts: LongSumCasts,
    build_block_call: Callable[[list[tuple[int, ...]]], Callable[..., Any]],
    whole_call: Callable[..., Any],
) -> Callable[..., Any]:
    """Return the function of the tensors that sums an axis block by block.

    Args:
        solved: the solved pattern of the einsum.
        axis: the axis, as `find_long_summed_axis` returns it.
        shapes: the shapes of the tensors.
        backend: the backend of the tensors.
        casts: the conversions between single and double precision.
        build_block_call: returns the contraction of blocks of these shapes, in single precision.
        whole_call: the contraction of the whole tensors, for tensors that cannot be divided.
    """
    dimensions = [dims.index((axis,)) if (axis,) in dims else None for dims in solved.inputs]
    length = next(
        shape[dimension] for shape, dimension in zip(shapes, dimensions, strict=True) if dimension is not None
    )
    elements = sum([prod(shape) for shape, dim in zip(shapes, dimensions, strict=True) if dim is not None])
    step = max(1, min(MAX_BLOCK_ELEMENTS * length // elements, MAX_BLOCK_LENGTH))
    calls = {size: build_block_call(_block_shapes(shapes, dimensions, size)) for size in {step, length % step} - {0}}

    def call(*tensors: Any) -> Any:
        if not all(map(casts.can_divide, tensors)):
            return whole_call(*tensors)
        operands = [
            casts.to_block_dtype(tensor) if dimension is None else tensor
            for tensor, dimension in zip(tensors, dimensions, strict=True)
        ]
        total: Any = None
        for start in range(0, length, step):
            stop = min(start + step, length)
            blocks = [
                operand if dimension is None else casts.to_block_dtype(backend.slice(operand, dimension, start, stop))
                for operand, dimension in zip(operands, dimensions, strict=True)
            ]
            part = casts.widen(calls[stop - start](*blocks))
            total = part if total is None else total + part
        return casts.narrow(total)

    return call


def _block_shapes(
    shapes: Sequence[Sequence[int]], dimensions: Sequence[int | None], size: int
) -> list[tuple[int, ...]]:
    """Return the shapes of the tensors with another length of one dimension each; ``None``: the whole tensor."""
    return [
        tuple([size if place == dimension else length for place, length in enumerate(shape)])
        for shape, dimension in zip(shapes, dimensions, strict=True)
    ]
