"""``repeat``: axes that the left side lacks are copies."""

from __future__ import annotations

from plait._notation.tree import Tree
from plait._operations.operation import Operation
from plait._operations.rules import forbid_dropped_axes, unary_sides
from plait._plan.lowering import lower_movement


def check(tree: Tree) -> None:
    """Raise where an axis is dropped."""
    before, after = unary_sides(tree, "repeat")
    forbid_dropped_axes(before, after, tree, "repeat", "reduce does")


REPEAT = Operation("repeat", check, lower_movement)
