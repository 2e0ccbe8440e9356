"""What is decided of a reduction or a copy: calls over a tensor that lies in memory in one way."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from plait._plan.nodes import Node
from plait._plan.schedule.loop_nest import LoopNest


class ReduceAxis(NamedTuple):
    """The framework's own reduction along one axis, which the result lacks."""

    axis: int


class TreeReduce(NamedTuple):
    """One axis, which the result lacks, reduced by combining its even elements with its odd ones until one is left.

    Where ``unroll_last`` is given, each index of the last axis has calls of its own.
    """

    axis: int
    unroll_last: bool = False


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
    """A reduction in several calls.

    Attributes:
        nest: the loops over the tensor.
        shape: the lengths of the loops, one of which may be made two: a view.
        calls: what is done, one after the other; axes are counted in what the call before left.
        block: the axis of ``shape`` that is cut; each block goes through all calls.
        rewrites: the names of what was done.
        cost: nanoseconds, as estimated.
    """

    nest: LoopNest
    shape: tuple[int, ...]
    calls: tuple[Call, ...]
    block: Block
    rewrites: tuple[str, ...]
    cost: float


class TwoPassReduction(NamedTuple):
    """A reduction that finds a pivot, takes it out of every element, and adds up what it makes of the rest.

    Attributes:
        nest: the loops over the tensor: a view.
        itemsize: bytes of an element.
        block: the loop that is cut; each block has its pivot found.
        tiles: of each loop how much goes through what is left to do at a time.
        unroll_last: whether each index of the last has calls of its own.
        rewrites: the names of what was done.
        cost: nanoseconds, as estimated.
    """

    nest: LoopNest
    itemsize: int
    block: Block
    tiles: tuple[int, ...]
    unroll_last: bool
    rewrites: tuple[str, ...]
    cost: float


class TiledCopy(NamedTuple):
    """A copy in several calls.

    Attributes:
        shape: the dimensions of the result as the loops of the copy: a view of both.
        tiles: for each dimension how much of it one call copies; its length for all.
        rewrites: the names of what was done.
        cost: nanoseconds, as estimated.
    """

    shape: tuple[int, ...]
    tiles: tuple[int, ...]
    rewrites: tuple[str, ...]
    cost: float


Schedule: TypeAlias = "Reduction | TwoPassReduction | TiledCopy"


class ScheduledStep(NamedTuple):
    """The step of a plan that reads the tensor and writes new memory: what comes before it are views, after it little.

    Attributes:
        number: of the step.
        step: it.
        shape: of the tensor.
        strides: of the tensor, in bytes.
        target: the shape that the step leaves.
        schedule: how it is done; ``None`` is one call of the framework's.
    """

    number: int
    step: Node
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    target: tuple[int, ...]
    schedule: Schedule | None
