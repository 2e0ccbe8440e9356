"""The nodes of a plan graph: all that the executor, the tracers, `explain` and generated source ask of an operation.

A shape holds *slots* (see `plait._shapes.solver`), so that a plan is the same for every size. In a plan that was chosen
for given sizes it holds lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar, NamedTuple, TypeAlias

from plait._plan.strides import StridedView, contiguous, memory_order, reshape_strides

TYPE_CHECKING = False  # as `typing` has it
if TYPE_CHECKING:
    from typing import Protocol

    class Spelling(Protocol):
        """How a framework spells what nodes do; see `plait.backends.spellings`."""

        @property
        def imports(self) -> str: ...
        @property
        def identifiers(self) -> frozenset[str]: ...
        def call(self, method: str, operands: Sequence[str], **parts: object) -> str: ...
        def reduce(self, name: str, tensor: str, axes: Shape) -> str: ...


Shape: TypeAlias = tuple[int, ...]

Axis: TypeAlias = "str | int"
"""Of an equation: a letter; or a dimension of the ellipsis, as a negative number that counts from the right."""


class Cost(NamedTuple):
    """Multiplications and additions, and the elements that are read and written; nothing for a view."""

    flops: int = 0
    read: int = 0
    written: int = 0


class Node:
    """What every node can be asked.

    Its ``method`` is the backend's function that executes it. Of one operand it is ``f(tensor, argument)``, where the
    argument is the node's first field, which may be a shape; of several see `Contract`.
    """

    __slots__ = ()
    method: str
    takes_shape: ClassVar[bool] = False
    computes: ClassVar[bool] = False  # whether its cost is one of arithmetic, and not of memory

    if TYPE_CHECKING:

        def __getitem__(self, place: Any, /) -> Any: ...

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape of the result, for operands of these shapes; by default the shape that it was made for."""
        shape: Shape = self[0]
        return shape

    def apply(self, view: StridedView, lengths: Shape) -> int | None:
        """Make the view of the operand that of the result; returned is the dimension that forces a copy, if any."""
        view.shape, view.strides = lengths, contiguous(lengths)
        return 0

    def cost(self, shapes: Sequence[Shape], result: Shape, *, copies: bool) -> Cost:
        """What it costs, for operands and a result of these shapes; ``copies`` is what `apply` has found."""
        return Cost(0, prod(shapes[0]), prod(result)) if copies else Cost()

    def source(self, spelling: Spelling, operands: Sequence[str], sizes: Sequence[str]) -> str:
        """The code that does the same, given the code of each size: lines, the last of which is an expression."""
        if self.takes_shape:
            return spelling.call(self.method, operands, shape=shape_source([sizes[slot] for slot in self[0]]))
        return spelling.call(self.method, operands, axes=self[0])

    def describe(self, axes: Sequence[str]) -> str:
        """How it prints; ``axes`` are the dimensions of the operand, in the words of the pattern."""
        return self.method

    def describe_cost(self, cost: Cost) -> str:
        """How its cost prints."""
        if self.computes:
            return f"{cost.flops:,} FLOPs"
        return f"copies {cost.written:,} elements" if cost.written else "view"


class _WithShape(NamedTuple):
    shape: Shape


class _WithAxes(NamedTuple):
    axes: tuple[int, ...]


class _WithOrder(NamedTuple):
    order: tuple[int, ...]


class _WithReduction(NamedTuple):
    axes: tuple[int, ...]
    reduction: str


class Reshape(_WithShape, Node):
    """The same elements in row-major order, in other dimensions."""

    __slots__ = ()
    method = "reshape"
    takes_shape = True

    def apply(self, view: StridedView, lengths: Shape) -> int | None:
        """A view where each group of dimensions is evenly spaced in memory."""
        found = reshape_strides(view.shape, view.strides, lengths)
        if isinstance(found, int):
            view.shape, view.strides = lengths, contiguous(lengths)
            return found
        view.shape, view.strides = lengths, found
        return None


class View(Reshape):
    """A reshape that never copies."""

    __slots__ = ()
    method = "view"


class Permute(_WithOrder, Node):
    """Dimension ``i`` of the result is dimension ``order[i]`` of the operand."""

    __slots__ = ()
    method = "permute"

    def output_shape(self, *shapes: Shape) -> Shape:
        """The dimensions in their new order."""
        (shape,) = shapes
        return tuple([shape[place] for place in self.order])

    def apply(self, view: StridedView, lengths: Shape) -> int | None:
        """Always a view."""
        strides = view.strides
        view.shape, view.strides = lengths, tuple([strides[place] for place in self.order])
        return None


class Expand(_WithShape, Node):
    """Broadcast to a shape, right-aligned, without a copy."""

    __slots__ = ()
    method = "expand"
    takes_shape = True

    def apply(self, view: StridedView, lengths: Shape) -> int | None:
        """A view with stride 0 along the new dimensions."""
        new = len(lengths) - len(view.shape)
        own = [
            stride if length == size else 0
            for stride, length, size in zip(view.strides, view.shape, lengths[new:], strict=True)
        ]
        view.shape, view.strides = lengths, (*[0] * new, *own)
        return None


