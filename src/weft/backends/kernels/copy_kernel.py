"""The copy that `copying` plans, for words of one size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from weft.backends.kernels.copying import ALONG_A, BLOCKS, ROWS
from weft.backends.kernels.memory import after, pointer
from weft.backends.kernels.odometer import advance, locate
from weft.backends.kernels.tiles import elements, rows, turned

SIGNATURE = types.void(types.int64, types.int64, types.int64[::1], types.int64[:, ::1], types.int64, types.int64)

_BUFFER = (1024 + 64) * 64
"""Bytes: the most that a tile has. Its rows are a cache line further apart than they are long, or they would share one
set of the cache."""


def copy_kernel(word: int) -> Any:
    """The function, to be compiled."""

    def copy(source: Any, out: Any, head: Any, loops: Any, start: Any, stop: Any) -> None:
        row, all_a, from_a, to_a, many_a = head[0], head[1], head[2], head[3], head[4]
        all_b, from_b, to_b, many_b, how = head[5], head[6], head[7], head[8], head[9]
        buffer = np.empty(_BUFFER, np.uint8)
        tile, pitch = pointer(buffer.ctypes.data), many_a * word + 64
        turns, place = np.zeros(loops.shape[0], np.int64), np.zeros(4, np.int64)
        locate(loops, start, turns, place)
        for _ in range(start, stop):
            here, there = after(pointer(source), place[0]), after(pointer(out), place[1])
            a, b = min(many_a, all_a - place[2]), min(many_b, all_b - place[3])
            if how == ROWS:
                rows(there, (to_b, to_a), here, (from_b, from_a), (b, a), row, word)
            elif how == BLOCKS:
                rows(tile, (pitch, pitch), here, (from_b, from_b), (b, 1), a, word)
                turned(there, to_a, tile, pitch, a, b, word)
            elif how == ALONG_A:
                elements(there, (to_b, to_a), here, (from_b, from_a), (b, a), word)
            else:
                elements(there, (to_a, to_b), here, (from_a, from_b), (a, b), word)
            advance(loops, turns, place)
        buffer[0] = 0  # a use of the array, which Numba would free after the last one: the tile is only its address

    return copy
