"""Einsum of Dask arrays, which contracts two arrays at a time, so that no task needs a chunk of every array."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from math import inf, prod
from typing import Any

import dask
import dask.array as da
import numpy as np

from plait.backends.common.equation import replace_ellipsis
from plait.backends.dask.own_arithmetic import contract_chunks, has_own_arithmetic
from plait.backends.dask.shapes import has_unknown_length
from plait.backends.reduction_rules import byte_integer_name, is_low_precision
from plait.errors import format_bytes, make_error

RESULTS_PER_SUM = 6
"""How many blocks of a result one task holds, which adds the blocks of a summed axis in groups of four."""


def einsum_by_pairs(equation: str, *tensors: Any, limit: int | None = None) -> Any:
    """Contract arrays pairwise; the equation is in the classical form with an arrow.

    Under a limit, in bytes, the arrays get chunks so small that no task allocates more.
    """
    arrays = [da.asanyarray(tensor) for tensor in tensors]
    result = np.result_type(*[array.dtype for array in arrays])  # Dask's sums over chunks would widen integers
    dtype = np.dtype(np.float32) if is_low_precision(result) else np.dtype(byte_integer_name(result) or result)
    # of all, since a product of two narrower ones would overflow, or be the conjunction of two bools
    arrays = [array if array.dtype == dtype else array.astype(dtype) for array in arrays]
    terms, output = replace_ellipsis(equation, [array.ndim for array in arrays])
    arrays = [_align_diagonal_chunks(term, array) for term, array in zip(terms, arrays, strict=True)]
    path = _contraction_path(terms, output, arrays)
    if limit is not None:
        arrays = _rechunk_within_limit(terms, output, arrays, path, limit // dtype.itemsize)
    for numbers in path:
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
        with warnings.catch_warnings():
            if limit is not None:  # many small chunks are what the limit asks for
                warnings.simplefilter("ignore", da.PerformanceWarning)
            arrays.append(_contract_terms(parts, terms[-1]).astype(dtype))
    return arrays[0].astype(result)


def _rechunk_within_limit(
    terms: list[str], output: str, arrays: list[Any], path: list[tuple[int, ...]], max_elements: int
) -> list[Any]:
    """Return the arrays with chunks so small that the tasks of each step of a path have at most so many elements."""
    if any(map(has_unknown_length, arrays)):
        raise make_error("PLT313", "memory_limit cannot be kept for chunks of unknown lengths")
    lengths = {name: 1 for term in terms for name in term}  # of a chunk, and of the whole axis
    sizes = dict(lengths)
    for term, array in zip(terms, arrays, strict=True):
        for name, size, chunks in zip(term, array.shape, array.chunks, strict=True):
            sizes[name] = max(sizes[name], size)
            lengths[name] = max(lengths[name], *chunks) if size > 1 else lengths[name]
    for names, result in _steps_of_path(terms, output, path):
        while (needed := _task_elements(names, result, lengths)) > max_elements:
            candidates = {name for term in names for name in term if lengths[name] > 1}
            if not candidates:
                least = format_bytes(needed * arrays[0].dtype.itemsize)
                raise make_error("PLT313", f"a task of this einsum needs {least}, the least that was found")
            longest = max(sorted(candidates), key=lengths.__getitem__)
            lengths[longest] = -(-lengths[longest] // 2)
    return [
        array.rechunk(
            {place: min(lengths[name], size) for place, (name, size) in enumerate(zip(term, array.shape, strict=True))}
        )
        for term, array in zip(terms, arrays, strict=True)
    ]


def _steps_of_path(terms: list[str], output: str, path: list[tuple[int, ...]]) -> Iterator[tuple[list[str], str]]:
    """Yield the terms of each step of a path, and that of its result."""
    remaining = terms.copy()
    for numbers in path:
        chosen = [remaining.pop(number) for number in sorted(numbers, reverse=True)]
        needed = set(output).union(*remaining)
        result = "".join(dict.fromkeys(name for term in chosen for name in term if name in needed))
        remaining.append(result)
        yield chosen, result


def _task_elements(terms: list[str], result: str, lengths: dict[str, int]) -> int:
    """Return how many elements a task of a step allocates: copies of its chunks, and blocks of the result."""
    products = [prod([lengths[name] for name in term]) for term in (*terms, result)]
    return sum(products[:-1]) + RESULTS_PER_SUM * products[-1]


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
