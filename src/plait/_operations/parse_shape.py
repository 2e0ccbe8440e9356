"""The operation ``parse_shape``: returns the names of a pattern with the lengths of a tensor's dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plait._notation.parser import parse
from plait._notation.tree import Bracket, Ellipsis, Group, Item, Name, Number, Tree, Wildcard, item_leaves
from plait._operations.rules import add_unique_name, require_single_tensor_without_arrow, text_and_spans
from plait._shapes.sizes import format_shape
from plait._shapes.solver import rank_error
from plait.errors import make_error

LabeledDimensions = tuple[tuple[int, str | int], ...]
"""Pairs of a dimension and its label: the name of its axis, or the length that it must have."""


def find_labeled_dimensions(pattern: str, rank: int) -> LabeledDimensions:
    """Return the dimensions of a tensor of this rank that the pattern labels, each with its name or number.

    >>> find_labeled_dimensions("b _ w 3", 4)
    ((0, 'b'), (2, 'w'), (3, 3))
    """
    tree = parse(pattern)
    expr = require_single_tensor_without_arrow(tree, "parse_shape", "'b c _ w'")
    missing = rank - len(expr.items)
    if missing < -1 or (missing and Ellipsis not in map(type, expr.items)):
        raise rank_error(tree, 0, rank)
    labels: list[tuple[int, str | int]] = []
    seen: dict[str, Name] = {}
    dim = 0
    for item in expr.items:
        if isinstance(item, Name):
            add_unique_name(seen, item, expr, tree)
            labels.append((dim, item.text))
        elif isinstance(item, Ellipsis) and item.name is None:
            dim += missing
        elif not (isinstance(item, Wildcard) and item.text == "_"):
            labels.append((dim, _expected_length_or_error(item, tree)))
        dim += 1
    return tuple(labels)


def _expected_length_or_error(item: Item, pattern_tree: Tree) -> int:
    """Return the length that an item without a name requires: a number, or 1 for an empty group."""
    if isinstance(item, Number):
        return item.value
    if isinstance(item, (Group, Bracket)) and not item_leaves(item):
        return 1
    message = "the pattern of parse_shape can contain names, numbers, '_' and '...', but no groups"
    raise make_error("PLT201", message, *text_and_spans(pattern_tree, [item]))


def read_named_lengths(
    labels: LabeledDimensions, shape: Sequence[Any], pattern: str, *, can_compare_sizes: bool = True
) -> dict[str, Any]:
    """Return the length of each named dimension; raise if a numbered one has another length.

    If ``can_compare_sizes`` is false, lengths that are not ints are not checked.
    """
    sizes: dict[str, Any] = {}
    for dim, label in labels:
        if isinstance(label, str):
            sizes[label] = shape[dim]
        elif (can_compare_sizes or type(shape[dim]) is int) and shape[dim] != label:
            message = f"dimension {dim} must have length {label}, but has length {shape[dim]}"
            raise make_error("PLT305", message, pattern, facts={"input": format_shape(shape)})
    return sizes
