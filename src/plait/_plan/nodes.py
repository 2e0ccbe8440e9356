"""The nodes of a plan graph: for each operation its output shape, strides, cost, source code and printed text.

A shape holds *slots*, the numbers of sizes (see `plait._shapes.solver`), so that one plan serves tensors of every size.
In a plan for given sizes, as `plait._plan.contraction` makes them, it holds lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar, NamedTuple, TypeAlias

from plait._plan.strides import StridedView, contiguous_strides, dims_by_stride, reshaped_strides_or_copied_dim

TYPE_CHECKING = False  # type checkers take a variable of this name for true
if TYPE_CHECKING:
    from typing import Protocol

    class SourceTemplates(Protocol):
        """The templates by which a framework's source code is written; see `plait.backends.source_templates`."""

        @property
        def imports(self) -> str: ...
        @property
        def module(self) -> str: ...
        @property
        def writable(self) -> str: ...
        @property
        def identifiers(self) -> frozenset[str]: ...
        def format_call(self, template_name: str, operands: Sequence[str], **parts: object) -> str: ...
        def format_reduction(self, name: str, tensor: str, axes: Shape) -> str: ...


Shape: TypeAlias = tuple[int, ...]

EquationAxis: TypeAlias = "str | int"
"""An axis of an equation: its letter, or for a dimension of ``...`` a negative number, counted from the right."""


class Cost(NamedTuple):
    """The number of multiplications and additions of a node, and of elements read and written; all 0 for a view."""

    flops: int = 0
    read: int = 0
    written: int = 0


class Node:
    """The base class of nodes: one operation on one or several tensors.

    ``method`` is the name of the backend's function that executes the node. A node with one operand is executed by
    ``f(tensor, argument)``, where the argument is the node's first field; if that is a shape, its slots are replaced by
    lengths. `Contract` is the node with several operands.
    """

    __slots__ = ()
    method: str
    takes_shape: ClassVar[bool] = False  # whether the first field is a shape
    has_flops: ClassVar[bool] = False  # whether its cost is printed as FLOPs, not as elements copied

    if TYPE_CHECKING:

        def __getitem__(self, field: Any, /) -> Any: ...

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the shape of the result for operands of these shapes; by default the node's own ``shape``."""
        shape: Shape = self[0]
        return shape

    def update_view_and_find_copy(self, view: StridedView, lengths: Shape) -> int | None:
        """Change the shape and strides of the operand to those of the result, whose shape is ``lengths``.

        Return the first dimension that forces a copy, or ``None`` if the result is a view.
        """
        view.shape, view.strides = lengths, contiguous_strides(lengths)
        return 0

    def cost(self, shapes: Sequence[Shape], result: Shape, *, copies: bool) -> Cost:
        """Return the cost for operands and a result of these shapes; ``copies``: whether the node copies."""
        return Cost(0, prod(shapes[0]), prod(result)) if copies else Cost()

    def source_code(self, templates: SourceTemplates, operands: Sequence[str], sizes: Sequence[str]) -> str:
        """Return lines of Python code that do what the node does, of which the last is the expression of the result.

        ``operands`` has the code of each operand, ``sizes`` that of the size in each slot.
        """
        if self.takes_shape:
            return templates.format_call(
                self.method, operands, shape=tuple_source_code([sizes[slot] for slot in self[0]])
            )
        return templates.format_call(self.method, operands, axes=self[0])

    def describe(self, axes: Sequence[str]) -> str:
        """Return the text that `explain` prints for the node; ``axes`` names each dimension of the operand."""
        return self.method

    def describe_cost(self, cost: Cost) -> str:
        """Return the text that `explain` prints for the node's cost."""
        if self.has_flops:
            return f"{cost.flops:,} FLOPs"
        return f"copies {cost.written:,} elements" if cost.written else "view"


class _ShapeField(NamedTuple):
    shape: Shape


class _AxesField(NamedTuple):
    axes: tuple[int, ...]


class _OrderField(NamedTuple):
    order: tuple[int, ...]


class _ReduceFields(NamedTuple):
    axes: tuple[int, ...]
    reduction: str


