"""What the rules of the operations share: the axes of each side, and comparisons of the two sides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from plait._notation.tree import Bracket, Ellipsis, Group, Item, Name, Number, TensorExpr, Tree, Wildcard, item_leaves
from plait.errors import Span, make_error


class Side(NamedTuple):
    """The axes of one tensor of a pattern."""

    names: dict[str, Name]
    lengths: list[Number]  # the axes without a name that are not unit axes
    dots: list[Ellipsis]


def two_sides(tree: Tree, operation: str) -> tuple[tuple[TensorExpr, ...], TensorExpr]:
    """The tensors of the left side, and the one of the right."""
    if tree.right is None:
        message = f"{operation} needs an arrow: what goes in -> what comes out"
        raise make_error("PLT105", message, tree.text, [(len(tree.text), len(tree.text))])
    if len(tree.right) != 1:
        message = f"{operation} gives one tensor, and the right side has {len(tree.right)}"
        raise make_error("PLT202", message, tree.text, [expr.span for expr in tree.right])
    return tree.left, tree.right[0]


def one_tensor(tree: Tree, operation: str) -> tuple[TensorExpr, TensorExpr]:
    """The one tensor of the left side, and that of the right."""
    left, right = two_sides(tree, operation)
    if len(left) != 1:
        message = f"{operation} takes one tensor, and the left side has {len(left)}"
        raise make_error("PLT202", message, tree.text, [expr.span for expr in left])
    return left[0], right


def collect_axes(expr: TensorExpr, tree: Tree, operation: str, *, repeats: bool = False) -> Side:
    """The axes of one tensor of a pattern; one may appear several times where ``repeats`` is true."""
    side = Side({}, [], [])
    known = side.names
    for item in expr.items:
        for leaf in (item,) if type(item) is Name else item_leaves(item):
            if type(leaf) is Name:
                if leaf.text not in known:
                    known[leaf.text] = leaf
                elif not repeats:
                    add_name(known, leaf, expr, tree)
            elif type(leaf) is Number:
                if leaf.value != 1:
                    side.lengths.append(leaf)
            elif type(leaf) is Ellipsis and leaf.name is None:
                side.dots.append(leaf)
            else:
                raise _unsupported(leaf, tree, operation)
        if type(item) is not Name:
            _check_groups(item, tree, operation)
    return side


def single_list(tree: Tree, operation: str, example: str) -> TensorExpr:
    """The one tensor of a pattern without an arrow."""
    if tree.right is not None or len(tree.left) != 1:
        message = f"{operation} takes the dimensions of one tensor, as in {example}: no arrow, and no comma"
        raise make_error("PLT201", message, tree.text)
    return tree.left[0]


def add_name(known: dict[str, Name], name: Name, expr: TensorExpr, tree: Tree) -> None:
    """Add a name to those of one tensor, in which it may appear once."""
    first = known.setdefault(name.text, name)
    if first is not name:
        message = f"{name.text} stands twice in '{expr}'"
        raise make_error("PLT206", message, *text_and_spans(tree, [first, name]))


def _check_groups(item: Item, tree: Tree, operation: str) -> None:
    """Raise PLT201 for brackets, and for a group of several parts."""
    if type(item) is Bracket or (type(item) is Group and len(item.parts) != 1):
        raise _unsupported(item, tree, operation)
    if type(item) is Group:
        for inner in item.parts[0]:
            _check_groups(inner, tree, operation)


def forbid_grouped_ellipsis(expr: TensorExpr, side: Side, tree: Tree) -> None:
    """Raise PLT208 for an ellipsis in a group of an input: the lengths of its axes cannot be inferred."""
    if side.dots and side.dots[0] not in expr.items:
        raise make_error(
            "PLT208", "an ellipsis inside a group may stand on the right only", *text_and_spans(tree, side.dots)
        )


def forbid_dropped_axes(before: Side, after: Side, tree: Tree, operation: str) -> None:
    """Raise PLT204 for names, PLT207 for numbers and PLT208 for an ellipsis that the right side lacks."""
    if not before.names.keys() <= after.names.keys():
        lost = [name for text, name in before.names.items() if text not in after.names]
        message = f"{subject(lost)} on the left only, and {operation} drops no axis; reduce does"
        raise make_error("PLT204", message, *text_and_spans(tree, lost))
    if lengths := before.lengths:
        values = " and ".join(str(number.value) for number in lengths)
        message = f"{operation} cannot follow an axis without a name; give {values} a name, as in h={lengths[0].value}"
        raise make_error("PLT207", message, *text_and_spans(tree, lengths))
    if before.dots and not after.dots:
        message = f"the ellipsis stands on the left only, and {operation} drops no axis; reduce does"
        raise make_error("PLT208", message, *text_and_spans(tree, before.dots))


def forbid_new_axes(before: Side, after: Side, tree: Tree, operation: str) -> None:
    """Raise PLT205 for names and PLT207 for numbers that the left side lacks."""
    if not after.names.keys() <= before.names.keys():
        new = [name for text, name in after.names.items() if text not in before.names]
        message = f"{subject(new)} on the right only, and {operation} adds no axis; repeat does"
        raise make_error("PLT205", message, *text_and_spans(tree, new))
    if lengths := after.lengths:
        message = f"{operation} adds no axis, and so takes no length but 1 on the right; repeat does"
        raise make_error("PLT207", message, *text_and_spans(tree, lengths))


def forbid_new_ellipsis(before: Side, after: Side, tree: Tree) -> None:
    """Raise PLT208 for an ellipsis that the left side lacks."""
    if after.dots and not before.dots:
        raise make_error("PLT208", "this ellipsis stands on the right only", *text_and_spans(tree, after.dots))


def text_and_spans(tree: Tree, items: Iterable[Item]) -> tuple[str, list[Span]]:
    """The text of a pattern and the places of some of its items, as `make_error` takes them."""
    return tree.text, [(item.start, item.stop) for item in items]


def subject(items: Iterable[Name | str]) -> str:
    """The names as the subject of a sentence: ``a stands``, ``a and b stand``, ``a, b and c stand``."""
    *others, last = map(str, items)
    return f"{', '.join(others)} and {last} stand" if others else f"{last} stands"


def _unsupported(item: Item, tree: Tree, operation: str) -> Exception:
    what = {
        Bracket: "brackets",
        Group: "'+' in a group",
        Ellipsis: f"an ellipsis with a name, {item}",
        Wildcard: f"'{item}'; it belongs to {'parse_shape' if str(item) == '_' else 'pack and unpack'}",
    }
    return make_error("PLT201", f"{operation} does not take {what[type(item)]}", *text_and_spans(tree, [item]))
