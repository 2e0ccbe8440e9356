"""Products of arrays of chunks, two arrays at a time, so that no task needs a chunk of each."""

from __future__ import annotations

from math import inf
from typing import Any

import dask
import dask.array as da
import numpy as np

from plait.backends.common.equation import replace_ellipsis
from plait.backends.dask.shapes import is_unknown
from plait.backends.reduction_rules import is_half_precision
from plait.errors import make_error


def contract(equation: str, *tensors: Any) -> Any:
    """``einsum`` in the classical form, with an arrow."""
    arrays = [da.asanyarray(tensor) for tensor in tensors]
    if any(isinstance(array._meta, np.ma.MaskedArray) for array in arrays):
        raise make_error(
            "PLT503", "einsum is not defined on masked arrays; fill them first, as da.ma.filled(x, 0) does"
        )
    result = np.result_type(*[array.dtype for array in arrays])  # Dask's own sums over chunks would widen integers
    dtype = np.dtype(np.float32) if is_half_precision(result) else result
    arrays = [array.astype(dtype) if is_half_precision(array.dtype) else array for array in arrays]
    terms, output = replace_ellipsis(equation, [array.ndim for array in arrays])
    arrays = [_square(term, array) for term, array in zip(terms, arrays, strict=True)]
    for places in _path(terms, output, arrays):
        chosen = [(terms.pop(place), arrays.pop(place)) for place in sorted(places, reverse=True)]
        needed = set(output).union(*terms)
        parts = chosen
        if len(chosen) > 1:
            parts = [_alone(pair, needed.union(term)) for pair, (term, _) in zip(chosen, chosen[::-1], strict=True)]
        names = dict.fromkeys(name for term, _ in reversed(parts) for name in term if name in needed)
        terms.append("".join(names) if terms else output)
        arrays.append(_product(parts, terms[-1]).astype(dtype))
    return arrays[0].astype(result)


def _product(parts: list[tuple[str, Any]], output: str) -> Any:
    equation = f"{','.join(term for term, _ in parts)}->{output}"
    arrays = [array for _, array in parts]
    if not any(map(is_unknown, arrays)):
        return da.einsum(equation, *arrays, optimize=len(arrays) > 1)
    with dask.config.set({"array.chunk-size-tolerance": inf}):  # else Dask would divide by what it does not know
        return da.einsum(equation, *arrays)


def _square(term: str, array: Any) -> Any:
    """Give both dimensions of a repeated axis the same chunks: a chunk on the diagonal is then a square."""
    chunks = {place: array.chunks[term.index(name)] for place, name in enumerate(term)}
    return array if tuple(chunks.values()) == array.chunks else array.rechunk(chunks)


def _path(terms: list[str], output: str, arrays: list[Any]) -> list[tuple[int, ...]]:
    """Which arrays are multiplied next, until one is left."""
    count = len(arrays)
    if count > 2 and not any(map(is_unknown, arrays)):
        shapes = [np.broadcast_to(np.float32(0), array.shape) for array in arrays]  # no memory behind them
        _, *path = np.einsum_path(f"{','.join(terms)}->{output}", *shapes, optimize="greedy")[0]
        if all(len(places) == 2 for places in path):
            return path
    return [(0, 1)] * (count - 1) or [(0,)]


def _alone(pair: tuple[str, Any], needed: set[str]) -> tuple[str, Any]:
    """Sum over the axes that only this array has, before it is multiplied with the chunks of others."""
    term, array = pair
    kept = "".join(dict.fromkeys(name for name in term if name in needed))
    return pair if set(kept) == set(term) else (kept, da.einsum(f"{term}->{kept}", array).astype(array.dtype))
