"""From a classical equation of einsum to the same tree that a pattern makes: every letter an axis."""

from __future__ import annotations

import re
from collections import Counter

from plait._notation.tree import Ellipsis, Expr, Name, Tree
from plait.errors import make_error

_TOKEN = re.compile(r"->|\.\.\.|\S|\Z")
"""Matches one sign after the other with ``finditer``, and in the end the empty text."""


def parse_equation(equation: str, count: int) -> Tree:
    """The tree of a classical equation for so many tensors: white space is ignored, and the output optional.

    >>> str(parse_equation("ij, jk", 2))
    'i j, j k -> i k'
    """
    if not isinstance(equation, str):
        raise make_error("PLT101", f"the equation must be text, and this is {type(equation).__name__}")
    sides: list[tuple[Expr, ...]] = []
    exprs: list[Expr] = []
    items: list[Name | Ellipsis] = []
    expr_start = 0
    for match in _TOKEN.finditer(equation):
        sign, (start, stop) = match[0], match.span()
        if sign in ("->", ",", ""):
            if sign == "->" and sides:
                raise make_error("PLT105", "an equation has one arrow", equation, [(start, stop)])
            exprs.append(Expr(tuple(items), expr_start, start))
            items, expr_start = [], stop
            if sign != ",":
                sides.append(tuple(exprs))
                exprs = []
        elif sign == "...":
            if Ellipsis in map(type, items):
                raise make_error("PLT106", "an ellipsis may stand once in a tensor", equation, [(start, stop)])
            items.append(Ellipsis(None, start, stop))
        elif sign.isascii() and sign.isalpha():
            items.append(Name(sign, start, stop))
        else:
            message = f"{sign!r} cannot stand in an equation, whose axes are the letters a to z and A to Z"
            raise make_error("PLT110", message, equation, [(start, stop)])
    left = sides[0]
    if len(left) != count:
        message = f"the equation has {len(left)} tensor{'s' * (len(left) != 1)}, and einsum was given {count}"
        raise make_error("PLT202", message, equation, [(expr.start, expr.stop) for expr in left])
    right = sides[1] if len(sides) == 2 else (_implicit(left, len(equation)),)
    if len(right) != 1:
        raise make_error("PLT110", "einsum gives one tensor", equation, [(expr.start, expr.stop) for expr in right])
    return Tree(equation, left, right, classical=True)


def _implicit(left: tuple[Expr, ...], end: int) -> Expr:
    """The output where the equation has none: the ellipsis, then the letters that appear once, sorted."""
    found = [item for expr in left for item in expr.items]
    counts = Counter(item.text for item in found if isinstance(item, Name))
    once = sorted(letter for letter, count in counts.items() if count == 1)
    dots = [Ellipsis(None, end, end)] if any(isinstance(item, Ellipsis) for item in found) else []
    return Expr((*dots, *(Name(letter, end, end) for letter in once)), end, end)
