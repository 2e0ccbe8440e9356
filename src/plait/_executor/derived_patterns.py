"""Patterns that plait writes itself: for parts of an einsum, which are then computed as any other einsum is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from plait._executor.cache import lookup, types_shapes_and_dtypes
from plait._executor.contraction import contraction_functions_for_tensors
from plait._executor.einsum_options import DEFAULT_OPTIONS, OptionValues
from plait._executor.pipeline import PatternAndSizes
from plait._notation.parser import normalize_name
from plait._shapes.solver import Dims, SolvedPattern
from plait.backends.capabilities import ContractionFunctions
from plait.backends.reduction_rules import is_low_precision
from plait.backends.registry import common_backend


def build_einsum(stage: PatternAndSizes, tensors: Sequence[Any], options: OptionValues | None) -> Callable[..., Any]:
    """Return the callable of an einsum in the named form for tensors like these."""
    text, sizes = stage
    function: Callable[..., Any] = lookup(
        "einsum", text, *types_shapes_and_dtypes(tensors), options, **dict(sizes)
    ).build()
    return function


def may_be_divided(options: OptionValues | None) -> bool:
    """Whether a contraction with these options may be divided into several einsums.

    It may not with options other than those of the path and of checks: limits apply to the whole, and arguments of
    JAX to its single steps.
    """
    if options is None:
        return True
    defaults = DEFAULT_OPTIONS._replace(contract=options.contract, strict=options.strict, kernels=options.kernels)
    return options == defaults


def needs_casts(dtypes: tuple[Any, ...]) -> bool:
    """Whether a part of the contraction alone would be computed in another element type than the whole."""
    return any(dtype != dtypes[0] or is_low_precision(dtype) or str(dtype).endswith("complex32") for dtype in dtypes)


def functions_with_casts(types: tuple[type, ...], dtypes: tuple[Any, ...]) -> ContractionFunctions | None:
    """Return the functions with the casts that a part of a contraction needs; ``None`` if it needs or has none."""
    if not needs_casts(dtypes):
        return None
    functions = contraction_functions_for_tensors(types, dtypes)
    backend = common_backend(types)
    if functions is None or functions.to_compute_dtype is None:
        return None
    return functions if any(backend.kind(dtype) in ("floating", "complex") for dtype in dtypes) else None


class PatternWriter:
    """Writes patterns whose axes are those of a solved pattern, with its names where it has names."""

    def __init__(self, solved: SolvedPattern, lengths: Sequence[int]) -> None:
        self._lengths = lengths
        counts = Counter(chain(*chain(*solved.inputs), *solved.output))
        taken = {*solved.labels}
        self._names: list[str] = []
        for axis, label in enumerate(solved.labels):
            name = label
            if not label.isidentifier() or normalize_name(label) != label:
                name = "axis0"  # the pattern has a number, an ellipsis, or a letter that is no name
            elif counts[axis] == 1:
                name = f"{label}0"  # a name with a digit gives no warning that it may be misspelt
            while name != label and name in taken:
                name = f"{name.rstrip('0123456789')}{int(name[len(name.rstrip('0123456789')) :]) + 1}"
            taken.add(name)
            self._names.append(name)

    def write(self, inputs: Sequence[Dims], output: Dims) -> PatternAndSizes:
        """Return the pattern of tensors with these dimensions, and the sizes that it needs."""
        left = ", ".join(map(self._write_term, inputs))
        grouped = {axis for axes in chain(*inputs) if len(axes) > 1 for axis in axes}
        sizes = tuple([(self._names[axis], self._lengths[axis]) for axis in sorted(grouped)])
        return f"{left} -> {self._write_term(output)}".rstrip(), sizes

    def _write_term(self, dims: Dims) -> str:
        """Return the part of a pattern for one tensor."""
        texts = [" ".join([self._names[axis] for axis in axes]) or "1" for axes in dims]
        return " ".join([f"({text})" if len(axes) > 1 else text for text, axes in zip(texts, dims, strict=True)])
