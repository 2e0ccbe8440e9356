"""What is decided of a reduction or a copy: calls over a tensor that lies in memory in one way."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from plait._plan.schedule.loop_nest import Loop


class Along(NamedTuple):
    """The framework's own reduction along one axis, which the result lacks."""

    axis: int


class Halves(NamedTuple):
    """One axis, which the result lacks, reduced by combining its even elements with its odd ones until one is left.

    Where ``apart`` is given, each index of that last axis has calls of its own.
    """

    axis: int
    apart: bool = False


class Ones(NamedTuple):
    """The last axis, which the result lacks, summed as a product of a matrix with ones."""

    axis: int


class Rows(NamedTuple):
    """One axis, not the last, which the result lacks, summed as a contraction of one tensor: row upon row."""

    axis: int


Call: TypeAlias = "Along | Halves | Ones | Rows"


class Reduction(NamedTuple):
    """A reduction in several calls.

    Attributes:
        order: the dimensions of the tensor that have more than one element, as memory has them: a view.
        shape: neighbours of these made one, or one made two: a view.
        calls: what is done, one after the other; axes are counted in what the call before left.
        block: the axis of ``shape`` that is cut into parts, each of which goes through all calls, and their length.
        rewrites: the names of what was done.
        cost: microseconds, as estimated.
        plain: the same for one call of the framework's.
    """

    order: tuple[int, ...]
    shape: tuple[int, ...]
    calls: tuple[Call, ...]
    block: tuple[int, int] | None
    rewrites: tuple[str, ...]
    cost: float
    plain: float


class Centred(NamedTuple):
    """A reduction that takes its centre out of every element, and adds up what it makes of the rest.

    Attributes:
        order: the dimensions of the tensor that have more than one element, as memory has them: a view.
        itemsize: bytes of an element.
        loops: neighbours of these made one: a view.
        block: the one of these that is cut into parts, each of which has its centre found, and their length.
        tiles: of each how much goes through what is left to do at a time.
        apart: whether each index of the last has calls of its own.
        rewrites: the names of what was done.
        cost: microseconds, as estimated.
        plain: the same for one call of the framework's.
    """

    order: tuple[int, ...]
    itemsize: int
    loops: tuple[Loop, ...]
    block: tuple[int, int] | None
    tiles: tuple[int, ...]
    apart: bool
    rewrites: tuple[str, ...]
    cost: float
    plain: float


class Copying(NamedTuple):
    """A copy in several calls.

    Attributes:
        shape: the dimensions of the result as the loops of the copy: a view of both.
        tiles: for each dimension how much of it one call copies; its length for all.
        rewrites: the names of what was done.
        cost: microseconds, as estimated.
        plain: the same for one call of the framework's.
    """

    shape: tuple[int, ...]
    tiles: tuple[int, ...]
    rewrites: tuple[str, ...]
    cost: float
    plain: float
