"""``reduce``: axes that the right side lacks are combined, as `plait.backends.reduction_rules` says."""

from __future__ import annotations

from itertools import chain

from plait._plan.graph import Plan
from plait._plan.lowering import lower_movement
from plait._shapes.solver import CHECK_NONEMPTY, SizeOp, SolvedPattern
from plait.backends.reduction_rules import REDUCTION_RULES
from plait.errors import did_you_mean, make_error, short_repr

CUSTOM = "custom"
"""Stands in a plan for a callable of the caller's."""


def lower(solved: SolvedPattern, reduction: str) -> Plan:
    """Split, reduce, permute, merge; first make sure that a minimum or maximum has something to choose from."""
    plan = lower_movement(solved, reduction)
    if reduction in REDUCTION_RULES and REDUCTION_RULES[reduction].empty_value is None:
        kept = {*chain(*solved.output)}
        reduced = [axis for axis in chain(*solved.inputs[0]) if axis not in kept]
        nonempty = [SizeOp(CHECK_NONEMPTY, solved.slots[axis], ()) for axis in reduced]
        plan = plan._replace(size_ops=(*plan.size_ops, *nonempty))
    return plan


def check_reduction(name: object) -> str:
    """The name of a known reduction; anything else is an error."""
    if isinstance(name, str):
        if name in REDUCTION_RULES:
            return name
        message = f"{name!r} is no reduction{did_you_mean(name, REDUCTION_RULES)}"
    else:
        message = f"a reduction is a name or a callable f(tensor, axes), and this is {short_repr(name)}"
    raise make_error("PLT209", message, facts={"known": ", ".join(REDUCTION_RULES)})


def check_kind(name: str, kind: str | None, dtype: object) -> None:
    """Raise PLT503 where the reduction is not defined on elements of that kind; ``None`` is not known yet."""
    if kind is None or kind in REDUCTION_RULES[name].kinds:
        return
    if kind == "complex":
        hint = "complex numbers have no order" if name in ("min", "max") else "take real and imaginary parts apart"
    else:
        hint = "convert the tensor to floating point first"
    raise make_error("PLT503", f"{name} is not defined on {dtype}; {hint}")
