"""Patterns one after the other, composed for given shapes into as few patterns as possible; and their inverses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, pairwise
from math import prod
from typing import Any, NamedTuple, TypeAlias

from plait._caches import clearable_lru_cache
from plait._executor.compile import add_error_context, check_and_solve, check_size_names
from plait._executor.einsum_options import check_implicit_sums, looks_like_typo
from plait._executor.tensors import backend_for_tensors, is_concrete_shape
from plait._executor.tracer_hooks import assume_constant_or_error
from plait._notation.parser import parse
from plait._notation.tree import Ellipsis, TensorExpr, collect_names
from plait._operations.reduce import CUSTOM_REDUCTION, check_reduction_name
from plait._operations.rules import collect_axes, sides_with_one_output
from plait._operations.table import find_operation, infer_operation
from plait._shapes.composition import ConcretePattern, compose_patterns, to_concrete_pattern, unparse_pattern
from plait._shapes.sizes import evaluate_symbolic_size_ops, normalize_size_names, size_op_error, to_exact_size
from plait._shapes.solver import SolvedPattern, rank_error
from plait.backends.reduction_rules import MERGEABLE_REDUCTIONS
from plait.errors import PlaitError, make_error, short_repr

PatternStage: TypeAlias = "tuple[str, tuple[tuple[str, int], ...]]"
"""The text of a pattern, and its sizes."""

PartialShape: TypeAlias = "tuple[int | None, ...]"
"""The sizes of a tensor; ``None`` is a size that is not known."""


class StageOperation(NamedTuple):
    """A method of a pattern, and how many tensors it takes."""

    operation: str
    tensors: int


class FusedSegment(NamedTuple):
    """One pattern that replaces one stage or several, and how it takes part in the operation."""

    step: StageOperation
    stage: PatternStage


class FusedPipeline(NamedTuple):
    """The segments of a pipeline; ``reasons`` say why a segment and the next are not one."""

    segments: tuple[FusedSegment, ...]
    reasons: tuple[str, ...]


def fuse_stages(
    operation: str, stages: tuple[PatternStage, ...], tensors: Sequence[Any], reduction: Any
) -> FusedPipeline | None:
    """The segments for these tensors; ``None`` where a size is not known, or a tensor missing."""
    backend = backend_for_tensors(tensors)
    if operation == "reduce" and not callable(reduction):
        check_reduction_name(reduction)
    shapes = [backend.shape(tensor) for tensor in tensors]
    if not all(is_concrete_shape(shape) for shape in shapes):
        return None
    return fuse_stages_for_shapes(
        operation, stages, tuple(map(tuple, shapes)), CUSTOM_REDUCTION if callable(reduction) else reduction
    )


@clearable_lru_cache(maxsize=1024)
def fuse_stages_for_shapes(
    operation: str, stages: tuple[PatternStage, ...], shapes: tuple[tuple[int, ...], ...], reduction: str = ""
) -> FusedPipeline | None:
    """The segments for tensors of these shapes; ``None`` where there are too many of them, or too few."""
    steps = stage_operations(operation, tuple([text for text, _ in stages]))
    if len(shapes) != sum([step.tensors for step in steps]) - len(steps) + 1:
        return None
    unchanged = map(FusedSegment, steps, stages)
    parts: list[tuple[ConcretePattern, FusedSegment | None]] = [
        *zip(_concrete_patterns(stages, steps, shapes), unchanged, strict=True)
    ]
    place = 0
    while place < len(parts) - 1:
        composed = _compose_or_reason(parts[place][0], parts[place + 1][0], reduction)
        if isinstance(composed, str):
            place += 1
        else:
            parts[place : place + 2] = [(composed, None)]
            place = max(place - 1, 0)  # what two refuse, three may allow
    reasons = [str(_compose_or_reason(one, other, reduction)) for (one, _), (other, _) in pairwise(parts)]
    segments = [segment or _segment_from_concrete_pattern(composed, operation) for composed, segment in parts]
    return FusedPipeline(tuple(segments), tuple(reasons))


def _concrete_patterns(
    stages: tuple[PatternStage, ...], steps: tuple[StageOperation, ...], shapes: tuple[tuple[int, ...], ...]
) -> list[ConcretePattern]:
    """Every stage, solved for the shapes that it will be given."""
    concrete: list[ConcretePattern] = []

    def solve_stage(number: int, shapes: tuple[PartialShape, ...]) -> PartialShape:
        with _errors_name_previous_stage(stages, number):
            solved, slots = solve_for_shapes(*stages[number], shapes)
        if steps[number].operation == "einsum":
            check_implicit_sums(solved, None)
        concrete.append(to_concrete_pattern(solved, slots))
        return result_shape(solved, slots)

    run_stages([step.tensors for step in steps], shapes, solve_stage)
    return concrete


def _compose_or_reason(one: ConcretePattern, other: ConcretePattern, reduction: str) -> ConcretePattern | str:
    """Two as one, or the reason why they are not."""
    if reduction == CUSTOM_REDUCTION and other.dropped_axes:
        return "a callable is given the dimensions of its own pattern"
    if reduction not in MERGEABLE_REDUCTIONS and reduction and one.dropped_axes and other.dropped_axes:
        return f"{reduction} of {reduction} is not {reduction} of all"
    composed = compose_patterns(one, other)
    if isinstance(composed, ConcretePattern) and composed.dropped_axes and composed.added_axes:
        return "one operation does not both drop and add axes"
    return composed


def _segment_from_concrete_pattern(composed: ConcretePattern, operation: str) -> FusedSegment:
    """What several stages have become, as one pattern."""
    if operation == "einsum":  # names of two patterns that are alike are no misspelling, of which it would warn
        counts = Counter(chain(*chain(*composed.inputs)))
        labels = [
            f"{label}1"
            if axis in composed.dropped_axes
            and counts[axis] == 1
            and any(looks_like_typo(label, other) for other in composed.labels)
            else label
            for axis, label in enumerate(composed.labels)
        ]
        composed = composed._replace(labels=tuple(labels))
    text, sizes = unparse_pattern(composed)
    method = "repeat" if operation == "reduce" and composed.added_axes else operation
    return FusedSegment(StageOperation(method, len(composed.inputs)), (text, tuple(sizes.items())))


@clearable_lru_cache(maxsize=1024)
def stage_operations(operation: str, texts: tuple[str, ...]) -> tuple[StageOperation, ...]:
    """How each stage takes part in an operation; in a reduction the stages that add axes repeat, and others reduce."""
    steps = []
    for text in texts:
        tree = parse(text)
        row = find_operation("repeat" if operation == "reduce" and infer_operation(tree) == "repeat" else operation)
        row.check(tree)
        steps.append(StageOperation(row.name, len(tree.left)))
    return tuple(steps)


stage_operations_for_dynamo = assume_constant_or_error(stage_operations)


def run_stages(counts: Sequence[int], tensors: Sequence[Any], run: Callable[[int, tuple[Any, ...]], Any]) -> Any:
    """Run each stage, by its number, on the result of the stage before it and on the next of the other tensors.

    >>> run_stages([2, 2, 1], "abc", lambda number, tensors: f"{number}({' '.join(tensors)})")
    '2(1(0(a b) c))'
    """
    left = tuple(tensors)
    for number, count in enumerate(counts[:-1]):
        left = (run(number, left[:count]), *left[count:])
    return run(len(counts) - 1, left)  # which says so if there are too many


def distribute_sizes_to_stages(stages: tuple[PatternStage, ...], sizes: dict[str, Any]) -> list[dict[str, Any]]:
    """The sizes that each stage takes: of axes that it has, and whose size it has not."""
    given = normalize_size_names(sizes)
    known = [collect_names((*tree.left, *(tree.right or ()))) for tree in [parse(text) for text, _ in stages]]
    check_size_names(given, {name for found in known for name in found}, " >> ".join([text for text, _ in stages]))
    return [
        {name: size for name, size in given.items() if name in found and name not in dict(kept)}
        for found, (_, kept) in zip(known, stages, strict=True)
    ]


def solve_for_shapes(
    text: str, sizes: Sequence[tuple[str, int]], shapes: Sequence[Sequence[int | None]]
) -> tuple[SolvedPattern, list[Any]]:
    """A stage solved for tensors of these shapes, and its slots filled; ``None`` is a size that is not known."""
    given = dict(sizes)
    try:
        solved = check_and_solve("", text, tuple([len(shape) for shape in shapes]), tuple(given))
        slots: list[Any] = [*chain(*shapes), *given.values(), *solved.constants]
        evaluate_symbolic_size_ops(slots, solved.size_ops, partial(size_op_error, solved))
    except PlaitError as error:
        add_error_context(error, text, shapes, given)
        raise
    return solved, slots


def result_shape(solved: SolvedPattern, slots: Sequence[int | None]) -> PartialShape:
    """The shape of the result, from the slots of a solved pattern."""
    sizes: list[list[Any]] = [[slots[solved.slots[axis]] for axis in axes] for axes in solved.output]
    return tuple([None if None in factors else prod(factors) for factors in sizes])


def check_stages(stages: tuple[PatternStage, ...]) -> None:
    """Raise what is known to be wrong before there is a tensor."""
    known: PartialShape | None = None
    least = 0
    for number, (text, _) in enumerate(stages):
        tree = parse(text)
        shapes = [_unknown_shape(expr) for expr in tree.left]
        if known is not None:
            shapes[0] = known
        elif number and shapes[0] is not None and least > len(shapes[0]):
            with _errors_name_previous_stage(stages, number):
                raise rank_error(tree, 0, f"{least} at least")
        right = (tree.right or ())[0]
        known = _unknown_shape(right) if None in shapes else _stage_output_shape(stages, number, tuple(shapes))
        least = len(right.items) - 1


def _unknown_shape(expr: TensorExpr) -> PartialShape | None:
    """A shape of unknown sizes; ``None`` where an ellipsis leaves the rank open, too."""
    return None if Ellipsis in map(type, expr.items) else (None,) * len(expr.items)


def output_shape(stages: tuple[PatternStage, ...], shapes: tuple[Any, ...]) -> PartialShape:
    """The shape of the result for tensors of these shapes."""
    counts = [len(parse(text).left) for text, _ in stages]
    found: PartialShape = run_stages(counts, shapes, partial(_stage_output_shape, stages))
    return found


def _stage_output_shape(stages: tuple[PatternStage, ...], number: int, shapes: tuple[Any, ...]) -> PartialShape:
    """The shape of the result of one stage; ``None`` is a size that is not known."""
    text, sizes = stages[number]
    with _errors_name_previous_stage(stages, number):
        tree = parse(text)
        _, right = sides_with_one_output(tree, "output_shape")
        if len(shapes) != len(tree.left):
            message = f"the pattern has {len(tree.left)} tensors on the left, and {len(shapes)} shapes were given"
            raise make_error("PLT202", message, tree.text, [expr.span for expr in tree.left])
        for expr in (*tree.left, right):
            collect_axes(expr, tree, "output_shape", repeats=expr is not right)
        for place, shape in enumerate(shapes):
            if not isinstance(shape, (tuple, list)):
                message = f"shape {place} is a tuple of exact integers, and this is {short_repr(shape)}"
                raise make_error("PLT301", message, text)
        checked = [
            [None if size is None else to_exact_size(f"shape[{place}]", size) for place, size in enumerate(shape)]
            for shape in shapes
        ]
        return result_shape(*solve_for_shapes(text, sizes, checked))


@contextmanager
def _errors_name_previous_stage(stages: Sequence[PatternStage], number: int) -> Iterator[None]:
    """Let an error say which pattern made the tensor that does not fit."""
    try:
        yield
    except PlaitError as error:
        if number:
            error.facts["after"] = stages[number - 1][0]
        raise


def invert_pattern(text: str, given: dict[str, int], more: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The pattern that leads back, and the sizes of both."""
    tree = parse(text)
    left, right = sides_with_one_output(tree, "inverse")
    if len(left) != 1:
        spans = [expr.span for expr in left]
        raise make_error("PLT211", f"{len(left)} tensors went in, and one cannot give them back", tree.text, spans)
    return f"{right} -> {left[0]}", {**given, **more}
