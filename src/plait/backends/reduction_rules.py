"""What each reduction means, on every framework: one table, which plans, schedules and backends read."""

from __future__ import annotations

from typing import Any, NamedTuple


class ReductionRule(NamedTuple):
    """The meaning of one reduction."""

    kinds: frozenset[str]  # of elements on which it is defined; "other": plait cannot judge, as of objects
    empty: float | None  # what it gives for no elements; None: an error
    accumulators: dict[str, str]
    """By kind, the type in which elements are combined, and which the result has; but that of ``half``, of 16 bits and
    fewer, is half again, and integers of 64 bits are combined in their own."""
    rounds: bool = False  # whether its last digits depend on the order of the elements
    merges: bool = True  # whether it is the same in one pass, and in two over equal parts
    of_bools: str | None = None  # the reduction that it is on bools
    pivot: str | None = None  # the reduction whose result is subtracted first, if it takes two passes


_ALL = frozenset({"bool", "integer", "floating", "complex", "other"})
_FLOATING = frozenset({"floating", "complex", "other"})
_HALF = {"half": "float32"}
_COUNT = {**_HALF, "bool": "int64", "integer": "int64"}
_TRUTH = dict.fromkeys(("half", "integer", "floating", "complex", "other"), "bool")
_NAN = float("nan")

RULES: dict[str, ReductionRule] = {
    "min": ReductionRule(_ALL - {"complex"}, None, _HALF, of_bools="all"),
    "max": ReductionRule(_ALL - {"complex"}, None, _HALF, of_bools="any"),
    "sum": ReductionRule(_ALL, 0, _COUNT, rounds=True),
    "mean": ReductionRule(_FLOATING, _NAN, _HALF, rounds=True),
    "prod": ReductionRule(_ALL, 1, _COUNT, rounds=True),
    "any": ReductionRule(_ALL, False, _TRUTH),
    "all": ReductionRule(_ALL, True, _TRUTH),
    "std": ReductionRule(_FLOATING, _NAN, _HALF, rounds=True, merges=False, pivot="mean"),
    "var": ReductionRule(_FLOATING, _NAN, _HALF, rounds=True, merges=False, pivot="mean"),
    "logsumexp": ReductionRule(frozenset({"floating"}), -float("inf"), _HALF, rounds=True, pivot="max"),
}
"""The reductions by name. ``var`` and ``std`` are the population's (``ddof=0``), and NaN of any element gives NaN."""

ROUNDING = frozenset(name for name, rule in RULES.items() if rule.rounds)
MERGING = frozenset(name for name, rule in RULES.items() if rule.merges)
COUNTING = frozenset(name for name, rule in RULES.items() if "bool" in rule.accumulators)
PIVOTS = {name: rule.pivot for name, rule in RULES.items() if rule.pivot is not None}


def is_half(dtype: Any) -> bool:
    """Whether sums of a NumPy dtype would lose most of their digits: 16 bits and fewer, ``ml_dtypes`` among them."""
    return dtype is not None and dtype.itemsize <= 2 and (dtype.kind == "f" or "float" in dtype.name)
