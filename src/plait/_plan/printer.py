"""A plan as text: for each step what it does, the shape it leaves, and whether it copies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod

from plait._notation.unparse import expr_text, tree_text
from plait._plan.contraction.printer import Costs, lines_of
from plait._plan.contraction.printer import Shown as Line
from plait._plan.contraction.search import Contraction
from plait._plan.graph import Plan
from plait._plan.nodes import (
    Expand,
    Permute,
    Reduce,
    Reshape,
    Step,
    View,
)
from plait._plan.strides import Memory, contiguous
from plait._shapes.sizes import evaluate, report, shape_text
from plait._shapes.solver import slot_labels, tensor_place

_NAMES = {Reshape: "reshape", View: "view", Permute: "permute", Expand: "expand", Reduce: "reduce"}


def show(plan: Plan, shapes: Sequence[Sequence[int]], sizes: Sequence[int]) -> list[Line]:
    """The lines of a plan, for row-major tensors of these shapes.

    Args:
        plan: the plan.
        shapes: the shape of each tensor.
        sizes: the given sizes, in the order of the solved pattern.

    Raises:
        SizeError: PLT302, PLT305, PLT306 or PLT307.
    """
    registers = [size for shape in shapes for size in shape] + [*sizes, *plan.solved.constants]
    evaluate(registers, plan.instructions, partial(report, plan.solved))
    labels = slot_labels(plan.solved, plan.instructions)
    lines: list[Line] = []
    first = 0
    for number, (shape, steps) in enumerate(zip(shapes, plan.inputs, strict=True)):
        place = tensor_place(number, len(shapes)).removeprefix("the ")
        held = tuple(range(first, first + len(shape)))
        first += len(shape)
        lines.append(Line(place, tuple(shape), _join(held, labels), ""))
        lines += _chain(steps, held, registers, labels)
    lines += _meeting(plan, registers, labels)
    output = tuple(prod(registers[plan.solved.slots[axis]] for axis in axes) for axes in plan.solved.output)
    return [*lines, Line("output", output, _output_text(plan), "")]


def show_contraction(contraction: Contraction, plan: Plan) -> tuple[list[Line], Costs]:
    """The lines of a contraction, and what it costs."""
    lines, costs = lines_of(contraction, [expr_text(expr) for expr in plan.solved.tree.left])
    return [*lines, Line("output", contraction.network.result, _output_text(plan), "")], costs


def _output_text(plan: Plan) -> str:
    right = plan.solved.tree.right
    return expr_text(right[0]) if right else ""


def _chain(steps: Sequence[Step], held: tuple[int, ...], registers: list[int], labels: dict[int, str]) -> list[Line]:
    shape = [registers[register] for register in held]
    memory = Memory(shape, contiguous(shape))
    lines = []
    for step in steps:
        before = prod(memory.shape)
        argument = " over " + _join([held[axis] for axis in step.axes], labels) if isinstance(step, Reduce) else ""
        held = step.output(held)
        sizes = tuple(registers[register] for register in held)
        copying = memory.apply(step, sizes)
        if isinstance(step, Reduce):
            cost = f"reads {before:,} elements"
        else:
            cost = "view" if copying is None else f"copies {prod(sizes):,} elements"
        lines.append(Line(_NAMES[type(step)] + argument, sizes, _join(held, labels), cost))
    return lines


def _meeting(plan: Plan, registers: list[int], labels: dict[int, str]) -> list[Line]:
    """The step in which several tensors become one, and those after it."""
    if not plan.products:
        return []
    held = plan.combined
    sizes = tuple(registers[register] for register in held)
    line = Line(f"einsum {plan.products[0].equation}", sizes, _join(held, labels), f"makes {prod(sizes):,} elements")
    return [line, *_chain(plan.steps, held, registers, labels)]


def _join(held: Sequence[int], labels: dict[int, str]) -> str:
    return " ".join(labels[register] for register in held)


def draw(title: str, plan: Plan, lines: Sequence[Line], sizes: Sequence[int]) -> str:
    """The whole plan as text, in columns."""
    given = ", ".join(f"{name}={size}" for name, size in zip(plan.solved.given, sizes, strict=True))
    rows = [(line.step, shape_text(line.shape), line.axes, line.cost) for line in lines]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    drawn = [f"{title}  {tree_text(plan.solved.tree)}{'   ' + given if given else ''}"]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        drawn.append(("  " + "   ".join([*cells, row[3]])).rstrip())
    return "\n".join(drawn)


def draw_costs(costs: Costs, itemsize: int, dtype: str) -> str:
    """What a contraction costs, as text below its plan."""
    path = ", ".join([f"({', '.join(map(str, places))})" for places in costs.path])
    parts = [f"path {path}", f"{costs.flops:,} FLOPs"]
    if costs.largest:
        parts.append(f"largest intermediate {costs.largest:,} elements")
    moved = f"reads {costs.read * itemsize:,} bytes, writes {costs.written * itemsize:,} ({dtype})"
    return "  " + "   ".join([*parts, moved])
