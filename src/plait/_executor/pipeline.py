"""Patterns one after the other, as few patterns as they can be.

For each new shape the sizes of every stage are solved, and neighbours are composed until none can be. What is left are
*segments*, in the best case one, and each is a pattern as any other: it is planned, bound and kept as if it had been
written by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any, NamedTuple, TypeAlias

from plait._caches import register
from plait._executor.einsum_options import check_implicit_sums, looks_like_typo
from plait._executor.pattern_tools import check_names, output_shape, result_shape, solve_shapes
from plait._executor.tensors import is_concrete, shape_of
from plait._notation.parser import parse
from plait._notation.tree import Ellipsis, Expr, names
from plait._operations.infer import infer_operation
from plait._operations.reduce import CUSTOM, check_reduction
from plait._operations.table import find_operation
from plait._shapes.composition import AxisMap, axis_map, compose, compose_axes, pattern_text, pattern_words
from plait._shapes.sizes import normalise_sizes
from plait._shapes.solver import rank_error
from plait.backends.reduction_rules import MERGING
from plait.backends.registry import one_backend
from plait.errors import PlaitError

KEPT = 1024
"""How many compositions are kept: patterns, each with the shapes of the tensors."""

PatternStage: TypeAlias = "tuple[str, tuple[tuple[str, int], ...]]"
"""The text of a pattern, and its sizes."""

Shape: TypeAlias = "tuple[int | None, ...]"
"""The sizes of a tensor; ``None`` is a size that is not known."""


class Step(NamedTuple):
    """A method of a pattern, and how many tensors it takes."""

    operation: str
    tensors: int


class FusedSegment(NamedTuple):
    """One pattern that replaces the stages from ``first`` to ``last``."""

    step: Step
    stage: PatternStage
    first: int
    last: int


class FusedPipeline(NamedTuple):
    """The segments of a pipeline; ``reasons`` say why a segment and the next are not one."""

    segments: tuple[FusedSegment, ...]
    reasons: tuple[str, ...]


def fuse(
    operation: str, stages: tuple[PatternStage, ...], tensors: Sequence[Any], reduction: Any
) -> FusedPipeline | None:
    """The segments for these tensors; ``None`` where a size is not known, or a tensor missing.

    Raises:
        PlaitError: those of `stage_steps` and of the sizes.
    """
    for tensor in tensors:
        shape_of(tensor)
    if operation == "reduce" and not callable(reduction):
        check_reduction(reduction)
    backend = one_backend(tuple([type(tensor) for tensor in tensors]))
    shapes = [backend.shape(tensor) for tensor in tensors]
    if not all(is_concrete(shape) for shape in shapes):
        return None
    return fuse_shapes(operation, stages, tuple(map(tuple, shapes)), CUSTOM if callable(reduction) else reduction)


@register
@lru_cache(maxsize=KEPT)
def fuse_shapes(
    operation: str, stages: tuple[PatternStage, ...], shapes: tuple[tuple[int, ...], ...], reduction: str = ""
) -> FusedPipeline | None:
    """The segments for tensors of these shapes; ``None`` where there are too many of them, or too few.

    Raises:
        PlaitError: those of `stage_steps` and of the sizes.
    """
    steps = stage_steps(operation, tuple([text for text, _ in stages]))
    if len(shapes) != sum([step.tensors for step in steps]) - len(steps) + 1:
        return None
    parts = [(each, number, number) for number, each in enumerate(_axis_maps(stages, steps, shapes))]
    place = 0
    while place < len(parts) - 1:
        (one, first, _), (other, _, last) = parts[place : place + 2]
        composed = _compose(one, other, reduction)
        if isinstance(composed, str):
            place += 1
        else:
            parts[place : place + 2] = [(composed, first, last)]
            place = max(place - 1, 0)  # what two refuse, three may allow
    reasons = [str(_compose(one, other, reduction)) for (one, *_), (other, *_) in pairwise(parts)]
    segments = [
        FusedSegment(steps[first], stages[first], first, last)
        if first == last
        else FusedSegment(*_write(composed, operation), first, last)
        for composed, first, last in parts
    ]
    return FusedPipeline(tuple(segments), tuple(reasons))


def _axis_maps(
    stages: tuple[PatternStage, ...], steps: tuple[Step, ...], shapes: tuple[tuple[int, ...], ...]
) -> list[AxisMap]:
    """Every stage, solved for the shapes that it will be given."""
    maps: list[AxisMap] = []
    before: tuple[Shape, ...] = ()
    for number, others in enumerate(distribute_operands([step.tensors for step in steps], shapes)):
        text, sizes = stages[number]
        try:
            solved, slots = solve_shapes(text, (*before, *others), dict(sizes))
        except PlaitError as error:
            raise _after(error, stages, number) from None
        if steps[number].operation == "einsum":
            check_implicit_sums(solved, None)
        maps.append(axis_map(solved, slots))
        before = (result_shape(solved, slots),)
    return maps


def _compose(one: AxisMap, other: AxisMap, reduction: str) -> AxisMap | str:
    """Two as one, or the reason why they are not."""
    if reduction == CUSTOM and other.dropped:
        return "a callable is given the dimensions of its own pattern"
    if reduction not in MERGING and reduction and one.dropped and other.dropped:
        return f"{reduction} of {reduction} is not {reduction} of all"
    composed = compose(one, other)
    if isinstance(composed, AxisMap) and composed.dropped and composed.added:
        return "one operation does not both drop and add axes"
    return composed


def _write(composed: AxisMap, operation: str) -> tuple[Step, PatternStage]:
    """A composed pattern as a stage, and how it takes part in an operation."""
    if operation == "einsum":  # names of two patterns that are alike are no misspelling, of which it would warn
        counts = Counter(chain(*chain(*composed.inputs)))
        labels = [
            f"{label}1"
            if axis in composed.dropped
            and counts[axis] == 1
            and any(looks_like_typo(label, other) for other in composed.labels)
            else label
            for axis, label in enumerate(composed.labels)
        ]
        composed = composed._replace(labels=tuple(labels))
    text, sizes = pattern_text(composed)
    method = "repeat" if operation == "reduce" and composed.added else operation
    return Step(method, len(composed.inputs)), (text, tuple(sizes.items()))


@register
@lru_cache(maxsize=KEPT)
def stage_steps(operation: str, texts: tuple[str, ...]) -> tuple[Step, ...]:
    """How each stage takes part in an operation.

    In a reduction the stages that add axes repeat, and the others reduce the axes that they drop.

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


