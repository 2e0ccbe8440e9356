"""Calls on objects that wrap tensors, such as ``xarray.DataArray``: the call is made on the tensors inside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from plait._executor.cache import lookup, lookup_arguments, types_shapes_and_dtypes
from plait._executor.einsum_forms import CLASSICAL_EINSUM
from plait._operations.pack import DimensionCountsAroundStar
from plait._shapes.solver import SolvedPattern
from plait.backends.wrapper import CallDimensions, OperandDimension, ResultDimension, unwrap_tensors


def build_callable_for_wrappers(
    operation: str,
    pattern: str,
    solved: SolvedPattern,
    backend: Any,
    call_uncached: Callable[..., Any],
    sizes: dict[str, Any],
    reduction: Any = "",
    options: Any = None,
) -> Callable[..., Any]:
    """Return a function of the operands, some of which are wrapped, that makes the call on the tensors inside."""
    dimensions = find_equal_dimensions(solved)

    def call_on_tensors(*operands: Any) -> Any:
        arguments = operation, unwrap_tensors(operands), pattern, sizes, reduction, options
        call = _cached_call(*arguments)
        result = call_uncached(*arguments) if call is None else call(*arguments[1])
        return backend.wrap(result, operands, dimensions)

    return call_on_tensors


def _cached_call(
    operation: str, tensors: Sequence[Any], pattern: str, sizes: dict[str, Any], reduction: Any, options: Any
) -> Callable[..., Any] | None:
    """Return the callable of a call from the cache; ``None`` if its arguments cannot be a key."""
    if operation == "view" or (options is not None and operation not in ("einsum", CLASSICAL_EINSUM)):
        return None  # options of an operation on one tensor are no part of its key
    try:
        key = lookup_arguments(operation, *types_shapes_and_dtypes(tensors), reduction, options)
        call: Callable[..., Any] | None = lookup(operation, pattern, *key, **sizes).call
    except Exception:  # the call itself reports what is wrong
        return None
    return call


def find_equal_dimensions(solved: SolvedPattern) -> CallDimensions:
    """Return which dimensions of the operands, and of the result, a pattern says to be equal.

    A dimension of the result equals those of operands that have the same axes in the same order. An operand that has
    these axes twice, of which einsum takes the diagonal, does not count.
    """
    by_axes: dict[tuple[int, ...], list[OperandDimension]] = {}
    for number, dims in enumerate(solved.inputs):
        counts = Counter(dims)
        for dimension, axes in enumerate(dims):
            if axes and counts[axes] == 1:
                by_axes.setdefault(axes, []).append((number, dimension))
    return CallDimensions(
        tuple(
            [
                ResultDimension(_dimension_name_from_axes(axes, solved.labels), tuple(by_axes.get(axes, ())))
                for axes in solved.output
            ]
        ),
        tuple([tuple(dimensions) for dimensions in by_axes.values() if len(dimensions) > 1]),
    )


def _dimension_name_from_axes(axes: tuple[int, ...], labels: Sequence[str]) -> str | None:
    """Return the name of a dimension with these axes: their names joined, or ``None`` if one of them has no name."""
    names = [labels[axis] for axis in axes]
    return "_".join(names) if names and all(name.isidentifier() for name in names) else None


def find_equal_dimensions_of_pack(layout: DimensionCountsAroundStar, ranks: Sequence[int]) -> CallDimensions:
    """Return which dimensions of the packed result, and of tensors of these ranks, are equal."""
    before, after = layout
    kept = [
        *[[(number, dimension) for number in range(len(ranks))] for dimension in range(before)],
        *[[(number, rank - after + place) for number, rank in enumerate(ranks)] for place in range(after)],
    ]
    result = [ResultDimension(None, tuple(dimensions)) for dimensions in kept]
    result.insert(before, ResultDimension(None, ()))
    return CallDimensions(tuple(result), tuple(map(tuple, kept)))


def find_equal_dimensions_of_unpack(layout: DimensionCountsAroundStar, unpacked_rank: int) -> CallDimensions:
    """Return which dimensions of an unpacked part of this rank, and of the packed tensor, are equal."""
    before, after = layout
    kept = {
        **{place: place for place in range(before)},
        **{unpacked_rank - after + place: before + 1 + place for place in range(after)},
    }
    return CallDimensions(
        tuple([ResultDimension(None, ((0, kept[place]),) if place in kept else ()) for place in range(unpacked_rank)]),
        (),
    )
