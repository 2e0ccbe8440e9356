"""How an array is copied into another order: in which tiles, and in which order the tiles.

Two axes matter: ``b``, along which the result is contiguous, and ``a``, along which the source is. A tile spans both,
so that every cache line is read once and written once, whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt, prod

from weft.backends.kernels.dims import Dim, layout

ROWS, BLOCKS, ALONG_A, ALONG_B = range(4)
"""How a tile is copied: in rows that both sides have, by turning blocks in registers, or one element at a time."""

WORDS = (16, 8, 4, 2, 1)
"""The bytes that one instruction moves."""

_LINE = 128
"""Bytes of the result that a tile writes at once: two cache lines, which processors fetch in pairs."""

_RUN = 1024
"""Bytes of the source that a tile reads at once, enough for the processor to foresee them."""

_TILE = 4096
"""Elements of a tile that needs no other measure."""


@dataclass(frozen=True)
class Copy:
    """What the kernel is told.

    Attributes:
        source, out: where the first element is, in bytes from the first element of the tensors.
        head: the row, and of the axes a and b: size, steps in bytes, and size of a tile; last, how a tile is copied.
        loops: the tiles; of each loop the count, the steps in bytes, and those along a and b in elements.
        tasks: how many tiles there are.
        size: bytes that are written.
    """

    source: int
    out: int
    head: tuple[int, ...]
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

    >>> copy_plan((64, 32), (4, 256), (128, 4), 4).head  # a transpose
    (1, 64, 4, 128, 64, 32, 256, 4, 32, 1)
    """
    word = word_of(itemsize)
    found = layout((*shape, itemsize // word), (*strides, word), (*out_strides, word))
    dims = list(found.dims)
    row = dims.pop().size if dims and (dims[-1].source, dims[-1].out) == (word, word) else 1
    b = dims.pop() if dims else Dim(1, 0, 0)
    a = min(dims, key=lambda dim: abs(dim.source) or float("inf"), default=Dim(1, 0, 0))
    if a in dims:
        dims.remove(a)
    how, many_a, many_b = _tile(row, a, b, word)
    loops = [(dim.size, dim.source, dim.out or 0, 0, 0) for dim in dims]
    loops.append((-(-a.size // many_a), many_a * a.source, many_a * (a.out or 0), many_a, 0))
    loops.append((-(-b.size // many_b), many_b * b.source, many_b * (b.out or 0), 0, many_b))
    loops.sort(key=lambda loop: loop[2], reverse=True)
    if a.size * word < _RUN:  # too short a run to be foreseen: what goes on where it ends comes next
        loops.sort(key=lambda loop: loop[1] == a.size * a.source)
    head = (row, a.size, a.source, a.out or 0, many_a, b.size, b.source, b.out or 0, many_b, how)
    tasks = prod([loop[0] for loop in loops])
    return Copy(found.source, found.out, head, tuple(loops), tasks, prod(shape) * itemsize)


def _tile(row: int, a: Dim, b: Dim, word: int) -> tuple[int, int, int]:
    """How a tile is copied, and how many elements it has along a and b."""
    side = 16 // word
    if row > 1:
        many = min(b.size, max(1, isqrt(_TILE // row)))
        return ROWS, min(a.size, max(1, _TILE // (row * many))), many
    if a.size >= side > 1 and b.size >= side and (a.source, b.out) == (word, word):
        return BLOCKS, min(a.size, _RUN // max(word, 2)), min(b.size, _LINE // max(word, 2))
    if b.size < a.size and b.size < side:
        return ALONG_A, min(a.size, _TILE // b.size), b.size
    many = min(a.size, 32 if 0 < abs(a.source) < abs(b.source) else 1, _TILE)
    return ALONG_B, many, min(b.size, max(32, 1024 // many))
