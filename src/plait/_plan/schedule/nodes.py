"""What is decided of a reduction or a copy: calls over a tensor that lies in memory in one way."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from plait._plan.nodes import Node
from plait._plan.schedule.loop_nest import LoopNest


class ReduceAxis(NamedTuple):
    """The framework's own reduction along one axis, which the result lacks."""

    axis: int


class TreeReduce(NamedTuple):
    """One axis, which the result lacks, reduced by combining its even elements with its odd ones until one is left."""

    axis: int
    unroll_last: bool = False  # whether each index of the last axis has calls of its own


class MatmulOnes(NamedTuple):
    """The last axis, which the result lacks, summed as a product of a matrix with ones."""

    axis: int


class EinsumRows(NamedTuple):
    """One axis, not the last, which the result lacks, summed as a contraction of one tensor: row upon row."""

    axis: int


Call: TypeAlias = "ReduceAxis | TreeReduce | MatmulOnes | EinsumRows"

Block: TypeAlias = "tuple[int, int] | None"
"""The axis that is cut into blocks, and the length of a block; ``None`` where none is cut."""


class Reduction(NamedTuple):
    """A reduction in several calls."""

    nest: LoopNest
    shape: tuple[int, ...]  # the lengths of the loops, one of which may be made two: a view
    calls: tuple[Call, ...]  # one after the other; axes are counted in what the call before left
    block: Block  # of ``shape``; each block goes through all calls
    techniques: tuple[str, ...]  # the names of what was done
    cost: float  # nanoseconds, as estimated


class TwoPassReduction(NamedTuple):
    """A reduction that finds a pivot, takes it out of every element, and adds up what it makes of the rest."""

    nest: LoopNest
    itemsize: int  # bytes of an element
    block: Block  # of the loops; each block has its pivot found
    tiles: tuple[int, ...]  # how much of each loop is transformed and added up at a time
    unroll_last: bool  # whether each index of the last loop has calls of its own
    techniques: tuple[str, ...]
    cost: float


class TiledCopy(NamedTuple):
    """A copy in several calls."""

    shape: tuple[int, ...]  # the dimensions of the result as the loops of the copy: a view of both
    tiles: tuple[int, ...]  # for each dimension how much of it one call copies
    techniques: tuple[str, ...]
    cost: float


Schedule: TypeAlias = "Reduction | TwoPassReduction | TiledCopy"


class ScheduledStep(NamedTuple):
    """The step of a plan that reads the tensor and writes new memory; the steps before it are views."""

    number: int
    step: Node
    shape: tuple[int, ...]  # of the tensor
    strides: tuple[int, ...]  # of the tensor, in bytes
    target: tuple[int, ...]  # the shape that the step leaves
    schedule: Schedule | None  # ``None`` is one call of the framework's
