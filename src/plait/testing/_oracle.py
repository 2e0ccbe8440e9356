"""Computes the results that backends must give, from the definition of a pattern, with loops in Python.

It shares no code with the rest of plait: it parses patterns itself, makes no plan, and takes elements one by one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Dimensions: TypeAlias = list[list[str]]
"""For each dimension of a tensor, the axes in it."""
Index: TypeAlias = tuple[int, ...]
Shape: TypeAlias = tuple[int, ...]
Sizes: TypeAlias = Mapping[str, int]


def parse_dimensions(text: str, prefix: str) -> Dimensions:
    """Return the dimensions of one tensor of a pattern.

    An axis that is written as a number gets a name: the prefix, its position, ``:``, and the number.
    """
    dimensions: Dimensions = []
    depth = 0
    for position, word in enumerate(text.replace("(", " ( ").replace(")", " ) ").split()):
        if word == "(":
            if depth == 0:
                dimensions.append([])
            depth += 1
        elif word == ")":
            depth -= 1
        else:
            axis = f"{prefix}{position}:{word}" if word.isdigit() else word
            if depth:
                dimensions[-1].append("(...)" if axis == "..." else axis)
            else:
                dimensions.append([axis])
    return dimensions


def expand_ellipsis(dimensions: Dimensions, count: int) -> Dimensions:
    """Replace ``...`` by ``count`` axes, whose names are numbered from the right, as dimensions broadcast."""
    names = [f"...{number}" for number in reversed(range(count))]
    result: Dimensions = []
    for dimension in dimensions:
        if dimension == ["..."]:
            result += [[name] for name in names]
        else:
            result.append([name for axis in dimension for name in (names if axis == "(...)" else [axis])])
    return result


def _sizes_of_numeric_axes(dimensions: Dimensions) -> dict[str, int]:
    """Return the sizes of the axes that are written as numbers."""
    return {axis: int(axis.partition(":")[2]) for dimension in dimensions for axis in dimension if ":" in axis}


def parse_input_dimensions(pattern: str, shapes: Sequence[Shape]) -> list[Dimensions]:
    """Return the dimensions of each tensor on the left side, with ``...`` replaced by axes."""
    result = []
    for number, (text, shape) in enumerate(zip(pattern.partition("->")[0].split(","), shapes, strict=True)):
        dimensions = parse_dimensions(text, f"<{number}.")
        result.append(expand_ellipsis(dimensions, len(shape) - len(dimensions) + 1))
    return result


def axis_sizes(pattern: str, shapes: Sequence[Shape], given: Sizes) -> dict[str, int]:
    """Return the size of every axis of the left side, and the given sizes."""
    inputs = parse_input_dimensions(pattern, shapes)
    sizes = dict(given)
    for dimensions in inputs:
        sizes.update(_sizes_of_numeric_axes(dimensions))
    for _ in range(3):
        for dimensions, shape in zip(inputs, shapes, strict=True):
            for dimension, length in zip(dimensions, shape, strict=True):
                unknown = [axis for axis in dimension if axis not in sizes]
                if len(unknown) == 1:
                    sizes[unknown[0]] = length // math.prod(sizes[axis] for axis in dimension if axis in sizes)
    return sizes


def tensor_index(dimensions: Dimensions, positions: Sizes, sizes: Sizes) -> Index:
    """Return the index of the element at a position along each axis; dimensions merge axes in row-major order."""
    index = []
    for dimension in dimensions:
        offset = 0
        for axis in dimension:
            offset = offset * sizes[axis] + positions[axis]
        index.append(offset)
    return tuple(index)


class ElementMap:
    """A map from each element of the output to the elements of the inputs from which a pattern computes it.

    Attributes:
        shape: the shape of the output.
        sources: for each index of the output a list; each of its items has one index for each input.
    """

    def __init__(self, pattern: str, shapes: Sequence[Shape], given: Sizes) -> None:
        inputs = parse_input_dimensions(pattern, shapes)
        axes = list(dict.fromkeys(axis for dimensions in inputs for dimension in dimensions for axis in dimension))
        output = parse_dimensions(pattern.partition("->")[2], ">")
        output = expand_ellipsis(output, sum(axis.startswith("...") for axis in axes))
        axes += dict.fromkeys(axis for dimension in output for axis in dimension if axis not in axes)
        sizes = {**axis_sizes(pattern, shapes, given), **_sizes_of_numeric_axes(output)}
        self.shape: Shape = tuple(math.prod(sizes[axis] for axis in dimension) for dimension in output)
        self.sources: dict[Index, list[tuple[Index, ...]]] = {
            index: [] for index in itertools.product(*map(range, self.shape))
        }
        for values in itertools.product(*(range(sizes[axis]) for axis in axes)):
            positions = dict(zip(axes, values, strict=True))
            source = tuple(tensor_index(dimensions, positions, sizes) for dimensions in inputs)
            self.sources[tensor_index(output, positions, sizes)].append(source)

    def compute_elements(self, element: Callable[[list[tuple[Index, ...]]], Any]) -> NDArray[Any]:
        """Return an array of objects in the output's shape: for each index what ``element`` returns for its sources."""
        result = np.empty(self.shape, dtype=object)
        for index, sources in self.sources.items():
            result[index] = element(sources)
        return result


