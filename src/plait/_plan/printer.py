"""Print a plan as a table: for each node its description, output shape, the axes of that shape, and its cost."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

from plait._plan.contraction.paths import Path, format_path
from plait._plan.graph import Plan, group_by_contraction
from plait._plan.nodes import Contract, Cost, Node, Reshape, Shape
from plait._plan.strides import StridedView
from plait._shapes.sizes import format_shape
from plait._shapes.solver import Axes, format_dimension, slot_labels, tensor_label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from plait._plan.contraction.layout_search import NetworkContraction
    from plait._plan.contraction.network import TensorNetwork


class PlanLine(NamedTuple):
    """One line of the table: a node or a tensor, its shape, the axes of the shape, and the cost."""

    step: str
    shape: Shape
    axes: str
    cost: str


class Costs(NamedTuple):
    """The total cost of a contraction."""

    path: Path
    flops: int  # multiplications and additions, counted as in opt_einsum
    largest: int  # the number of elements of the largest intermediate result; 0 if there is none
    read: int  # the number of elements that products, sums and copies read
    written: int  # the number of elements that they write
    seconds: float = 0.0  # the estimated time, on one thread


class SlotLabeler:
    """Names the dimensions of a plan for any sizes, whose nodes hold slots."""

    def __init__(self, plan: Plan, slots: Sequence[int]) -> None:
        self.slots = slots
        self.labels = slot_labels(plan.solved, plan.size_ops)
        self.first_slots = [sum(plan.solved.ranks[:number]) for number in range(len(plan.solved.ranks) + 1)]

    def input_dims_as_axes(self, number: int) -> Shape:
        """Return the dimensions of the input tensor with this number, each as a slot."""
        return tuple(range(self.first_slots[number], self.first_slots[number + 1]))

    def result_dims_and_shape(self, node: Node, dims: Sequence[Any], _: Sequence[Shape]) -> tuple[Any, Shape]:
        """Return the dimensions of the result of a node, each as a slot, and its shape, which has lengths.

        ``dims`` has the dimensions of each operand as slots.
        """
        result_slots = node.output_shape(*dims)
        return result_slots, tuple([self.slots[slot] for slot in result_slots])

    def dim_texts(self, dims: Sequence[Any]) -> list[str]:
        """Return for each dimension its axes as the pattern spells them."""
        return [self.labels[slot] for slot in dims]


class AxisLabeler:
    """Names the dimensions of a contraction for given sizes: each is a group of axes of the network."""

    def __init__(self, network: TensorNetwork) -> None:
        self.network = network

    def input_dims_as_axes(self, number: int) -> tuple[Axes, ...]:
        """Return the dimensions of the input tensor with this number, each as a group of axes of the network."""
        return self._split_into_dims(self.network.terms[number], self.network.shapes[number])

    def result_dims_and_shape(self, node: Node, dims: Sequence[Any], shapes: Sequence[Shape]) -> tuple[Any, Shape]:
        """Return the dimensions of the result of a node, each as a group of axes of the network, and its shape.

        ``dims`` and ``shapes`` have the same for each operand.
        """
        shape = node.output_shape(*shapes)
        if isinstance(node, Contract):
            return self._split_into_dims(node.axes, shape), shape
        if isinstance(node, Reshape):
            return self._split_into_dims(sum(dims[0], ()), shape), shape
        return node.output_shape(*dims), shape

    def dim_texts(self, dims: Sequence[Any]) -> list[str]:
        """Return for each dimension its axes as the pattern spells them."""
        return [format_dimension([self.network.labels[axis] for axis in dim]) for dim in dims]

    def _split_into_dims(self, axes: Axes, shape: Shape) -> tuple[Axes, ...]:
        """Group axes in row-major order so that each group has the length of a dimension of the shape."""
        remaining_axes = list(axes)
        dims: list[Axes] = []
        for size in shape:
            dim: list[int] = []
            length = 1
            while remaining_axes and (length < size or length > size == 0):
                dim.append(remaining_axes.pop(0))
                length *= self.network.sizes[dim[-1]]
            dims.append(tuple(dim))
        return tuple(dims)


class _TensorInPlan(NamedTuple):
    """An input tensor or a result: its name, its dimensions and their text, and its shape and strides."""

    name: str
    dims: Any
    text: str
    view: StridedView


class _PlanPrinter:
    """Walks a plan for row-major tensors of some shapes, and collects the lines and the total cost.

    ``texts`` are the axes of each input tensor as the table shows them; if it is empty, the labeler makes them.
    """

    def __init__(
        self, plan: Plan, shapes: Sequence[Shape], labeler: SlotLabeler | AxisLabeler, texts: Sequence[str]
    ) -> None:
        self.labeler = labeler
        self.lines: list[PlanLine] = []
        self.total_cost = Cost()
        self.largest_intermediate = 0
        values: list[_TensorInPlan] = []
        for number, shape in enumerate(shapes):
            dims = labeler.input_dims_as_axes(number)
            text = texts[number] if texts else " ".join(labeler.dim_texts(dims))
            values.append(_TensorInPlan(tensor_label(number, len(shapes)), dims, text, StridedView(shape)))
        (groups, (output,)), nodes = group_by_contraction(plan), [node for node, _ in plan.steps]
        for number, group in enumerate(groups, 1):
            operands = []
            for source, chain in group.operand_chains:
                value = values[source]
                if group.contraction is not None or source < len(shapes):
                    self.lines.append(PlanLine(value.name, value.view.shape, value.text, ""))
                for step in chain:
                    value = self._add_node(nodes[step], [value])
                operands.append(value)
            result = operands[0]
            if group.contraction is not None:
                result = self._add_node(nodes[group.contraction], operands)
            for step in group.epilogue:
                result = self._add_node(nodes[step], [result])
            values.append(result._replace(name=f"result {number}"))
            if number < len(groups):
                self.largest_intermediate = max(self.largest_intermediate, prod(result.view.shape))
        (expr,) = plan.solved.tree.right or ()
        self.lines.append(PlanLine("output", values[output].view.shape, str(expr), ""))

    def _add_node(self, node: Node, operands: Sequence[_TensorInPlan]) -> _TensorInPlan:
        """Add the line and the cost of a node, and return its result."""
        shapes = [value.view.shape for value in operands]
        dims, lengths = self.labeler.result_dims_and_shape(node, [value.dims for value in operands], shapes)
        view = StridedView(shapes[0], operands[0].view.strides)
        copies = node.update_view_and_find_copy(view, lengths) is not None
        cost = node.cost(shapes, lengths, copies=copies)
        text = " ".join(self.labeler.dim_texts(dims)) if self._dims_match_shape(dims, lengths) else ""
        step = node.describe(self.labeler.dim_texts(operands[0].dims))
        self.lines.append(PlanLine(step, lengths, text, node.describe_cost(cost)))
        self.total_cost = Cost(*[one + other for one, other in zip(self.total_cost, cost, strict=True)])
        return _TensorInPlan("", dims, text, view)

    def _dims_match_shape(self, dims: Any, shape: Shape) -> bool:
        """Whether these groups of axes have these lengths; not if one axis of the network was split."""
        if isinstance(self.labeler, SlotLabeler):
            return True
        sizes = self.labeler.network.sizes
        return all(prod([sizes[axis] for axis in dim]) == size for dim, size in zip(dims, shape, strict=True))


def list_plan_lines(plan: Plan, shapes: Sequence[Sequence[int]], slots: Sequence[int]) -> list[PlanLine]:
    """Return the lines of a plan for any sizes, printed for row-major tensors of these shapes.

    ``slots`` are all sizes of the plan, evaluated for these shapes.
    """
    return _PlanPrinter(plan, [tuple(shape) for shape in shapes], SlotLabeler(plan, slots), ()).lines


def contraction_lines_and_costs(plan: Plan, contraction: NetworkContraction) -> tuple[list[PlanLine], Costs]:
    """Return the lines of a contraction for given sizes, and its total cost."""
    network = contraction.network
    printer = _PlanPrinter(plan, network.shapes, AxisLabeler(network), [*map(str, plan.solved.tree.left)])
    total = printer.total_cost
    seconds = float(f"{contraction.cost * 1e-9:.2g}")
    return printer.lines, Costs(
        contraction.path, total.flops, printer.largest_intermediate, total.read, total.written, seconds
    )


def format_plan(title: str, plan: Plan, lines: Sequence[PlanLine], sizes: Sequence[int]) -> str:
    """Return the table of a plan as text.

    Args:
        title: The name of the operation. The first line has it, then the pattern and the given sizes.
        plan: The plan.
        lines: The other lines, one for each node and tensor.
        sizes: The sizes that the caller gave, in the order of their names in the solved pattern.
    """
    given = ", ".join(f"{name}={size}" for name, size in zip(plan.solved.size_names, sizes, strict=True))
    rows = [(line.step, format_shape(line.shape), line.axes, line.cost) for line in lines]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    drawn = [f"{title}  {plan.solved.tree}{'   ' + given if given else ''}"]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        drawn.append(("  " + "   ".join([*cells, row[3]])).rstrip())
    return "\n".join(drawn)


def format_costs(costs: Costs, itemsize: int, dtype: str) -> str:
    """Return the line below the table: path, FLOPs, largest intermediate result, bytes read and written, and time.

    ``itemsize`` is the number of bytes of an element of the type ``dtype``.
    """
    parts = [f"path {format_path(costs.path)}", f"{costs.flops:,} FLOPs"]
    if costs.largest:
        parts.append(f"largest intermediate {costs.largest:,} elements")
    moved = f"reads {costs.read * itemsize:,} bytes, writes {costs.written * itemsize:,} ({dtype})"
    return "   ".join([*parts, moved, f"about {format_seconds(costs.seconds)}"])


def format_seconds(seconds: float) -> str:
    """Return a time with a unit.

    >>> [format_seconds(seconds) for seconds in (7.2e-6, 0.00034, 0.25, 90)]
    ['7.2 µs', '340 µs', '250 ms', '90 s']
    """
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{seconds * factor:,.3g} {unit}" if seconds * factor < 1e6 else f"{seconds * factor:.1e} {unit}"
    return f"{seconds * 1e6:.3g} µs"
