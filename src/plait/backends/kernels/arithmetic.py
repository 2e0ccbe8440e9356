"""Arithmetic for kernels that Numba does not have, or does not compile to vector instructions.

Half-precision numbers are given as their 16 bits. The *rank* of one is an integer, and ranks have the numbers' order.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_FLOAT, _DOUBLE = ir.FloatType(), ir.DoubleType()
_SHORT, _INT, _LONG = ir.IntType(16), ir.IntType(32), ir.IntType(64)


def _choice(sign: str) -> Any:
    """Return the function that gives the larger (``">"``) or the smaller (``"<"``) of two numbers."""

    @intrinsic
    def choose(_context: Any, held: Any, value: Any, zero: Any) -> Any:
        """Return ``value`` if it is larger (or smaller) than ``held``, or NaN; otherwise ``held``.

        ``zero`` is always 0, but the compiler does not know this. Without it the compiler sees that some lanes keep
        their value, and uses masked stores, which are ten times slower.
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
    """Return the function that gives the rank of a half-precision number; the rank of NaN is ``nan``."""

    @intrinsic
    def rank(_context: Any, half: Any) -> Any:
        """Return the rank of a half-precision number; that of NaN is beyond all others."""

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
    """Return the half-precision number that has this rank."""

    def build(_: Any, builder: Any, __: Any, args: Any) -> Any:
        found = builder.xor(args[0], builder.and_(builder.ashr(args[0], _SHORT(15)), _SHORT(0x7FFF)))
        nan = builder.icmp_signed(">", builder.and_(found, _SHORT(0x7FFF)), _SHORT(0x7C00))
        return builder.select(nan, _SHORT(0x7E00), found)

    return types.uint16(types.int16), build


@intrinsic
def widened(_context: Any, half: Any) -> Any:
    """Convert a half-precision number to float32."""

    def build(context: Any, builder: Any, __: Any, args: Any) -> Any:
        if "+f16c" in context.codegen().magic_tuple()[2]:  # the processor has an instruction for it
            return builder.fpext(builder.bitcast(args[0], ir.HalfType()), _FLOAT)
        bits = builder.zext(args[0], _INT)
        rest = builder.shl(builder.and_(bits, _INT(0x7FFF)), _INT(13))
        scaled = builder.fmul(builder.bitcast(rest, _FLOAT), _FLOAT(2.0**112))  # the exponents' biases differ by 112
        endless = builder.icmp_unsigned(">=", rest, _INT(0x0F800000))  # infinities and NaN
        rest = builder.or_(builder.bitcast(scaled, _INT), builder.select(endless, _INT(0x7F800000), _INT(0)))
        sign = builder.shl(builder.and_(bits, _INT(0x8000)), _INT(16))
        return builder.bitcast(builder.or_(rest, sign), _FLOAT)

    return types.float32(types.uint16), build


@intrinsic
def halved(_context: Any, number: Any) -> Any:
    """Convert a float64 number to the nearest half-precision number, ties to even."""

    def build(_: Any, builder: Any, __: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], _LONG)
        rest = builder.and_(bits, _LONG(0x7FFFFFFFFFFFFFFF))
        size = builder.bitcast(rest, _DOUBLE)
        odd = builder.and_(builder.lshr(rest, _LONG(42)), _LONG(1))
        nearest = builder.lshr(builder.add(rest, builder.add(odd, _LONG((1 << 41) - 1))), _LONG(42))
        normal = builder.sub(nearest, _LONG((1023 - 15) << 10))
        # after adding 2**28 the last bit stands for 2**-24, as it does in half precision's subnormal numbers
        small = builder.and_(builder.bitcast(builder.fadd(size, _DOUBLE(2.0**28)), _LONG), _LONG(0x7FF))
        result = builder.select(builder.fcmp_ordered("<", size, _DOUBLE(2.0**-14)), small, normal)
        result = builder.select(builder.fcmp_ordered(">=", size, _DOUBLE(65520.0)), _LONG(0x7C00), result)
        result = builder.select(builder.fcmp_unordered("uno", size, size), _LONG(0x7E00), result)
        sign = builder.and_(builder.lshr(bits, _LONG(48)), _LONG(0x8000))
        return builder.trunc(builder.or_(result, sign), _SHORT)

    return types.uint16(types.float64), build
