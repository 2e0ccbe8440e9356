"""Arithmetic that kernels need and Numba has not, or has in a form that is no vector instruction."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_FLOAT, _DOUBLE = ir.FloatType(), ir.DoubleType()
_SHORT, _INT, _LONG = ir.IntType(16), ir.IntType(32), ir.IntType(64)


def _choice(sign: str) -> Any:
    @intrinsic
    def choose(_context: Any, held: Any, value: Any, zero: Any) -> Any:
        """The value where it beats the held one, or is NaN; ``zero`` is 0, which the compiler does not know.

        Without it the compiler sees that a slot of memory keeps its value, and writes with a mask, ten times slower.
        """

        def build(_: Any, builder: Any, __: Any, args: Any) -> Any:
            old, new, zero = args
            bits = ir.IntType(held.bitwidth)
            none = builder.trunc(zero, bits) if held.bitwidth < 64 else zero
            if isinstance(held, types.Float):
                best = builder.select(builder.fcmp_ordered(sign, new, old), new, old)
                best = builder.select(builder.fcmp_unordered("uno", new, new), new, best)
                return builder.bitcast(builder.or_(builder.bitcast(best, bits), none), new.type)
            compare = builder.icmp_signed if held.signed else builder.icmp_unsigned
            return builder.or_(builder.select(compare(sign, new, old), new, old), none)

        return held(held, held, types.int64), build

    return choose


larger = _choice(">")
smaller = _choice("<")


def _rank(nan: int) -> Any:
    @intrinsic
    def rank(_context: Any, half: Any) -> Any:
        """An integer for 16 bits of half precision, larger where the number is, and beyond all others for NaN."""

        def build(_: Any, builder: Any, __: Any, args: Any) -> Any:
            size = builder.and_(args[0], _SHORT(0x7FFF))
            found = builder.xor(args[0], builder.and_(builder.ashr(args[0], _SHORT(15)), _SHORT(0x7FFF)))
            return builder.select(builder.icmp_signed(">", size, _SHORT(0x7C00)), _SHORT(nan), found)

        return types.int16(types.uint16), build

    return rank


ranked_high = _rank(nan=0x7FFF)
ranked_low = _rank(nan=0x8000)


@intrinsic
def unranked(_context: Any, rank: Any) -> Any:
    """The 16 bits of half precision that have this rank."""

    def build(_: Any, builder: Any, __: Any, args: Any) -> Any:
        found = builder.xor(args[0], builder.and_(builder.ashr(args[0], _SHORT(15)), _SHORT(0x7FFF)))
        nan = builder.icmp_signed(">", builder.and_(found, _SHORT(0x7FFF)), _SHORT(0x7C00))
        return builder.select(nan, _SHORT(0x7E00), found)

    return types.uint16(types.int16), build


@intrinsic
def widened(_context: Any, half: Any) -> Any:
    """The number whose 16 bits of half precision are given."""

    def build(context: Any, builder: Any, __: Any, args: Any) -> Any:
        if "+f16c" in context.codegen().magic_tuple()[2]:  # the processor has an instruction for it
            return builder.fpext(builder.bitcast(args[0], ir.HalfType()), _FLOAT)
        bits = builder.zext(args[0], _INT)
        rest = builder.shl(builder.and_(bits, _INT(0x7FFF)), _INT(13))
        scaled = builder.fmul(builder.bitcast(rest, _FLOAT), _FLOAT(2.0**112))  # the exponents count from elsewhere
        endless = builder.icmp_unsigned(">=", rest, _INT(0x0F800000))  # infinities and NaN
        rest = builder.or_(builder.bitcast(scaled, _INT), builder.select(endless, _INT(0x7F800000), _INT(0)))
        sign = builder.shl(builder.and_(bits, _INT(0x8000)), _INT(16))
        return builder.bitcast(builder.or_(rest, sign), _FLOAT)

    return types.float32(types.uint16), build


@intrinsic
def halved(_context: Any, number: Any) -> Any:
    """The 16 bits of the nearest number of half precision, of two the even one."""

    def build(_: Any, builder: Any, __: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], _LONG)
        rest = builder.and_(bits, _LONG(0x7FFFFFFFFFFFFFFF))
        size = builder.bitcast(rest, _DOUBLE)
        odd = builder.and_(builder.lshr(rest, _LONG(42)), _LONG(1))
        nearest = builder.lshr(builder.add(rest, builder.add(odd, _LONG((1 << 41) - 1))), _LONG(42))
        normal = builder.sub(nearest, _LONG((1023 - 15) << 10))
        # adding 2**28 leaves the last digit where half precision's smallest numbers have theirs
        small = builder.and_(builder.bitcast(builder.fadd(size, _DOUBLE(2.0**28)), _LONG), _LONG(0x7FF))
        result = builder.select(builder.fcmp_ordered("<", size, _DOUBLE(2.0**-14)), small, normal)
        result = builder.select(builder.fcmp_ordered(">=", size, _DOUBLE(65520.0)), _LONG(0x7C00), result)
        result = builder.select(builder.fcmp_unordered("uno", size, size), _LONG(0x7E00), result)
        sign = builder.and_(builder.lshr(bits, _LONG(48)), _LONG(0x8000))
        return builder.trunc(builder.or_(result, sign), _SHORT)

    return types.uint16(types.float64), build
