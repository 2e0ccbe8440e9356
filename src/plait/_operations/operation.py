"""What an operation is: a name, a rule, and a lowering."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from plait._notation.tree import Tree
from plait._plan.graph import Plan
from plait._shapes.solver import SolvedPattern


class Operation(NamedTuple):
    """An operation that has a pattern with an arrow, as `plait._operations.table` finds it."""

    name: str  # of the public function
    check: Callable[[Tree], None]  # raises where a pattern breaks the rule of the operation
    lower: Callable[[SolvedPattern, str], Plan]  # the plan of a solved pattern; the text is the reduction, or empty
    trivially_valid: Callable[[SolvedPattern], bool] | None = None
    """Whether a solved plain pattern is seen to keep the rule without the check; most are."""
