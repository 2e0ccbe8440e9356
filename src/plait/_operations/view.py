"""``view``: ``rearrange`` that never copies."""

from __future__ import annotations

from plait._notation.tree import Tree
from plait._operations import rearrange
from plait._operations.operation import Operation
from plait._plan.graph import Plan
from plait._plan.lowering import move
from plait._plan.nodes import Reshape, Step, View
from plait._shapes.solver import SolvedPattern


def check(tree: Tree) -> None:
    """The rule of ``rearrange``."""
    rearrange.check(tree, "view")


def lower(solved: SolvedPattern, _: str = "") -> Plan:
    """The steps of ``rearrange``, each reshape as one that must not copy."""
    plan = move(solved)
    return plan._replace(inputs=(tuple([_strict(step) for step in plan.inputs[0]]),))


def _strict(step: Step) -> Step:
    return View(step.shape) if isinstance(step, Reshape) else step


VIEW = Operation("view", check, lower, rearrange.obvious)
