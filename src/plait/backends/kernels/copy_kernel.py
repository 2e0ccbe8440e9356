"""The kernel that copies an array as planned by `copying`, for words of one size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from plait.backends.kernels.copying import ALONG_A, BLOCKS, DEAL, ROWS, WEAVE
from plait.backends.kernels.memory import after, pointer
from plait.backends.kernels.odometer import advance, locate
from plait.backends.kernels.tiles import dealt, elements, rows, turned, woven

_TABLE = types.int64[:, ::1]
SIGNATURE = types.void(types.int64, types.int64, types.int64[::1], _TABLE, _TABLE, types.int64, types.int64)


def copy_kernel(word: int) -> Any:
    """Return the kernel for words of ``word`` bytes as a Python function, which Numba compiles."""

    def copy(source: Any, out: Any, head: Any, axes: Any, loops: Any, start: Any, stop: Any) -> None:
        row, how = head[0], head[1]
        from_a, to_a, many_a = axes[0, 1], axes[0, 2], axes[0, 3]
        from_b, to_b, many_b = axes[1, 1], axes[1, 2], axes[1, 3]
        pitch = many_a * axes[2, 3] * word + 64  # not a power of two, or rows would share a set of the cache
        buffer = np.empty(pitch * many_b * axes[3, 3] if how == BLOCKS else 1, np.uint8)
        tile = pointer(buffer.ctypes.data)
        turns, place = np.zeros(loops.shape[0], np.int64), np.zeros(6, np.int64)
        locate(loops, start, turns, place)
        for _ in range(start, stop):
            here, there = after(pointer(source), place[0]), after(pointer(out), place[1])
            a, b = min(many_a, axes[0, 0] - place[2]), min(many_b, axes[1, 0] - place[3])
            more_a, more_b = min(axes[2, 3], axes[2, 0] - place[4]), min(axes[3, 3], axes[3, 0] - place[5])
            if how == ROWS:
                rows(there, (to_b, to_a), here, (from_b, from_a), (b, a), row, word)
            elif how == BLOCKS:
                if from_a == word:
                    rows(tile, (b * pitch, pitch), here, (axes[3, 1], from_b), (more_b, b), a * more_a, word)
                else:
                    for j in range(more_b):
                        first, last = after(here, j * axes[3, 1]), after(tile, j * b * pitch)
                        elements(last, (pitch, word), first, (from_b, from_a), (b, a), word)
                for i in range(more_a):
                    turned(after(there, i * axes[2, 2]), to_a, after(tile, i * a * word), pitch, a, b * more_b, word)
            elif how == DEAL:
                dealt(there, to_a, here, a, b, word)
            elif how == WEAVE:
                for i in range(more_a):
                    woven(after(there, i * axes[2, 2]), after(here, i * axes[2, 1]), from_b, a, b, word)
            elif how == ALONG_A:
                elements(there, (to_b, to_a), here, (from_b, from_a), (b, a), word)
            else:
                elements(there, (to_a, to_b), here, (from_a, from_b), (a, b), word)
            advance(loops, turns, place)
        buffer[0] = 0  # keeps the array alive: Numba frees it after its last use, and `tile` is only its address

    return copy
