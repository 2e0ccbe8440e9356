"""``parse_shape``: the names of a pattern with the lengths that a tensor has there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plait._notation.parser import parse
from plait._notation.tree import Bracket, Ellipsis, Group, Item, Name, Number, Tree, Wildcard, item_leaves
from plait._operations.rules import add_name, single_list, text_and_spans
from plait._shapes.sizes import format_shape
from plait._shapes.solver import rank_error
from plait.errors import make_error

Places = tuple[tuple[int, str | int], ...]
"""Dimensions, each with the name that it has, or the length that it must have."""


def places(pattern: str, rank: int) -> Places:
    """Which dimension has which name, or which length.

    >>> places("b _ w 3", 4)
    ((0, 'b'), (2, 'w'), (3, 3))
    """
    tree = parse(pattern)
    expr = single_list(tree, "parse_shape", "'b c _ w'")
    missing = rank - len(expr.items)
    if missing < -1 or (missing and Ellipsis not in map(type, expr.items)):
        raise rank_error(tree, 0, rank)
    found: list[tuple[int, str | int]] = []
    seen: dict[str, Name] = {}
    place = 0
    for item in expr.items:
        if isinstance(item, Name):
            add_name(seen, item, expr, tree)
            found.append((place, item.text))
        elif isinstance(item, Ellipsis) and item.name is None:
            place += missing
        elif not (isinstance(item, Wildcard) and item.text == "_"):
            found.append((place, _length(item, tree)))
        place += 1
    return tuple(found)


def _length(item: Item, tree: Tree) -> int:
    if isinstance(item, Number):
        return item.value
    if isinstance(item, (Group, Bracket)) and not item_leaves(item):
        return 1
    message = "parse_shape takes names, lengths, '_' and an ellipsis; a group has no length of its own"
    raise make_error("PLT201", message, *text_and_spans(tree, [item]))


def read_shape(found: Places, shape: Sequence[Any], pattern: str, *, comparable: bool = True) -> dict[str, Any]:
    """The names with their lengths, where the other dimensions have the lengths that the pattern says."""
    sizes: dict[str, Any] = {}
    for place, label in found:
        if isinstance(label, str):
            sizes[label] = shape[place]
        elif (comparable or type(shape[place]) is int) and shape[place] != label:
            message = f"dimension {place} must have length {label}, and its length is {shape[place]}"
            raise make_error("PLT305", message, pattern, facts={"input": format_shape(shape)})
    return sizes
