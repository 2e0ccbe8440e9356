"""Permutations and broadcasts beyond MXNet's own, and reshapes of symbols, which have no shape, by ``npx.reshape``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from math import prod
from typing import Any

import mxnet as mx

from plait.errors import make_error

INFER, KEEP, SKIP, MERGE, SPLIT = -1, -2, -3, -5, -6
"""A length from the others, a dimension as it is, one of length 1 left out, two made one, and one made two.

More than two take several reshapes, which copy nothing in a graph.
"""

_LONGEST = 6
"""How many dimensions MXNet transposes at once."""

Axes = tuple[int, ...]


def is_symbol(tensor: Any) -> bool:
    """Whether it is a symbol of a graph, and not an array; symbols have no shape."""
    return isinstance(tensor, mx.sym.Symbol)


def space_of(tensor: Any) -> Any:
    """The functions that take it, Gluon's ``F``."""
    return mx.sym.np if is_symbol(tensor) else mx.np


def type_of(tensor: Any) -> Any:
    """The type of the elements; of a symbol where its graph tells, or else ``None``."""
    return tensor.infer_type_partial()[1][0] if is_symbol(tensor) else tensor.dtype


def permute(tensor: Any, order: Sequence[int]) -> Any:
    """Transpose elements of any type, along any number of dimensions."""
    if type_of(tensor) == mx.np.bool_:  # MXNet does not transpose truth values
        return permute(tensor.astype("uint8"), order).astype(bool)
    if len(order) <= _LONGEST:
        return space_of(tensor).transpose(tensor, order)
    places = list(range(len(order)))
    for place, source in enumerate(order):
        other = places.index(source)
        if other != place:
            tensor = space_of(tensor).swapaxes(tensor, place, other)
            places[place], places[other] = places[other], places[place]
    return tensor


def expand(tensor: Any, shape: Sequence[Any]) -> Any:
    """Broadcast to a shape; of a symbol a size that is not known stays as it is."""
    kept = [size if type(size) is int else KEEP for size in shape]
    space = space_of(tensor)
    if 0 not in shape or not (is_symbol(tensor) or tensor.size):
        return space.broadcast_to(tensor, kept)
    some = space.broadcast_to(tensor, [size or 1 for size in kept])  # MXNet writes no gradient of an empty result
    return some[tuple([slice(None if size == KEEP else size) for size in kept])]


def reshape_symbol(tensor: Any, sizes: Sequence[Any], before: Sequence[Axes], after: Sequence[Axes]) -> Any:
    """Split and merge the dimensions of a symbol, each given by the numbers of its axes; a unit has none."""
    if () in before:
        tensor = mx.sym.npx.reshape(tensor, [KEEP if axes else SKIP for axes in before])
    old, new = ([axes for axes in dims if axes] for dims in (before, after))
    cuts = {*accumulate(map(len, old)), *accumulate(map(len, new))}
    parts = [[_length(sizes, atom) if len(atoms) > 1 else KEEP for atom in atoms] for atoms in _cut(old, cuts)]
    for codes in _splits(parts):
        tensor = mx.sym.npx.reshape(tensor, codes)
    for codes in _merges([len(atoms) for atoms in _cut(new, cuts)]):
        tensor = mx.sym.npx.reshape(tensor, codes)
    for place, axes in enumerate(after):
        if not axes:
            tensor = mx.sym.np.expand_dims(tensor, place)
    return tensor


def _cut(dims: Sequence[Axes], cuts: set[int]) -> Iterator[list[Axes]]:
    """Each dimension as the runs of axes between two cuts."""
    end = 0
    for axes in dims:
        start, end = end, end + len(axes)
        inside = [start, *[cut for cut in range(start + 1, end) if cut in cuts], end]
        yield [axes[one - start : other - start] for one, other in pairwise(inside)]


def _length(sizes: Sequence[Any], axes: Axes) -> int:
    """The length of a part, or the code for one that a call will tell."""
    lengths = [sizes[axis] for axis in axes]
    return prod(lengths) if all(type(length) is int for length in lengths) else INFER


def _splits(parts: list[list[int]]) -> Iterator[list[int]]:
    """Codes, reshape by reshape, that split each dimension into parts of these lengths."""
    if any(lengths.count(INFER) > 1 for lengths in parts):
        raise make_error("PLT303", "MXNet's symbols tell no more than one size of a group; give all but one as ints")
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


def _merges(counts: list[int]) -> Iterator[list[int]]:
    """Codes, reshape by reshape, that make one dimension of as many neighbours as each count says."""
    while any(count > 1 for count in counts):
        yield [code for count in counts for code in [MERGE] * (count // 2) + [KEEP] * (count % 2)]
        counts = [(count + 1) // 2 for count in counts]
