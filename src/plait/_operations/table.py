"""The operations that have a pattern with an arrow: the rule and the lowering of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from plait._caches import clearable_lru_cache
from plait._notation.tree import Name, Number, TensorExpr, Tree, collect_leaves, collect_names
from plait._operations import reduce
from plait._plan.graph import Plan
from plait._plan.lowering import lower_movement
from plait._plan.nodes import Reshape, View
from plait._shapes.solver import SolvedPattern


class Operation(NamedTuple):
    """An operation, by the name of its public function."""

    name: str
    check: Callable[[Tree], None]  # raises where a pattern breaks the rule of the operation
    lower: Callable[[SolvedPattern, str], Plan]  # the plan of a solved pattern; the text is the reduction, or empty


def _check(operation: str, tree: Tree, *, drops: bool = False, adds: bool = False) -> None:
    """Raise where an operation on one tensor drops or adds axes, and may not."""
    from plait._operations import rules  # a bijection does not need them

    left, right = rules.one_tensor(tree, operation)
    before, after = rules.collect_axes(left, tree, operation), rules.collect_axes(right, tree, operation)
    rules.forbid_new_ellipsis(before, after, tree)
    rules.forbid_grouped_ellipsis(left, before, tree)
    if not drops:
        rules.forbid_dropped_axes(before, after, tree, operation)
    if not adds:
        rules.forbid_new_axes(before, after, tree, operation)


def _lower_view(solved: SolvedPattern, _: str = "") -> Plan:
    """The steps of ``rearrange``, each reshape as one that must not copy."""
    plan = lower_movement(solved)
    steps = [(View(node.shape) if isinstance(node, Reshape) else node, operands) for node, operands in plan.steps]
    return plan._replace(steps=tuple(steps))


_UNARY = {
    "rearrange": Operation("rearrange", partial(_check, "rearrange"), lower_movement),
    "view": Operation("view", partial(_check, "view"), _lower_view),
    "reduce": Operation("reduce", partial(_check, "reduce", drops=True), reduce.lower),
    "repeat": Operation("repeat", partial(_check, "repeat", adds=True), lower_movement),
}
OPERATIONS = (*_UNARY, "einsum")


@clearable_lru_cache(maxsize=8)
def find_operation(name: str) -> Operation:
    """The operation of this name, or that of an equation in the classical form."""
    if name in _UNARY:
        return _UNARY[name]
    from plait._operations import einsum  # no other operation needs it

    return Operation("einsum", einsum.check, einsum.lower)


def infer_operation(tree: Tree) -> str:
    """The operation that a pattern describes: several tensors, or a diagonal, make an einsum."""
    if len(tree.left) > 1:
        return "einsum"
    right = tree.right or ()
    before, after = collect_names(tree.left), collect_names(right)
    if sum(isinstance(leaf, Name) for leaf in collect_leaves(tree.left)) > len(before):
        return "einsum"  # a diagonal
    if before.keys() - after.keys() or _has_lengths(tree.left):
        return "reduce"
    return "repeat" if after.keys() - before.keys() or _has_lengths(right) else "rearrange"


def _has_lengths(side: tuple[TensorExpr, ...]) -> bool:
    """Whether there is an axis without a name, other than a unit axis."""
    return any(isinstance(leaf, Number) and leaf.value != 1 for leaf in collect_leaves(side))
