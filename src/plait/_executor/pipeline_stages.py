"""The patterns of a composition, each for itself: how it takes part, and whether it fits the one before it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from plait._executor.caches import register
from plait._executor.pattern_tools import check_names, output_shape
from plait._notation.parser import parse
from plait._notation.tree import Ellipsis, Expr, names
from plait._notation.unparse import expr_text
from plait._operations.infer import infer_operation
from plait._operations.rules import span_of
from plait._operations.table import find_operation
from plait._shapes.sizes import normalise_sizes
from plait.errors import PlaitError, fail

Sizes: TypeAlias = "tuple[tuple[str, int], ...]"
Stage: TypeAlias = "tuple[str, Sizes]"
"""The text of a pattern, and its sizes."""


class Step(NamedTuple):
    """A method of a pattern, and how many tensors it takes."""

    operation: str
    tensors: int


@lru_cache(maxsize=1024)
def steps_of(operation: str, texts: tuple[str, ...]) -> tuple[Step, ...]:
    """How each stage takes part in an operation.

    In a reduction the stages that add axes repeat, and the others reduce what they lose.

    Raises:
        PlaitError: a stage is nothing that the operation can be made of; PLT1xx or PLT2xx.
    """
    steps = []
    for text in texts:
        tree = parse(text)
        row = find_operation("repeat" if operation == "reduce" and infer_operation(tree) == "repeat" else operation)
        row.check(tree)
        steps.append(Step(row.name, len(tree.left)))
    return tuple(steps)


def deal(steps: Sequence[Step], tensors: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The tensors that each stage takes, but for the one that it is given by the stage before it."""
    dealt: list[tuple[Any, ...]] = []
    rest = tuple(tensors)
    for number, step in enumerate(steps):
        count = step.tensors - (number > 0)
        dealt.append(rest[:count])
        rest = rest[count:]
    dealt[-1] += rest  # too many: the last stage will say so
    return dealt


def after(error: PlaitError, stages: Sequence[Stage], number: int) -> PlaitError:
    """Let an error say which pattern made the tensor that does not fit."""
    if number:
        error.facts["after"] = stages[number - 1][0]
    return error


def check_seams(stages: tuple[Stage, ...]) -> None:
    """Raise what is known to be wrong before there is a tensor.

    Raises:
        PlaitError: a stage is no pattern of any operation, or does not fit what the one before it gives.
    """
    known: tuple[Any, ...] | None = None
    least = 0
    for number, (text, _) in enumerate(stages):
        tree = parse(text)
        shapes = [_open(expr) for expr in tree.left]
        if known is not None and number:
            shapes[0] = known
        elif number and shapes[0] is not None and least > len(shapes[0]):
            raise after(_too_many(least, text, tree.left[0]), stages, number)
        known = None if None in shapes else _shape(stages, number, tuple(shapes))
        right = (tree.right or ())[0]
        if known is None:
            known = _open(right)
        least = len(right.items) - 1


def _open(expr: Expr) -> tuple[None, ...] | None:
    """A shape of unknown sizes; ``None`` where an ellipsis leaves the rank open, too."""
    return None if any(isinstance(item, Ellipsis) for item in expr.items) else (None,) * len(expr.items)


def _too_many(least: int, text: str, expr: Expr) -> PlaitError:
    count = len(expr.items)
    several = "s" * (count != 1)
    message = f"the input has rank {least} at least, and the pattern '{expr_text(expr)}' has {count} dimension{several}"
    return fail("PLT304", message, text, [span_of(expr)])


def last_shape(stages: tuple[Stage, ...], shapes: tuple[Any, ...]) -> tuple[int | None, ...]:
    """The shape of the result for tensors of these shapes.

    Raises:
        PlaitError: those of `output_shape`.
    """
    steps = [Step("", len(parse(text).left)) for text, _ in stages]
    before: tuple[Any, ...] = ()
    for number, others in enumerate(deal(steps, shapes)):
        before = (_shape(stages, number, (*before, *others)),)
    found: tuple[int | None, ...] = before[0]
    return found


def _shape(stages: tuple[Stage, ...], number: int, shapes: tuple[Any, ...]) -> tuple[int | None, ...]:
    """The shape that one stage leaves.

    Raises:
        PlaitError: those of `output_shape`, which say where the shape comes from.
    """
    text, sizes = stages[number]
    try:
        return output_shape(text, shapes, dict(sizes))
    except PlaitError as error:
        raise after(error, stages, number) from None


def sizes_for(stages: tuple[Stage, ...], sizes: dict[str, Any]) -> list[dict[str, Any]]:
    """For each stage the sizes of axes that it has, and whose size it has not.

    Raises:
        AxisError: PLT203, a size names no axis of any.
    """
    given = normalise_sizes(sizes)
    known = [names((*tree.left, *(tree.right or ()))) for tree in [parse(text) for text, _ in stages]]
    everywhere = {name for found in known for name in found}
    check_names(given, everywhere, " >> ".join([text for text, _ in stages]))
    return [
        {name: size for name, size in given.items() if name in found and name not in dict(kept)}
        for found, (_, kept) in zip(known, stages, strict=True)
    ]


register(steps_of)
