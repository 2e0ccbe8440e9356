"""The lowering of the operations on one tensor."""

from __future__ import annotations

from plait._plan.graph import Plan
from plait._plan.lowering import lower_movement
from plait._shapes.solver import SolvedPattern


def lower_unary(solved: SolvedPattern, reduction: str = "", max_rank: int | None = None) -> Plan:
    """Return the plan from the input to the output, without tensors above ``max_rank``, if it is given."""
    if max_rank is None:
        return lower_movement(solved, reduction)
    from plait._plan.bounded_lowering import lower_within_rank  # imported here because few calls have a limit

    return lower_within_rank(solved, reduction, max_rank)
