"""The operation ``reduce``, which reduces the axes that are not on the right.

`plait.backends.reduction_rules` defines the named reductions.
"""

from __future__ import annotations

from itertools import chain

from plait._plan.graph import Plan
from plait._plan.lowering import lower_movement
from plait._shapes.solver import CHECK_NONEMPTY, SizeOp, SolvedPattern
from plait.backends.reduction_rules import REDUCTION_RULES
from plait.errors import did_you_mean, make_error, short_repr

CUSTOM_REDUCTION = "custom"
"""The name in a plan for a reduction that is a callable of the caller."""


def lower_unary(solved: SolvedPattern, reduction: str = "", max_rank: int | None = None) -> Plan:
    """Return the plan of one tensor, without tensors above ``max_rank`` if it is given."""
    if max_rank is None:
        return lower_movement(solved, reduction)
    from plait._plan.bounded_lowering import lower_within_rank  # imported here because few calls have a limit

    return lower_within_rank(solved, reduction, max_rank)


def lower_reduce(solved: SolvedPattern, reduction: str, max_rank: int | None = None) -> Plan:
    """Return the plan: split, reduce, permute, merge; if the reduction of no elements is not defined, its size
    operations also check that no reduced axis has length 0.
    """
    plan = lower_unary(solved, reduction, max_rank)
    if reduction in REDUCTION_RULES and REDUCTION_RULES[reduction].empty_value is None:
        kept = {*chain(*solved.output)}
        reduced = [axis for axis in chain(*solved.inputs[0]) if axis not in kept]
        nonempty = [SizeOp(CHECK_NONEMPTY, solved.slots[axis], ()) for axis in reduced]
        plan = plan._replace(size_ops=(*plan.size_ops, *nonempty))
    return plan


_UNSUPPORTED_NAMES_OF_NUMPY_REDUCTIONS = (
    "average",
    "count_nonzero",
    "median",
    "nanmax",
    "nanmean",
    "nanmin",
    "nansum",
    "ptp",
)
"""Functions of NumPy that can be passed as a reduction, and whose names are often tried."""


def check_reduction_name(name: object) -> str:
    """Return the argument if it is the name of a reduction; raise PLT209 for any other object."""
    if isinstance(name, str):
        if name in REDUCTION_RULES:
            return name
        if "->" in name:
            hint = "; the pattern comes before the reduction: reduce(tensor, pattern, reduction)"
        elif name in _UNSUPPORTED_NAMES_OF_NUMPY_REDUCTIONS:
            hint = f"; pass a function f(tensor, axes), e.g. np.{name}"
        else:
            hint = did_you_mean(name, REDUCTION_RULES) or "; pass a function f(tensor, axes), e.g. np.median"
        message = f"unknown reduction {name!r}{hint}"
    else:
        message = f"the reduction must be a name or a function f(tensor, axes), not {short_repr(name)}"
    raise make_error("PLT209", message, facts={"known": ", ".join(REDUCTION_RULES)})


def check_dtype_kind(name: str, kind: str | None, dtype: object) -> None:
    """Raise PLT503 if the reduction is not defined for this kind of dtype; ``None``, an unknown kind, passes."""
    if kind is None or kind in REDUCTION_RULES[name].kinds:
        return
    if kind == "complex":
        hint = (
            "complex numbers have no order" if name in ("min", "max") else "reduce real and imaginary parts separately"
        )
    else:
        example = f", or pass a function, e.g. np.{name}" if name != "logsumexp" else ""
        hint = f"convert the tensor to floating point first{example}"
    raise make_error("PLT503", f"{name} is not defined on {dtype}; {hint}")
