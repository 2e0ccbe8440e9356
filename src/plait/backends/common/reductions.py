"""A framework's reductions, made of its own functions so that they mean what `reduction_rules` says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, TypeAlias

from plait.backends.interface import Reduction
from plait.backends.reduction_rules import REDUCTION_RULES, ROUNDING_REDUCTIONS

Elementwise: TypeAlias = Callable[[Any], Any]


class ReductionTable(NamedTuple):
    """What one framework has for reductions, and what of it differs from the rules."""

    function: Callable[[str], Reduction]  # its own reduction of a name
    cast: Callable[[Any, Any], Any] = lambda tensor, dtype: tensor.astype(dtype)  # dtype: its own, or one of the rules
    special: Mapping[str | tuple[str, Any], Reduction] = {}  # replace its own, by name, or by name and kind or type
    upcast: Mapping[str, Collection[str]] = {"half": ROUNDING_REDUCTIONS}
    """By kind, the reductions for which the framework's accumulator is too narrow."""
    orders_bools: bool = True  # whether it has minima and maxima of bools
    tests_numbers: bool = True  # whether it has any and all of numbers
    is_half_precision: Callable[[Any], bool] = lambda dtype: "float16" in str(dtype)
    not_of_empty: Collection[str] = ()  # those that refuse tensors without elements, warn, or give something else
    is_empty: Callable[[Any], bool] = lambda tensor: not tensor.size
    fill: Callable[[Reduction, Any, tuple[int, ...], float | None], Any] | None = None
    """``f(reduce, tensor, axes, value)``: the result for a tensor without elements; ``None``: a sum plus the value."""

    def build(self, name: str, kind: str | None, dtype: Any) -> Reduction:
        """The reduction of that name, for elements of that kind and type (``None``: unknown)."""
        if kind == "bool" and not self.orders_bools:
            name = REDUCTION_RULES[name].bool_equivalent or name
        width = "half" if self.is_half_precision(dtype) else kind or "other"
        reduce = self._special(name, dtype, width, kind) or self.function(name)
        if name in self.not_of_empty:
            reduce = self._or_empty(name, reduce)
        accumulator = REDUCTION_RULES[name].accumulators.get(width)
        wanted = name in self.upcast.get(width, ()) or (accumulator == "bool" and not self.tests_numbers)
        if accumulator is None or not wanted or ("int64" in str(dtype) and accumulator == "int64"):
            return reduce
        cast = self.cast
        if accumulator == "float32":
            return lambda tensor, axes: cast(reduce(cast(tensor, accumulator), axes), dtype)
        return lambda tensor, axes: reduce(cast(tensor, accumulator), axes)

    def _special(self, name: str, *kinds: Any) -> Reduction | None:
        """What replaces the framework's own; ``std`` is the root of a ``var`` that does."""
        for kind in kinds:
            if (name, kind) in self.special:
                return self.special[name, kind]
        var = self._special("var", *kinds) if name == "std" and name not in self.special else None
        return (lambda tensor, axes: var(tensor, axes) ** 0.5) if var else self.special.get(name)

    def _or_empty(self, name: str, reduce: Reduction) -> Reduction:
        value, is_empty, total = REDUCTION_RULES[name].empty_value, self.is_empty, self.function("sum")
        fill = self.fill or (lambda _, tensor, axes, value: total(tensor, axes) + value)
        return lambda tensor, axes: fill(reduce, tensor, axes, value) if is_empty(tensor) else reduce(tensor, axes)


def build_logsumexp(
    pivot: Reduction, exp: Elementwise, total: Reduction, log: Elementwise, squeeze: Reduction
) -> Reduction:
    """A ``logsumexp`` without overflow; ``pivot``: the maximum or 0, constant to gradients, with all dimensions."""

    def logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
        subtracted = pivot(tensor, axes)
        return log(total(exp(tensor - subtracted), axes)) + squeeze(subtracted, axes)

    return logsumexp


def build_var(pivot: Reduction, square: Elementwise, mean: Reduction) -> Reduction:
    """The population's variance: the mean of the squared distances from the mean, whose dimensions ``pivot`` keeps."""
    return lambda tensor, axes: mean(square(tensor - pivot(tensor, axes)), axes)
