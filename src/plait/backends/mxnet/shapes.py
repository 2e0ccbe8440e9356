"""Permutations and broadcasts that MXNet does not support, and reshapes of symbols, whose shapes are unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from math import prod
from typing import Any

import mxnet as mx

from plait.errors import make_error

INFER, KEEP, SKIP, MERGE, SPLIT = -1, -2, -3, -5, -6
"""The codes of ``npx.reshape``: infer a length, keep a dimension, remove one of length 1, merge two, split in two.

A merge of more dimensions, or a split into more, takes several reshapes, which do not copy in a graph.
"""

_MAX_TRANSPOSE_RANK = 6
"""The largest rank that MXNet transposes."""

AxisIndices = tuple[int, ...]
"""The indices of the axes in one dimension."""


def is_symbol(tensor: Any) -> bool:
    """Return whether a tensor is a symbol of a graph, whose shape is unknown."""
    return isinstance(tensor, mx.sym.Symbol)


def namespace_of(tensor: Any) -> Any:
    """Return the module with the functions for a tensor, as Gluon's ``F``."""
    return mx.sym.np if is_symbol(tensor) else mx.np


def dtype_of(tensor: Any) -> Any:
    """Return the element type; ``None`` for a symbol whose graph does not determine it."""
    return tensor.infer_type_partial()[1][0] if is_symbol(tensor) else tensor.dtype


def permute(tensor: Any, order: Sequence[int]) -> Any:
    """Permute the dimensions of a tensor of any element type and rank."""
    if dtype_of(tensor) == mx.np.bool_:  # MXNet does not transpose bools
        return permute(tensor.astype("uint8"), order).astype(bool)
    if len(order) <= _MAX_TRANSPOSE_RANK:
        return namespace_of(tensor).transpose(tensor, order)
    current = list(range(len(order)))
    for position, source in enumerate(order):
        other = current.index(source)
        if other != position:
            tensor = namespace_of(tensor).swapaxes(tensor, position, other)
            current[position], current[other] = current[other], current[position]
    return tensor


def expand(tensor: Any, shape: Sequence[Any]) -> Any:
    """Broadcast a tensor to a shape; unknown lengths of a symbol are kept."""
    kept = [size if type(size) is int else KEEP for size in shape]
    namespace = namespace_of(tensor)
    if 0 not in shape or not (is_symbol(tensor) or tensor.size):
        return namespace.broadcast_to(tensor, kept)
    nonempty = namespace.broadcast_to(tensor, [size or 1 for size in kept])  # MXNet has no gradient of an empty result
    return nonempty[tuple([slice(None if size == KEEP else size) for size in kept])]


def reshape_symbol(
    tensor: Any, sizes: Sequence[Any], before: Sequence[AxisIndices], after: Sequence[AxisIndices]
) -> Any:
    """Reshape a symbol by splitting and merging its dimensions.

    ``before`` and ``after`` have for each dimension the indices of its axes in ``sizes``; none for one of length 1.
    """
    if () in before:
        tensor = mx.sym.npx.reshape(tensor, [KEEP if axes else SKIP for axes in before])
    old, new = ([axes for axes in dims if axes] for dims in (before, after))
    boundaries = {*accumulate(map(len, old)), *accumulate(map(len, new))}
    parts = [
        [_product_of_sizes_or_infer(sizes, group) if len(groups) > 1 else KEEP for group in groups]
        for groups in _split_at_boundaries(old, boundaries)
    ]
    for codes in _split_codes(parts):
        tensor = mx.sym.npx.reshape(tensor, codes)
    for codes in _merge_codes([len(groups) for groups in _split_at_boundaries(new, boundaries)]):
        tensor = mx.sym.npx.reshape(tensor, codes)
    for dimension, axes in enumerate(after):
        if not axes:
            tensor = mx.sym.np.expand_dims(tensor, dimension)
    return tensor


def _split_at_boundaries(dims: Sequence[AxisIndices], boundaries: set[int]) -> Iterator[list[AxisIndices]]:
    """Yield the axes of each dimension, split at the boundaries of dimensions, both before and after the reshape."""
    end = 0
    for axes in dims:
        start, end = end, end + len(axes)
        inside = [start, *[boundary for boundary in range(start + 1, end) if boundary in boundaries], end]
        yield [axes[one - start : other - start] for one, other in pairwise(inside)]


def _product_of_sizes_or_infer(sizes: Sequence[Any], axes: AxisIndices) -> int:
    """Return the length of a part of a dimension; ``INFER`` if it is not an int."""
    lengths = [sizes[axis] for axis in axes]
    return prod(lengths) if all(type(length) is int for length in lengths) else INFER


def _split_codes(parts: list[list[int]]) -> Iterator[list[int]]:
    """Yield the codes of each reshape that splits dimensions into parts of these lengths."""
    if any(lengths.count(INFER) > 1 for lengths in parts):
        raise make_error("PLT303", "an MXNet symbol can infer only one size of a group; pass all others as integers")
    while any(len(lengths) > 1 for lengths in parts):
        codes: list[int] = []
        left: list[list[int]] = []
        for lengths in parts:
            if len(lengths) == 1 or (INFER in lengths and INFER in codes):  # MXNet infers one length at a time
                codes, left = [*codes, KEEP], [*left, lengths]
                continue
            first, rest = lengths[:1], lengths[1:]
            codes += [SPLIT, *[prod(each) if INFER not in each else INFER for each in (first, rest)]]
            left += [first, rest]
        parts = left
        yield codes


def _merge_codes(counts: list[int]) -> Iterator[list[int]]:
    """Yield the codes of each reshape that merges adjacent dimensions; each count says how many become one."""
    while any(count > 1 for count in counts):
        yield [code for count in counts for code in [MERGE] * (count // 2) + [KEEP] * (count % 2)]
        counts = [(count + 1) // 2 for count in counts]
