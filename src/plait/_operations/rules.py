"""What the rules of the operations have in common: a survey of each side, and the comparisons of two."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from plait._notation.tree import (
    Bracket,
    Ellipsis,
    Expr,
    Group,
    Item,
    Mark,
    Name,
    Number,
    Tree,
    leaves,
)
from plait._notation.unparse import expr_text
from plait.errors import Span, fail


class Side(NamedTuple):
    """What stands in one tensor of a pattern."""

    names: dict[str, Name]
    numbers: list[Number]
    dots: list[Ellipsis]


def two_sides(tree: Tree, operation: str) -> tuple[tuple[Expr, ...], Expr]:
    """The tensors of the left side, and the one of the right.

    Raises:
        PatternSyntaxError: PLT105, there is no arrow.
        AxisError: PLT202, there is a comma on the right.
    """
    if tree.right is None:
        message = f"{operation} needs an arrow: what goes in -> what comes out"
        raise fail("PLT105", message, tree.text, [(len(tree.text), len(tree.text))])
    if len(tree.right) != 1:
        spans = [span_of(expr) for expr in tree.right]
        raise fail(
            "PLT202", f"{operation} gives one tensor, and the right side has {len(tree.right)}", tree.text, spans
        )
    return tree.left, tree.right[0]


def one_each(tree: Tree, operation: str) -> tuple[Side, Side]:
    """Both sides of an operation that takes one tensor and gives one.

    Raises:
        PatternSyntaxError: PLT105, there is no arrow.
        AxisError: PLT201, PLT202, PLT206 or PLT208.
    """
    left, right = one_tensor(tree, operation)
    before, after = survey(left, tree, operation), survey(right, tree, operation)
    if after.dots and not before.dots:
        raise fail("PLT208", "this ellipsis stands on the right only", tree.text, spans_of(after.dots))
    no_grouped_dots(left, before, tree)
    return before, after


def one_tensor(tree: Tree, operation: str) -> tuple[Expr, Expr]:
    """The one tensor of the left side, and that of the right.

    Raises:
        PatternSyntaxError: PLT105, there is no arrow.
        AxisError: PLT202, there is a comma.
    """
    left, right = two_sides(tree, operation)
    if len(left) != 1:
        spans = [span_of(expr) for expr in left]
        raise fail("PLT202", f"{operation} takes one tensor, and the left side has {len(left)}", tree.text, spans)
    return left[0], right


def survey(expr: Expr, tree: Tree, operation: str, *, repeats: bool = False) -> Side:
    """What stands in one tensor.

    Args:
        expr: the tensor.
        tree: the pattern that it belongs to.
        operation: how errors name the operation.
        repeats: whether an axis may stand twice.

    Raises:
        AxisError: PLT201, notation of another operation; PLT206, an axis stands twice.
    """
    side = Side({}, [], [])
    known = side.names
    for item in expr.items:
        for leaf in (item,) if type(item) is Name else leaves(item):
            if type(leaf) is Name:
                if leaf.text not in known:
                    known[leaf.text] = leaf
                elif not repeats:
                    first = known[leaf.text]
                    message = f"{first.text} stands twice in '{expr_text(expr)}'"
                    raise fail("PLT206", message, tree.text, spans_of([first, leaf]))
            elif type(leaf) is Number:
                side.numbers.append(leaf)
            elif type(leaf) is Ellipsis and leaf.name is None:
                side.dots.append(leaf)
            else:
                raise _foreign(leaf, tree, operation)
        if type(item) is not Name:
            _plain(item, tree, operation)
    return side


def _plain(item: Item, tree: Tree, operation: str) -> None:
    """Raise PLT201 for brackets, and for a group of several parts."""
    if type(item) is Bracket or (type(item) is Group and len(item.parts) != 1):
        raise _foreign(item, tree, operation)
    if type(item) is Group:
        for inner in item.parts[0]:
            if type(inner) is Group or type(inner) is Bracket:
                _plain(inner, tree, operation)


def no_grouped_dots(expr: Expr, side: Side, tree: Tree) -> None:
    """Raise PLT208 where an ellipsis stands in a group of an input: nothing could tell its axes apart."""
    if side.dots and side.dots[0] not in expr.items:
        raise fail("PLT208", "an ellipsis inside a group may stand on the right only", tree.text, spans_of(side.dots))


def only_left(before: Side, after: Side, tree: Tree, operation: str, hint: str) -> None:
    """Raise PLT204 for names, PLT207 for numbers and PLT208 for an ellipsis that the right side lacks."""
    if not before.names.keys() <= after.names.keys():
        lost = [name for text, name in before.names.items() if text not in after.names]
        message = f"{listed(lost)} on the left only, and {operation} drops no axis; {hint}"
        raise fail("PLT204", message, *places(tree, lost))
    numbers = [number for number in before.numbers if number.value != 1]
    if numbers:
        hint = f"give {_numbers(numbers)} a name, as in h={numbers[0].value}"
        raise fail("PLT207", f"{operation} cannot follow an axis without a name; {hint}", *places(tree, numbers))
    if before.dots and not after.dots:
        message = f"the ellipsis stands on the left only, and {operation} drops no axis; {hint}"
        raise fail("PLT208", message, *places(tree, before.dots))


def only_right(before: Side, after: Side, tree: Tree, operation: str, hint: str) -> None:
    """Raise PLT205 for names and PLT207 for numbers that the left side lacks."""
    if not after.names.keys() <= before.names.keys():
        new = [name for text, name in after.names.items() if text not in before.names]
        raise fail(
            "PLT205", f"{listed(new)} on the right only, and {operation} adds no axis; {hint}", *places(tree, new)
        )
    numbers = [number for number in after.numbers if number.value != 1]
    if numbers:
        message = f"{operation} adds no axis, and so takes no length but 1 on the right; {hint}"
        raise fail("PLT207", message, *places(tree, numbers))


def places(tree: Tree, items: Iterable[Item]) -> tuple[str, list[Span]]:
    """The text of a pattern and where some of its items stand, as `fail` takes them."""
    return tree.text, spans_of(items)


def spans_of(items: Iterable[Item]) -> list[Span]:
    """Where some items stand."""
    return [(item.start, item.stop) for item in items]


def span_of(expr: Expr) -> Span:
    """Where a tensor stands, without the white space around it."""
    if not expr.items:
        return expr.start, expr.stop
    return expr.items[0].start, expr.items[-1].stop


def listed(items: list[Name]) -> str:
    """``a stands``, ``a and b stand``, ``a, b and c stand``."""
    texts = [item.text for item in items]
    if len(texts) == 1:
        return f"{texts[0]} stands"
    return f"{', '.join(texts[:-1])} and {texts[-1]} stand"


def _numbers(numbers: list[Number]) -> str:
    return " and ".join(str(number.value) for number in numbers)


def _foreign(item: Item, tree: Tree, operation: str) -> Exception:
    at = [(item.start, item.stop)]
    match item:
        case Bracket():
            what = "brackets"
        case Group():
            what = "'+' in a group"
        case Ellipsis(name):
            what = f"an ellipsis with a name, {name}..."
        case Mark(text):
            what = f"'{text}'"
        case _:
            what = "this"
    where = {"'*'": "; it belongs to pack and unpack", "'_'": "; it belongs to parse_shape"}.get(what, "")
    return fail("PLT201", f"{operation} does not take {what}{where}", tree.text, at)
