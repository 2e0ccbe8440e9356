"""What a framework offers beside its einsum, where plans take contractions apart into products of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

Product: TypeAlias = Callable[[Any, Any], Any]


def as_it_is(call: Callable[..., Any]) -> Callable[..., Any]:
    """What nothing is done to: `Products.around` of most types, `Backend.whole` of most frameworks."""
    return call


def no_products(dtypes: tuple[Any, ...]) -> Products | None:  # noqa: ARG001  # a `Backend.products`
    """What a framework whose einsum is the best way to contract has for `Backend.products`."""
    return None


class Products(NamedTuple):
    """The calls for elements of some types, and what they cost.

    Attributes:
        einsum: the framework's own einsum, for tensors of this kind alone.
        dot: a product of two tensors of rank 1 or 2.
        matmul: a product of matrices, of which at least one tensor has several.
        vecdot: products of vectors along the last dimension, where there is such a function.
        multiply: a product of elements, stretched as broadcasting does.
        update: the same, into the memory of the first.
        copy: the same elements in memory of their own; the second argument is nothing.
        add: the sum along some dimensions, in the tensor's own type.
        diagonal: the elements with equal indices in two dimensions, as a new last one.
        fill: makes a product of matrices that fills memory of a shape, whose dimensions it has in that order.
        prices: the prices of weft's planner that differ from its own.
        around: what becomes of the whole call: one in a wider type, for instance.
    """

    einsum: Callable[..., Any]
    dot: Product
    matmul: Product
    vecdot: Product | None
    multiply: Product
    update: Product | None
    copy: Callable[[Any, None], Any]
    add: Callable[[Any, tuple[int, ...]], Any]
    diagonal: Callable[[Any, tuple[int, int]], Any]
    fill: Callable[[Sequence[int], Sequence[int]], Product] | None
    prices: dict[str, Any]
    around: Callable[[Callable[..., Any]], Callable[..., Any]] = as_it_is
