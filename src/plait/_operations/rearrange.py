"""``rearrange``, with the same axes on both sides, and ``view``, which is ``rearrange`` without a copy."""

from __future__ import annotations

from functools import partial

from plait._notation.tree import Tree
from plait._operations.operation import Operation
from plait._plan.graph import Plan
from plait._plan.lowering import lower_movement
from plait._plan.nodes import Reshape, View
from plait._shapes.solver import SolvedPattern


def check(tree: Tree, operation: str = "rearrange") -> None:
    """Raise where an axis is dropped or added."""
    from plait._operations.rules import forbid_dropped_axes, forbid_new_axes, unary_sides  # loaded by the first check

    before, after = unary_sides(tree, operation)
    forbid_dropped_axes(before, after, tree, operation, "reduce does")
    forbid_new_axes(before, after, tree, operation, "repeat does")


def lower_view(solved: SolvedPattern, _: str = "") -> Plan:
    """The steps of ``rearrange``, each reshape as one that must not copy."""
    plan = lower_movement(solved)
    steps = [(View(node.shape) if isinstance(node, Reshape) else node, operands) for node, operands in plan.steps]
    return plan._replace(steps=tuple(steps))


def trivially_valid(solved: SolvedPattern) -> bool:
    """Whether every axis appears once on each side, and has a name."""
    axes = len(solved.labels)
    return len(sum(solved.inputs[0], ())) == axes == len(sum(solved.output, ())) and not solved.constants


REARRANGE = Operation("rearrange", check, lower_movement, trivially_valid)
VIEW = Operation("view", partial(check, operation="view"), lower_view, trivially_valid)
