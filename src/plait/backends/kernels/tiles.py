"""Functions for kernels that copy one tile (see `copying`), one for each way to do it.

``here`` is the address of the tile in the source, and ``there`` in the result. Numba compiles each function for each
``word``, the bytes of a word, which is a literal.
"""

from __future__ import annotations

from typing import Any

from numba.extending import overload, register_jitable

from plait.backends.kernels.copying import PARTS
from plait.backends.kernels.memory import after, deal, move, turn, turn_given, turn_wanted, weave


def rows(there: Any, to: Any, here: Any, source: Any, counts: Any, row: Any, word: Any) -> None:
    """Copy rows of ``row`` words, which are contiguous in the source and in the result.

    ``counts`` are the numbers of rows along two axes, ``source`` and ``to`` the bytes from row to row along them.
    """


@overload(rows, prefer_literal=True)
def _rows(there: Any, to: Any, here: Any, source: Any, counts: Any, row: Any, word: Any) -> Any:
    def copy(there: Any, to: Any, here: Any, source: Any, counts: Any, row: Any, word: Any) -> None:
        if row < 8:  # for a short row an inner loop over its words would be slow
            for place in range(row):
                first, last = after(here, place * word), after(there, place * word)
                elements(last, to, first, source, counts, word)
            return
        for j in range(counts[0]):
            for i in range(counts[1]):
                first, last = after(here, j * source[0] + i * source[1]), after(there, j * to[0] + i * to[1])
                for place in range(row):
                    move(last, place * word, first, place * word, word)

    return copy


def elements(there: Any, to: Any, here: Any, source: Any, counts: Any, word: Any) -> None:
    """Copy single words along two axes, of which the second is the inner loop; the arguments are those of `rows`."""


@overload(elements, prefer_literal=True)
def _elements(there: Any, to: Any, here: Any, source: Any, counts: Any, word: Any) -> Any:
    def copy(there: Any, to: Any, here: Any, source: Any, counts: Any, word: Any) -> None:
        for j in range(counts[0]):
            first, last = after(here, j * source[0]), after(there, j * to[0])
            for i in range(counts[1]):
                move(last, i * to[1], first, i * source[1], word)

    return copy


def turned(there: Any, to: Any, here: Any, source: Any, a: Any, b: Any, word: Any) -> None:
    """Transpose ``b`` rows of ``a`` words, ``source`` bytes apart, to ``a`` rows of ``b`` words, ``to`` bytes apart."""


@overload(turned, prefer_literal=True)
def _turned(there: Any, to: Any, here: Any, source: Any, a: Any, b: Any, word: Any) -> Any:
    side = 16 // word.literal_value

    def copy(there: Any, to: Any, here: Any, source: Any, a: Any, b: Any, word: Any) -> None:
        whole_a, whole_b = a - a % side, b - b % side
        for i in range(0, whole_a, side):
            for j in range(0, whole_b, side):
                turn(after(there, i * to + j * word), to, after(here, j * source + i * word), source, side, word)
        steps, back = (word, to), (source, word)
        elements(after(there, whole_b * word), steps, after(here, whole_b * source), back, (b - whole_b, whole_a), word)
        elements(
            after(there, whole_a * to), (to, word), after(here, whole_a * word), (word, source), (a - whole_a, b), word
        )

    return copy


@register_jitable
def _whole(count: Any, side: Any, parts: Any) -> Any:
    """Return how many of ``count`` groups of ``parts`` words are copied by vector instructions; the rest word by word.

    For more than `PARTS` parts every group is read or written as a whole vector of ``side`` words, which the last
    groups do not have.
    """
    after_last = (side - 1) // parts if parts > PARTS else 0
    return max(0, (count - after_last) // side * side)


def dealt(there: Any, to: Any, here: Any, parts: Any, count: Any, word: Any) -> None:
    """Deinterleave: each of ``count`` groups of ``parts`` words becomes a column; rows are ``to`` bytes apart."""


@overload(dealt, prefer_literal=True)
def _dealt(there: Any, to: Any, here: Any, parts: Any, count: Any, word: Any) -> Any:
    side = 16 // word.literal_value

    def copy(there: Any, to: Any, here: Any, parts: Any, count: Any, word: Any) -> None:
        whole = _whole(count, side, parts)
        for i in range(0, whole, side):
            first, last = after(here, i * parts * word), after(there, i * word)
            if parts == 2:
                deal(last, to, first, 2, word)
            elif parts == 3:
                deal(last, to, first, 3, word)
            elif parts == 4:
                deal(last, to, first, 4, word)
            else:
                turn_wanted(last, to, first, parts * word, parts, word)
        first, last = after(here, whole * parts * word), after(there, whole * word)
        elements(last, (word, to), first, (parts * word, word), (count - whole, parts), word)

    return copy


def woven(there: Any, here: Any, source: Any, count: Any, parts: Any, word: Any) -> None:
    """Interleave: words of ``parts`` rows, ``source`` bytes apart, become ``count`` groups of ``parts`` words."""


@overload(woven, prefer_literal=True)
def _woven(there: Any, here: Any, source: Any, count: Any, parts: Any, word: Any) -> Any:
    side = 16 // word.literal_value

    def copy(there: Any, here: Any, source: Any, count: Any, parts: Any, word: Any) -> None:
        whole = _whole(count, side, parts)
        for i in range(0, whole, side):
            first, last = after(here, i * word), after(there, i * parts * word)
            if parts == 2:
                weave(last, first, source, 2, word)
            elif parts == 3:
                weave(last, first, source, 3, word)
            elif parts == 4:
                weave(last, first, source, 4, word)
            else:
                turn_given(last, parts * word, first, source, parts, word)
        first, last = after(here, whole * word), after(there, whole * parts * word)
        elements(last, (parts * word, word), first, (word, source), (count - whole, parts), word)

    return copy
