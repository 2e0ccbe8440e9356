"""The reductions that ``pytensor.tensor`` does not have as plait means them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytensor.tensor as pt
from pytensor.gradient import disconnected_grad

from plait.backends.pytensor.shapes import static

Reduction: TypeAlias = Callable[[Any, tuple[int, ...]], Any]


def _spreading(reduce: Callable[..., Any]) -> Reduction:
    """With NaN where there is one: what PyTensor compiles by default loses it."""

    def spreading(tensor: Any, axes: tuple[int, ...]) -> Any:
        found = pt.any(pt.isnan(tensor), axes)
        return pt.switch(found, pt.constant(float("nan"), dtype=tensor.dtype), reduce(tensor, axes))

    return spreading


def _complex_var(tensor: Any, axes: tuple[int, ...]) -> Any:
    apart = tensor - pt.mean(tensor, axes, keepdims=True)  # pt.var squares this, and squares may be negative
    return pt.mean(pt.real(apart) ** 2 + pt.imag(apart) ** 2, axes)


def _logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
    """As PyTensor makes it of its own by a rewriting that not every mode has.

    ``log1p(x - 1)`` is ``log(x)``, but not to that rewriting, which would take out the maximum once more.
    """
    if 0 in [static(tensor)[axis] for axis in axes]:
        return pt.log(pt.sum(tensor, axes))  # the logarithm of nothing's sum, 0
    peak = pt.max(tensor, axes, keepdims=True)
    peak = disconnected_grad(pt.switch(pt.isinf(peak), 0, peak))
    return pt.log1p(pt.sum(pt.exp(tensor - peak), axes) - 1) + pt.squeeze(peak, axes)


SPECIAL: dict[tuple[str, str | None], Reduction] = {
    ("min", "floating"): _spreading(pt.min),
    ("max", "floating"): _spreading(pt.max),
    ("logsumexp", "floating"): _logsumexp,
    ("var", "complex"): _complex_var,
    ("std", "complex"): lambda tensor, axes: pt.sqrt(_complex_var(tensor, axes)),
}
