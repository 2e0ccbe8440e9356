"""What each reduction means on every framework: one table that plans, schedules and backends read."""

from __future__ import annotations

import re
from typing import Any, NamedTuple


class ReductionRule(NamedTuple):
    """The meaning of one reduction."""

    kinds: frozenset[str]
    """The kinds of element types on which it is defined; ``other`` are types unknown to plait, such as objects."""
    empty_value: float | None  # the result for no elements; None: an error
    accumulators: dict[str, str]
    """By kind, the element type of the accumulator, which is also that of the result.

    Under ``half`` are the float types of 16 bits and fewer, and under ``half_complex`` the complex numbers of such
    parts; their results are cast back. 64-bit integers keep their type. A kind that is missing here accumulates in its
    own element type. Integers of fewer than 8 bits are those of 8 bits first, see `byte_integer_name`.
    """
    is_rounding_sensitive: bool = False  # whether rounding makes the last digits depend on the order of the elements
    is_mergeable: bool = True  # whether reducing parts of equal size, and then their results, gives the same
    bool_equivalent: str | None = None  # the reduction that gives the same on bools
    pivot: str | None = None  # the reduction that is computed first; its result is subtracted from the elements


_ALL_KINDS = frozenset({"bool", "integer", "floating", "complex", "other"})
_INEXACT_KINDS = frozenset({"floating", "complex", "other"})
_HALF_ACCUMULATOR_BY_KIND = {"half": "float32", "half_complex": "complex64"}
_SUM_ACCUMULATOR_BY_KIND = {**_HALF_ACCUMULATOR_BY_KIND, "bool": "int64", "integer": "int64"}
_LOGICAL_ACCUMULATOR_BY_KIND = dict.fromkeys(("half", "integer", "floating", "complex", "other"), "bool")
_NAN = float("nan")

REDUCTION_RULES: dict[str, ReductionRule] = {
    "min": ReductionRule(_ALL_KINDS - {"complex"}, None, _HALF_ACCUMULATOR_BY_KIND, bool_equivalent="all"),
    "max": ReductionRule(_ALL_KINDS - {"complex"}, None, _HALF_ACCUMULATOR_BY_KIND, bool_equivalent="any"),
    "sum": ReductionRule(_ALL_KINDS, 0, _SUM_ACCUMULATOR_BY_KIND, is_rounding_sensitive=True),
    "mean": ReductionRule(_INEXACT_KINDS, _NAN, _HALF_ACCUMULATOR_BY_KIND, is_rounding_sensitive=True),
    "prod": ReductionRule(_ALL_KINDS, 1, _SUM_ACCUMULATOR_BY_KIND, is_rounding_sensitive=True),
    "any": ReductionRule(_ALL_KINDS, False, _LOGICAL_ACCUMULATOR_BY_KIND),
    "all": ReductionRule(_ALL_KINDS, True, _LOGICAL_ACCUMULATOR_BY_KIND),
    "std": ReductionRule(
        _INEXACT_KINDS, _NAN, _HALF_ACCUMULATOR_BY_KIND, is_rounding_sensitive=True, is_mergeable=False, pivot="mean"
    ),
    "var": ReductionRule(
        _INEXACT_KINDS, _NAN, _HALF_ACCUMULATOR_BY_KIND, is_rounding_sensitive=True, is_mergeable=False, pivot="mean"
    ),
    "logsumexp": ReductionRule(
        frozenset({"floating"}), -float("inf"), _HALF_ACCUMULATOR_BY_KIND, is_rounding_sensitive=True, pivot="max"
    ),
}
"""The rule of each reduction by name. ``var`` and ``std`` divide by the count (``ddof=0``). A NaN element gives NaN."""

ROUNDING_SENSITIVE_REDUCTIONS = frozenset(name for name, rule in REDUCTION_RULES.items() if rule.is_rounding_sensitive)
"""The reductions whose last digits depend on the order of the elements."""
MERGEABLE_REDUCTIONS = frozenset(name for name, rule in REDUCTION_RULES.items() if rule.is_mergeable)
"""The reductions that may be computed along some axes first, and then along the others."""
INT64_REDUCTIONS = frozenset(name for name, rule in REDUCTION_RULES.items() if "bool" in rule.accumulators)
"""The reductions that give 64-bit integers for bools and narrower integers."""
PIVOT_BY_REDUCTION = {name: rule.pivot for name, rule in REDUCTION_RULES.items() if rule.pivot is not None}
"""By name of a two-pass reduction, the reduction that computes its pivot."""


_LOW_PRECISION_REGEX = re.compile(r"float(16|[468]_)|[<>]f2$")
_FLOAT8_OR_NARROWER_REGEX = re.compile(r"(?<!b)float[468]_")
_SUB_BYTE_INTEGER_REGEX = re.compile(r"\bu?int[124]\b")


def is_low_precision(dtype: Any) -> bool:
    """Whether an element type, or its name, is a float of 16 bits or fewer: sums in it lose their digits.

    >>> [is_low_precision(name) for name in ("float16", "torch.bfloat16", "float8_e5m2", "float32")]
    [True, True, True, False]
    """
    return _LOW_PRECISION_REGEX.search(str(dtype)) is not None


def byte_integer_name(dtype: Any) -> str | None:
    """Return the name of the 8-bit type for an integer type of fewer bits; ``None`` for every other element type.

    >>> [byte_integer_name(name) for name in ("int4", "uint2", "int8")]
    ['int8', 'uint8', None]
    """
    match = _SUB_BYTE_INTEGER_REGEX.search(str(dtype))
    return None if match is None else match.group().rstrip("124") + "8"


def widened_dtype_name(dtype: Any) -> str | None:
    """Return the name of the type in which elements of fewer than 16 bits are reduced; ``None`` for wider types.

    >>> [widened_dtype_name(name) for name in ("float8_e4m3fn", "uint4", "float16", "int8")]
    ['float32', 'uint8', None, None]
    """
    return "float32" if _FLOAT8_OR_NARROWER_REGEX.search(str(dtype)) else byte_integer_name(dtype)
