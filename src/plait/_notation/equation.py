"""The parser of classical einsum equations such as ``"ij,jk->ik"``: every letter becomes an axis of a `Tree`."""

from __future__ import annotations

import re
from collections import Counter

from plait._notation.tree import Ellipsis, Name, TensorExpr, Tree
from plait.errors import make_error

_TOKEN_REGEX = re.compile(r"->|\.\.\.|\S|\Z")
"""With ``finditer``: matches each token of an equation, and at the end the empty string."""


def parse_equation(equation: str, tensor_count: int) -> Tree:
    """Return the tree of a classical equation for several tensors; it may have white space, and may lack an output.

    >>> str(parse_equation("ij, jk", 2))
    'i j, j k -> i k'
    """
    if not isinstance(equation, str):
        raise make_error("PLT101", f"the equation must be a string, not {type(equation).__name__}")
    sides: list[tuple[TensorExpr, ...]] = []
    exprs: list[TensorExpr] = []
    items: list[Name | Ellipsis] = []
    expr_start = 0
    for match in _TOKEN_REGEX.finditer(equation):
        symbol, (start, stop) = match[0], match.span()
        if symbol in ("->", ",", ""):
            if symbol == "->" and sides:
                raise make_error("PLT105", "an equation has only one arrow", equation, [(start, stop)])
            exprs.append(TensorExpr(tuple(items), expr_start, start))
            items, expr_start = [], stop
            if symbol != ",":
                sides.append(tuple(exprs))
                exprs = []
        elif symbol == "...":
            if Ellipsis in map(type, items):
                raise make_error("PLT106", "an ellipsis can appear only once in a tensor", equation, [(start, stop)])
            items.append(Ellipsis(None, start, stop))
        elif symbol.isascii() and symbol.isalpha():
            items.append(Name(symbol, start, stop))
        else:
            message = f"unexpected {symbol!r} in an equation; its axes are the letters a to z and A to Z"
            raise make_error("PLT110", message, equation, [(start, stop)])
    left = sides[0]
    if len(left) != tensor_count:
        message = f"the equation has {len(left)} tensor{'s' * (len(left) != 1)}, but einsum was given {tensor_count}"
        raise make_error("PLT202", message, equation, [(expr.start, expr.stop) for expr in left])
    right = sides[1] if len(sides) == 2 else (_implicit_output(left, len(equation)),)
    if len(right) != 1:
        raise make_error(
            "PLT110", "einsum has exactly one output", equation, [(expr.start, expr.stop) for expr in right]
        )
    return Tree(equation, left, right, is_classical=True)


def _implicit_output(left: tuple[TensorExpr, ...], end: int) -> TensorExpr:
    """Return the output of an equation without an arrow: the ellipsis, then the letters that appear once, sorted."""
    inputs = [item for expr in left for item in expr.items]
    counts = Counter(item.text for item in inputs if isinstance(item, Name))
    letters = sorted(letter for letter, count in counts.items() if count == 1)
    dots = [Ellipsis(None, end, end)] if any(isinstance(item, Ellipsis) for item in inputs) else []
    return TensorExpr((*dots, *(Name(letter, end, end) for letter in letters)), end, end)
