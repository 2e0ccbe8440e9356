"""`explain`: the plan of a pattern for given shapes, as text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from plait._executor.compile import add_context, concrete_sizes, lower_pattern, solve
from plait._executor.contraction import contraction_to_explain
from plait._executor.einsum_options import check_implicit_sums
from plait._executor.large.select import explain_large
from plait._executor.options import CURRENT
from plait._notation.parser import parse
from plait._operations.einsum import lower
from plait._operations.infer import infer_operation
from plait._operations.reduce import check_reduction
from plait._plan.contraction.search import contraction_plan
from plait._plan.graph import Plan
from plait._plan.printer import Costs, Line, contraction_lines, draw, draw_costs, plan_lines
from plait._shapes.sizes import evaluate, exact, report
from plait.errors import PlaitError, fail, short


class Explanation:
    """The plan of one call. Prints itself.

    Attributes:
        operation: the function that the pattern was read for.
        text: what is printed.
        lines: for each step its name, the shape that it leaves, the axes of that shape, and what it costs.
        costs: of an einsum that plait takes apart, its path, FLOPs, largest intermediate result, and the elements read
            and written; else ``None``.
        rewrites: of a large tensor that is reduced or copied in several calls, the names of what makes them faster than
            one; each has its reason in ``plait._plan.schedule.rewrites.REASONS``.
    """

    __slots__ = ("_call", "costs", "lines", "operation", "rewrites", "text")

    def __init__(
        self,
        operation: str,
        text: str,
        lines: list[Line],
        costs: Costs | None = None,
        rewrites: tuple[str, ...] = (),
        call: tuple[Any, ...] | None = None,
    ) -> None:
        self.operation = operation
        self.text = text
        self.lines = lines
        self.costs = costs
        self.rewrites = rewrites
        self._call = call

    def source(self, framework: str) -> str:
        """The pattern as a function in plain framework code: what `plait.Pattern.source` gives.

        Raises:
            AxisError: PLT215, it explains several plans.
            BackendError: PLT501, there is no framework of that name.
        """
        if self._call is None:
            message = "the patterns do not become one, and one function does not do what they do; each has its source"
            raise fail("PLT215", message)
        from plait._executor.source import source  # seldom needed

        return source(framework, *self._call)

    def __repr__(self) -> str:
        return self.text


def explain(pattern: str, /, *shapes: Any, **sizes: Any) -> Explanation:
    """See `plait.explain`."""
    reduction = sizes.pop("reduction") if isinstance(sizes.get("reduction"), str) else "sum"
    tree = parse(pattern)
    operation = infer_operation(tree)
    given = concrete_sizes(pattern, sizes, lambda _: False)
    checked = [shape_of(shape, number) for number, shape in enumerate(shapes)]
    try:
        if operation == "einsum":
            return _contraction(pattern, checked, given, shapes)
        named = check_reduction(reduction) if operation == "reduce" else ""
        plan = lower_pattern(operation, pattern, tuple([len(shape) for shape in checked]), tuple(given), named)
        return _moved(operation, plan, checked, given, shapes, named or None)
    except PlaitError as error:
        add_context(error, pattern, checked, given)
        raise


def _moved(
    operation: str,
    plan: Plan,
    shapes: list[tuple[int, ...]],
    given: dict[str, int],
    tensors: Sequence[Any],
    reduction: str | None,
) -> Explanation:
    """How one tensor is moved or reduced, step by step, and which of the steps take several calls."""
    sizes = list(given.values())
    slots = [*shapes[0], *sizes, *plan.solved.constants]
    evaluate(slots, plan.size_ops, partial(report, plan.solved))
    lines = plan_lines(plan, shapes, slots)
    rewrites, more = explain_large(plan, slots, tensors[0])
    if rewrites:
        more = [f"in several calls: {', '.join(rewrites)}", *more]
    text = "\n  ".join([draw(operation, plan, lines, sizes), *more])
    call = (plan.solved.text, plan.solved.ranks, given, operation, reduction)
    return Explanation(operation, text, lines, None, rewrites, call)


def _contraction(
    pattern: str, shapes: list[tuple[int, ...]], given: dict[str, int], tensors: Sequence[Any]
) -> Explanation:
    """How an einsum is done: for shapes alone as NumPy would have it, for tensors as their framework does."""
    sizes = list(given.values())
    solved = solve("einsum", pattern, tuple([len(shape) for shape in shapes]), tuple(given))
    options = CURRENT.get()
    check_implicit_sums(solved, options)
    slots = [size for shape in shapes for size in shape] + [*sizes, *solved.constants]
    evaluate(slots, solved.size_ops, partial(report, solved))
    found, reason, element = contraction_to_explain(solved, slots, tensors, options)
    costs = None
    if found is None:
        plan = lower(solved)
        evaluate(slots, plan.size_ops[len(solved.size_ops) :], partial(report, solved))
        lines = plan_lines(plan, shapes, slots)
    else:
        plan = contraction_plan(solved, found)
        lines, costs = contraction_lines(plan, found.network, found.path)
        reason = draw_costs(costs, *element)
    text = f"{draw('einsum', plan, lines, sizes)}\n{reason}"
    return Explanation("einsum", text, lines, costs, call=(pattern, solved.ranks, given, "einsum"))


def shape_of(shape: Any, number: int) -> tuple[int, ...]:
    """A shape, or that of a tensor, as exact integers.

    Raises:
        SizeError: PLT301 or PLT306.
    """
    sizes = shape if isinstance(shape, (tuple, list)) else getattr(shape, "shape", None)
    if sizes is None:
        raise fail("PLT301", f"shape {number} is a tuple of exact integers, and this is {short(shape)}")
    return tuple([exact(f"shape[{place}]", size) for place, size in enumerate(sizes)])
