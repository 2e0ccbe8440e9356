"""Build the reductions of a framework from its own functions, corrected to what `reduction_rules` says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, TypeAlias

from plait.backends.interface import ReductionFunction
from plait.backends.reduction_rules import (
    REDUCTION_RULES,
    ROUNDING_SENSITIVE_REDUCTIONS,
    is_low_precision,
    widened_dtype_name,
)

ElementwiseFunction: TypeAlias = Callable[[Any], Any]
"""``f(tensor)`` applies a function to each element."""


class ReductionTable(NamedTuple):
    """The functions of one framework for reductions, and where they differ from the rules."""

    function: Callable[[str], ReductionFunction]  # the framework's own reduction by name
    cast: Callable[[Any, Any], Any] = lambda tensor, dtype: tensor.astype(dtype)  # dtype is the framework's, or a name
    overrides: Mapping[str | tuple[str, Any], ReductionFunction] = {}
    """Replacements of the framework's own reductions: by name, or by name and kind or element type."""
    upcast: Mapping[str, Collection[str]] = {"half": ROUNDING_SENSITIVE_REDUCTIONS}
    """By kind, the reductions for which the framework's accumulator is too narrow."""
    has_bool_extrema: bool = True  # whether the framework has min and max of bools
    has_any_of_numbers: bool = True  # whether the framework has any and all of numbers
    is_low_precision: Callable[[Any], bool] = is_low_precision
    """Whether `upcast` under ``half`` applies to an element type; the framework may accumulate some types well."""
    widened_dtype_name: Callable[[Any], str | None] = widened_dtype_name
    """The name of the type in which elements of a narrower one are reduced, for which there are no reductions."""
    unsupported_empty: Collection[str] = ()  # reductions that fail, warn or are wrong for no elements
    is_empty: Callable[[Any], bool] = lambda tensor: not tensor.size
    reduce_empty: Callable[[ReductionFunction, Any, tuple[int, ...], float | None], Any] | None = None
    """``f(reduce, tensor, axes, value)`` returns the result for no elements; ``None``: the sum plus the value."""

    def reduction(self, name: str, kind: str | None, dtype: Any) -> ReductionFunction:
        """Return the reduction of a name for elements of a kind and type; either is ``None`` if unknown."""
        if kind == "bool" and not self.has_bool_extrema:
            name = REDUCTION_RULES[name].bool_equivalent or name
        wide_name = self.widened_dtype_name(dtype)
        if wide_name is not None:
            return self._reduction_in_wider_type(name, wide_name, dtype)
        width = "half" if self.is_low_precision(dtype) else kind or "other"
        if "complex32" in str(dtype):
            width = "half_complex"
        reduce = self._find_override(name, dtype, width, kind) or self.function(name)
        if name in self.unsupported_empty:
            reduce = self._with_empty_case(name, reduce)
        accumulator = REDUCTION_RULES[name].accumulators.get(width)
        needs_cast = name in self.upcast.get(width, ()) or (accumulator == "bool" and not self.has_any_of_numbers)
        if accumulator is None or not needs_cast or ("int64" in str(dtype) and accumulator == "int64"):
            return reduce
        cast = self.cast
        if accumulator in ("float32", "complex64"):
            result = "float16" if width == "half_complex" and name in ("var", "std") else dtype
            return lambda tensor, axes: cast(reduce(cast(tensor, accumulator), axes), result)
        return lambda tensor, axes: reduce(cast(tensor, accumulator), axes)

    def _reduction_in_wider_type(self, name: str, wide_name: str, dtype: Any) -> ReductionFunction:
        """Return the reduction of elements that are cast to a wider type first, and the result back if it keeps it."""
        kind = "floating" if wide_name == "float32" else "integer"
        reduce, cast = self.reduction(name, kind, wide_name), self.cast
        if name in ("any", "all") or (kind == "integer" and name not in ("min", "max")):
            return lambda tensor, axes: reduce(cast(tensor, wide_name), axes)
        return lambda tensor, axes: cast(reduce(cast(tensor, wide_name), axes), dtype)

    def _find_override(self, name: str, *kinds: Any) -> ReductionFunction | None:
        """Return the override of a reduction, if any; where only ``var`` has one, ``std`` is its square root."""
        for kind in kinds:
            if (name, kind) in self.overrides:
                return self.overrides[name, kind]
        var = self._find_override("var", *kinds) if name == "std" and name not in self.overrides else None
        return (lambda tensor, axes: var(tensor, axes) ** 0.5) if var else self.overrides.get(name)

    def _with_empty_case(self, name: str, reduce: ReductionFunction) -> ReductionFunction:
        """Return the reduction with the result that the rule demands for tensors without elements."""
        value, is_empty, total = REDUCTION_RULES[name].empty_value, self.is_empty, self.function("sum")
        reduce_empty = self.reduce_empty or (lambda _, tensor, axes, value: total(tensor, axes) + value)
        return lambda tensor, axes: (
            reduce_empty(reduce, tensor, axes, value) if is_empty(tensor) else reduce(tensor, axes)
        )


def build_logsumexp(
    pivot: ReductionFunction,
    exp: ElementwiseFunction,
    total: ReductionFunction,
    log: ElementwiseFunction,
    squeeze: ReductionFunction,
) -> ReductionFunction:
    """Return a ``logsumexp`` that does not overflow.

    ``pivot`` returns the maximum, or 0 where that is infinite, without a gradient and with all dimensions kept.
    """

    def logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
        maximum = pivot(tensor, axes)
        return log(total(exp(tensor - maximum), axes)) + squeeze(maximum, axes)

    return logsumexp


def build_accurate_logsumexp(
    pivot: ReductionFunction,
    exp: ElementwiseFunction,
    total: ReductionFunction,
    log: ElementwiseFunction,
    log1p: ElementwiseFunction,
    zero_indicator: ElementwiseFunction,
    squeeze: ReductionFunction,
) -> ReductionFunction:
    """Return a ``logsumexp`` that counts the largest elements and sums only the others.

    With ``m`` the maximum, ``n`` the number of elements that are equal to it, and ``r`` the sum of ``exp(x - m)`` of
    the others, the result is ``m + log(n) + log1p(r / n)``. In the sum ``n + r`` of `build_logsumexp`, an ``r`` below
    the rounding error of ``n`` is lost. ``zero_indicator`` gives 1 where an element is 0, and else 0, in its type.
    ``pivot`` is that of `build_logsumexp`; where it is not the maximum, ``n`` may be 0.
    """

    def logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
        maximum = pivot(tensor, axes)
        difference = tensor - maximum
        is_largest = zero_indicator(difference)
        count, rest = total(is_largest, axes), total(exp(difference) - is_largest, axes)
        missing = zero_indicator(count)  # then log(r) is log1p(r - 1)
        count = count + missing
        return log(count) + log1p((rest - missing) / count) + squeeze(maximum, axes)

    return logsumexp


def build_var(pivot: ReductionFunction, square: ElementwiseFunction, mean: ReductionFunction) -> ReductionFunction:
    """Return the variance with ``ddof=0``: the mean of ``square(tensor - pivot)``, where ``pivot`` keeps dimensions."""
    return lambda tensor, axes: mean(square(tensor - pivot(tensor, axes)), axes)
