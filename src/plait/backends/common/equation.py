"""Equations without ``...``, for frameworks whose einsum does not stretch length 1 there, or does and complains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from string import ascii_letters
from typing import Any

from plait.errors import make_error


def expand_terms(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """The terms and the output of an equation with an arrow, with letters in place of the dots.

    >>> expand_terms("...ij,jk->...ik", (4, 2))
    (['abij', 'jk'], 'abik')
    """
    left, output = equation.split("->")
    terms = left.split(",")
    free = [letter for letter in ascii_letters if letter not in equation]
    counts = [rank - len(term.replace("...", "")) for rank, term in zip(ranks, terms, strict=True)]
    longest = max([count for count, term in zip(counts, terms, strict=True) if "..." in term], default=0)
    if longest > len(free):
        raise make_error("PLT506", f"einsum can name {len(ascii_letters)} axes, and the tensors have more")
    dots = "".join(free[:longest])
    named = [term.replace("...", dots[longest - count :]) for count, term in zip(counts, terms, strict=True)]
    return named, output.replace("...", dots)


def expand_ellipsis(
    equation: str,
    tensors: Sequence[Any],
    shapes: Sequence[Sequence[Any]],
    squeeze: Callable[[Any, tuple[int, ...]], Any],
) -> tuple[list[str], str, list[Any]]:
    """`expand_terms`, and the tensors without the dimensions along which they would broadcast; symbols are no 1."""
    terms, output = expand_terms(equation, [len(shape) for shape in shapes])
    long = {
        letter
        for term, shape in zip(terms, shapes, strict=True)
        for letter, size in zip(term, shape, strict=True)
        if letter not in equation and not _is_one(size)
    }
    squeezed = list(tensors)
    for number, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        axes = tuple([axis for axis, size in enumerate(shape) if term[axis] in long and _is_one(size)])
        if axes:
            squeezed[number] = squeeze(tensors[number], axes)
            terms[number] = "".join(letter for axis, letter in enumerate(term) if axis not in axes)
    return terms, output, squeezed


def _is_one(size: Any) -> bool:
    return type(size) is int and size == 1


def axis_sizes(terms: Sequence[str], tensors: Sequence[Any]) -> dict[str, int]:
    """The size of each letter: a dimension of length 1 is stretched."""
    sizes: dict[str, int] = {}
    for term, tensor in zip(terms, tensors, strict=True):
        sizes |= {name: size for name, size in zip(term, tensor.shape, strict=True) if sizes.get(name, 1) == 1}
    return sizes


def einsum_in(
    dtype: Any, einsum: Callable[..., Any], cast: Callable[[Any, Any], Any], equation: str, tensors: Sequence[Any]
) -> Any:
    """An einsum in another element type, usually a wider one; the result has the type of the first tensor."""
    return cast(einsum(equation, *[cast(tensor, dtype) for tensor in tensors]), tensors[0].dtype)
