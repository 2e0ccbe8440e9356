"""A plan as text: for each node what it does, the shape it gives, the axes of that shape, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

from plait._plan.contraction.paths import Path, path_text
from plait._plan.graph import Plan, group_by_contraction
from plait._plan.nodes import Contract, Cost, Node, Reshape, Shape
from plait._plan.strides import StridedView
from plait._shapes.sizes import shape_text
from plait._shapes.solver import Axes, dimension_text, slot_labels, tensor_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from plait._plan.contraction.network import Network


class Line(NamedTuple):
    """One line: a step, the shape that it gives, the axes of that shape, and what it costs."""

    step: str
    shape: Shape
    axes: str
    cost: str


class Costs(NamedTuple):
    """What a contraction costs."""

    path: Path
    flops: int  # multiplications and additions, counted as opt_einsum counts them
    largest: int  # the elements of the largest intermediate result; 0 where there is none
    read: int  # the elements that products, sums and copies read
    written: int  # the elements that they write


class SlotLabels:
    """Dimensions as slots, as the nodes of a plan for any size have them."""

    def __init__(self, plan: Plan, slots: Sequence[int]) -> None:
        self.slots = slots
        self.labels = slot_labels(plan.solved, plan.size_ops)
        self.starts = [sum(plan.solved.ranks[:number]) for number in range(len(plan.solved.ranks) + 1)]

    def tensor(self, number: int) -> Shape:
        """The dimensions of a tensor."""
        return tuple(range(self.starts[number], self.starts[number + 1]))

    def result(self, node: Node, dims: Sequence[Any], _: Sequence[Shape]) -> tuple[Any, Shape]:
        """The dimensions of a result, and its shape."""
        found = node.output_shape(*dims)
        return found, tuple([self.slots[slot] for slot in found])

    def text(self, dims: Sequence[Any]) -> list[str]:
        """Each dimension in the words of the pattern."""
        return [self.labels[slot] for slot in dims]


class AxisLabels:
    """Dimensions as groups of axes of a network, as a plan for given sizes has them."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def tensor(self, number: int) -> tuple[Axes, ...]:
        """The dimensions of a tensor."""
        return self._split(self.network.terms[number], self.network.shapes[number])

    def result(self, node: Node, dims: Sequence[Any], shapes: Sequence[Shape]) -> tuple[Any, Shape]:
        """The dimensions of a result, and its shape."""
        shape = node.output_shape(*shapes)
        if isinstance(node, Contract):
            return self._split(node.axes, shape), shape
        if isinstance(node, Reshape):
            return self._split(sum(dims[0], ()), shape), shape
        return node.output_shape(*dims), shape

    def text(self, dims: Sequence[Any]) -> list[str]:
        """Each dimension in the words of the pattern."""
        return [dimension_text([self.network.labels[axis] for axis in dim]) for dim in dims]

    def _split(self, axes: Axes, shape: Shape) -> tuple[Axes, ...]:
        """Axes in row-major order as the dimensions of a shape."""
        rest = list(axes)
        dims: list[Axes] = []
        for size in shape:
            dim: list[int] = []
            length = 1
            while rest and (length < size or length > size == 0):
                dim.append(rest.pop(0))
                length *= self.network.sizes[dim[-1]]
            dims.append(tuple(dim))
        return tuple(dims)


class _Value(NamedTuple):
    """A tensor: what it is called, its dimensions, their text, and its memory."""

    name: str
    dims: Any
    text: str
    view: StridedView


