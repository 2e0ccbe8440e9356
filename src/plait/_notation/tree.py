"""A pattern as a frozen tree, whose nodes know their place in the caller's text, and print in canonical form.

The nodes are named tuples and not dataclasses: importing `dataclasses` would take longer than the whole of plait.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from plait.errors import Span


class Name(NamedTuple):
    """An axis with a name, such as ``h``; NFKC-normalised."""

    text: str
    start: int
    stop: int

    def __str__(self) -> str:
        return self.text


class Number(NamedTuple):
    """An axis of that length without a name; ``1`` is a unit axis."""

    value: int
    start: int
    stop: int

    def __str__(self) -> str:
        return str(self.value)


class Ellipsis(NamedTuple):
    """Any number of axes: ``...``, or with a name ``name...``."""

    name: str | None
    start: int
    stop: int

    def __str__(self) -> str:
        return f"{self.name or ''}..."


class Group(NamedTuple):
    """``( )``: several axes in one dimension, row-major. Parts are what ``+`` separates."""

    parts: tuple[tuple[Item, ...], ...]
    start: int
    stop: int

    def __str__(self) -> str:
        return "(" + " + ".join(map(_join, self.parts)) + ")"


class Bracket(NamedTuple):
    """``[ ]``: the axes that an elementary operation works on."""

    items: tuple[Item, ...]
    start: int
    stop: int

    def __str__(self) -> str:
        return f"[{_join(self.items)}]"


class Mark(NamedTuple):
    """A sign with a meaning in one operation only: ``*`` in packing, ``_`` in ``parse_shape``."""

    text: str
    start: int
    stop: int

    def __str__(self) -> str:
        return self.text


Leaf: TypeAlias = "Name | Number | Ellipsis | Mark"
Item: TypeAlias = "Leaf | Group | Bracket"


class Expr(NamedTuple):
    """One tensor: its dimensions from left to right."""

    items: tuple[Item, ...]
    start: int
    stop: int

    @property
    def span(self) -> Span:
        """Where it is in the text, without the white space around it."""
        return (self.items[0].start, self.items[-1].stop) if self.items else (self.start, self.stop)

    def __str__(self) -> str:
        return _join(self.items)


class Tree(NamedTuple):
    """A whole pattern."""

    text: str
    left: tuple[Expr, ...]
    right: tuple[Expr, ...] | None  # ``None`` where the text has no arrow
    plain: bool = False  # each side is one tensor of names, numbers and groups, and nothing else
    classical: bool = False  # it was read from an equation of single letters

    def __str__(self) -> str:
        left = ", ".join(map(str, self.left))
        return left if self.right is None else f"{left} -> {', '.join(map(str, self.right))}".strip()


def _join(items: tuple[Item, ...]) -> str:
    return " ".join(map(str, items))


def leaves(item: Item) -> tuple[Leaf, ...]:
    """The axes of one dimension from left to right, with nested groups laid flat."""
    if type(item) is Group:
        inside = item.parts[0] if len(item.parts) == 1 else tuple([inner for part in item.parts for inner in part])
    elif type(item) is Bracket:
        inside = item.items
    else:
        return (item,)  # type: ignore[return-value]  # mypy does not narrow by type()
    for inner in inside:
        if type(inner) is Group or type(inner) is Bracket:
            return tuple([leaf for each in inside for leaf in leaves(each)])
    return inside  # type: ignore[return-value]  # as above


def all_leaves(exprs: Iterable[Expr]) -> list[Leaf]:
    """The axes of some tensors, in the order of the text."""
    return [leaf for expr in exprs for item in expr.items for leaf in leaves(item)]


def names(exprs: Iterable[Expr]) -> dict[str, Name]:
    """The names in these tensors, in the order of the text, each with its first node."""
    found: dict[str, Name] = {}
    for leaf in all_leaves(exprs):
        if isinstance(leaf, Name):
            found.setdefault(leaf.text, leaf)
    return found


def items_by_dimension(expr: Expr, rank: int) -> list[Item]:
    """What a pattern has for each dimension of a tensor of this rank."""
    items: list[Item] = []
    for item in expr.items:
        items += [item] * (rank - len(expr.items) + 1 if type(item) is Ellipsis else 1)
    return items
