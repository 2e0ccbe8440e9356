"""PyTorch's products, which ``torch.einsum`` ends in, without what it does before."""

from __future__ import annotations

from typing import Any

import torch

from plait.backends.capabilities import Products

_PRICES: dict[str, Any] = {
    "view": 2.0,
    "matmul": 2.5,
    "multiply": 3.0,
    "add": 4.0,
    "einsum": 16.0,
    "glance": 16.0,
    "scan": 2e-3,
    "stray": 2e-3,
    "copied_row": 1e-3,
    "stretched": 2.2e-4,
    "streams": 1.6e-3,
    "added": 2e-4,
    "loops": False,
    "rows": False,
    "together": False,
    "fills": False,
    "folds": True,
}
"""Calls that autograd records take longer than NumPy's."""


def _diagonal(tensor: Any, axes: tuple[int, int]) -> Any:
    return torch.diagonal(tensor, 0, *axes)


def products(dtypes: tuple[Any, ...]) -> Products | None:
    """What there is for tensors of these types; of several types ``torch.einsum`` says itself what it thinks."""
    dtype = dtypes[0]
    if any(other is not dtype for other in dtypes):
        return None
    return Products(
        einsum=torch.einsum,
        dot=torch.matmul,  # which autocast knows, as it does not torch.dot
        matmul=torch.bmm,
        vecdot=None,
        multiply=torch.mul,
        update=None,
        copy=lambda tensor, _: tensor.contiguous(),
        add=lambda tensor, axes: torch.sum(tensor, axes, dtype=dtype),
        diagonal=_diagonal,
        fill=None,
        prices=_PRICES,
    )
