"""Einsum by batched matrix products, for frameworks without one: the array API standard has none."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from plait.backends.common.equation import axis_sizes, replace_ellipsis


def einsum_by_matmul(namespace: Any, equation: str, *tensors: Any) -> Any:
    """Contract tensors by the functions of an array API namespace, two at a time, from left to right."""
    terms, output = replace_ellipsis(equation, [tensor.ndim for tensor in tensors])
    # PyData Sparse fails for tensors without elements
    if any(0 in tensor.shape for tensor in tensors) and hasattr(namespace, "zeros"):
        sizes = axis_sizes(terms, tensors)
        return namespace.zeros(tuple(sizes[name] for name in output), dtype=namespace.result_type(*tensors))
    term, result = take_diagonal(namespace, terms[0], tensors[0])
    for number in range(1, len(terms)):
        needed_later = set(output).union(*terms[number + 1 :])
        term, result = _contract_pair(
            namespace, (term, result), take_diagonal(namespace, terms[number], tensors[number]), needed_later
        )
    term, result = _sum_unneeded_axes(namespace, (term, result), set(output))
    return namespace.permute_dims(result, tuple(term.index(name) for name in output))


def take_diagonal(namespace: Any, term: str, tensor: Any) -> tuple[str, Any]:
    """Replace the dimensions of each axis that is repeated in a term by their diagonal; return the new term too."""
    for name in dict.fromkeys(term):
        while term.count(name) > 1:
            dimensions = [dimension for dimension, other in enumerate(term) if other == name][:2]
            rest = [dimension for dimension in range(len(term)) if dimension not in dimensions]
            size = tensor.shape[dimensions[0]]
            kept = tuple(tensor.shape[dimension] for dimension in rest)
            square = namespace.reshape(namespace.permute_dims(tensor, (*rest, *dimensions)), (*kept, size * size))
            tensor = square[(..., slice(None, None, size + 1))]
            term = "".join(term[dimension] for dimension in rest) + name
    return term, tensor


def _contract_pair(
    namespace: Any, one: tuple[str, Any], other: tuple[str, Any], needed_later: set[str]
) -> tuple[str, Any]:
    """Multiply two tensors and sum over the axes that neither the output nor a later tensor has."""
    (left, a), (right, b) = (
        _sum_unneeded_axes(namespace, one, set(other[0]) | needed_later),
        _sum_unneeded_axes(namespace, other, set(one[0]) | needed_later),
    )
    batch = [name for name in left if name in right and name in needed_later]
    inner = [name for name in left if name in right and name not in needed_later]
    rows = [name for name in left if name not in right]
    columns = [name for name in right if name not in left]
    sizes = axis_sizes((left, right), (a, b))
    names = (*batch, *rows, *columns)
    if inner:
        a = _permute_and_merge_axes(namespace, a, left, (*batch, rows, inner))
        b = _permute_and_merge_axes(namespace, b, right, (*batch, inner, columns))
        result = namespace.matmul(a, b)
    else:  # no axis is summed; PyData Sparse does not multiply tensors of rank 0
        result = _permute_and_merge_axes(namespace, a, left, names or ("",)) * _permute_and_merge_axes(
            namespace, b, right, names or ("",)
        )
    return "".join(names), namespace.reshape(result, tuple(sizes[name] for name in names))


def _sum_unneeded_axes(namespace: Any, pair: tuple[str, Any], needed: set[str]) -> tuple[str, Any]:
    """Sum a tensor over the axes of its term that are not needed; return the new term too."""
    term, tensor = pair
    dimensions = tuple(dimension for dimension, name in enumerate(term) if name not in needed)
    if not dimensions:
        return pair
    return "".join(name for name in term if name in needed), namespace.sum(tensor, axis=dimensions, dtype=tensor.dtype)


def _permute_and_merge_axes(namespace: Any, tensor: Any, term: str, axis_groups: Sequence[Sequence[str]]) -> Any:
    """Permute and reshape a tensor so that each dimension has the given axes; an axis that it lacks has length 1."""
    sizes = dict(zip(term, tensor.shape, strict=True))
    order = tuple(term.index(name) for dim in axis_groups for name in dim if name in term)
    shape = tuple(prod(sizes.get(name, 1) for name in dim) for dim in axis_groups)
    return namespace.reshape(namespace.permute_dims(tensor, order) if order else tensor, shape)
