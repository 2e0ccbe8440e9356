"""Pipelines of patterns: stages are fused into as few patterns as possible for given shapes; also inverse patterns."""

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
from plait._executor.einsum_forms import CLASSICAL_EINSUM
from plait._executor.einsum_options import axis_names_look_alike, check_implicit_sums
from plait._executor.tensors import backend_for_tensors, is_concrete_shape
from plait._executor.tracer_hooks import assume_constant_or_error
from plait._notation.parser import parse
from plait._notation.tree import Ellipsis, TensorExpr, collect_names
from plait._operations.reduce import CUSTOM_REDUCTION, check_reduction_name
from plait._operations.rules import collect_axes, require_one_output
from plait._operations.table import find_operation_or_einsum, infer_operation
from plait._shapes.composition import ConcretePattern, composed_pattern_or_reason, to_concrete_pattern, unparse_pattern
from plait._shapes.sizes import extend_symbolic_slots, size_op_error, sizes_by_normalized_name, to_exact_size
from plait._shapes.solver import SolvedPattern, rank_error
from plait.backends.reduction_rules import MERGEABLE_REDUCTIONS
from plait.errors import PlaitError, make_error, short_repr

PatternAndSizes: TypeAlias = "tuple[str, tuple[tuple[str, int], ...]]"
"""A stage of a pipeline: the text of a pattern, and its sizes as pairs of name and size."""

PartialShape: TypeAlias = "tuple[int | None, ...]"
"""The shape of a tensor; ``None`` is an unknown length."""


class OperationAndOperandCount(NamedTuple):
    """The operation that a stage of a pipeline performs, and its number of operands."""

    operation: str
    operand_count: int


class FusedStage(NamedTuple):
    """One pattern that replaces one or several consecutive stages, and its operation."""

    stage_operation: OperationAndOperandCount
    stage: PatternAndSizes


class FusedPipeline(NamedTuple):
    """The fused stages of a pipeline; ``reasons`` say for each two neighbours why they are not fused."""

    fused_stages: tuple[FusedStage, ...]
    reasons: tuple[str, ...]


def fuse_stages(
    operation: str, stages: tuple[PatternAndSizes, ...], tensors: Sequence[Any], reduction: Any
) -> FusedPipeline | None:
    """Return the fused stages for these tensors; ``None`` if a size is unknown or the number of tensors is wrong."""
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
    operation: str, stages: tuple[PatternAndSizes, ...], shapes: tuple[tuple[int, ...], ...], reduction: str = ""
) -> FusedPipeline | None:
    """Return the fused stages for tensors of these shapes; ``None`` if the number of tensors is wrong."""
    operations = operations_by_stage(operation, tuple([text for text, _ in stages]))
    if len(shapes) != sum([each.operand_count for each in operations]) - len(operations) + 1:
        return None
    unchanged = map(FusedStage, operations, stages)
    parts: list[tuple[ConcretePattern, FusedStage | None]] = [
        *zip(_concrete_patterns(stages, operations, shapes), unchanged, strict=True)
    ]
    index = 0
    while index < len(parts) - 1:
        composed_pattern = _compose_or_reason(parts[index][0], parts[index + 1][0], reduction)
        if isinstance(composed_pattern, str):
            index += 1
        else:
            parts[index : index + 2] = [(composed_pattern, None)]
            index = max(index - 1, 0)  # the new pattern may compose with the one before it
    reasons = [str(_compose_or_reason(first, second, reduction)) for (first, _), (second, _) in pairwise(parts)]
    fused_stages = [
        fused_stage or _to_fused_stage(composed_pattern, operation) for composed_pattern, fused_stage in parts
    ]
    return FusedPipeline(tuple(fused_stages), tuple(reasons))


def _concrete_patterns(
    stages: tuple[PatternAndSizes, ...],
    operations: tuple[OperationAndOperandCount, ...],
    shapes: tuple[tuple[int, ...], ...],
) -> list[ConcretePattern]:
    """Return every stage as a concrete pattern, solved for the shapes of its operands."""
    patterns: list[ConcretePattern] = []

    def solve_stage(number: int, shapes: tuple[PartialShape, ...]) -> PartialShape:
        with _add_previous_stage_to_errors(stages, number):
            solved, slots = solve_for_shapes(*stages[number], shapes)
        if operations[number].operation == "einsum":
            check_implicit_sums(solved, None)
        patterns.append(to_concrete_pattern(solved, slots))
        return output_shape_from_slots(solved, slots)

    run_stages([each.operand_count for each in operations], shapes, solve_stage)
    return patterns


