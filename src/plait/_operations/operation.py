"""What an operation is: a name, a rule, and a lowering."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from plait._notation.tree import Tree
from plait._plan.graph import Plan
from plait._shapes.solver import SolvedPattern


class Operation(NamedTuple):
    """One row of the table.

    Attributes:
        name: the public function.
        check: raises where the pattern breaks the rule of the operation.
        lower: the plan for a solved pattern; the text is the reduction, where there is one.
        obvious: whether a plain pattern, once solved, is seen to keep the rule, which saves the check most of the time.
    """

    name: str
    check: Callable[[Tree], None]
    lower: Callable[[SolvedPattern, str], Plan]
    obvious: Callable[[SolvedPattern], bool] | None = None
