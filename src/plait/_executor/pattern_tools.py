"""What a compiled pattern needs beyond the operations: to be read, turned round, and asked for a shape."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache, partial
from itertools import chain
from math import prod
from typing import Any

from plait._caches import register
from plait._executor.compile import add_context, concrete_sizes
from plait._notation.parser import parse
from plait._notation.tree import names
from plait._notation.unparse import side_text, tree_text
from plait._operations.rules import collect_axes, two_sides
from plait._shapes.sizes import evaluate_symbolic, exact, normalise_sizes, report
from plait._shapes.solver import SolvedPattern, solve_pattern, unknown_size
from plait.errors import PlaitError, fail, short


def read_pattern(text: str, sizes: dict[str, Any]) -> tuple[str, dict[str, int]]:
    """The pattern in canonical form, and the sizes as ints.

    Raises:
        PatternSyntaxError: PLT1xx.
        AxisError: PLT203, a size names no axis.
        SizeError: PLT301, PLT306 or PLT311.
    """
    tree = parse(text)
    two_sides(tree, "compile")
    check_names(sizes, names(tree.left + (tree.right or ())), text)
    return tree_text(tree), concrete_sizes(text, sizes, is_symbol)


def is_symbol(_: Any) -> bool:
    """Whether a size is a symbol of a tracer: never, where it is kept."""
    return False


def check_names(sizes: dict[str, Any], known: Collection[str], text: str) -> None:
    """Raise where a size names no axis; before its value is looked at, since a misspelt keyword is none.

    Raises:
        AxisError: PLT203.
    """
    for name in normalise_sizes(sizes):
        if name not in known:
            raise unknown_size(name, known, text)


def inverse(text: str, given: dict[str, int], more: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The pattern that leads back, and the sizes of both.

    Raises:
        AxisError: PLT211, several tensors went in, and one cannot give them back.
    """
    tree = parse(text)
    left, right = two_sides(tree, "inverse")
    if len(left) != 1:
        spans = [expr.span for expr in left]
        raise fail("PLT211", f"{len(left)} tensors went in, and one cannot give them back", tree.text, spans)
    return f"{side_text((right,))} -> {side_text(left)}", {**given, **more}


def output_shape(text: str, shapes: tuple[Any, ...], given: dict[str, int]) -> tuple[int | None, ...]:
    """The shape of the result for tensors of these shapes; ``None`` is a size that is not known.

    Raises:
        AxisError: PLT201, PLT202.
        SizeError: PLT301 to PLT306.
    """
    tree = parse(text)
    _, right = two_sides(tree, "output_shape")
    if len(shapes) != len(tree.left):
        message = f"the pattern has {len(tree.left)} tensors on the left, and {len(shapes)} shapes were given"
        raise fail("PLT202", message, tree.text, [expr.span for expr in tree.left])
    for expr in (*tree.left, right):
        collect_axes(expr, tree, "output_shape", repeats=expr is not right)
    for number, shape in enumerate(shapes):
        if not isinstance(shape, (tuple, list)):
            raise fail("PLT301", f"shape {number} is a tuple of exact integers, and this is {short(shape)}", text)
    checked = [
        [None if size is None else exact(f"shape[{place}]", size) for place, size in enumerate(shape)]
        for shape in shapes
    ]
    return result_shape(*solve_shapes(text, checked, given))


def solve_shapes(
    text: str, shapes: Sequence[Sequence[int | None]], given: dict[str, int]
) -> tuple[SolvedPattern, list[Any]]:
    """A pattern solved for tensors of these shapes, and its slots filled; ``None`` is a size that is not known.

    Raises:
        SizeError: PLT302 to PLT306.
    """
    try:
        solved = solve_text(text, tuple([len(shape) for shape in shapes]), tuple(given))
        slots: list[Any] = [*chain(*shapes), *given.values(), *solved.constants]
        evaluate_symbolic(slots, solved.size_ops, partial(report, solved))
    except PlaitError as error:
        add_context(error, text, shapes, given)
        raise
    return solved, slots


def result_shape(solved: SolvedPattern, slots: Sequence[int | None]) -> tuple[int | None, ...]:
    """The shape of the result, from the slots of a solved pattern."""
    sizes: list[list[Any]] = [[slots[solved.slots[axis]] for axis in axes] for axes in solved.output]
    return tuple([None if None in factors else prod(factors) for factors in sizes])


@register
@lru_cache(maxsize=1024)
def solve_text(text: str, ranks: tuple[int, ...], given: tuple[str, ...]) -> SolvedPattern:
    """The text of a pattern, solved for these ranks."""
    return solve_pattern(parse(text), ranks, given)