def _compose_or_reason(first: ConcretePattern, second: ConcretePattern, reduction: str) -> ConcretePattern | str:
    """Return two patterns composed into one, or the reason why that is not possible."""
    if reduction == CUSTOM_REDUCTION and second.dropped_axes:
        return "a function is called with the dimensions of its own pattern"
    if reduction not in MERGEABLE_REDUCTIONS and reduction and first.dropped_axes and second.dropped_axes:
        return f"{reduction} of {reduction} is not {reduction} of all"
    composed = composed_pattern_or_reason(first, second)
    if isinstance(composed, ConcretePattern) and composed.dropped_axes and composed.added_axes:
        return "no single operation both removes and adds axes"
    return composed


def _to_fused_stage(pattern: ConcretePattern, operation: str) -> FusedStage:
    """Return the stage whose text and sizes are those of a composed pattern."""
    if operation == "einsum":  # similar names from different stages must not cause a warning about a typo
        counts = Counter(chain(*chain(*pattern.inputs)))
        labels = [
            f"{label}1"
            if axis in pattern.dropped_axes
            and counts[axis] == 1
            and any(axis_names_look_alike(label, other) for other in pattern.labels)
            else label
            for axis, label in enumerate(pattern.labels)
        ]
        pattern = pattern._replace(labels=tuple(labels))
    text, sizes = unparse_pattern(pattern)
    method = "repeat" if operation == "reduce" and pattern.added_axes else operation
    return FusedStage(OperationAndOperandCount(method, len(pattern.inputs)), (text, tuple(sizes.items())))


@clearable_lru_cache(maxsize=1024)
def operations_by_stage(operation: str, texts: tuple[str, ...]) -> tuple[OperationAndOperandCount, ...]:
    """Return the operation of each stage; in a ``reduce``, stages that add axes use ``repeat``."""
    operations = []
    for text in texts:
        tree = parse(text)
        definition = find_operation_or_einsum(
            "repeat" if operation == "reduce" and infer_operation(tree) == "repeat" else operation
        )
        definition.check(tree)
        operations.append(OperationAndOperandCount(definition.name, len(tree.left)))
    return tuple(operations)


operations_by_stage_or_message_for_dynamo = assume_constant_or_error(operations_by_stage)


def run_stages(
    operand_counts: Sequence[int], tensors: Sequence[Any], run: Callable[[int, tuple[Any, ...]], Any]
) -> Any:
    """Call ``run(number, operands)`` for each stage, with the previous result as the first of its operands.

    >>> run_stages([2, 2, 1], "abc", lambda number, tensors: f"{number}({' '.join(tensors)})")
    '2(1(0(a b) c))'
    """
    remaining = tuple(tensors)
    for number, count in enumerate(operand_counts[:-1]):
        remaining = (run(number, remaining[:count]), *remaining[count:])
    return run(len(operand_counts) - 1, remaining)  # the last stage raises an error if too many operands remain


