"""Lengths that Dask learns only when it computes, as that of ``x[x > 0]``: NaN in its shapes."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from plait.errors import PlaitError, fail, short


class Unknown(float):
    """NaN that knows how many times the length of the one unknown dimension it is."""

    factor: Fraction

    def __new__(cls, factor: Any = 1) -> Unknown:  # noqa: PYI034  # Self came with Python 3.11
        """So many times an unknown length."""
        self = super().__new__(cls, "nan")
        self.factor = Fraction(factor)
        return self

    def __mul__(self, other: Any) -> Any:
        return Unknown(self.factor * other) if type(other) is int else super().__mul__(other)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        return Unknown(self.factor / other) if type(other) is int and other else super().__mul__(other)

    def __mod__(self, other: Any) -> Any:
        return 0 if type(other) is int and self.factor % other == 0 else super().__mul__(other)


def dimensions(tensor: Any) -> tuple[Any, ...]:
    """The shape: ints, and symbols for what is unknown."""
    return tuple([int(size) if size == size else Unknown() for size in tensor.shape])  # noqa: PLR0124  # NaN differs


def is_unknown(tensor: Any) -> bool:
    """Whether the length of a dimension is unknown."""
    return any(type(size) is Unknown for size in dimensions(tensor))


def kinds(shape: Sequence[Any]) -> list[type]:
    """What stands in a shape beside ints."""
    return [type(size) for size in shape if type(size) is not int]


def measure(size: Any) -> tuple[bool, Any]:
    """What sizes are compared by: with an unknown length in it, a size is none of those without."""
    return (True, size.factor) if type(size) is Unknown else (False, size)


def refuse(tensor: Any) -> PlaitError:
    """The error where a length is needed."""
    message = "this needs a length that Dask does not know yet; call compute_chunk_sizes() of the array first"
    return fail("PLT303", message, facts={"input": short(tensor.shape)})
