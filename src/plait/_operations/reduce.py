"""``reduce``: axes that the right side lacks are combined.

The reductions have one meaning on every framework: ``var`` and ``std`` are the population's (``ddof=0``),
``logsumexp`` does not overflow, NaN spreads, the sum of nothing is 0, the product of nothing 1, the mean of nothing
NaN, and a minimum or maximum of nothing is an error.
"""

from __future__ import annotations

from typing import NamedTuple

from plait._notation.tree import Tree
from plait._operations.operation import Operation
from plait._plan.graph import Plan
from plait._plan.lowering import lower_movement
from plait._shapes.solver import NONEMPTY, SizeOp, SolvedPattern
from plait.errors import did_you_mean, fail, short

CUSTOM = "custom"
"""Stands in a plan for a callable of the caller's."""


class Reduction(NamedTuple):
    """On which kinds of elements a reduction is defined, and whether it is defined on nothing."""

    kinds: frozenset[str]
    empty: bool = True


_ALL = frozenset({"bool", "integer", "floating", "complex", "other"})
REDUCTIONS: dict[str, Reduction] = {
    "min": Reduction(_ALL - {"complex"}, empty=False),
    "max": Reduction(_ALL - {"complex"}, empty=False),
    "sum": Reduction(_ALL),
    "mean": Reduction(frozenset({"floating", "complex", "other"})),
    "prod": Reduction(_ALL),
    "any": Reduction(_ALL),
    "all": Reduction(_ALL),
    "std": Reduction(frozenset({"floating", "complex", "other"})),
    "var": Reduction(frozenset({"floating", "complex", "other"})),
    "logsumexp": Reduction(frozenset({"floating"})),
}
"""The reductions by name. ``other`` is an element type that plait cannot judge, such as ``object``."""


def check(tree: Tree) -> None:
    """Raise where an axis is added."""
    from plait._operations.rules import forbid_new_axes, unary_sides  # loaded by the first check

    before, after = unary_sides(tree, "reduce")
    forbid_new_axes(before, after, tree, "reduce", "repeat does")


def lower(solved: SolvedPattern, reduction: str) -> Plan:
    """Split, reduce, permute, merge; first make sure that a minimum or maximum has something to choose from."""
    plan = lower_movement(solved, reduction)
    if reduction in REDUCTIONS and not REDUCTIONS[reduction].empty:
        kept = {axis for axes in solved.output for axis in axes}
        reduced = [axis for axes in solved.inputs[0] for axis in axes if axis not in kept]
        nonempty = [SizeOp(NONEMPTY, solved.slots[axis], ()) for axis in reduced]
        plan = plan._replace(size_ops=(*plan.size_ops, *nonempty))
    return plan


def check_reduction(name: object) -> str:
    """The name of a known reduction.

    Raises:
        AxisError: PLT209, it is none.
    """
    if isinstance(name, str):
        if name in REDUCTIONS:
            return name
        hint = did_you_mean(name, REDUCTIONS)
        raise fail("PLT209", f"{name!r} is no reduction{hint}", facts={"known": ", ".join(REDUCTIONS)})
    message = f"a reduction is a name or a callable f(tensor, axes), and this is {short(name)}"
    raise fail("PLT209", message, facts={"known": ", ".join(REDUCTIONS)})


def check_kind(name: str, kind: str | None, dtype: object) -> None:
    """Raise PLT503 where the reduction is not defined on elements of that kind; ``None`` is not known yet."""
    if kind is None or kind in REDUCTIONS[name].kinds:
        return
    if kind == "complex":
        hint = "complex numbers have no order" if name in ("min", "max") else "take real and imaginary parts apart"
    else:
        hint = "convert the tensor to floating point first"
    raise fail("PLT503", f"{name} is not defined on {dtype}; {hint}")


REDUCE = Operation("reduce", check, lower)
