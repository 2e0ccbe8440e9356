"""The equation of an einsum, for frameworks that have to look into it."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters

from weft.errors import fail


def letters(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """The terms and the output of an equation with an arrow, with letters in place of the dots.

    Raises:
        BackendError: W506, there are not enough of them.

    >>> letters("...ij,jk->...ik", (4, 2))
    (['abij', 'jk'], 'abik')
    """
    left, output = equation.split("->")
    terms = left.split(",")
    free = [letter for letter in ascii_letters if letter not in equation]
    counts = [rank - len(term.replace("...", "")) for rank, term in zip(ranks, terms, strict=True)]
    longest = max([count for count, term in zip(counts, terms, strict=True) if "..." in term], default=0)
    if longest > len(free):
        raise fail("W506", f"einsum can name {len(ascii_letters)} axes, and the tensors have more")
    dots = "".join(free[:longest])
    named = [term.replace("...", dots[longest - count :]) for count, term in zip(counts, terms, strict=True)]
    return named, output.replace("...", dots)
