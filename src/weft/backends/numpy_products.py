"""NumPy's products: BLAS for the types that it knows, and half types by way of ``float32``.

``numpy.einsum`` itself is a loop in C that no BLAS takes part in; plans call it for what they do not take apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import numpy as np

from weft.backends.numpy_reductions import is_half
from weft.backends.products import Product, Products, as_it_is

_BLAS = {"f": {}, "d": {"flop": 3.4e-5}, "F": {"flop": 6.8e-5}, "D": {"flop": 1.36e-4}}
"""The types that BLAS multiplies, and what an operation costs."""


def products(dtypes: Sequence[Any]) -> Products | None:
    """What there is for arrays of these types; ``None`` where only ``numpy.einsum`` can tell."""
    if any(is_half(dtype) for dtype in dtypes):
        wide = [np.dtype(np.float32) if is_half(dtype) else dtype for dtype in dtypes]
        found = products(wide)
        half = np.result_type(*dtypes)
        return found and found._replace(around=lambda call: _widened(call, wide, half))
    try:
        dtype = np.result_type(*dtypes)
    except TypeError:
        return None
    if dtype.kind not in "biufc" or dtype.isbuiltin != 1:
        return None
    prices: dict[str, float] = _BLAS[dtype.char] if dtype.char in _BLAS else {"flop": inf}
    return Products(
        dot=np.ndarray.dot,
        matmul=np.matmul,
        multiply=np.multiply,
        add=lambda tensor, axes: np.add.reduce(tensor, axes, dtype=dtype),
        diagonal=_diagonal,
        fill=lambda shape, order: _fill(shape, order, dtype),
        prices=prices,
        around=as_it_is,
    )


def _widened(call: Callable[..., Any], wide: Sequence[Any], half: Any) -> Callable[..., Any]:
    """Sums would lose most of their digits in 16 bits."""

    def widened(*tensors: Any) -> Any:
        return call(*[tensor.astype(dtype) for tensor, dtype in zip(tensors, wide, strict=True)]).astype(half)

    return widened


def _diagonal(tensor: Any, axes: tuple[int, int]) -> Any:
    view = tensor.diagonal(0, *axes)
    if tensor.flags.writeable:  # as that of numpy.einsum is
        view.flags.writeable = True
    return view


def _fill(shape: Sequence[int], order: Sequence[int], dtype: Any) -> Product:
    def product(one: Any, other: Any) -> Any:
        result = np.empty(shape, dtype)
        np.matmul(one, other, result.transpose(order))
        return result

    return product
