"""Plans how an array is copied into another memory order: the tiles, how each is copied, and in which order.

Two axes matter: ``b``, along which the result is contiguous, and ``a``, along which the source is. A tile spans both,
so that every cache line is read once and written once. A *word* is what one instruction moves, an element or a part of
one. A *row* is the words that are contiguous in the source and in the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isqrt, prod

from plait.backends.kernels.dims import Dim, layout

ROWS, BLOCKS, DEAL, WEAVE, ALONG_A, ALONG_B = range(6)
"""How a tile is copied. ``ROWS``: row by row; ``BLOCKS``: transposed in blocks that fit into registers; ``DEAL``:
deinterleaved, such as the colours of an image into planes; ``WEAVE``: interleaved; ``ALONG_A`` and ``ALONG_B``: word by
word, with the inner loop along this axis."""

PARTS = 4
"""The most parts that one instruction deinterleaves or interleaves; more are transposed as a part of a block."""

WORDS = (16, 8, 4, 2, 1)
"""The possible sizes of a word in bytes."""

_LINE = 256
"""The bytes of the result that a tile writes along ``b``: several cache lines, since processors fetch them in pairs."""

_RUN = 1024
"""The bytes of the source that a tile reads along ``a``: enough for the processor to prefetch them."""

_GATHERED = 64
"""The largest distance in bytes between words along ``a`` for which they are collected, then transposed in blocks."""

_TILE = 4096
"""The number of words in a tile whose size nothing else limits."""

_NONE = Dim(1, 0, 0)


@dataclass(frozen=True)
class Copy:
    """The plan of a copy, which the kernel executes.

    Attributes:
        source, out: the offset of the element that is visited first, in bytes from the first element of the tensor.
        head: the number of words in a row, and how a tile is copied, such as ``BLOCKS``.
        axes: the four axes of a tile: ``a``, ``b``, the axis that continues ``a`` in the source, and the axis that
            continues ``b`` in the result; for each the size, the strides in bytes in the source and in the result, and
            the length that a tile has along it.
        loops: the loops over the tiles; for each the number of iterations, the steps in bytes in the source and in the
            result, and the steps along the four axes.
        tasks: the number of tiles.
        size: the number of bytes that are written.
    """

    source: int
    out: int
    head: tuple[int, ...]
    axes: tuple[tuple[int, ...], ...]
    loops: tuple[tuple[int, ...], ...]
    tasks: int
    size: int


def word_of(itemsize: int) -> int:
    """Return the bytes of the largest word whose size divides ``itemsize``.

    >>> [word_of(size) for size in (1, 3, 8, 12, 16, 32)]
    [1, 1, 8, 4, 16, 16]
    """
    return next(word for word in WORDS if itemsize % word == 0)


def copy_plan(shape: Sequence[int], strides: Sequence[int], out_strides: Sequence[int], itemsize: int) -> Copy:
    """Plan the copy of an array with elements of ``itemsize`` bytes.

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
    if a.size * word < _RUN and more_b == _NONE:  # too short for prefetching: the loop that continues it is innermost
        loops.sort(key=lambda loop: loop[1] == a.size * a.source)
    loops = [loop for loop in loops if loop[0] > 1]
    tasks = prod([loop[0] for loop in loops])
    return Copy(found.source, found.out, (row, how), tuple(axes), tuple(loops), tasks, prod(shape) * itemsize)


def _taken(dims: list[Dim], wanted: Callable[[Dim], bool]) -> Dim:
    """Remove the first dimension for which ``wanted`` is true from the list, and return it; else one of size 1."""
    found = next(filter(wanted, dims), _NONE)
    if found in dims:
        dims.remove(found)
    return found


def _tile(row: int, a: Dim, b: Dim, word: int) -> tuple[int, int, int]:
    """Return how a tile is copied, such as ``BLOCKS``, and its lengths along ``a`` and ``b``."""
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
