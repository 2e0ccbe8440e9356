"""From a classical equation of einsum to the same tree that a pattern makes: every letter an axis."""

from __future__ import annotations

from collections import Counter

from plait._notation.tree import Ellipsis, Expr, Name, Tree
from plait.errors import fail


def parse_equation(equation: str, count: int) -> Tree:
    """The tree of a classical equation: every letter an axis, white space ignored, the output optional.

    Args:
        equation: such as ``"ij,jk->ik"`` or ``"ij,jk"``.
        count: the number of tensors.

    Raises:
        PatternSyntaxError: PLT101, PLT102, PLT105, PLT106 or PLT110.

    >>> from plait._notation.unparse import tree_text
    >>> tree_text(parse_equation("ij, jk", 2))
    'i j, j k -> i k'
    """
    if not isinstance(equation, str):
        raise fail("PLT101", f"the equation must be text, and this is {type(equation).__name__}")
    sides = _classical_sides(equation)
    left = sides[0]
    if len(left) != count:
        message = f"the equation has {len(left)} tensor{'s' * (len(left) != 1)}, and einsum was given {count}"
        raise fail("PLT202", message, equation, [(expr.start, expr.stop) for expr in left])
    right = sides[1] if len(sides) == 2 else (_implicit(left, len(equation)),)
    if len(right) != 1:
        raise fail("PLT110", "einsum gives one tensor", equation, [(expr.start, expr.stop) for expr in right])
    return Tree(equation, left, right, classical=True)


def _classical_sides(equation: str) -> list[tuple[Expr, ...]]:
    sides: list[tuple[Expr, ...]] = []
    exprs: list[Expr] = []
    items: list[Name | Ellipsis] = []
    start = place = 0
    while place <= len(equation):
        char = equation[place : place + 1]
        if char == "," or not char or equation.startswith("->", place):
            if char == "-" and sides:
                raise fail("PLT105", "an equation has one arrow", equation, [(place, place + 2)])
            exprs.append(Expr(tuple(items), start, place))
            items = []
            start = place + (2 if char == "-" else 1)
            if char != ",":
                sides.append(tuple(exprs))
                exprs = []
            place = start
            continue
        if equation.startswith("...", place):
            if any(type(item) is Ellipsis for item in items):
                raise fail("PLT106", "an ellipsis may stand once in a tensor", equation, [(place, place + 3)])
            items.append(Ellipsis(None, place, place + 3))
            place += 3
            continue
        if char.isascii() and char.isalpha():
            items.append(Name(char, place, place + 1))
        elif not char.isspace():
            message = f"{char!r} cannot stand in an equation, whose axes are the letters a to z and A to Z"
            raise fail("PLT110", message, equation, [(place, place + 1)])
        place += 1
    return sides


def _implicit(left: tuple[Expr, ...], end: int) -> Expr:
    """The output where the equation has none: the ellipsis, then the letters that stand once, sorted."""
    found = [item for expr in left for item in expr.items]
    counts = Counter(item.text for item in found if isinstance(item, Name))
    once = sorted(letter for letter, count in counts.items() if count == 1)
    dots = [Ellipsis(None, end, end)] if any(isinstance(item, Ellipsis) for item in found) else []
    return Expr((*dots, *(Name(letter, end, end) for letter in once)), end, end)