class _Printer:
    """Follows a plan for row-major tensors."""

    def __init__(
        self, plan: Plan, shapes: Sequence[Shape], labels: SlotLabels | AxisLabels, texts: Sequence[str]
    ) -> None:
        self.labels = labels
        self.lines: list[Line] = []
        self.total = Cost()
        self.largest = 0
        values: list[_Value] = []
        for number, shape in enumerate(shapes):
            dims = labels.tensor(number)
            text = texts[number] if texts else " ".join(labels.text(dims))
            values.append(_Value(tensor_name(number, len(shapes)), dims, text, StridedView(shape)))
        (found, (output,)), nodes = group_by_contraction(plan), [node for node, _ in plan.steps]
        for number, segment in enumerate(found, 1):
            operands = []
            for source, chain in segment.operand_chains:
                value = values[source]
                if segment.contraction is not None or source < len(shapes):
                    self.lines.append(Line(value.name, value.view.shape, value.text, ""))
                for step in chain:
                    value = self._apply(nodes[step], [value])
                operands.append(value)
            result = operands[0]
            if segment.contraction is not None:
                result = self._apply(nodes[segment.contraction], operands)
            for step in segment.epilogue:
                result = self._apply(nodes[step], [result])
            values.append(result._replace(name=f"result {number}"))
            if number < len(found):
                self.largest = max(self.largest, prod(result.view.shape))
        (expr,) = plan.solved.tree.right or ()
        self.lines.append(Line("output", values[output].view.shape, str(expr), ""))

    def _apply(self, node: Node, operands: Sequence[_Value]) -> _Value:
        shapes = [value.view.shape for value in operands]
        dims, lengths = self.labels.result(node, [value.dims for value in operands], shapes)
        view = StridedView(shapes[0], operands[0].view.strides)
        copies = node.update_view(view, lengths) is not None
        cost = node.cost(shapes, lengths, copies=copies)
        text = " ".join(self.labels.text(dims)) if self._fits(dims, lengths) else ""
        step = node.describe(self.labels.text(operands[0].dims))
        self.lines.append(Line(step, lengths, text, node.describe_cost(cost)))
        self.total = Cost(*[one + other for one, other in zip(self.total, cost, strict=True)])
        return _Value("", dims, text, view)

    def _fits(self, dims: Any, shape: Shape) -> bool:
        """Whether these axes have these lengths: not where one of a network's is split again."""
        if isinstance(self.labels, SlotLabels):
            return True
        sizes = self.labels.network.sizes
        return all(prod([sizes[axis] for axis in dim]) == size for dim, size in zip(dims, shape, strict=True))


def plan_lines(plan: Plan, shapes: Sequence[Sequence[int]], slots: Sequence[int]) -> list[Line]:
    """The lines of a plan for any size, for row-major tensors of these shapes; ``slots`` are all sizes, evaluated."""
    return _Printer(plan, [tuple(shape) for shape in shapes], SlotLabels(plan, slots), ()).lines


def contraction_lines(plan: Plan, network: Network, path: Path) -> tuple[list[Line], Costs]:
    """The lines of a plan that was chosen for given sizes, and what it costs."""
    tree = plan.solved.tree
    printer = _Printer(plan, network.shapes, AxisLabels(network), [*map(str, tree.left)])
    total = printer.total
    return printer.lines, Costs(path, total.flops, printer.largest, total.read, total.written)


def draw(title: str, plan: Plan, lines: Sequence[Line], sizes: Sequence[int]) -> str:
    """The whole plan as text, in columns."""
    given = ", ".join(f"{name}={size}" for name, size in zip(plan.solved.given, sizes, strict=True))
    rows = [(line.step, shape_text(line.shape), line.axes, line.cost) for line in lines]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    drawn = [f"{title}  {plan.solved.tree}{'   ' + given if given else ''}"]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        drawn.append(("  " + "   ".join([*cells, row[3]])).rstrip())
    return "\n".join(drawn)


def draw_costs(costs: Costs, itemsize: int, dtype: str) -> str:
    """What a contraction costs, as text below its plan."""
    parts = [f"path {path_text(costs.path)}", f"{costs.flops:,} FLOPs"]
    if costs.largest:
        parts.append(f"largest intermediate {costs.largest:,} elements")
    moved = f"reads {costs.read * itemsize:,} bytes, writes {costs.written * itemsize:,} ({dtype})"
    return "   ".join([*parts, moved])
