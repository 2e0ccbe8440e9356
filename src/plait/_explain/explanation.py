"""The implementation of `plait.explain`: the plan of a pattern, or of a pipeline, for given shapes, as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from plait._executor.compile import (
    add_error_context,
    build_einsum_callable,
    check_and_solve,
    check_ranks_of_ends,
    lower_pattern,
    sizes_to_ints,
)
from plait._executor.constants import PatternOfTensors, plan_with_constants_for_explain
from plait._executor.contraction import (
    contraction_plan_within_rank,
    contraction_reason_and_dtype_for_explain,
    lower_einsum_within_rank,
    lower_to_requested_matmul,
)
from plait._executor.einsum_forms import CLASSICAL_EINSUM
from plait._executor.einsum_options import (
    DEFAULT_OPTIONS,
    OptionValues,
    check_implicit_sums,
    options_with_path_of_plan,
)
from plait._executor.large.specialize import repeat_copy_note_for_explain, techniques_and_lines_for_explain
from plait._executor.options import CURRENT_OPTIONS
from plait._executor.pipeline import PatternAndSizes, fuse_stages_for_shapes, output_shape, run_stages
from plait._executor.rank_limit import max_rank_of
from plait._executor.sliced_einsum import explain_slices
from plait._executor.tensors import shape_of_tensor
from plait._notation.equation import equation_as_pattern
from plait._notation.parser import parse
from plait._operations.einsum import lower_einsum
from plait._operations.reduce import check_reduction_name
from plait._operations.table import infer_operation
from plait._plan.contraction.contraction_plan import ContractionPlan, named_lengths
from plait._plan.contraction.path_table import PathLine, format_path_table, list_path_lines
from plait._plan.graph import Plan
from plait._plan.printer import Costs, PlanLine, contraction_lines_and_costs, format_costs, format_plan, list_plan_lines
from plait._shapes.sizes import compute_all_slots, to_exact_size
from plait.errors import PlaitError, make_error, short_repr


@dataclass(slots=True, repr=False, eq=False)
class Explanation:
    """The plan of one call, as `plait.explain` returns it; its ``repr`` is the printed plan.

    Attributes:
        operation: The name of the function that the plan is for, such as ``"rearrange"``.
        text: The printed plan.
        lines: For each step its name, the shape of its result, the axes of that shape, and its cost.
        costs: For an einsum that plait decomposes: the contraction path, the FLOPs, the elements of the largest
            intermediate result, the elements read and written, and the estimated seconds. Otherwise ``None``.
        path_lines: For such an einsum of three tensors or more: for each step of the path the positions and the axes
            of the tensors, the number of axes, the FLOPs, the elements of the result, and the tensors that are left.
        plan: For such an einsum what ``plait.options(contract=plan)`` takes, and what can be saved. Otherwise ``None``.
        block_lengths: For an einsum under a ``memory_limit``: by sliced axis the length of a block. Otherwise ``None``.
        rewrites: For a large tensor that is reduced or copied in several calls: the names of the techniques used. The
            reason for each is in ``plait._plan.schedule.techniques.REASONS``.

    Examples:
        >>> import plait
        >>> explanation = plait.explain("h w -> w h", (2, 3))
        >>> explanation
        rearrange  h w -> w h
          input     2 3   h w
          permute   3 2   w h   view
          output    3 2   w h
        >>> explanation.lines[-1].shape
        (3, 2)
    """

    operation: str
    text: str
    lines: list[PlanLine]
    costs: Costs | None = None
    rewrites: tuple[str, ...] = ()
    path_lines: list[PathLine] | None = None
    plan: ContractionPlan | None = None
    block_lengths: dict[str, int] | None = None
    _source_arguments: tuple[Any, ...] | None = None

    def source(self, framework: str) -> str:
        """Return the plan as the source of a function in plain framework code, as `plait.Pattern.source` does.

        Args:
            framework: The name of the framework, such as ``"numpy"``.

        Returns:
            The source code of one function, which does not need plait.

        Raises:
            AxisError: PLT215, the explanation consists of several plans.
            BackendError: PLT501, there is no framework of that name.

        Examples:
            >>> import plait
            >>> plait.explain("h w -> w h", (2, 3)).source("numpy").splitlines()[-1]
            '    return np.transpose(tensor, (1, 0))'
        """
        if self._source_arguments is None:
            message = "these patterns cannot be combined into one function; take the source of each"
            raise make_error("PLT215", message)
        from plait._executor.standalone_source import generate_source  # imported here because it is rarely needed

        return generate_source(framework, *self._source_arguments)

    def __repr__(self) -> str:
        return self.text


class _ExplainedEinsum(NamedTuple):
    """What is shown of an einsum of several tensors; the last four are for one that plait decomposes, or slices."""

    steps: Plan
    lines: list[PlanLine]
    notes: list[str]  # below the table
    costs: Costs | None = None
    path_lines: list[PathLine] | None = None
    plan: ContractionPlan | None = None
    block_lengths: dict[str, int] | None = None


def explain(pattern: str, /, *shapes: Any, **sizes: Any) -> Explanation:
    """Implement `plait.explain`."""
    reduction = sizes.pop("reduction") if isinstance(sizes.get("reduction"), str) else "sum"
    exact_shapes = [exact_shape(shape, number) for number, shape in enumerate(shapes)]
    if not sizes:
        named = equation_as_pattern(pattern, [len(shape) for shape in exact_shapes])
        if named is not None and len(shapes) > 1:
            return explain_equation(pattern, shapes)
        pattern = named or pattern
    operation = infer_operation(parse(pattern))
    int_sizes = sizes_to_ints(pattern, sizes)
    try:
        if operation == "einsum" and len(shapes) > 1:
            return _explain_einsum("einsum", pattern, exact_shapes, int_sizes, shapes, CURRENT_OPTIONS.get())
        reduction_name = check_reduction_name(reduction) if operation == "reduce" else ""
        max_rank = max_rank_of(None)
        plan = lower_pattern(
            operation,
            pattern,
            tuple([len(shape) for shape in exact_shapes]),
            tuple(int_sizes),
            reduction_name,
            max_rank,
        )
        slots = compute_all_slots(plan.solved, plan.size_ops, exact_shapes[0], int_sizes)
        lines = list_plan_lines(plan, exact_shapes, slots)
        rewrites, notes = techniques_and_lines_for_explain(plan, slots, shapes[0])
        if max_rank is not None:  # nothing is scheduled
            rewrites, notes = (), []
        if operation == "repeat" and "copies" not in lines[-2].cost:
            notes += repeat_copy_note_for_explain(plan, shapes[0])
    except PlaitError as error:
        add_error_context(error, pattern, exact_shapes, int_sizes)
        raise
    if rewrites:
        notes = [f"in several calls: {', '.join(rewrites)}", *notes]
    text = "\n  ".join([format_plan(operation, plan, lines, list(int_sizes.values())), *notes])
    arguments = (pattern, plan.solved.ranks, int_sizes, operation, reduction_name or None, max_rank)
    return Explanation(operation, text, lines, rewrites=rewrites, _source_arguments=arguments)


def explain_equation(equation: str, shapes: Sequence[Any]) -> Explanation:
    """Return the plan of a classical equation of several tensors, which stretches length 1 of its letters."""
    exact_shapes = [exact_shape(shape, number) for number, shape in enumerate(shapes)]
    try:
        return _explain_einsum(CLASSICAL_EINSUM, equation, exact_shapes, {}, shapes, CURRENT_OPTIONS.get())
    except PlaitError as error:
        add_error_context(error, equation, exact_shapes, {})
        raise


def _explain_einsum(
    form: str,
    text: str,
    shapes: list[tuple[int, ...]],
    int_sizes: dict[str, int],
    tensors: Sequence[Any],
    options: OptionValues | None,
) -> Explanation:
    """Return the plan of an einsum of several tensors, in the named form or in the classical one.

    ``tensors`` are what the caller gives for shapes; if all are tensors, their types decide about the plan.
    """
    found = _explained_einsum(form, text, shapes, int_sizes, tensors, options)
    table = format_plan("einsum", found.steps, found.lines, list(int_sizes.values()))
    solved = found.steps.solved
    return Explanation(
        "einsum",
        "\n  ".join([table, *found.notes]),
        found.lines,
        found.costs,
        path_lines=found.path_lines,
        plan=found.plan,
        block_lengths=found.block_lengths,
        _source_arguments=(str(solved.tree), solved.ranks, int_sizes, "einsum", None, max_rank_of(options)),
    )


def _explained_einsum(
    form: str,
    text: str,
    shapes: list[tuple[int, ...]],
    int_sizes: dict[str, int],
    tensors: Sequence[Any],
    options: OptionValues | None,
) -> _ExplainedEinsum:
    """Return what is shown of an einsum.

    For shapes without tensors, the plan is the one for NumPy; for tensors, the one for their framework.
    """
    solved = check_and_solve(form, text, tuple([len(shape) for shape in shapes]), tuple(int_sizes))
    check_implicit_sums(solved, options)
    flat = [size for shape in shapes for size in shape]
    slots = compute_all_slots(solved, solved.size_ops, flat, int_sizes)
    options = options_with_path_of_plan(options, solved, slots)
    block_lengths, slice_notes = None, []
    if options is not None and options.memory_limit is not None:
        program, note = explain_slices(form, solved, slots, tensors, options, build_einsum_callable, check_and_solve)
        slice_notes.append(note)
        if program is not None:
            block_lengths = {solved.labels[axis]: length for axis, length in program.block_lengths.items()}
            options = options._replace(contract=program.path)
    if options is not None and options.max_rank is not None:
        check_ranks_of_ends(solved, options.max_rank)
    products = None if slice_notes else lower_to_requested_matmul(solved, slots, options)
    if products is not None:
        lines = list_plan_lines(products, shapes, compute_all_slots(solved, products.size_ops, flat, int_sizes))
        return _ExplainedEinsum(products, lines, ['without an einsum, as the option einsum="matmul" asks'])
    contraction, reason, element = contraction_reason_and_dtype_for_explain(solved, slots, tensors, options)
    plan = None if contraction is None else contraction_plan_within_rank(solved, contraction, options)
    if contraction is None or plan is None:
        plan = lower_einsum(solved)
        if options is not None and options.max_rank is not None:
            plan = lower_einsum_within_rank(solved, slots, options, options.max_rank)
            reason = f"no tensor has a rank above max_rank={options.max_rank}"
        lines = list_plan_lines(plan, shapes, compute_all_slots(solved, plan.size_ops, flat, int_sizes))
        return _ExplainedEinsum(plan, lines, [reason, *slice_notes], block_lengths=block_lengths)
    lines, costs = contraction_lines_and_costs(plan, contraction)
    notes, path_lines = [format_costs(costs, *element)], None
    if len(shapes) > 2:
        path_lines = list_path_lines(contraction.network, contraction.path)
        notes = [*format_path_table(path_lines), *notes]
    notes += slice_notes
    saved = ContractionPlan(str(solved.tree), shapes, contraction.path, named_lengths(solved, slots))
    return _ExplainedEinsum(plan, lines, notes, costs, path_lines, saved, block_lengths)


def explain_with_constants(
    text: str, equation: str | None, sizes: dict[str, int], operands: Sequence[Any], constants: dict[int, Any]
) -> Explanation:
    """Implement `plait.PatternWithConstants.explain`; ``operands`` are shapes or tensors, the constants included."""
    shapes = tuple([exact_shape(shape, number) for number, shape in enumerate(operands)])
    if not all(hasattr(operand, "dtype") for operand in operands):
        operands = shapes  # the plan is the one for NumPy, also of the constants
    form, pattern = ("einsum", text) if equation is None else (CLASSICAL_EINSUM, equation)
    whole = explain_equation(equation, operands) if equation is not None else explain(text, *operands, **sizes)
    options = CURRENT_OPTIONS.get()
    plan = plan_with_constants_for_explain(form, pattern, sizes, operands, shapes, tuple(constants), options)
    numbers = ", ".join(map(str, constants)) or "none"
    title = f"{whole.text.partition(chr(10))[0]}   constant: tensor{'s' * (len(constants) > 1)} {numbers}"
    rest = whole.text.partition("\n")[2]
    if plan is None or len(constants) == len(operands):
        head = "each call:" if plan is None else "once, and a copy for each call:"
        return replace(whole, text=f"{title}\n{head}\n{rest}", plan=None)
    inner_options = (options or DEFAULT_OPTIONS)._replace(contract="auto", strict=False)
    shape_by_number, tensor_by_number = dict(enumerate(shapes)), dict(enumerate(operands))
    parts = []
    for number, group in enumerate(plan.groups, len(operands)):
        parts.append(_explain_part(group, shape_by_number, tensor_by_number, inner_options))
        shape_by_number[number] = parts[-1].lines[-1].shape
        tensor_by_number[number] = operands[group.numbers[0]]  # of the same framework and element type
    call_options = inner_options if plan.path is None else inner_options._replace(contract=plan.path)
    call = _explain_part(plan.call, shape_by_number, tensor_by_number, call_options)
    texts = [title, "once:", *[part.text for part in parts], "each call:", call.text]
    lines = [line for part in (*parts, call) for line in part.lines]
    return Explanation("einsum", "\n".join(texts), lines, call.costs, path_lines=call.path_lines)


def _explain_part(
    part: PatternOfTensors, shapes: dict[int, Any], tensors: dict[int, Any], options: OptionValues
) -> Explanation:
    """Return the plan of a part of an einsum with constants."""
    text, sizes = part.stage
    part_shapes = [shapes[number] for number in part.numbers]
    if len(part_shapes) == 1:
        return explain(text, *part_shapes, **dict(sizes))
    part_tensors = [tensors[number] for number in part.numbers]
    return _explain_einsum("einsum", text, part_shapes, dict(sizes), part_tensors, options)


def explain_pipeline(title: str, stages: tuple[PatternAndSizes, ...], shapes: Sequence[Any]) -> Explanation:
    """Implement `plait.PatternPipeline.explain`."""
    kinds = [infer_operation(parse(text)) for text, _ in stages]
    operation = next((kind for kind in ("einsum", "reduce", "repeat") if kind in kinds), "rearrange")
    exact_shapes = tuple([exact_shape(shape, number) for number, shape in enumerate(shapes)])
    fused = fuse_stages_for_shapes(operation, stages, exact_shapes, "sum" if operation == "reduce" else "")
    if fused is None:
        output_shape(stages, exact_shapes)  # raises an error, since the number of shapes is wrong
        raise AssertionError
    fused_stages, parts = fused.fused_stages, list[Explanation]()

    def explain_stage(number: int, shapes: tuple[Any, ...]) -> tuple[int, ...]:
        text, sizes = fused_stages[number].stage
        parts.append(explain(text, *shapes, **dict(sizes)))
        return parts[-1].lines[-1].shape

    run_stages([fused_stage.stage_operation.operand_count for fused_stage in fused_stages], shapes, explain_stage)
    texts = [title, parts[0].text]
    for reason, part in zip(fused.reasons, parts[1:], strict=True):
        texts += [f"then, since {reason}:", part.text]
    lines = [line for part in parts for line in part.lines]
    if len(parts) > 1:
        return Explanation(operation, "\n".join(texts), lines)
    return replace(parts[0], operation=operation, text="\n".join(texts), lines=lines, rewrites=())


def exact_shape(shape: Any, number: int) -> tuple[int, ...]:
    """Return a shape, or the shape of a tensor, as ints; ``number`` is its position in the call, for the error."""
    sizes = shape
    if not isinstance(shape, (tuple, list)):
        sizes = shape_of_tensor(shape) if hasattr(shape, "dtype") else getattr(shape, "shape", None)
    if sizes is None:
        raise make_error("PLT301", f"shape {number} must be a tuple of integers, not {short_repr(shape)}")
    return tuple([to_exact_size(f"shape[{dim}]", size) for dim, size in enumerate(sizes)])
