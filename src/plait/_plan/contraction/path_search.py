"""The search for a contraction path: which algorithms run, and for how long.

The search takes a part of the estimated time of the contraction, and at least about as long as the path takes to be
executed by Python. Time is counted in units of work instead of being measured, so that the same network always has the
same path.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from plait._plan.contraction.contraction_tree import ContractionTree
from plait._plan.contraction.dynamic_programming import find_best_contractions, steps_of_group
from plait._plan.contraction.greedy import find_greedy_steps
from plait._plan.contraction.subtree_refinement import SubtreeRefinement
from plait._plan.contraction.sweep import breadth_first_order, find_sweep_steps
from plait._plan.contraction.tensor_graph import PartialContraction, Step, TensorGraph

if TYPE_CHECKING:
    from plait._plan.contraction.network import TensorNetwork
    from plait.backends.costs import ContractionCosts

NANOSECONDS_PER_WORK = 800.0
"""The time of a unit of work: dynamic programming compares two groups of tensors, and so on."""

BASE_WORK_PER_TENSOR = 30
BASE_WORK_PER_PAIR = 40

PART_OF_CONTRACTION = 0.05
MAX_SECONDS = 0.3
MAX_FEASIBLE_SIZE = 2**38