def rearrange(pattern: str, array: NDArray[Any], sizes: Sizes) -> NDArray[Any]:
    """Compute ``rearrange`` or ``repeat``: every element of the output is one element of the input."""

    def element(sources: list[tuple[Index, ...]]) -> Any:
        ((index,),) = sources
        return array[index]

    return ElementMap(pattern, [array.shape], sizes).compute_elements(element)


def reduce(pattern: str, array: NDArray[Any], reduction: str, sizes: Sizes) -> NDArray[Any]:
    """Compute ``reduce``: every element of the output is a reduction of some elements of the input."""
    combine = REDUCTIONS[reduction]
    return ElementMap(pattern, [array.shape], sizes).compute_elements(
        lambda sources: combine([array[index].item() for (index,) in sources])
    )


def einsum(pattern: str, arrays: Sequence[NDArray[Any]], sizes: Sizes) -> NDArray[Any]:
    """Compute ``einsum``: every element of the output is a sum of products."""

    def product(indices: tuple[Index, ...]) -> Any:
        return math.prod(array[index].item() for array, index in zip(arrays, indices, strict=True))

    return ElementMap(pattern, [array.shape for array in arrays], sizes).compute_elements(
        lambda sources: sum(product(indices) for indices in sources)
    )


def _has_nan(values: Sequence[Any]) -> bool:
    return any(value != value for value in values)  # noqa: PLR0124  # NaN alone differs from itself


def _min(values: Sequence[Any]) -> Any:
    return math.nan if _has_nan(values) else min(values)


def _max(values: Sequence[Any]) -> Any:
    return math.nan if _has_nan(values) else max(values)


def _sum(values: Sequence[Any]) -> Any:
    if any(isinstance(value, complex) for value in values):
        return complex(math.fsum(value.real for value in values), math.fsum(value.imag for value in values))
    return math.fsum(values) if any(isinstance(value, float) for value in values) else sum(values)


def _mean(values: Sequence[Any]) -> Any:
    return _sum(values) / len(values) if values else math.nan


def _var(values: Sequence[Any]) -> Any:
    mean = _mean(values)
    return _mean([abs(value - mean) ** 2 for value in values])


def _std(values: Sequence[Any]) -> Any:
    return math.sqrt(_var(values))


def _logsumexp(values: Sequence[Any]) -> Any:
    if _has_nan(values):
        return math.nan
    largest = max(values, default=-math.inf)
    if math.isinf(largest):
        return largest
    return largest + math.log(math.fsum(math.exp(value - largest) for value in values))


REDUCTIONS: dict[str, Callable[[Sequence[Any]], Any]] = {
    "min": _min,
    "max": _max,
    "sum": _sum,
    "mean": _mean,
    "prod": math.prod,
    "any": lambda values: any(bool(value) for value in values),
    "all": lambda values: all(bool(value) for value in values),
    "var": _var,
    "std": _std,
    "logsumexp": _logsumexp,
}
"""By name of a reduction, the function that reduces a list of elements."""
