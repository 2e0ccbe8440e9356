"""The checks that the rules of several operations share: the axes of each side, and comparisons of the two sides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from plait._notation.tree import Bracket, Ellipsis, Group, Item, Name, Number, TensorExpr, Tree, Wildcard, item_leaves
from plait.errors import Span, make_error


class TensorAxes(NamedTuple):
    """The nodes of the axes of one tensor of a pattern, by kind; for an einsum also those of all operands together."""

    names: dict[str, Name]  # for each name the first node that has it
    numbers: list[Number]  # without unit axes
    ellipses: list[Ellipsis]


def require_one_output(tree: Tree, operation: str) -> tuple[tuple[TensorExpr, ...], TensorExpr]:
    """Return the tensors on the left and the one on the right; raise unless the right side has exactly one."""
    if tree.right is None:
        message = f"the pattern of {operation} needs an arrow between input and output, as in 'a b -> b a'"
        raise make_error("PLT105", message, tree.text, [(len(tree.text), len(tree.text))])
    if len(tree.right) != 1:
        message = f"{operation} has exactly one output, but the right side has {len(tree.right)} tensors"
        raise make_error("PLT202", message, tree.text, [expr.span for expr in tree.right])
    return tree.left, tree.right[0]


def require_unary_sides(tree: Tree, operation: str) -> tuple[TensorExpr, TensorExpr]:
    """Return the tensor on the left and the one on the right; raise unless each side has exactly one."""
    left, right = require_one_output(tree, operation)
    if len(left) != 1:
        message = f"{operation} takes one tensor, but the left side has {len(left)}"
        raise make_error("PLT202", message, tree.text, [expr.span for expr in left])
    return left[0], right


def collect_axes(expr: TensorExpr, tree: Tree, operation: str, *, repeats: bool = False) -> TensorAxes:
    """Return the axes of one tensor of a pattern; raise for a repeated name unless ``repeats`` is true."""
    side = TensorAxes({}, [], [])
    seen = side.names
    for item in expr.items:
        for leaf in (item,) if type(item) is Name else item_leaves(item):
            if type(leaf) is Name:
                if leaf.text not in seen:
                    seen[leaf.text] = leaf
                elif not repeats:
                    add_unique_name(seen, leaf, expr, tree)
            elif type(leaf) is Number:
                if leaf.value != 1:
                    side.numbers.append(leaf)
            elif type(leaf) is Ellipsis and leaf.name is None:
                side.ellipses.append(leaf)
            else:
                raise _unsupported_item_error(leaf, tree, operation)
        if type(item) is not Name:
            _forbid_brackets_and_concatenation(item, tree, operation)
    return side


def require_single_tensor_without_arrow(tree: Tree, operation: str, example: str) -> TensorExpr:
    """Return the one tensor of a pattern without an arrow; raise for an arrow or a comma."""
    if tree.right is not None or len(tree.left) != 1:
        message = f"the pattern of {operation} describes one tensor, as in {example}, without an arrow or a comma"
        raise make_error("PLT201", message, tree.text)
    return tree.left[0]


def add_unique_name(seen: dict[str, Name], name: Name, expr: TensorExpr, tree: Tree) -> None:
    """Add a name to the names seen in one tensor; raise PLT206 if it is already there."""
    first = seen.setdefault(name.text, name)
    if first is not name:
        message = f"axis '{name.text}' appears twice in '{expr}'"
        raise make_error("PLT206", message, *text_and_spans(tree, [first, name]))


def _forbid_brackets_and_concatenation(item: Item, tree: Tree, operation: str) -> None:
    """Raise PLT201 if an item contains brackets, or a group with a ``+``."""
    if type(item) is Bracket or (type(item) is Group and len(item.parts) != 1):
        raise _unsupported_item_error(item, tree, operation)
    if type(item) is Group:
        for inner in item.parts[0]:
            _forbid_brackets_and_concatenation(inner, tree, operation)


def forbid_grouped_ellipsis(expr: TensorExpr, axes: TensorAxes, tree: Tree) -> None:
    """Raise PLT208 for an ellipsis in a group of an input, because the lengths of its axes cannot be inferred."""
    if axes.ellipses and axes.ellipses[0] not in expr.items:
        raise make_error(
            "PLT208", "an ellipsis inside a group is allowed only on the right", *text_and_spans(tree, axes.ellipses)
        )


def forbid_dropped_axes(left_axes: TensorAxes, right_axes: TensorAxes, tree: Tree, operation: str) -> None:
    """Raise PLT204, PLT207 or PLT208 for names, numbers or an ellipsis that are on the left side only."""
    if not left_axes.names.keys() <= right_axes.names.keys():
        lost = [name for text, name in left_axes.names.items() if text not in right_axes.names]
        message = f"{format_missing_axes(lost)} on the right; {operation} cannot remove axes (use reduce)"
        message += _missing_blanks_hint(tree, operation)
        raise make_error("PLT204", message, *text_and_spans(tree, lost))
    if lengths := left_axes.numbers:
        values = " and ".join(str(number.value) for number in lengths)
        message = f"{operation} needs a name for each axis; name {values}, and pass e.g. h={lengths[0].value}"
        raise make_error("PLT207", message, *text_and_spans(tree, lengths))
    if left_axes.ellipses and not right_axes.ellipses:
        message = f"'...' does not appear on the right; {operation} cannot remove axes (use reduce)"
        raise make_error("PLT208", message, *text_and_spans(tree, left_axes.ellipses))


def forbid_new_axes(left_axes: TensorAxes, right_axes: TensorAxes, tree: Tree, operation: str) -> None:
    """Raise PLT205 or PLT207 for names or numbers that are on the right side only."""
    if not right_axes.names.keys() <= left_axes.names.keys():
        new = [name for text, name in right_axes.names.items() if text not in left_axes.names]
        message = f"{format_missing_axes(new)} on the left; {operation} cannot add axes (use repeat)"
        message += _missing_blanks_hint(tree, operation)
        raise make_error("PLT205", message, *text_and_spans(tree, new))
    if lengths := right_axes.numbers:
        message = f"{operation} cannot add an axis of length {lengths[0].value} (use repeat)"
        raise make_error("PLT207", message, *text_and_spans(tree, lengths))


def forbid_new_ellipsis(left_axes: TensorAxes, right_axes: TensorAxes, tree: Tree) -> None:
    """Raise PLT208 for an ellipsis that is on the right side only."""
    if right_axes.ellipses and not left_axes.ellipses:
        raise make_error("PLT208", "'...' does not appear on the left", *text_and_spans(tree, right_axes.ellipses))


def _missing_blanks_hint(tree: Tree, operation: str) -> str:
    """Return the advice to write blanks between axes if each tensor is a word, as in ``bchw -> bhwc``, or ``""``."""
    words = [str(expr) for expr in (*tree.left, *(tree.right or ()))]
    if all(word.isalpha() and len(word) > 1 for word in words):
        equation_hint = ", or put the equation first" if operation == "einsum" else ""
        return f"; write blanks between axes: '{' '.join(words[0])}'{equation_hint}"
    return ""


def text_and_spans(tree: Tree, items: Iterable[Item]) -> tuple[str, list[Span]]:
    """Return the text of a pattern and the spans of some of its items, as arguments for `make_error`."""
    return tree.text, [(item.start, item.stop) for item in items]


def format_axis_names(items: Iterable[Name | str]) -> str:
    """Return names as the subject of a sentence: ``axis 'a'``, ``axes 'a', 'b' and 'c'``."""
    *others, last = [f"'{item}'" for item in items]
    return f"axes {', '.join(others)} and {last}" if others else f"axis {last}"


def format_missing_axes(items: Sequence[Name]) -> str:
    """Return the beginning of a sentence about axes that are missing on one side."""
    return f"{format_axis_names(items)} {'do' if len(items) > 1 else 'does'} not appear"


def _unsupported_item_error(item: Item, tree: Tree, operation: str) -> Exception:
    """Return the error PLT201 for a kind of item that the operation does not support."""
    description = {
        Bracket: "brackets",
        Group: "'+' in a group",
        Ellipsis: f"a named ellipsis, {item}",
        Wildcard: f"'{item}' (only {'parse_shape does' if str(item) == '_' else 'pack and unpack do'})",
    }
    return make_error(
        "PLT201", f"{operation} does not support {description[type(item)]}", *text_and_spans(tree, [item])
    )
