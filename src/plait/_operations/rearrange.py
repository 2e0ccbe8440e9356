"""``rearrange``: the same axes on both sides."""

from __future__ import annotations

from plait._notation.tree import Tree
from plait._operations.operation import Operation
from plait._operations.rules import one_each, only_left, only_right
from plait._plan.graph import Plan
from plait._plan.lowering import move
from plait._shapes.solver import SolvedPattern


def check(tree: Tree, operation: str = "rearrange") -> None:
    """Raise where an axis is dropped or added."""
    before, after = one_each(tree, operation)
    only_left(before, after, tree, operation, "reduce does")
    only_right(before, after, tree, operation, "repeat does")


def lower(solved: SolvedPattern, _: str = "") -> Plan:
    """Split, permute, merge."""
    return move(solved)


def obvious(solved: SolvedPattern) -> bool:
    """Whether every axis stands once on each side, and has a name."""
    axes = len(solved.labels)
    return len(sum(solved.inputs[0], ())) == axes == len(sum(solved.output, ())) and not solved.constants


REARRANGE = Operation("rearrange", check, lower, obvious)
