"""``view``: ``rearrange`` that never copies."""

from __future__ import annotations

from weft.ops import rearrange
from weft.ops.operation import Operation
from weft.pattern import Tree
from weft.plan import Plan, Reshape, Step, View, move
from weft.solve import Template


def check(tree: Tree) -> None:
    """The rule of ``rearrange``."""
    rearrange.check(tree, "view")


def lower(solved: Template, _: str = "") -> Plan:
    """The steps of ``rearrange``, each reshape as one that must not copy."""
    plan = move(solved)
    return plan._replace(inputs=(tuple([_strict(step) for step in plan.inputs[0]]),))


def _strict(step: Step) -> Step:
    return View(step.shape) if isinstance(step, Reshape) else step


VIEW = Operation("view", check, lower, rearrange.obvious)
