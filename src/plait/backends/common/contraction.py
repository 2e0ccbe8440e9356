"""An einsum out of the array API standard, which has none: products of matrices over batches."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from plait.backends.common.equation import axis_sizes, expand_terms


def contract(space: Any, equation: str, *tensors: Any) -> Any:
    """Multiply and sum by the functions of a namespace, two tensors at a time, from left to right."""
    terms, output = expand_terms(equation, [tensor.ndim for tensor in tensors])
    if any(0 in tensor.shape for tensor in tensors) and hasattr(space, "zeros"):  # of which PyData Sparse fails
        sizes = axis_sizes(terms, tensors)
        return space.zeros(tuple(sizes[name] for name in output), dtype=space.result_type(*tensors))
    term, result = diagonal(space, terms[0], tensors[0])
    for number in range(1, len(terms)):
        after = set(output).union(*terms[number + 1 :])
        term, result = _pair(space, (term, result), diagonal(space, terms[number], tensors[number]), after)
    term, result = _alone(space, (term, result), set(output))
    return space.permute_dims(result, tuple(term.index(name) for name in output))


def diagonal(space: Any, term: str, tensor: Any) -> tuple[str, Any]:
    """Keep only the elements with equal indices along each repeated axis."""
    for name in dict.fromkeys(term):
        while term.count(name) > 1:
            places = [place for place, other in enumerate(term) if other == name][:2]
            rest = [place for place in range(len(term)) if place not in places]
            size = tensor.shape[places[0]]
            kept = tuple(tensor.shape[place] for place in rest)
            square = space.reshape(space.permute_dims(tensor, (*rest, *places)), (*kept, size * size))
            tensor = square[(..., slice(None, None, size + 1))]
            term = "".join(term[place] for place in rest) + name
    return term, tensor


def _pair(space: Any, one: tuple[str, Any], other: tuple[str, Any], after: set[str]) -> tuple[str, Any]:
    """The product of two tensors, summed over the axes that neither the output nor a later tensor has."""
    (left, a), (right, b) = _alone(space, one, set(other[0]) | after), _alone(space, other, set(one[0]) | after)
    batch = [name for name in left if name in right and name in after]
    inner = [name for name in left if name in right and name not in after]
    rows = [name for name in left if name not in right]
    columns = [name for name in right if name not in left]
    sizes = axis_sizes((left, right), (a, b))
    names = (*batch, *rows, *columns)
    if inner:
        a = _arrange(space, a, left, (*batch, rows, inner))
        b = _arrange(space, b, right, (*batch, inner, columns))
        result = space.matmul(a, b)
    else:  # nothing is summed; PyData Sparse multiplies no tensors of rank 0
        result = _arrange(space, a, left, names or ("",)) * _arrange(space, b, right, names or ("",))
    return "".join(names), space.reshape(result, tuple(sizes[name] for name in names))


def _alone(space: Any, pair: tuple[str, Any], needed: set[str]) -> tuple[str, Any]:
    """Sum over the axes that are not needed."""
    term, tensor = pair
    places = tuple(place for place, name in enumerate(term) if name not in needed)
    if not places:
        return pair
    return "".join(name for name in term if name in needed), space.sum(tensor, axis=places, dtype=tensor.dtype)


def _arrange(space: Any, tensor: Any, term: str, dims: Sequence[Sequence[str]]) -> Any:
    """A tensor with these axes in each of its dimensions, without those that it lacks."""
    sizes = dict(zip(term, tensor.shape, strict=True))
    order = tuple(term.index(name) for dim in dims for name in dim if name in term)
    shape = tuple(prod(sizes.get(name, 1) for name in dim) for dim in dims)
    return space.reshape(space.permute_dims(tensor, order) if order else tensor, shape)