def distribute_operands(counts: Sequence[int], tensors: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The tensors that each stage takes beside the result of the stage before it.

    >>> distribute_operands([2, 2, 1], "abc")
    [('a', 'b'), ('c',), ()]
    """
    found: list[tuple[Any, ...]] = []
    rest = tuple(tensors)
    for number, count in enumerate(counts):
        taken = count - (number > 0)
        found.append(rest[:taken])
        rest = rest[taken:]
    found[-1] += rest  # too many: the last stage will say so
    return found


def distribute_sizes(stages: tuple[PatternStage, ...], sizes: dict[str, Any]) -> list[dict[str, Any]]:
    """The sizes that each stage takes: of axes that it has, and whose size it has not.

    Raises:
        AxisError: PLT203, a size names no axis of any.
    """
    given = normalise_sizes(sizes)
    known = [names((*tree.left, *(tree.right or ()))) for tree in [parse(text) for text, _ in stages]]
    check_names(given, {name for found in known for name in found}, " >> ".join([text for text, _ in stages]))
    return [
        {name: size for name, size in given.items() if name in found and name not in dict(kept)}
        for found, (_, kept) in zip(known, stages, strict=True)
    ]


def check_stages(stages: tuple[PatternStage, ...]) -> None:
    """Raise what is known to be wrong before there is a tensor.

    Raises:
        PlaitError: a stage is no pattern of any operation, or does not fit what the one before it gives.
    """
    known: Shape | None = None
    least = 0
    for number, (text, _) in enumerate(stages):
        tree = parse(text)
        shapes = [_unknown_shape(expr) for expr in tree.left]
        if known is not None:
            shapes[0] = known
        elif number and shapes[0] is not None and least > len(shapes[0]):
            raise _after(rank_error(tree, 0, f"{least} at least"), stages, number)
        right = (tree.right or ())[0]
        known = _unknown_shape(right) if None in shapes else _stage_shape(stages, number, tuple(shapes))
        least = len(right.items) - 1


def _unknown_shape(expr: Expr) -> Shape | None:
    """A shape of unknown sizes; ``None`` where an ellipsis leaves the rank open, too."""
    return None if Ellipsis in map(type, expr.items) else (None,) * len(expr.items)


def pipeline_output_shape(stages: tuple[PatternStage, ...], shapes: tuple[Any, ...]) -> Shape:
    """The shape of the result for tensors of these shapes.

    Raises:
        PlaitError: those of `output_shape`.
    """
    before: tuple[Any, ...] = ()
    for number, others in enumerate(distribute_operands([len(parse(text).left) for text, _ in stages], shapes)):
        before = (_stage_shape(stages, number, (*before, *others)),)
    found: Shape = before[0]
    return found


def _stage_shape(stages: tuple[PatternStage, ...], number: int, shapes: tuple[Any, ...]) -> Shape:
    """The shape of the result of one stage.

    Raises:
        PlaitError: those of `output_shape`, which say where the shape comes from.
    """
    text, sizes = stages[number]
    try:
        return output_shape(text, shapes, dict(sizes))
    except PlaitError as error:
        raise _after(error, stages, number) from None


def _after(error: PlaitError, stages: Sequence[PatternStage], number: int) -> PlaitError:
    """Let an error say which pattern made the tensor that does not fit."""
    if number:
        error.facts["after"] = stages[number - 1][0]
    return error


register(compose_axes)
register(pattern_words)