class Reshape(_ShapeField, Node):
    """Change the shape; the elements keep their row-major order."""

    __slots__ = ()
    method = "reshape"
    takes_shape = True

    def update_view_and_find_copy(self, view: StridedView, lengths: Shape) -> int | None:
        """Change the shape and strides as in `Node`; the result is a view if all merged dimensions are adjacent."""
        strides = reshaped_strides_or_copied_dim(view.shape, view.strides, lengths)
        if isinstance(strides, int):
            view.shape, view.strides = lengths, contiguous_strides(lengths)
            return strides
        view.shape, view.strides = lengths, strides
        return None


class View(Reshape):
    """A reshape that must not copy."""

    __slots__ = ()
    method = "view"


class Permute(_OrderField, Node):
    """Reorder the dimensions: dimension ``i`` of the result is dimension ``order[i]`` of the operand."""

    __slots__ = ()
    method = "permute"

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the lengths in their new order."""
        (shape,) = shapes
        return tuple([shape[dim] for dim in self.order])

    def update_view_and_find_copy(self, view: StridedView, lengths: Shape) -> int | None:
        """Reorder the strides; the result is always a view."""
        strides = view.strides
        view.shape, view.strides = lengths, tuple([strides[dim] for dim in self.order])
        return None


class Expand(_ShapeField, Node):
    """Broadcast to a shape, aligned at the last dimension, without a copy."""

    __slots__ = ()
    method = "expand"
    takes_shape = True

    def update_view_and_find_copy(self, view: StridedView, lengths: Shape) -> int | None:
        """Set the strides of new and of stretched dimensions to 0."""
        new_count = len(lengths) - len(view.shape)
        kept = [
            stride if length == size else 0
            for stride, length, size in zip(view.strides, view.shape, lengths[new_count:], strict=True)
        ]
        view.shape, view.strides = lengths, (*[0] * new_count, *kept)
        return None


class Reduce(_ReduceFields, Node):
    """Reduce along some dimensions, which the result does not have, by the reduction of the call."""

    __slots__ = ()
    method = "reduce"

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the lengths of the dimensions that are kept."""
        return _drop_dims(shapes[0], self.axes)

    def update_view_and_find_copy(self, view: StridedView, lengths: Shape) -> int | None:
        """Set the strides of new memory whose dimensions are in the same order as those of the operand."""
        kept = _drop_dims(view.strides, self.axes)
        order = dims_by_stride(kept)
        strides = dict(zip(order, contiguous_strides([lengths[dim] for dim in order]), strict=True))
        view.shape, view.strides = lengths, tuple([strides[dim] for dim in range(len(kept))])
        return 0

    def source_code(self, templates: SourceTemplates, operands: Sequence[str], sizes: Sequence[str]) -> str:
        """Return the code of the reduction, found by its name."""
        return templates.format_reduction(self.reduction, operands[0], self.axes)

    def describe(self, axes: Sequence[str]) -> str:
        """Return the text with the axes that are reduced."""
        return f"reduce over {' '.join([axes[axis] for axis in self.axes])}"

    def describe_cost(self, cost: Cost) -> str:
        """Return the number of elements read, since the elements written are few."""
        return f"reads {cost.read:,} elements"


class Sum(_AxesField, Node):
    """Sum along some dimensions without a wider accumulator, as a part of a contraction."""

    __slots__ = ()
    method = "add"
    has_flops = True

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the lengths of the dimensions that are kept."""
        return _drop_dims(shapes[0], self.axes)

    def cost(self, shapes: Sequence[Shape], result: Shape, *, copies: bool) -> Cost:
        """Return the cost of one addition for each element."""
        return Cost(prod(shapes[0]), prod(shapes[0]), prod(result))

    def source_code(self, templates: SourceTemplates, operands: Sequence[str], sizes: Sequence[str]) -> str:
        """Return the code of the reduction ``sum``."""
        return templates.format_reduction("sum", operands[0], self.axes)


class Diagonal(_AxesField, Node):
    """Take the diagonal of two dimensions of the same length; it becomes the last dimension."""

    __slots__ = ()
    method = "diagonal"

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the lengths of the other dimensions, then that of the diagonal."""
        return (*_drop_dims(shapes[0], self.axes), shapes[0][self.axes[0]])

    def update_view_and_find_copy(self, view: StridedView, lengths: Shape) -> int | None:
        """Add the strides of both dimensions; the result is always a view."""
        step = sum([view.strides[axis] for axis in self.axes])
        view.shape, view.strides = lengths, (*_drop_dims(view.strides, self.axes), step)
        return None


