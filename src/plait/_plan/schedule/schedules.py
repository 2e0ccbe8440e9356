"""The schedules of a large reduction or copy: the calls of the framework, their order, and the blocks or tiles."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from plait._plan.nodes import Node
from plait._plan.schedule.loop_nest import LoopNest


class ReduceAxis(NamedTuple):
    """The framework's reduction along one axis, which the result does not have."""

    axis: int


class TreeReduce(NamedTuple):
    """The reduction of one axis by combining elements at even positions with those at odd ones, until one is left."""

    axis: int
    unroll_last: bool = False  # whether each index of the last axis gets its own calls


class MatmulOnes(NamedTuple):
    """The sum along the last axis as a matrix product with ones."""

    axis: int


class AddRowsByEinsum(NamedTuple):
    """The sum along an axis other than the last as an einsum of one tensor, which adds row to row."""

    axis: int


ReductionCall: TypeAlias = "ReduceAxis | TreeReduce | MatmulOnes | AddRowsByEinsum"

BlockedAxis: TypeAlias = "tuple[int, int] | None"
"""The axis that is split into blocks, and the length of a block; ``None`` if there is one block."""


class ReductionSchedule(NamedTuple):
    """A reduction by several calls."""

    nest: LoopNest
    shape: tuple[int, ...]  # of the view that is reduced: the lengths of the loops, one of which may be split
    calls: tuple[ReductionCall, ...]  # in order; axes are those of the previous call's result
    block: BlockedAxis  # of ``shape``; all calls are made for a block before the next one
    techniques: tuple[str, ...]  # their names, see `plait._plan.schedule.techniques`
    cost: float  # nanoseconds, as estimated


class TwoPassSchedule(NamedTuple):
    """A reduction that first computes a pivot (mean or maximum), and then sums the transformed differences from it."""

    nest: LoopNest
    itemsize: int  # bytes of an element
    block: BlockedAxis  # of the loops; the pivot is computed for each block
    tile_shape: tuple[int, ...]  # for each loop the length of a tile, which is transformed and summed at once
    unroll_last: bool  # whether each index of the last loop gets its own calls
    techniques: tuple[str, ...]
    cost: float


class CopySchedule(NamedTuple):
    """A copy by one call for each tile."""

    shape: tuple[int, ...]  # of the views of tensor and result that are copied: the lengths of the loops
    tile_shape: tuple[int, ...]  # for each dimension the length of a tile
    techniques: tuple[str, ...]
    cost: float


Schedule: TypeAlias = "ReductionSchedule | TwoPassSchedule | CopySchedule"


class ScheduledStep(NamedTuple):
    """The first step of a plan that writes new memory, with its schedule; the steps before it are views."""

    position: int
    node: Node
    shape: tuple[int, ...]  # of the tensor
    strides: tuple[int, ...]  # of the tensor, in bytes
    output_shape: tuple[int, ...]  # of the result
    schedule: Schedule | None  # ``None`` for one call of the framework
    reduction_cost: float | None  # the estimated nanoseconds of a reduction in one pass, by the schedule or the call
