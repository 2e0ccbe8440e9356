"""A contraction that was chosen for given sizes, as a plan."""

from __future__ import annotations

from plait._plan.contraction.pairwise import EINSUM, MATMUL, MULTIPLY, NOTHING, VECDOT
from plait._plan.contraction.search import Contraction
from plait._plan.graph import Plan, Step
from plait._plan.nodes import Contract, Node, Shape
from plait._shapes.solver import SolvedPattern


def contraction_plan(solved: SolvedPattern, contraction: Contraction) -> Plan:
    """The steps along the path, with lengths in the place of slots."""
    shapes: list[Shape] = list(contraction.network.shapes)
    steps: list[Step] = []
    left = list(range(len(shapes)))

    def add(node: Node, operands: tuple[int, ...]) -> int:
        steps.append((node, operands))
        shapes.append(node.output_shape(*[shapes[operand] for operand in operands]))
        return len(shapes) - 1

    for pair in contraction.meetings:
        operands = [left[place] for place in pair.places]
        left = [value for place, value in enumerate(left) if place not in pair.places]
        for number, nodes in enumerate(pair.sides):
            for node in nodes:
                operands[number] = add(node, (operands[number],))
        if pair.how == NOTHING:
            left.append(operands[0])
            continue
        result = (
            pair.buffer.shape if pair.buffer else _product_shape(pair.how, pair.equation, [shapes[n] for n in operands])
        )
        method = "dot" if pair.how == MATMUL and not pair.batched else pair.how
        value = add(Contract(method, result, pair.equation, pair.buffer, pair.reuse), tuple(operands))
        for node in pair.after:
            value = add(node, (value,))
        left.append(value)
    return Plan(solved, (), tuple(steps), (left[0],), sized=True)


def _product_shape(method: str, equation: str, shapes: list[Shape]) -> Shape:
    """The shape of a product, by the rules of these functions."""
    if method == EINSUM:
        left, _, right = equation.partition("->")
        lengths = {
            letter: length
            for term, shape in zip(left.split(","), shapes, strict=True)
            for letter, length in zip(term, shape, strict=True)
        }
        return tuple([lengths[letter] for letter in right])
    one, other = shapes
    if method == MULTIPLY:
        return _broadcast(one, other)
    if method == VECDOT:
        return _broadcast(one[:-1], other[:-1])
    return (*_broadcast(one[:-2], other[:-2]), *one[-2:-1], *(other[-1:] if len(other) > 1 else ()))


def _broadcast(one: Shape, other: Shape) -> Shape:
    """The shape to which two broadcast, aligned at the right."""
    count = max(len(one), len(other))
    padded = [(*(1,) * (count - len(shape)), *shape) for shape in (one, other)]
    return tuple([right if left == 1 else left for left, right in zip(*padded, strict=True)])
