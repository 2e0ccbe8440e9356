"""The ways in which a tile is copied. Their ``word`` is known when they are compiled."""

from __future__ import annotations

from typing import Any

from numba.extending import overload, register_jitable

from plait.backends.kernels.copying import PARTS
from plait.backends.kernels.memory import after, deal, move, turn, turn_given, turn_wanted, weave


def rows(there: Any, to: Any, here: Any, source: Any, counts: Any, row: Any, word: Any) -> None:
    """Rows of words that both sides have; ``to`` and ``source`` are the steps from row to row along two axes."""


@overload(rows, prefer_literal=True)
def _rows(there: Any, to: Any, here: Any, source: Any, counts: Any, row: Any, word: Any) -> Any:
    def copy(there: Any, to: Any, here: Any, source: Any, counts: Any, row: Any, word: Any) -> None:
        if row < 8:  # too short to be a loop within a loop
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
    """Single words; the second of the two axes is the inner loop."""


@overload(elements, prefer_literal=True)
def _elements(there: Any, to: Any, here: Any, source: Any, counts: Any, word: Any) -> Any:
    def copy(there: Any, to: Any, here: Any, source: Any, counts: Any, word: Any) -> None:
        for j in range(counts[0]):
            first, last = after(here, j * source[0]), after(there, j * to[0])
            for i in range(counts[1]):
                move(last, i * to[1], first, i * source[1], word)

    return copy


def turned(there: Any, to: Any, here: Any, source: Any, a: Any, b: Any, word: Any) -> None:
    """A transpose: the words of a row of the source become a column, whose places are ``to`` bytes apart."""


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
    """How many of the words in a row are dealt or woven in vectors.

    A vector that is not full, in which more than four parts stand, reaches beyond its words; the last of them have to
    be moved one by one.
    """
    after_last = (side - 1) // parts if parts > PARTS else 0
    return max(0, (count - after_last) // side * side)


def dealt(there: Any, to: Any, here: Any, parts: Any, count: Any, word: Any) -> None:
    """Words side by side, again and again, become as many rows, ``to`` bytes apart."""


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
    """Rows, ``source`` bytes apart, become words side by side."""


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
