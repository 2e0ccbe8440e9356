"""The steps that a plan is made of. Each says what shape it leaves, so that a plan is checked without a tensor.

A shape is a tuple of registers here (see `plait._shapes.solver`): the plan is the same for every size. In a
`Contraction`, which is chosen for one size, it is a tuple of lengths.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

Shape: TypeAlias = tuple[int, ...]
"""The registers that hold the sizes of the dimensions, from left to right."""


class Reshape(NamedTuple):
    """The same elements in row-major order, in other dimensions."""

    shape: Shape

    def output(self, shape: Shape) -> Shape:
        """The shape that this step leaves."""
        return self.shape


class View(NamedTuple):
    """A reshape that never copies."""

    shape: Shape

    def output(self, shape: Shape) -> Shape:
        """The shape that this step leaves."""
        return self.shape


class Permute(NamedTuple):
    """Dimension ``i`` of the result is dimension ``order[i]`` of the tensor."""

    order: tuple[int, ...]

    def output(self, shape: Shape) -> Shape:
        """The shape that this step leaves."""
        return tuple(shape[place] for place in self.order)


class Reduce(NamedTuple):
    """Combine the elements along some dimensions, which the result then lacks."""

    axes: tuple[int, ...]
    reduction: str

    def output(self, shape: Shape) -> Shape:
        """The shape that this step leaves."""
        return tuple(size for place, size in enumerate(shape) if place not in self.axes)


class Expand(NamedTuple):
    """Broadcast to a shape, right-aligned, without a copy."""

    shape: Shape

    def output(self, shape: Shape) -> Shape:
        """The shape that this step leaves."""
        return self.shape


class Diagonal(NamedTuple):
    """Keep of two dimensions of one length the elements with equal indices, as a new last dimension; a view."""

    axes: tuple[int, int]

    def output(self, shape: Shape) -> Shape:
        """The shape that this step leaves."""
        rest = [size for place, size in enumerate(shape) if place not in self.axes]
        return (*rest, shape[self.axes[0]])


class Add(NamedTuple):
    """Add up the elements along some dimensions, in their own type."""

    axes: tuple[int, ...]

    def output(self, shape: Shape) -> Shape:
        """The shape that this step leaves."""
        return tuple(size for place, size in enumerate(shape) if place not in self.axes)


class Copy(NamedTuple):
    """The same elements in memory of their own, row by row; ``shape`` is that of the tensor as it came."""

    shape: Shape

    def output(self, shape: Shape) -> Shape:
        """The shape that this step leaves."""
        return shape


class Einsum(NamedTuple):
    """Multiply tensors and sum, by the framework's own einsum.

    ``places`` are those of the tensors among the ones at hand. They are taken out, and the result becomes the last.
    """

    places: tuple[int, ...]
    equation: str


Step: TypeAlias = "Reshape | View | Permute | Reduce | Expand | Diagonal | Add | Copy"
