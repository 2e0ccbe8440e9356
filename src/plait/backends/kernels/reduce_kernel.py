"""The kernel that reduces an array as planned by `reducing`, for one recipe."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from plait.backends.kernels.folding import finish, fold
from plait.backends.kernels.kinds import EXACT, Recipe
from plait.backends.kernels.lanes import begin, more
from plait.backends.kernels.memory import after, pointer
from plait.backends.kernels.odometer import advance, locate
from plait.backends.kernels.reducing import FOLDED, INNER, OUTER

_TABLE = types.int64[:, ::1]
SIGNATURE = types.void(
    types.int64, types.int64, types.int64[::1], _TABLE, _TABLE, types.int64, types.int64, types.int64
)


def reduce_kernel(recipe: Recipe) -> Any:
    """Return the kernel of this recipe as a Python function, which Numba compiles."""
    key, total = recipe.key, np.dtype(recipe.total).type
    exact, room = recipe.op == EXACT, recipe.lanes

    def reduce(source: Any, out: Any, head: Any, outer: Any, inner: Any, count: Any, start: Any, stop: Any) -> None:
        step, steps = head[3], (head[4], head[5])
        whole, block, each, axis = head[6], head[7], head[8], head[9]
        tall, deep, pitch, zero = head[10], head[11], head[12], head[13]
        lanes, rest = np.empty(room, total), np.empty(room if exact else 1, total)
        spares = np.empty_like(lanes), np.empty_like(rest)
        rows = 1
        for loop in range(inner.shape[0]):
            rows *= inner[loop, 0]
        turns, place = np.zeros(outer.shape[0], np.int64), np.zeros(4, np.int64)
        inner_turns, inner_place = np.zeros(inner.shape[0], np.int64), np.zeros(2, np.int64)
        locate(outer, start, turns, place)
        locate(inner, 0, inner_turns, inner_place)
        for _ in range(start, stop):
            here = after(pointer(source), place[0])
            have = min(block, whole - place[2])
            high = min(deep, tall - place[3])
            first = 0
            for level in range(high):
                own, lost = lanes[first:], rest[first if exact else 0 :]
                for number in range(rows):
                    filled = each * (min(block, whole - inner_place[1]) if axis == FOLDED else have)
                    base = after(here, level * pitch + inner_place[0])
                    if number:
                        more(key, own, lost, base, filled, step, zero)
                    else:
                        begin(key, own, lost, base, filled, step)
                    advance(inner, inner_turns, inner_place)
                first += head[0] * head[1] * head[2]
            sizes = (high * (have if axis == OUTER else head[0]), head[1], have if axis == INNER else head[2])
            folded, left, span = fold(key, lanes, rest, spares, sizes, zero)
            finish(key, folded, left, (sizes[0], span, sizes[2]), after(pointer(out), place[1]), steps, count)
            advance(outer, turns, place)

    return reduce
