"""Functions for kernels that read, write and shuffle memory at an address, made of LLVM instructions.

They are used instead of Numba's arrays, which are compiled for each rank and alignment, and check whether an index is
negative. A *word* is what one instruction moves, of 1 to 16 bytes; a *row* is 16 bytes, the length of a vector.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def pointer(_context: Any, address: Any) -> Any:
    """Convert an address, an integer, to a pointer."""

    def build(_: Any, builder: Any, __: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), build


@intrinsic
def after(_context: Any, base: Any, offset: Any) -> Any:
    """Return the pointer that is ``offset`` bytes after ``base``."""

    def build(_: Any, builder: Any, __: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return types.voidptr(types.voidptr, types.int64), build


@intrinsic
def peek(_context: Any, base: Any, offset: Any, unit: Any) -> Any:
    """Read a value of type ``unit`` at ``offset`` bytes after ``base``, where it need not be aligned."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = context.get_data_type(sig.return_type).as_pointer()
        return builder.load(builder.bitcast(builder.gep(args[0], [args[1]]), kind), align=1)

    return unit.dtype(types.voidptr, types.int64, unit), build


@intrinsic
def poke(_context: Any, base: Any, offset: Any, value: Any) -> Any:
    """Write the value at ``offset`` bytes after ``base``, where it need not be aligned."""

    def build(context: Any, builder: Any, _: Any, args: Any) -> Any:
        builder.store(args[2], _at(builder, args[0], args[1], args[2].type), align=1)
        return context.get_dummy_value()

    return types.void(types.voidptr, types.int64, value), build


@intrinsic(prefer_literal=True)
def move(_context: Any, out: Any, to: Any, source: Any, at: Any, word: Any) -> Any:
    """Copy a word of ``word`` bytes from ``at`` bytes after ``source`` to ``to`` bytes after ``out``."""
    kind = ir.IntType(8 * word.literal_value)

    def build(context: Any, builder: Any, _: Any, args: Any) -> Any:
        value = builder.load(_at(builder, args[2], args[3], kind), align=1)
        builder.store(value, _at(builder, args[0], args[1], kind), align=1)
        return context.get_dummy_value()

    return types.void(types.voidptr, types.int64, types.voidptr, types.int64, word), build


def _turning(*, given: bool, wanted: bool) -> Any:
    """Return the function that transposes a square; only ``many`` of its rows are given, or wanted, if this is set."""

    @intrinsic(prefer_literal=True)
    def turn(_context: Any, out: Any, pitch: Any, source: Any, step: Any, many: Any, word: Any) -> Any:
        """Transpose a square of words in registers; rows are ``step`` bytes apart in the source, ``pitch`` in ``out``.

        Each round interleaves every row of the upper half with the row half the square below it; after log2(side)
        rounds the rows are the columns. If only ``many`` rows are given or wanted, the last of them is read again for
        each further row, or each further row is written to its place before it.
        """
        side = 16 // word.literal_value
        row = ir.VectorType(ir.IntType(8 * word.literal_value), side)
        halves = [_mask(side, 0), _mask(side, side // 2)]

        def build(context: Any, builder: Any, _: Any, args: Any) -> Any:
            out, pitch, source, step, many, _word = args

            def place(step: Any, number: int, limited: bool) -> Any:
                index = ir.IntType(64)(number)
                if limited:
                    last = builder.sub(many, ir.IntType(64)(1))
                    index = builder.select(builder.icmp_signed("<", index, last), index, last)
                return builder.mul(step, index)

            rows = [
                builder.load(_at(builder, source, place(step, number, given), row), align=1) for number in range(side)
            ]
            for _round in range(side.bit_length() - 1):
                pairs = zip(rows[: side // 2], rows[side // 2 :], strict=True)
                rows = [builder.shuffle_vector(first, second, half) for first, second in pairs for half in halves]
            for number in reversed(range(side)) if wanted else range(side):
                builder.store(rows[number], _at(builder, out, place(pitch, number, wanted), row), align=1)
            return context.get_dummy_value()

        return types.void(types.voidptr, types.int64, types.voidptr, types.int64, types.int64, word), build

    return turn


turn = _turning(given=False, wanted=False)
turn_given = _turning(given=True, wanted=False)
turn_wanted = _turning(given=False, wanted=True)


@intrinsic(prefer_literal=True)
def deal(_context: Any, out: Any, pitch: Any, source: Any, parts: Any, word: Any) -> Any:
    """Deinterleave: write consecutive words in turn to ``parts`` rows, which are ``pitch`` bytes apart."""
    many, side = parts.literal_value, 16 // word.literal_value
    word_type = ir.IntType(8 * word.literal_value)
    masks = [_places(part + many * place for place in range(side)) for part in range(many)]

    def build(context: Any, builder: Any, _: Any, args: Any) -> Any:
        out, pitch, source, _parts, _word = args
        whole = ir.VectorType(word_type, many * side)
        words = builder.load(builder.bitcast(source, whole.as_pointer()), align=1)
        for part, mask in enumerate(masks):
            row = builder.shuffle_vector(words, ir.Constant(whole, ir.Undefined), mask)
            place = _at(builder, out, builder.mul(pitch, pitch.type(part)), row.type)
            builder.store(row, place, align=1)
        return context.get_dummy_value()

    return types.void(types.voidptr, types.int64, types.voidptr, parts, word), build


@intrinsic(prefer_literal=True)
def weave(_context: Any, out: Any, source: Any, pitch: Any, parts: Any, word: Any) -> Any:
    """Interleave: write consecutive words, taken in turn from ``parts`` rows, which are ``pitch`` bytes apart."""
    many, side = parts.literal_value, 16 // word.literal_value
    word_type = ir.IntType(8 * word.literal_value)
    both = _places(range(2 * side))
    order = _places(side * (place % many) + place // many for place in range(many * side))

    def build(context: Any, builder: Any, _: Any, args: Any) -> Any:
        out, source, pitch, _parts, _word = args
        row = ir.VectorType(word_type, side)
        places = [_at(builder, source, builder.mul(pitch, pitch.type(part)), row) for part in range(many)]
        rows = [builder.load(place, align=1) for place in places]
        rows += [ir.Constant(row, ir.Undefined)] * (4 - many)
        first, second = builder.shuffle_vector(*rows[:2], both), builder.shuffle_vector(*rows[2:], both)
        words = builder.shuffle_vector(first, second, order)
        builder.store(words, builder.bitcast(out, words.type.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.voidptr, types.voidptr, types.int64, parts, word), build


def _mask(side: int, first: int) -> Any:
    """Return the shuffle that takes words of two rows in turn, from the word with index ``first`` of each on."""
    return _places(first + place // 2 + (side if place % 2 else 0) for place in range(side))


def _places(numbers: Iterable[int]) -> Any:
    """Return indices of words as an LLVM vector of constants, which a shuffle takes."""
    chosen = list(numbers)
    return ir.VectorType(ir.IntType(32), len(chosen))(chosen)


def _at(builder: Any, base: Any, offset: Any, kind: Any) -> Any:
    """Return the pointer to a value of type ``kind`` that is ``offset`` bytes after ``base``."""
    return builder.bitcast(builder.gep(base, [offset]), kind.as_pointer())
