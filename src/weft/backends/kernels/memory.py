"""Memory at an address, for kernels: Numba's arrays would carry a rank, an alignment and a check of every index."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def pointer(_context: Any, address: Any) -> Any:
    """An address, an integer, as a pointer."""

    def build(_: Any, builder: Any, __: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), build


@intrinsic
def after(_context: Any, base: Any, offset: Any) -> Any:
    """The pointer so many bytes further."""

    def build(_: Any, builder: Any, __: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return types.voidptr(types.voidptr, types.int64), build


@intrinsic
def peek(_context: Any, base: Any, offset: Any, unit: Any) -> Any:
    """The value of that type, so many bytes after the pointer, aligned or not."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = context.get_data_type(sig.return_type).as_pointer()
        return builder.load(builder.bitcast(builder.gep(args[0], [args[1]]), kind), align=1)

    return unit.dtype(types.voidptr, types.int64, unit), build


@intrinsic
def poke(_context: Any, base: Any, offset: Any, value: Any) -> Any:
    """Writes the value so many bytes after the pointer."""

    def build(context: Any, builder: Any, _: Any, args: Any) -> Any:
        builder.store(args[2], _at(builder, args[0], args[1], args[2].type), align=1)
        return context.get_dummy_value()

    return types.void(types.voidptr, types.int64, value), build


@intrinsic(prefer_literal=True)
def move(_context: Any, out: Any, to: Any, source: Any, at: Any, word: Any) -> Any:
    """Copies a word, of so many bytes, from one place to another."""
    kind = ir.IntType(8 * word.literal_value)

    def build(context: Any, builder: Any, _: Any, args: Any) -> Any:
        value = builder.load(_at(builder, args[2], args[3], kind), align=1)
        builder.store(value, _at(builder, args[0], args[1], kind), align=1)
        return context.get_dummy_value()

    return types.void(types.voidptr, types.int64, types.voidptr, types.int64, word), build


@intrinsic(prefer_literal=True)
def turn(_context: Any, out: Any, pitch: Any, source: Any, step: Any, word: Any) -> Any:
    """Transposes a square of words, whose rows have 16 bytes, within registers.

    Row ``i`` and the row half the square below are shuffled like two halves of a deck of cards. As many such shuffles
    as the side has doublings, and rows are columns.
    """
    side = 16 // word.literal_value
    row = ir.VectorType(ir.IntType(8 * word.literal_value), side)
    halves = [_mask(side, 0), _mask(side, side // 2)]

    def build(context: Any, builder: Any, _: Any, args: Any) -> Any:
        out, pitch, source, step, _word = args
        places = [ir.IntType(64)(number) for number in range(side)]
        rows = [builder.load(_at(builder, source, builder.mul(step, place), row), align=1) for place in places]
        for _round in range(side.bit_length() - 1):
            pairs = zip(rows[: side // 2], rows[side // 2 :], strict=True)
            rows = [builder.shuffle_vector(first, second, half) for first, second in pairs for half in halves]
        for place, value in zip(places, rows, strict=True):
            builder.store(value, _at(builder, out, builder.mul(pitch, place), row), align=1)
        return context.get_dummy_value()

    return types.void(types.voidptr, types.int64, types.voidptr, types.int64, word), build


def _mask(side: int, first: int) -> Any:
    """Which elements of two rows follow each other: one of the first, one of the second, from the given one on."""
    chosen = [first + place // 2 + (side if place % 2 else 0) for place in range(side)]
    return ir.VectorType(ir.IntType(32), side)(chosen)


def _at(builder: Any, base: Any, offset: Any, kind: Any) -> Any:
    return builder.bitcast(builder.gep(base, [offset]), kind.as_pointer())
