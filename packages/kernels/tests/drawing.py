"""Arrays of drawn shapes, strides and values, for Hypothesis and for the fuzzer."""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from elements import COMPLEX, FLOATS, Element
from hypothesis import strategies as st

LENGTHS = (1, 2, 3, 4, 5, 7, 8, 11, 13, 16, 31, 32, 33, 63, 64, 65, 67, 127, 128, 129, 131, 255, 256, 257)
LONG_LENGTHS = (521, 1023, 1024, 1025, 1031, 4095, 4096, 4097, 16383, 16384, 16385, 16411, 32771)
ITEM_SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 20, 23, 24, 32, 33, 40, 47, 48, 64, 100, 255)
UNTOUCHED = 0xA5


def example_count(default: int) -> int:
    """Return ``PLAIT_EXAMPLES`` if it is set, which long runs do, and ``default`` else."""
    return int(os.environ.get("PLAIT_EXAMPLES", default))


class Draw(Protocol):
    """Where random decisions come from."""

    def integer(self, low: int, high: int) -> int:
        """Return an integer from ``low`` to ``high``, both included."""

    def choice(self, values: Sequence) -> object:
        """Return one of some values."""


class HypothesisDraw:
    """Decisions that Hypothesis makes smaller when a test fails."""

    def __init__(self, data) -> None:
        self.data = data

    def integer(self, low: int, high: int) -> int:
        return self.data.draw(st.integers(low, high))

    def choice(self, values: Sequence) -> object:
        return self.data.draw(st.sampled_from(values))


