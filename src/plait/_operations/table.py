"""The table of the operations whose pattern has an arrow: the check and the lowering of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from plait._caches import clearable_lru_cache
from plait._notation.tree import Name, Number, TensorExpr, Tree, collect_leaves, collect_names
from plait._operations import reduce
from plait._plan.graph import Plan
from plait._plan.nodes import Reshape, View
from plait._shapes.solver import SolvedPattern


class Operation(NamedTuple):
    """One operation: the name of its public function, the check of its patterns, and the lowering to a plan."""

    name: str
    check: Callable[[Tree], None]  # raises if a pattern breaks a rule of the operation
    lower: Callable[[SolvedPattern, str, int | None], Plan]
    """Takes a solved pattern, the name of the reduction or ``""``, and the highest rank of a tensor or ``None``."""
    allows_bijections: bool = True  # whether ``check`` passes every pattern that has each axis once on each side


def _check_unary_pattern(operation: str, tree: Tree, *, may_drop: bool = False, may_add: bool = False) -> None:
    """Raise if the pattern of an operation on one tensor drops or adds axes and the operation may not do so."""
    from plait._operations import rules  # imported here because a pattern that only permutes does not need it

    left, right = rules.require_unary_sides(tree, operation)
    left_axes, right_axes = rules.collect_axes(left, tree, operation), rules.collect_axes(right, tree, operation)
    rules.forbid_new_ellipsis(left_axes, right_axes, tree)
    rules.forbid_grouped_ellipsis(left, left_axes, tree)
    if not may_drop:
        rules.forbid_dropped_axes(left_axes, right_axes, tree, operation)
    if not may_add:
        rules.forbid_new_axes(left_axes, right_axes, tree, operation)


def _lower_view(solved: SolvedPattern, reduction: str = "", max_rank: int | None = None) -> Plan:
    """Return the plan of ``repeat`` with each reshape replaced by one that must not copy."""
    plan = reduce.lower_unary(solved, reduction, max_rank)
    steps = [(View(node.shape) if isinstance(node, Reshape) else node, operands) for node, operands in plan.steps]
    return plan._replace(steps=tuple(steps))


_UNARY_OPERATIONS = {
    "rearrange": Operation("rearrange", partial(_check_unary_pattern, "rearrange"), reduce.lower_unary),
    "view": Operation("view", partial(_check_unary_pattern, "view", may_add=True), _lower_view),
    "reduce": Operation("reduce", partial(_check_unary_pattern, "reduce", may_drop=True), reduce.lower_reduce),
    "repeat": Operation("repeat", partial(_check_unary_pattern, "repeat", may_add=True), reduce.lower_unary),
}
"""The operations on one tensor, by name."""

OPERATION_NAMES = (*_UNARY_OPERATIONS, "einsum")
"""The names of all operations in the table."""


@clearable_lru_cache(maxsize=8)
def find_operation_or_einsum(name: str) -> Operation:
    """Return the operation with this name; for ``"einsum"`` and ``"classical"``, its classical form, return einsum."""
    if name in _UNARY_OPERATIONS:
        return _UNARY_OPERATIONS[name]
    from plait._operations import einsum  # imported here because no other operation needs it

    return Operation("einsum", einsum.check_pattern, einsum.lower_einsum)


def infer_operation(tree: Tree) -> str:
    """Return the name of the operation that a pattern describes, such as ``einsum`` for several tensors."""
    if len(tree.left) > 1:
        return "einsum"
    right = tree.right or ()
    left_names, right_names = collect_names(tree.left), collect_names(right)
    if sum(isinstance(leaf, Name) for leaf in collect_leaves(tree.left)) > len(left_names):
        return "einsum"  # a repeated name takes a diagonal, which only einsum does
    if left_names.keys() - right_names.keys() or _has_numeric_axes(tree.left):
        return "reduce"
    return "repeat" if right_names.keys() - left_names.keys() or _has_numeric_axes(right) else "rearrange"


def _has_numeric_axes(side: tuple[TensorExpr, ...]) -> bool:
    """Whether one side has an axis that is a number other than 1."""
    return any(isinstance(leaf, Number) and leaf.value != 1 for leaf in collect_leaves(side))
