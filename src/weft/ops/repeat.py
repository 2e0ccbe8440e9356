"""``repeat``: axes that the left side lacks are copies."""

from __future__ import annotations

from weft.ops.operation import Operation
from weft.ops.rules import one_each, only_left
from weft.pattern import Tree
from weft.plan import Plan, move
from weft.solve import Template


def check(tree: Tree) -> None:
    """Raise where an axis is dropped."""
    before, after = one_each(tree, "repeat")
    only_left(before, after, tree, "repeat", "reduce does")


def lower(solved: Template, _: str = "") -> Plan:
    """Split, permute, expand, merge."""
    return move(solved)


REPEAT = Operation("repeat", check, lower)