class RandomDraw:
    """Decisions of a random generator."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator

    def integer(self, low: int, high: int) -> int:
        return int(self.generator.integers(low, high + 1))

    def choice(self, values: Sequence) -> object:
        return values[int(self.generator.integers(len(values)))]


def draw_shape(draw: Draw, most_elements: int) -> tuple[int, ...]:
    """Draw a shape of rank 0 to 10."""
    shape: list[int] = []
    room = most_elements
    for _ in range(draw.choice((0, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 8, 10))):
        lengths = [n for n in (*LENGTHS, *LONG_LENGTHS) if n <= room]
        if len(shape) > 2:
            lengths = lengths[:6]
        shape.append(draw.choice(lengths))
        room //= shape[-1]
    return tuple(shape[i] for i in draw_order(draw, len(shape)))


def draw_order(draw: Draw, count: int) -> list[int]:
    """Draw a permutation."""
    left = [*range(count)]
    return [left.pop(draw.integer(0, len(left) - 1) if len(left) > 1 else 0) for _ in range(count)]


def draw_strides(draw: Draw, shape: Sequence[int], itemsize: int, *, may_share: bool) -> list[int]:
    """Draw strides in bytes: any order of the dimensions, either sign, gaps, and odd numbers of bytes.

    If elements may share memory, some strides are 0 or those of another dimension.
    """
    is_plain = draw.integer(0, 2) == 0
    is_odd = draw.integer(0, 3) == 0  # else elements may share memory, but whole ones alone
    kinds = ("dense", "dense", "gap", "gap", "reversed", "zero", "odd" if is_odd else "shared")
    order = [*reversed(range(len(shape)))] if draw.integer(0, 1) else draw_order(draw, len(shape))
    strides = [0] * len(shape)
    inside = itemsize
    for axis in order:
        kind = "dense" if is_plain else draw.choice(kinds)
        gap = {"gap": itemsize * draw.integer(1, 3), "odd": draw.integer(1, 9)}.get(kind, 0)
        stride = inside + gap
        if kind in {"zero", "shared"} and may_share:
            stride = 0 if kind == "zero" else draw.choice((itemsize, *(abs(s) for s in strides)))
        is_negative = kind == "reversed" or (not is_plain and draw.integer(0, 3) == 0)
        strides[axis] = -stride if is_negative else stride
        inside = max(inside, inside + abs(strides[axis]) * (shape[axis] - 1))
    return strides


Allocate = Callable[[int], np.ndarray]
"""Returns that many bytes, as an array of them."""


def allocate_plainly(count: int) -> np.ndarray:
    """Return bytes on the heap."""
    return np.empty(count, np.uint8)


def place_array(shape: Sequence[int], strides: Sequence[int], dtype: np.dtype, allocate: Allocate) -> np.ndarray:
    """Return an array of these strides that uses all of the memory that it gets."""
    reaches = [stride * (n - 1) for stride, n in zip(strides, shape, strict=True)]
    low = sum(reach for reach in reaches if reach < 0)
    high = sum(reach for reach in reaches if reach > 0) + dtype.itemsize
    memory = allocate(high - low)
    memory[:] = UNTOUCHED
    return np.ndarray(tuple(shape), dtype, memory, -low, tuple(strides))


def assert_only_elements_written(array: np.ndarray) -> None:
    """Raise if a byte between the elements of an array was written; this destroys the elements."""
    low, high = np.lib.array_utils.byte_bounds(array)
    memory = np.frombuffer((ctypes.c_uint8 * (high - low)).from_address(low), np.uint8)
    first = array.__array_interface__["data"][0] - low
    elements = np.ndarray((*array.shape, array.itemsize), np.uint8, memory, first, (*array.strides, 1))
    elements[...] = UNTOUCHED
    assert (memory == UNTOUCHED).all(), "a byte between the elements of the result was written"


def draw_values(draw: Draw, operation: str, element: Element, shape: Sequence[int]) -> np.ndarray:
    """Draw the elements of an array; a few are NaN, NaT, infinite, zeros of both signs, or equal to others.

    For the operation ``"finite"`` none are NaN or infinite.
    """
    generator = np.random.default_rng(draw.integer(0, 2**32 - 1))
    count = math.prod(shape)
    kinds = ("normal", "normal", "few", "special", "offset")
    kind = draw.choice([kind for kind in kinds if kind != "special" or operation != "finite"])
    if element.name == "bool":
        flat = generator.random(count) < draw.choice((0.0, 0.01, 0.5, 0.99, 1.0))
    elif element.name in FLOATS:
        flat = element.round(_draw_floats(generator, operation, element.name, kind, count))
    elif element.name in COMPLEX:
        kind = "normal" if operation == "prod" else kind
        part = element.name.replace("complex64", "float32").replace("complex128", "float64")
        parts = [_draw_floats(generator, operation, part, kind, count) for _ in range(2)]
        if operation == "prod":
            parts = [values * math.sqrt(0.5) for values in parts]
        flat = np.empty(count, element.stored)
        flat.real, flat.imag = parts
    elif element.name == "datetime64":
        numbers = generator.integers(-(2**62), 2**62, count)
        _replace_some(generator, numbers, kind, (np.iinfo(np.int64).min, np.iinfo(np.int64).max, 0))
        flat = numbers.view(element.stored)
    else:
        info = np.iinfo(element.stored)
        low, high = (0, min(3, info.max)) if kind == "few" else (info.min, info.max)
        flat = generator.integers(low, high, count, dtype=element.stored, endpoint=True)
        _replace_some(generator, flat, kind, (info.min, info.max, 0))
    return flat.reshape(tuple(shape))


def _draw_floats(generator: np.random.Generator, operation: str, name: str, kind: str, count: int) -> np.ndarray:
    if operation == "prod":  # whose order of multiplications must not decide on an overflow
        numbers = np.exp2(generator.uniform(-1, 1, count) * min(0.5, 900 / count)) * generator.choice(
            [-1.0, 1.0], count
        )
    elif kind == "few":
        numbers = generator.choice([-1.0, 0.0, -0.0, 1.0, 2.5], count)
    else:
        numbers = generator.standard_normal(count) * float(generator.choice([1.0, 1.0, 1e-3, 30.0, 300.0]))
        if kind == "offset":
            numbers += 1e3
    special = (np.nan, np.inf, -np.inf, 0.0, -0.0)
    if operation != "prod":
        special = (*special, float(np.finfo("float16").max), 6e-8)
    _replace_some(generator, numbers, kind, special)
    if name == "float16":
        finite = np.isfinite(numbers)
        numbers[finite] = np.clip(numbers[finite], -65504, 65504)
    return numbers


def _replace_some(generator: np.random.Generator, flat: np.ndarray, kind: str, values: Sequence) -> None:
    """Replace some elements by special ones, if there shall be any."""
    if kind == "special" and len(flat):
        chosen = [value for value in values if generator.integers(3) == 0]
        for value in chosen:
            flat[generator.integers(0, len(flat), 1 + len(flat) // int(generator.choice([3, 50, 10**9])))] = value


def draw_axes(draw: Draw, rank: int) -> tuple[int, ...]:
    """Draw the dimensions that are reduced."""
    kind = draw.choice(("any", "any", "all", "last", "first"))
    if rank == 0 or kind == "all":
        return tuple(range(rank))
    if kind in {"last", "first"}:
        return ((rank - 1) if kind == "last" else 0,)
    return tuple(axis for axis in range(rank) if draw.integer(0, 1))
