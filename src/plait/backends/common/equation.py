"""Equations of einsum without ``...``, for frameworks whose einsum does not broadcast the dimensions of an ellipsis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from string import ascii_letters
from typing import Any

from plait.errors import make_error


def replace_ellipsis(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """Return the terms and the output of an equation with an arrow, with a letter for each dimension of ``...``.

    >>> replace_ellipsis("...ij,jk->...ik", (4, 2))
    (['abij', 'jk'], 'abik')
    """
    left, output = equation.split("->")
    terms = left.split(",")
    free = [letter for letter in ascii_letters if letter not in equation]
    counts = [rank - len(term.replace("...", "")) for rank, term in zip(ranks, terms, strict=True)]
    longest = max([count for count, term in zip(counts, terms, strict=True) if "..." in term], default=0)
    if longest > len(free):
        raise make_error("PLT506", f"einsum supports {len(ascii_letters)} different axes, but these tensors have more")
    dots = "".join(free[:longest])
    named = [term.replace("...", dots[longest - count :]) for count, term in zip(counts, terms, strict=True)]
    return named, output.replace("...", dots)


def replace_ellipsis_and_squeeze(
    equation: str,
    tensors: Sequence[Any],
    shapes: Sequence[Sequence[Any]],
    squeeze: Callable[[Any, tuple[int, ...]], Any],
) -> tuple[list[str], str, list[Any]]:
    """Replace ``...`` by letters, and squeeze the dimensions of length 1 along which a tensor would broadcast.

    Returns the terms, the output and the tensors. A symbolic size counts as different from 1.
    """
    terms, output = replace_ellipsis(equation, [len(shape) for shape in shapes])
    broadcast = {
        letter
        for term, shape in zip(terms, shapes, strict=True)
        for letter, size in zip(term, shape, strict=True)
        if letter not in equation and not _is_one(size)
    }
    squeezed = list(tensors)
    for number, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        axes = tuple([axis for axis, size in enumerate(shape) if term[axis] in broadcast and _is_one(size)])
        if axes:
            squeezed[number] = squeeze(tensors[number], axes)
            terms[number] = "".join(letter for axis, letter in enumerate(term) if axis not in axes)
    return terms, output, squeezed


def _is_one(size: Any) -> bool:
    """Return whether a size is the int 1, and not symbolic."""
    return type(size) is int and size == 1


def axis_sizes(terms: Sequence[str], tensors: Sequence[Any]) -> dict[str, int]:
    """Return the length of each axis by its letter; dimensions of length 1 broadcast."""
    sizes: dict[str, int] = {}
    for term, tensor in zip(terms, tensors, strict=True):
        sizes |= {name: size for name, size in zip(term, tensor.shape, strict=True) if sizes.get(name, 1) == 1}
    return sizes
