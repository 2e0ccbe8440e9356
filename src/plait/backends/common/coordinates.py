"""Sparse tensors as coordinates and values, and einsum of them, whose cost depends on the stored elements alone.

Each pair of tensors becomes one product of sparse matrices. Their rows and columns are numbered by the coordinates that
occur, so that the lengths of the dimensions do not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from plait.backends.common.equation import replace_ellipsis
from plait.backends.reduction_rules import REDUCTION_RULES


class Coordinates(NamedTuple):
    """A tensor whose elements are 0, except those that are stored; an element may be stored in several parts."""

    indices: tuple[Any, ...]
    """For each dimension an array with the index of each stored element."""
    values: Any
    shape: tuple[int, ...]


MatrixProduct: TypeAlias = Callable[[Coordinates, Coordinates], Coordinates]
"""``f(left, right)`` multiplies two sparse matrices."""


def einsum_of_coordinates(
    equation: str, tensors: Sequence[Coordinates], multiply_matrices: MatrixProduct
) -> Coordinates:
    """Contract tensors of one element type, two at a time, from left to right."""
    terms, output = replace_ellipsis(equation, [len(tensor.shape) for tensor in tensors])
    sizes: dict[str, int] = {}
    for term, tensor in zip(terms, tensors, strict=True):
        sizes |= {name: size for name, size in zip(term, tensor.shape, strict=True) if sizes.get(name, 1) == 1}
    operands = [_to_named_coordinates(term, tensor, sizes) for term, tensor in zip(terms, tensors, strict=True)]
    result = operands[0]
    for number, operand in enumerate(operands[1:], 1):
        needed = set(output).union(*[set(later.indices) for later in operands[number + 1 :]])
        result = _contract_pair(result, operand, needed, multiply_matrices)
    return Coordinates(
        tuple([result.indices[name] for name in output]), result.values, tuple([sizes[name] for name in output])
    )


class _NamedCoordinates(NamedTuple):
    """Coordinates by the letter of each axis; axes that are not there are summed over."""

    indices: dict[str, Any]
    values: Any


def _to_named_coordinates(term: str, tensor: Coordinates, sizes: dict[str, int]) -> _NamedCoordinates:
    """Return the coordinates by axis: on diagonals of repeated axes, and without those that broadcast."""
    indices: dict[str, Any] = {}
    is_kept = np.ones(len(tensor.values), bool)
    for name, index, size in zip(term, tensor.indices, tensor.shape, strict=True):
        if size == 1 != sizes[name]:
            continue
        is_kept &= indices.setdefault(name, index) == index
    return _NamedCoordinates({name: index[is_kept] for name, index in indices.items()}, tensor.values[is_kept])


def _contract_pair(
    one: _NamedCoordinates, other: _NamedCoordinates, needed: set[str], multiply_matrices: MatrixProduct
) -> _NamedCoordinates:
    """Multiply two tensors and sum over the axes that are not needed, by one product of sparse matrices.

    The rows are the axes that both have and that are needed (batch axes) and those of the first tensor. The columns of
    the first are the batch axes and those to sum over, so that its matrix has a block for each batch.
    """
    shared = [name for name in one.indices if name in other.indices]
    batch = [name for name in shared if name in needed]
    rows = [*batch, *[name for name in one.indices if name in needed and name not in shared]]
    columns = [name for name in other.indices if name in needed and name not in shared]
    row, row_indices = _number_distinct_coordinates(one, rows)
    column, column_indices = _number_distinct_coordinates(other, columns)
    both = [np.concatenate([one.indices[name], other.indices[name]]) for name in shared]
    inner, _ = _number_distinct_tuples(both, len(one.values) + len(other.values))
    inner_count = int(inner.max(initial=-1)) + 1
    split = len(one.values)
    product = multiply_matrices(
        Coordinates((row, inner[:split]), one.values, (max(map(len, row_indices), default=1), inner_count)),
        Coordinates((inner[split:], column), other.values, (inner_count, max(map(len, column_indices), default=1))),
    )
    result_row, result_column = product.indices
    indices = {name: index[result_row] for name, index in zip(rows, row_indices, strict=True)}
    indices |= {name: index[result_column] for name, index in zip(columns, column_indices, strict=True)}
    return _NamedCoordinates(indices, product.values)


def _number_distinct_coordinates(tensor: _NamedCoordinates, names: Sequence[str]) -> tuple[Any, list[Any]]:
    """Number the different coordinates of some axes; return the number for each element, and the coordinates."""
    indices = [tensor.indices[name] for name in names]
    numbers, first = _number_distinct_tuples(indices, len(tensor.values))
    return numbers, [index[first] for index in indices]


def _number_distinct_tuples(indices: Sequence[Any], count: int) -> tuple[Any, Any]:
    """Number the different tuples of indices; return the number of each tuple, and where each number occurs first."""
    keys = np.zeros(count, np.int64)
    for index in indices:
        length = int(index.max(initial=0)) + 1
        if int(keys.max(initial=0) + 1) > np.iinfo(np.int64).max // length:
            keys = np.unique(keys, return_inverse=True)[1].astype(np.int64)
        keys = keys * length + index
    _, first, numbers = np.unique(keys, return_index=True, return_inverse=True)
    return numbers.reshape(-1), first


def reduce_coordinates(name: str, tensor: Coordinates, axes: tuple[int, ...], result_dtype: Any) -> Coordinates:
    """Reduce along some dimensions, as the rule of the name says; each element is stored once."""
    kept = [dimension for dimension in range(len(tensor.shape)) if dimension not in axes]
    shape = tuple([tensor.shape[dimension] for dimension in kept])
    size = prod([tensor.shape[axis] for axis in axes])
    numbers, first = _number_distinct_tuples([tensor.indices[dimension] for dimension in kept], len(tensor.values))
    order = np.argsort(numbers, kind="stable")
    stored = np.bincount(numbers, minlength=len(first))
    kind = tensor.values.dtype.kind
    values = tensor.values[order].astype(
        np.result_type(tensor.values.dtype, np.float64) if kind in "fc" else result_dtype
    )
    groups = _Groups(values, numbers[order], np.cumsum(stored) - stored, size - stored, size)
    with np.errstate(all="ignore"):
        results = _GROUP_REDUCTIONS[name](groups).astype(result_dtype) if len(first) else np.zeros(0, result_dtype)
        rest = REDUCTION_RULES[name].empty_value if not size else np.log(size) if name == "logsumexp" else 0
    indices = tuple([tensor.indices[dimension][first] for dimension in kept])
    if not rest:
        return Coordinates(indices, results, shape)
    dense = np.full((1, *shape), rest, result_dtype)  # elements that are not 0 although nothing is stored for them
    places = (np.zeros(len(first), np.int64), *indices)
    dense[places] = results
    every_index = np.indices(dense.shape).reshape(dense.ndim, dense.size)
    return Coordinates(tuple(every_index[1:]), dense.reshape(-1), shape)


class _Groups(NamedTuple):
    """The stored elements of a sparse tensor, in groups that are reduced to one element each."""

    values: Any
    numbers: Any  # the group of each value
    starts: Any
    missing: Any  # how many elements of each group are not stored
    size: int

    def reduce(self, ufunc: Any) -> Any:
        """Reduce the stored elements of each group."""
        return ufunc.reduceat(self.values, self.starts)

    def extreme(self, ufunc: Any) -> Any:
        """Return the minimum or maximum of each group."""
        stored = self.reduce(ufunc)
        return np.where(self.missing > 0, ufunc(stored, np.zeros_like(stored)), stored)

    def var(self) -> Any:
        """Return the variance of each group."""
        mean = self.reduce(np.add) / self.size
        squares = self._replace(values=np.abs(self.values - mean[self.numbers]) ** 2).reduce(np.add)
        return (squares + self.missing * np.abs(mean) ** 2) / self.size

    def logsumexp(self) -> Any:
        """Return the logarithm of the sum of the exponentials of each group."""
        largest = self.extreme(np.maximum)
        pivot = np.where(np.isfinite(largest), largest, 0)
        total = self._replace(values=np.exp(self.values - pivot[self.numbers])).reduce(np.add)
        return np.log(total + self.missing * np.exp(-pivot)) + pivot


_GROUP_REDUCTIONS: dict[str, Callable[[_Groups], Any]] = {
    "min": lambda groups: groups.extreme(np.minimum),
    "max": lambda groups: groups.extreme(np.maximum),
    "sum": lambda groups: groups.reduce(np.add),
    "mean": lambda groups: groups.reduce(np.add) / groups.size,
    "prod": lambda groups: groups.reduce(np.multiply) * np.where(groups.missing > 0, 0, 1),
    "any": lambda groups: groups.reduce(np.logical_or),
    "all": lambda groups: groups.reduce(np.logical_and) & (groups.missing == 0),
    "var": _Groups.var,
    "std": lambda groups: np.sqrt(groups.var()),
    "logsumexp": _Groups.logsumexp,
}
"""By name, the reduction of the stored elements and of zeros for those that are missing."""
