"""How an array is copied into another order: in which tiles, and in which order the tiles.

Two axes matter: ``b``, along which the result is contiguous, and ``a``, along which the source is. A tile spans both,
so that every cache line is read once and written once, whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isqrt, prod

from plait.backends.kernels.dims import Dim, layout

ROWS, BLOCKS, DEAL, WEAVE, ALONG_A, ALONG_B = range(6)
"""How a tile is copied: in rows that both sides have, by turning blocks in registers, by parting what is side by side,
such as the colours of a picture, or putting it side by side, or one element at a time."""

PARTS = 4
"""The most words that are dealt or woven as they are; more fill a part of a block that is turned."""

WORDS = (16, 8, 4, 2, 1)
"""The bytes that one instruction moves."""

_LINE = 256
"""Bytes of the result that a tile writes at once: some cache lines, which processors fetch in pairs."""

_RUN = 1024
"""Bytes of the source that a tile reads at once, enough for the processor to foresee them."""

_GATHERED = 64
"""How many bytes apart words may be in the source that are gathered, before they are turned."""

_TILE = 4096
"""Elements of a tile that needs no other measure."""

_NONE = Dim(1, 0, 0)


@dataclass(frozen=True)
class Copy:
    """What the kernel is told.

    Attributes:
        source, out: where the first element is, in bytes from the first element of the tensors.
        head: the row, and how a tile is copied.
        axes: those of a tile: a and b, what goes on in the source where a ends, and in the result where b ends; of each
            the size, the steps in bytes, and the size of a tile.
        loops: the tiles; of each loop the count, the steps in bytes, and those along the four axes in elements.
        tasks: how many tiles there are.
        size: bytes that are written.
    """

    source: int
    out: int
    head: tuple[int, ...]
    axes: tuple[tuple[int, ...], ...]
    loops: tuple[tuple[int, ...], ...]
    tasks: int
    size: int


def word_of(itemsize: int) -> int:
    """The largest word that elements consist of, in bytes.

    >>> [word_of(size) for size in (1, 3, 8, 12, 16, 32)]
    [1, 1, 8, 4, 16, 16]
    """
    return next(word for word in WORDS if itemsize % word == 0)


def copy_plan(shape: Sequence[int], strides: Sequence[int], out_strides: Sequence[int], itemsize: int) -> Copy:
    """The plan for a copy of elements of so many bytes.

    >>> copy_plan((64, 32), (4, 256), (128, 4), 4).axes[:2]  # a transpose
    ((64, 4, 128, 64), (32, 256, 4, 32))
    """
    word = word_of(itemsize)
    found = layout((*shape, itemsize // word), (*strides, word), (*out_strides, word))
    dims = list(found.dims)
    row = dims.pop().size if dims and (dims[-1].source, dims[-1].out) == (word, word) else 1
    b = dims.pop() if dims else _NONE
    a = min(dims, key=lambda dim: abs(dim.source) or float("inf"), default=_NONE)
    if a in dims:
        dims.remove(a)
    how, many_a, many_b = _tile(row, a, b, word)
    more_a = more_b = _NONE
    if how == BLOCKS and many_b == b.size and (a.out or 0) != b.size * word:
        more_b = _taken(dims, lambda dim: dim.out == b.size * word)
    if how in (BLOCKS, WEAVE) and many_a == a.size and a.source == word:
        more_a = _taken(dims, lambda dim: dim.source == a.size * word)
    reach = min(256, _RUN // word)
    many = min(more_a.size, max(1, reach // many_a)), min(more_b.size, max(1, reach // many_b))
    tiled = zip((a, b, more_a, more_b), (many_a, many_b, *many), strict=True)
    axes = [(dim.size, dim.source, dim.out or 0, tile) for dim, tile in tiled]
    loops: list[tuple[int, ...]] = [(dim.size, dim.source, dim.out or 0, 0, 0, 0, 0) for dim in dims]
    for number, (size, source, out, tile) in enumerate(axes):
        loops.append((-(-size // tile), tile * source, tile * out, *(tile * (number == axis) for axis in range(4))))
    loops.sort(key=lambda loop: loop[2], reverse=True)
    if a.size * word < _RUN and more_b == _NONE:  # too short to be foreseen: what goes on where it ends comes next
        loops.sort(key=lambda loop: loop[1] == a.size * a.source)
    loops = [loop for loop in loops if loop[0] > 1]
    tasks = prod([loop[0] for loop in loops])
    return Copy(found.source, found.out, (row, how), tuple(axes), tuple(loops), tasks, prod(shape) * itemsize)


def _taken(dims: list[Dim], wanted: Callable[[Dim], bool]) -> Dim:
    """The dimension that is wanted, taken from the list, or one of size 1."""
    found = next(filter(wanted, dims), _NONE)
    if found in dims:
        dims.remove(found)
    return found


def _tile(row: int, a: Dim, b: Dim, word: int) -> tuple[int, int, int]:
    """How a tile is copied, and how many elements it has along a and b."""
    side = 16 // word
    pair = side > 1 and (a.source, b.out) == (word, word)
    few = max(PARTS, side - 1)
    if row > 1:
        many = min(b.size, max(1, isqrt(_TILE // row)))
        return ROWS, min(a.size, max(1, _TILE // (row * many))), many
    if pair and 1 < a.size <= few and b.source == a.size * word:
        return DEAL, a.size, min(b.size, _TILE // a.size)
    if pair and 1 < b.size <= few and a.out == b.size * word:
        return WEAVE, min(a.size, _TILE // b.size), b.size
    gathered = side > 1 and b.out == word and 0 < abs(a.source) <= _GATHERED
    if gathered and a.size >= side and b.size >= side:
        return BLOCKS, min(a.size, _RUN // max(word, 2)), min(b.size, _LINE // max(word, 2))
    if b.size < a.size and b.size < side:
        return ALONG_A, min(a.size, _TILE // b.size), b.size
    many = min(a.size, 32 if 0 < abs(a.source) < abs(b.source) else 1, _TILE)
    return ALONG_B, many, min(b.size, max(32, 1024 // many))