class ContiguousCopy(_ShapeField, Node):
    """Copy into new row-major memory; ``shape`` is that of the operand."""

    __slots__ = ()
    method = "copy"

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the shape of the operand."""
        return shapes[0]


class _ContractFields(NamedTuple):
    method: str
    shape: Shape
    equation: str = ""  # of an einsum, as NumPy writes it, with an arrow
    order: tuple[int, ...] | None = None  # dimension ``i`` of a matmul fills dimension ``order[i]`` of ``shape``
    reused_operand: int | None = None  # which operand, an intermediate result, a ``multiply`` may overwrite
    axes: tuple[int, ...] = ()  # the axes of the result in order, by their numbers in the `TensorNetwork`


class Contract(_ContractFields, Node):
    """Multiply tensors, and sum over the axes that the result does not have.

    The method is ``einsum``, the framework's own function, or for two tensors ``matmul``, ``dot`` (of at most two
    dimensions each), ``vecdot`` (along the last dimension) or ``multiply`` (elementwise, with broadcasting).
    """

    __slots__ = ()
    has_flops = True

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the node's own shape."""
        return self.shape

    def cost(self, shapes: Sequence[Shape], result: Shape, *, copies: bool = True) -> Cost:
        """Return the cost, counted as opt_einsum does: one operation for each product, and one more if it is summed."""
        if self.method == "einsum":
            lengths = _axis_lengths(self.equation, shapes, result)
            flops = prod(lengths.values()) * (max(1, len(shapes) - 1) + (prod(lengths.values()) > prod(result)))
        elif self.method == "multiply":
            flops = prod(result)
        else:
            inner = shapes[0][-1]
            flops = prod(result) * inner * (2 if inner > 1 else 1)
        return Cost(flops, sum([prod(shape) for shape in shapes]), prod(result))

    def source_code(self, templates: SourceTemplates, operands: Sequence[str], sizes: Sequence[str]) -> str:
        """Return the code of the method, with the equation of an einsum."""
        return templates.format_call(self.method, operands, equation=f'"{self.equation}"')

    def describe(self, axes: Sequence[str]) -> str:
        """Return the method, with the equation of an einsum."""
        if self.method == "einsum":
            return f"einsum {self.equation}"
        return "matmul" if self.method == "dot" else self.method


def tuple_source_code(sizes: Sequence[str]) -> str:
    """Return the source code of a tuple, given the code of each element."""
    return f"({', '.join(sizes)}{',' * (len(sizes) == 1)})"


def _drop_dims(values: Sequence[Any], axes: Sequence[int]) -> tuple[Any, ...]:
    """Return the values of all dimensions except ``axes``."""
    return tuple([value for dim, value in enumerate(values) if dim not in axes])


def axes_of_equation_term(term: str, rank: int) -> list[EquationAxis]:
    """Return the axes of one term of an equation, for a tensor of this rank.

    >>> axes_of_equation_term("a...b", 4)
    ['a', -2, -1, 'b']
    """
    before, _, after = term.partition("...")
    return [*before, *range(len(before) + len(after) - rank, 0), *after]


def _axis_lengths(equation: str, shapes: Sequence[Shape], result: Shape) -> dict[EquationAxis, int]:
    """Return the length of each axis of an equation, from the shapes of the operands and of the result."""
    lengths: dict[EquationAxis, int] = {}
    left, _, right = equation.partition("->")
    for term, shape in zip([*left.split(","), right], [*shapes, result], strict=True):
        for axis, length in zip(axes_of_equation_term(term, len(shape)), shape, strict=True):
            if lengths.get(axis, 1) == 1:
                lengths[axis] = length
    return lengths
