"""The element types of an einsum: how operands of several types are promoted, and in which type products are summed.

The result has the promoted type of the operands. Sums of narrow types are accumulated in a wider one, and cast back. An
einsum of booleans is the disjunction of conjunctions: products are counted, and a count other than 0 is true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

from plait._caches import clearable_lru_cache

_DTYPE_NAME_REGEX = re.compile(r"(bool|uint|int|bfloat|float|complex)(\d*)")
_CATEGORIES = ("bool", "uint", "int", "float", "complex")
"""The categories of element types, from low to high."""

LOW_PRECISION_NAMES = (
    *("float16", "bfloat16", "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz"),
    *("float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu", "float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn"),
)
"""The floats of 16 bits and fewer, by their names in ``ml_dtypes``."""

SUB_BYTE_INTEGER_NAMES = ("int4", "int2", "int1", "uint4", "uint2", "uint1")
"""The integers of fewer than 8 bits."""


@clearable_lru_cache(maxsize=1024)
def promote_dtype_names(names: tuple[str, ...]) -> str:
    """Return the name of the element type to which these are promoted, for frameworks that promote none.

    The rules are those that PyTorch and JAX share: the highest category decides, and within it the widest type.

    >>> promote_dtype_names(("int64", "float16")), promote_dtype_names(("uint8", "int8"))
    ('float16', 'int16')
    >>> promote_dtype_names(("float16", "bfloat16")), promote_dtype_names(("float64", "complex64"))
    ('float32', 'complex128')
    """
    return reduce(_promote_two, names)


def promote_numpy_dtypes(names: tuple[str, ...]) -> str:
    """Return the name of the element type to which NumPy promotes these, or that of `promote_dtype_names`."""
    import numpy as np

    try:
        return str(np.result_type(*names).name)
    except TypeError:
        return promote_dtype_names(names)


def _promote_two(one: str, other: str) -> str:
    """Return the name of the element type to which two are promoted."""
    if one == other:
        return one
    (low, low_bits), (high, high_bits) = sorted(map(_category_and_bits, (one, other)))
    low_category, high_category = _CATEGORIES[low], _CATEGORIES[high]
    if low == high:
        if high_category == "float" and low_bits == high_bits:
            return "float32"  # two narrow formats, neither of which holds the other
        return max(one, other, key=lambda name: _category_and_bits(name)[1])
    if (low_category, high_category) == ("uint", "int"):
        bits = max(high_bits, 2 * low_bits)
        return f"int{bits}" if bits <= 64 else "float64"
    if (low_category, high_category) == ("float", "complex"):
        return f"complex{max(high_bits, 2 * low_bits)}"
    return max(one, other, key=lambda name: _category_and_bits(name)[0])


def _category_and_bits(name: str) -> tuple[int, int]:
    """Return the number of the category of an element type, and its bits; for an unknown type raise `TypeError`."""
    match = _DTYPE_NAME_REGEX.match(name)
    if match is None:
        raise TypeError(f"the element type {name} cannot be promoted")
    category, bits = match.groups()
    return _CATEGORIES.index("float" if category == "bfloat" else category), int(bits or 1)


class EinsumWithCasts(NamedTuple):
    """An einsum of operands of any element types, also mixed, made of an einsum of operands of one type.

    It casts the operands to the type of the computation, and the result to the promoted type.
    """

    einsum: Callable[..., Any]  # the framework's own, for operands of one element type
    cast: Callable[[Any, str], Any]  # of a tensor to an element type, given by name; to ``bool``: whether it is not 0
    name: Callable[[Any], str]  # of the element type of a tensor, as NumPy spells it
    compute_names: Mapping[str, str]
    """By name of the promoted type, the type in which the products are computed and summed, where that is another."""
    promote: Callable[[tuple[str, ...]], str] = promote_dtype_names

    def __call__(self, equation: str, *tensors: Any) -> Any:
        """Return the einsum of tensors of any element types; the equation has the classical form, with an arrow."""
        names = tuple([self.name(tensor) for tensor in tensors])
        compute, result = self.compute_and_result(names)
        if result == compute and names.count(compute) == len(names):
            return self.einsum(equation, *tensors)
        total = self.einsum(
            equation,
            *[
                tensor if name == compute else self.cast(tensor, compute)
                for tensor, name in zip(tensors, names, strict=True)
            ],
        )
        return total if result == compute else self.cast(total, result)

    def build_product(self, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """Return a function of two tensors of any element types, made of one for one type, such as a ``matmul``."""
        product = self._replace(einsum=lambda _, left, right: function(left, right))
        return lambda left, right: product("", left, right)

    def compute_and_result(self, names: tuple[str, ...]) -> tuple[str, str]:
        """Return the names of the types of the computation and of the result, for operands of these types."""
        result = names[0] if names.count(names[0]) == len(names) else self.promote(names)
        return self.compute_names.get(result, result), result


def compute_names(
    *,
    half: str = "",
    bools: str = "",
    integers: str = "",
    sub_byte: str = "int8",
    extra: Iterable[tuple[str, str]] = (),
) -> dict[str, str]:
    """Return the types of computation by result type: one for floats of 16 bits and fewer, for booleans, for integers.

    An empty name leaves the types of that kind as they are. The integers meant are those of 8, 16 and 32 bits, with and
    without sign, and those of 64 without.
    """
    table: dict[str, str] = {}
    names_by_type: Sequence[tuple[str, Sequence[str]]] = (
        (half, LOW_PRECISION_NAMES),
        (bools, ("bool",)),
        (integers, ("int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64")),
        (sub_byte, SUB_BYTE_INTEGER_NAMES),
    )
    for compute, names in names_by_type:
        table.update(dict.fromkeys(names, compute) if compute else {})
    return {**table, **dict(extra)}