def distribute_sizes_to_stages(stages: tuple[PatternAndSizes, ...], sizes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return for each stage those of the sizes whose axes it has, without those that its pattern is given already."""
    new_sizes = sizes_by_normalized_name(sizes)
    names_by_stage = [collect_names((*tree.left, *(tree.right or ()))) for tree in [parse(text) for text, _ in stages]]
    check_size_names(
        new_sizes, {name for names in names_by_stage for name in names}, " >> ".join([text for text, _ in stages])
    )
    return [
        {name: size for name, size in new_sizes.items() if name in names and name not in dict(stage_sizes)}
        for names, (_, stage_sizes) in zip(names_by_stage, stages, strict=True)
    ]


def solve_for_shapes(
    text: str, sizes: Sequence[tuple[str, int]], shapes: Sequence[Sequence[int | None]], operation: str = ""
) -> tuple[SolvedPattern, list[Any]]:
    """Return a stage solved for tensors of these shapes, and its slots; ``None`` is an unknown size.

    The pattern is checked by the rule of the operation, if one is given.
    """
    sizes_by_name = dict(sizes)
    try:
        solved = check_and_solve(operation, text, tuple([len(shape) for shape in shapes]), tuple(sizes_by_name))
        slots: list[Any] = [*chain(*shapes), *sizes_by_name.values(), *solved.constants]
        extend_symbolic_slots(slots, solved.size_ops, partial(size_op_error, solved))
    except PlaitError as error:
        add_error_context(error, text, shapes, sizes_by_name)
        raise
    return solved, slots


def output_shape_from_slots(solved: SolvedPattern, slots: Sequence[int | None]) -> PartialShape:
    """Return the shape of the result, from the slots of a solved pattern."""
    sizes: list[list[Any]] = [[slots[solved.slots[axis]] for axis in axes] for axes in solved.output]
    return tuple([None if None in factors else prod(factors) for factors in sizes])


def check_stages(stages: tuple[PatternAndSizes, ...]) -> None:
    """Raise the errors that do not depend on tensors, such as stages whose ranks do not match."""
    previous_shape: PartialShape | None = None
    min_rank = 0
    for number, (text, _) in enumerate(stages):
        tree = parse(text)
        shapes = [_unknown_shape(expr) for expr in tree.left]
        if previous_shape is not None:
            shapes[0] = previous_shape
        elif number and shapes[0] is not None and min_rank > len(shapes[0]):
            with _add_previous_stage_to_errors(stages, number):
                raise rank_error(tree, 0, f"{min_rank} at least")
        right = (tree.right or ())[0]
        previous_shape = _unknown_shape(right) if None in shapes else _stage_output_shape(stages, number, tuple(shapes))
        min_rank = len(right.items) - 1


def _unknown_shape(expr: TensorExpr) -> PartialShape | None:
    """Return a shape with an unknown length for each dimension; ``None`` if an ellipsis makes the rank unknown too."""
    return None if Ellipsis in map(type, expr.items) else (None,) * len(expr.items)


def output_shape(
    stages: tuple[PatternAndSizes, ...], shapes: tuple[Any, ...], equation: str | None = None
) -> PartialShape:
    """Return the shape of the result for tensors of these shapes; ``equation`` is that of a single stage, if any."""
    operand_counts = [len(parse(text).left) for text, _ in stages]
    shape: PartialShape = run_stages(operand_counts, shapes, partial(_stage_output_shape, stages, equation=equation))
    return shape


def _stage_output_shape(
    stages: tuple[PatternAndSizes, ...], number: int, shapes: tuple[Any, ...], equation: str | None = None
) -> PartialShape:
    """Return the shape of the result of one stage; ``None`` is an unknown size."""
    text, sizes = stages[number]
    with _add_previous_stage_to_errors(stages, number):
        tree = parse(text)
        _, right = require_one_output(tree, "output_shape")
        if len(shapes) != len(tree.left):
            message = f"the left side of the pattern has {len(tree.left)} tensors, but {len(shapes)} shapes were given"
            raise make_error("PLT202", message, tree.text, [expr.span for expr in tree.left])
        for expr in (*tree.left, right):
            collect_axes(expr, tree, "output_shape", repeats=expr is not right)
        for place, shape in enumerate(shapes):
            if not isinstance(shape, (tuple, list)):
                message = f"shape {place} must be a tuple of integers, not {short_repr(shape)}"
                raise make_error("PLT301", message, text)
        checked = [
            [None if size is None else to_exact_size(f"shape[{place}]", size) for place, size in enumerate(shape)]
            for shape in shapes
        ]
        if equation is not None:
            return output_shape_from_slots(*solve_for_shapes(equation, (), checked, CLASSICAL_EINSUM))
        return output_shape_from_slots(*solve_for_shapes(text, sizes, checked))


@contextmanager
def _add_previous_stage_to_errors(stages: Sequence[PatternAndSizes], number: int) -> Iterator[None]:
    """Add the pattern of the previous stage to an error, because it made the operand that does not fit."""
    try:
        yield
    except PlaitError as error:
        if number:
            error.facts["after"] = stages[number - 1][0]
        raise


def invert_pattern_and_merge_sizes(
    text: str, sizes: dict[str, int], new_sizes: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return the text of the inverse pattern, and the old and new sizes together."""
    tree = parse(text)
    left, right = require_one_output(tree, "inverse")
    if len(left) != 1:
        spans = [expr.span for expr in left]
        raise make_error("PLT211", f"a pattern with {len(left)} inputs has no inverse", tree.text, spans)
    return f"{right} -> {left[0]}", {**sizes, **new_sizes}
