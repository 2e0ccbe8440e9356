"""The syntax tree of a pattern: immutable nodes, each with its range of characters in the text; ``str`` of a node is
its canonical text.

The nodes are named tuples and not dataclasses, because importing `dataclasses` takes longer than importing plait.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from plait.errors import Span


class Name(NamedTuple):
    """An axis with a name, such as ``h``; the name is normalized to NFKC."""

    text: str
    start: int
    stop: int

    def __str__(self) -> str:
        return self.text


class Number(NamedTuple):
    """An axis without a name, written as its length, such as ``2``; ``1`` is called a unit axis."""

    value: int
    start: int
    stop: int

    def __str__(self) -> str:
        return str(self.value)


class Ellipsis(NamedTuple):
    """An ellipsis ``...``, or ``name...`` with a name, which represents any number of axes."""

    name: str | None
    start: int
    stop: int

    def __str__(self) -> str:
        return f"{self.name or ''}..."


class Group(NamedTuple):
    """A group ``( )``: several axes in one dimension, in row-major order; ``+`` separates its parts."""

    parts: tuple[tuple[Item, ...], ...]
    start: int
    stop: int

    def __str__(self) -> str:
        return "(" + " + ".join(map(_join_items, self.parts)) + ")"


class Bracket(NamedTuple):
    """Brackets ``[ ]`` around the axes along which an operation works."""

    items: tuple[Item, ...]
    start: int
    stop: int

    def __str__(self) -> str:
        return f"[{_join_items(self.items)}]"


class Wildcard(NamedTuple):
    """A wildcard: ``*`` for any number of dimensions in ``pack``, ``_`` for one dimension in ``parse_shape``."""

    text: str
    start: int
    stop: int

    def __str__(self) -> str:
        return self.text


Leaf: TypeAlias = "Name | Number | Ellipsis | Wildcard"
"""A node without children."""

Item: TypeAlias = "Leaf | Group | Bracket"
"""One of the space-separated parts of a tensor's pattern: one dimension, or an ellipsis of several."""


class TensorExpr(NamedTuple):
    """The part of a pattern that describes one tensor: its dimensions from left to right."""

    items: tuple[Item, ...]
    start: int
    stop: int

    @property
    def span(self) -> Span:
        """The range of characters in the text, without the white space around it."""
        return (self.items[0].start, self.items[-1].stop) if self.items else (self.start, self.stop)

    def __str__(self) -> str:
        return _join_items(self.items)


class Tree(NamedTuple):
    """The syntax tree of a whole pattern."""

    text: str
    left: tuple[TensorExpr, ...]
    right: tuple[TensorExpr, ...] | None  # ``None`` if the text has no arrow
    is_plain: bool = False  # whether each side is one tensor of names, numbers and groups, and nothing else
    is_classical: bool = False  # whether the text is a classical equation of single letters

    def __str__(self) -> str:
        left = ", ".join(map(str, self.left))
        return left if self.right is None else f"{left} -> {', '.join(map(str, self.right))}".strip()


def _join_items(items: tuple[Item, ...]) -> str:
    """Return the canonical text of several items, separated by spaces."""
    return " ".join(map(str, items))


def item_leaves(item: Item) -> tuple[Leaf, ...]:
    """Return the leaves (names, numbers, ellipses, wildcards) of one item from left to right, out of all its groups."""
    if type(item) is Group:
        inside = item.parts[0] if len(item.parts) == 1 else tuple([inner for part in item.parts for inner in part])
    elif type(item) is Bracket:
        inside = item.items
    else:
        return (item,)  # type: ignore[return-value]  # mypy does not narrow by type()
    for inner in inside:
        if type(inner) is Group or type(inner) is Bracket:
            return tuple([leaf for each in inside for leaf in item_leaves(each)])
    return inside  # type: ignore[return-value]  # as above


def collect_leaves(exprs: Iterable[TensorExpr]) -> list[Leaf]:
    """Return the leaves (names, numbers, ellipses, wildcards) of several tensors, in the order of the text."""
    return [leaf for expr in exprs for item in expr.items for leaf in item_leaves(item)]


def collect_names(exprs: Iterable[TensorExpr]) -> dict[str, Name]:
    """Return the names in several tensors, in the order of the text, each with the first node that has it."""
    nodes: dict[str, Name] = {}
    for leaf in collect_leaves(exprs):
        if isinstance(leaf, Name):
            nodes.setdefault(leaf.text, leaf)
    return nodes


def item_of_each_dimension(expr: TensorExpr, rank: int) -> list[Item]:
    """Return the item of each dimension of a tensor of this rank; an ellipsis may be the item of several dimensions."""
    items: list[Item] = []
    for item in expr.items:
        items += [item] * (rank - len(expr.items) + 1 if type(item) is Ellipsis else 1)
    return items
