"""``repeat``: axes that the left side lacks are copies."""

from __future__ import annotations

from plait._notation.tree import Tree
from plait._operations.operation import Operation
from plait._operations.rules import one_each, only_left
from plait._plan.graph import Plan
from plait._plan.lowering import move
from plait._shapes.solver import SolvedPattern


def check(tree: Tree) -> None:
    """Raise where an axis is dropped."""
    before, after = one_each(tree, "repeat")
    only_left(before, after, tree, "repeat", "reduce does")


def lower(solved: SolvedPattern, _: str = "") -> Plan:
    """Split, permute, expand, merge."""
    return move(solved)


REPEAT = Operation("repeat", check, lower)
