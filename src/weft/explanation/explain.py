"""`explain`: the plan of a pattern for given shapes, as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft.errors import WeftError, fail, short
from weft.pattern import Expr, Number, Tree, leaves, names, parse
from weft.plan.show import Line, draw, show
from weft.run.build import concrete_sizes, planned, situate
from weft.solve import exact


class Explanation:
    """The plan of one call. Prints itself.

    Attributes:
        operation: the function that the pattern was read for.
        text: what is printed.
        lines: for each step its name, the shape that it leaves, the axes of that shape, and what it costs.
    """

    __slots__ = ("lines", "operation", "text")

    def __init__(self, operation: str, text: str, lines: list[Line]) -> None:
        self.operation = operation
        self.text = text
        self.lines = lines

    def __repr__(self) -> str:
        return self.text


def explain(pattern: str, /, *shapes: Sequence[int], **sizes: Any) -> Explanation:
    """See `weft.explain`."""
    tree = parse(pattern)
    operation = operation_of(tree)
    given = concrete_sizes(pattern, sizes, lambda _: False)
    checked = [_shape(shape, number) for number, shape in enumerate(shapes)]
    reduction = "sum" if operation == "reduce" else ""  # stands for all: the plan is the same
    try:
        plan = planned(operation, pattern, tuple([len(shape) for shape in checked]), tuple(given), reduction)
        lines = show(plan, checked, list(given.values()))
        return Explanation(operation, draw(operation, plan, checked, list(given.values())), lines)
    except WeftError as error:
        situate(error, pattern, checked, given)
        raise


def operation_of(tree: Tree) -> str:
    """The function that a pattern is for: several tensors make an einsum, a lost axis a reduction, a new one a copy."""
    if len(tree.left) > 1:
        return "einsum"
    right = tree.right or ()
    before, after = names(tree.left), names(right)
    if before.keys() - after.keys() or _has_lengths(tree.left):
        return "reduce"
    return "repeat" if after.keys() - before.keys() or _has_lengths(right) else "rearrange"


def _has_lengths(side: tuple[Expr, ...]) -> bool:
    """Whether an axis without a name stands there, other than a unit."""
    found = [leaf for expr in side for item in expr.items for leaf in leaves(item)]
    return any(isinstance(leaf, Number) and leaf.value != 1 for leaf in found)


def _shape(shape: Any, number: int) -> tuple[int, ...]:
    sizes = shape if isinstance(shape, (tuple, list)) else getattr(shape, "shape", None)
    if sizes is None:
        raise fail("W301", f"shape {number} is a tuple of exact integers, and this is {short(shape)}")
    return tuple([exact(f"shape[{place}]", size) for place, size in enumerate(sizes)])