class Reduce(_WithReduction, Node):
    """Combine the elements along some dimensions, which the result lacks."""

    __slots__ = ()
    method = "reduce"

    def output_shape(self, *shapes: Shape) -> Shape:
        """The dimensions that are kept."""
        return _without(shapes[0], self.axes)

    def apply(self, view: StridedView, lengths: Shape) -> int | None:
        """New memory, in the order in which the operand has its dimensions in memory."""
        kept = _without(view.strides, self.axes)
        order = memory_order(kept)
        strides = dict(zip(order, contiguous([lengths[place] for place in order]), strict=True))
        view.shape, view.strides = lengths, tuple([strides[place] for place in range(len(kept))])
        return 0

    def source(self, spelling: Spelling, operands: Sequence[str], sizes: Sequence[str]) -> str:
        """By the name of the reduction."""
        return spelling.reduce(self.reduction, operands[0], self.axes)

    def describe(self, axes: Sequence[str]) -> str:
        """With the axes that are reduced."""
        return f"reduce over {' '.join([axes[axis] for axis in self.axes])}"

    def describe_cost(self, cost: Cost) -> str:
        """What it reads: the result is small."""
        return f"reads {cost.read:,} elements"


class Sum(_WithAxes, Node):
    """Add up the elements along some dimensions, in their own type: a part of a contraction."""

    __slots__ = ()
    method = "add"
    computes = True

    def output_shape(self, *shapes: Shape) -> Shape:
        """The dimensions that are kept."""
        return _without(shapes[0], self.axes)

    def cost(self, shapes: Sequence[Shape], result: Shape, *, copies: bool) -> Cost:
        """An addition for each element."""
        return Cost(prod(shapes[0]), prod(shapes[0]), prod(result))

    def source(self, spelling: Spelling, operands: Sequence[str], sizes: Sequence[str]) -> str:
        """The reduction of that name."""
        return spelling.reduce("sum", operands[0], self.axes)


class Diagonal(_WithAxes, Node):
    """Keep of two dimensions of one length the elements with equal indices, as a new last dimension."""

    __slots__ = ()
    method = "diagonal"

    def output_shape(self, *shapes: Shape) -> Shape:
        """The other dimensions, and then the common length."""
        return (*_without(shapes[0], self.axes), shapes[0][self.axes[0]])

    def apply(self, view: StridedView, lengths: Shape) -> int | None:
        """A view that steps along both dimensions at once."""
        step = sum([view.strides[axis] for axis in self.axes])
        view.shape, view.strides = lengths, (*_without(view.strides, self.axes), step)
        return None


class Contiguous(_WithShape, Node):
    """The same elements in memory of their own, in row-major order; ``shape`` is that of the operand."""

    __slots__ = ()
    method = "copy"

    def output_shape(self, *shapes: Shape) -> Shape:
        """The same shape."""
        return shapes[0]


class _ContractFields(NamedTuple):
    method: str
    shape: Shape
    equation: str = ""  # of an einsum, in the classical form with an arrow
    order: tuple[int, ...] | None = None  # in which a product of matrices fills memory of the shape, if in another
    in_place: int | None = None  # the operand whose memory a ``multiply`` may take for its result
    axes: tuple[int, ...] = ()  # of the network that was planned, as the result has them in order


class Contract(_ContractFields, Node):
    """Multiply tensors, and sum over what the result lacks.

    The method is ``einsum``, by the framework's own function, or of two tensors ``matmul``, ``dot`` (of at most two
    dimensions each), ``vecdot`` (along the last dimension) or ``multiply`` (with broadcasting, without a sum).
    """

    __slots__ = ()
    computes = True

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape that it was made for."""
        return self.shape

    def cost(self, shapes: Sequence[Shape], result: Shape, *, copies: bool = True) -> Cost:
        """Counted as opt_einsum does: one operation for each product, and one more where products are added up."""
        if self.method == "einsum":
            lengths = _lengths_of_axes(self.equation, shapes, result)
            flops = prod(lengths.values()) * (max(1, len(shapes) - 1) + (prod(lengths.values()) > prod(result)))
        elif self.method == "multiply":
            flops = prod(result)
        else:
            inner = shapes[0][-1]
            flops = prod(result) * inner * (2 if inner > 1 else 1)
        return Cost(flops, sum([prod(shape) for shape in shapes]), prod(result))

    def source(self, spelling: Spelling, operands: Sequence[str], sizes: Sequence[str]) -> str:
        """With the equation of an einsum."""
        return spelling.call(self.method, operands, equation=f'"{self.equation}"')

    def describe(self, axes: Sequence[str]) -> str:
        """With the equation of an einsum."""
        if self.method == "einsum":
            return f"einsum {self.equation}"
        return "matmul" if self.method == "dot" else self.method


def shape_source(sizes: Sequence[str]) -> str:
    """A tuple of sizes, each given as code, as code."""
    return f"({', '.join(sizes)}{',' * (len(sizes) == 1)})"


def _without(values: Sequence[Any], axes: Sequence[int]) -> tuple[Any, ...]:
    return tuple([value for place, value in enumerate(values) if place not in axes])


def axes_of_term(term: str, rank: int) -> list[Axis]:
    """The axes of a term of an equation, for a tensor of this rank.

    >>> axes_of_term("a...b", 4)
    ['a', -2, -1, 'b']
    """
    before, _, after = term.partition("...")
    return [*before, *range(len(before) + len(after) - rank, 0), *after]


def _lengths_of_axes(equation: str, shapes: Sequence[Shape], result: Shape) -> dict[Axis, int]:
    lengths: dict[Axis, int] = {}
    left, _, right = equation.partition("->")
    for term, shape in zip([*left.split(","), right], [*shapes, result], strict=True):
        for axis, length in zip(axes_of_term(term, len(shape)), shape, strict=True):
            if lengths.get(axis, 1) == 1:
                lengths[axis] = length
    return lengths
