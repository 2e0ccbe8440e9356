"""Einsum of Dask arrays, which contracts two arrays at a time, so that no task needs a chunk of every array."""

from __future__ import annotations

from math import inf
from typing import Any

import dask
import dask.array as da
import numpy as np

from plait.backends.common.equation import replace_ellipsis
from plait.backends.dask.own_arithmetic import contract_chunks, has_own_arithmetic
from plait.backends.dask.shapes import has_unknown_length
from plait.backends.reduction_rules import byte_integer_name, is_low_precision


def einsum_by_pairs(equation: str, *tensors: Any) -> Any:
    """Contract arrays pairwise; the equation is in the classical form with an arrow."""
    arrays = [da.asanyarray(tensor) for tensor in tensors]
    result = np.result_type(*[array.dtype for array in arrays])  # Dask's sums over chunks would widen integers
    dtype = np.dtype(np.float32) if is_low_precision(result) else np.dtype(byte_integer_name(result) or result)
    # of all, since a product of two narrower ones would overflow, or be the conjunction of two bools
    arrays = [array if array.dtype == dtype else array.astype(dtype) for array in arrays]
    terms, output = replace_ellipsis(equation, [array.ndim for array in arrays])
    arrays = [_align_diagonal_chunks(term, array) for term, array in zip(terms, arrays, strict=True)]
    for numbers in _contraction_path(terms, output, arrays):
        chosen = [(terms.pop(number), arrays.pop(number)) for number in sorted(numbers, reverse=True)]
        needed = set(output).union(*terms)
        parts = chosen
        if len(chosen) > 1:
            parts = [
                _sum_unneeded_axes(pair, needed.union(term))
                for pair, (term, _) in zip(chosen, chosen[::-1], strict=True)
            ]
        names = dict.fromkeys(name for term, _ in reversed(parts) for name in term if name in needed)
        terms.append("".join(names) if terms else output)
        arrays.append(_contract_terms(parts, terms[-1]).astype(dtype))
    return arrays[0].astype(result)


def _contract_terms(parts: list[tuple[str, Any]], output: str) -> Any:
    """Contract arrays, each with its term, by one einsum of Dask."""
    equation = f"{','.join(term for term, _ in parts)}->{output}"
    arrays = [array for _, array in parts]
    if any(map(has_own_arithmetic, arrays)):
        return contract_chunks([term for term, _ in parts], output, arrays)
    if not any(map(has_unknown_length, arrays)):
        return da.einsum(equation, *arrays, optimize=len(arrays) > 1)
    with dask.config.set({"array.chunk-size-tolerance": inf}):  # otherwise Dask would divide by an unknown length
        return da.einsum(equation, *arrays)


def _align_diagonal_chunks(term: str, array: Any) -> Any:
    """Give the dimensions of an axis that a term repeats the same chunks, so that those on the diagonal are squares."""
    chunks = {dimension: array.chunks[term.index(name)] for dimension, name in enumerate(term)}
    return array if tuple(chunks.values()) == array.chunks else array.rechunk(chunks)


def _contraction_path(terms: list[str], output: str, arrays: list[Any]) -> list[tuple[int, ...]]:
    """Return the contraction path: the indices of the arrays of each step, whose result is appended to the list."""
    count = len(arrays)
    if count > 2 and not any(map(has_unknown_length, arrays)):
        shapes = [np.broadcast_to(np.float32(0), array.shape) for array in arrays]  # they need no memory for elements
        _, *path = np.einsum_path(f"{','.join(terms)}->{output}", *shapes, optimize="greedy")[0]
        if all(len(numbers) == 2 for numbers in path):
            return path
    return [(0, 1)] * (count - 1) or [(0,)]


def _sum_unneeded_axes(pair: tuple[str, Any], needed: set[str]) -> tuple[str, Any]:
    """Sum an array over the axes that are not needed, before its chunks are multiplied; return the new term too."""
    term, array = pair
    kept = "".join(dict.fromkeys(name for name in term if name in needed))
    return pair if set(kept) == set(term) else (kept, _contract_terms([pair], kept).astype(array.dtype))
