"""From a tree back to text, in the one canonical form: single spaces, no others."""

from __future__ import annotations

from collections.abc import Sequence

from plait._notation.tree import Bracket, Ellipsis, Expr, Group, Item, Mark, Name, Number, Tree


def item_text(item: Item) -> str:
    """One item of a pattern as text."""
    match item:
        case Name(text) | Mark(text):
            return text
        case Number(value):
            return str(value)
        case Ellipsis(name):
            return f"{name or ''}..."
        case Group(parts):
            return "(" + " + ".join(_join(part) for part in parts) + ")"
        case Bracket(items):
            return "[" + _join(items) + "]"


def expr_text(expr: Expr) -> str:
    """One tensor of a pattern as text."""
    return _join(expr.items)


def side_text(side: tuple[Expr, ...]) -> str:
    """One side of a pattern as text."""
    return ", ".join(expr_text(expr) for expr in side)


def tree_text(tree: Tree) -> str:
    """A whole pattern as text.

    >>> from plait._notation.parser import parse
    >>> tree_text(parse(" b(h  p)->b h p "))
    'b (h p) -> b h p'
    """
    if tree.right is None:
        return side_text(tree.left)
    return f"{side_text(tree.left)} -> {side_text(tree.right)}".strip()


def dimension_text(axes: Sequence[str]) -> str:
    """One dimension of a tensor as text: ``h``, ``(h p)``, or ``1`` where it has no axes."""
    if len(axes) == 1:
        return axes[0]
    return f"({' '.join(axes)})" if axes else "1"


def _join(items: tuple[Item, ...]) -> str:
    return " ".join(item_text(item) for item in items)
