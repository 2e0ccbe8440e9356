"""The compilation of a call that is not in the cache: pattern, plan, executable, and the callable to be cached."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import compress
from math import prod
from typing import Any

from plait._caches import clearable_lru_cache
from plait._executor.einsum_forms import CLASSICAL_EINSUM
from plait._executor.executable import (
    Executable,
    with_object_dtype_errors,
    with_prepared_operands,
    with_result_shape_check,
    with_unchanged_errors,
)
from plait._executor.options import ranks_may_be_limited
from plait._executor.tracer_hooks import FUNCTIONS_WITH_SUBSTITUTE
from plait._notation.equation import equation_as_pattern, format_equation, parse_equation
from plait._notation.parser import parse
from plait._notation.tree import collect_names, item_of_each_dimension
from plait._operations.reduce import CUSTOM_REDUCTION, check_dtype_kind, check_reduction_name
from plait._operations.table import find_operation_or_einsum
from plait._plan.graph import Plan
from plait._plan.nodes import Reduce
from plait._plan.strides import StridedView
from plait._shapes.sizes import (
    compute_all_slots,
    error_facts,
    error_facts_from_slots,
    format_shape,
    sizes_by_normalized_name,
    to_exact_size,
)
from plait._shapes.solver import SolvedPattern, solve_pattern, tensor_phrase, unknown_size_name_error
from plait.backends.interface import NO_VIEWS_MESSAGE, Backend
from plait.backends.registry import common_backend
from plait.errors import PlaitError, make_error, mark_as_unchanged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from plait._executor.einsum_options import OptionValues


@clearable_lru_cache(maxsize=1024)
def check_and_solve(operation: str, pattern: str, ranks: tuple[int, ...], size_names: tuple[str, ...]) -> SolvedPattern:
    """Check a pattern by the rule of its operation, if one is given, and solve it for these ranks."""
    if not operation:
        return solve_pattern(parse(pattern), ranks, size_names)
    rule = find_operation_or_einsum(operation)
    tree = parse_equation(pattern, len(ranks)) if operation == CLASSICAL_EINSUM else parse(pattern)
    if tree.is_plain and len(ranks) == 1:
        try:
            solved = solve_pattern(tree, ranks, size_names)
        except PlaitError:
            rule.check(tree)  # a violated rule is reported before an unsolvable size
            raise
        if not (solved.is_bijection and rule.allows_bijections):
            rule.check(tree)
        return solved
    rule.check(tree)
    if len(tree.left) != len(ranks):
        several = "s" * (len(tree.left) != 1)
        message = (
            f"the left side of the pattern has {len(tree.left)} tensor{several}, but {rule.name} was given {len(ranks)}"
        )
        raise make_error("PLT202", message, tree.text, [(expr.start, expr.stop) for expr in tree.left])
    return solve_pattern(tree, ranks, size_names)


def lower_pattern(
    operation: str,
    pattern: str,
    ranks: tuple[int, ...],
    size_names: tuple[str, ...],
    reduction: str = "",
    max_rank: int | None = None,
) -> Plan:
    """Return the plan of a call, which is the same for every framework and shape."""
    solved = check_and_solve(operation, pattern, ranks, size_names)
    if max_rank is not None:
        check_ranks_of_ends(solved, max_rank)
    return find_operation_or_einsum(operation).lower(solved, reduction, max_rank)


def check_ranks_of_ends(solved: SolvedPattern, max_rank: int) -> None:
    """Raise PLT314 if an input or the output of a pattern has a rank above a limit."""
    for number, rank in enumerate((*solved.ranks, len(solved.output))):
        if rank > max_rank:
            from plait._executor.rank_limit import rank_limit_error

            tree, count = solved.tree, len(solved.ranks)
            tensor = tensor_phrase(number, count) if number < count else "the result"
            expr = (*tree.left, *(tree.right or ()))[number]
            raise rank_limit_error(tensor, rank, max_rank, tree.text, expr.span)


@clearable_lru_cache(maxsize=1024)
def build_executable(
    operation: str,
    pattern: str,
    tensor_types: tuple[type, ...],
    ranks: tuple[int, ...],
    size_names: tuple[str, ...],
    reduction: str = "",
    dtype: Any = None,
    max_rank: int | None = None,
) -> Executable:
    """Return the plan of a call with the functions of the backend for these tensor types."""
    backend = common_backend(tensor_types)
    backend.exclude_functions_from_tracing(FUNCTIONS_WITH_SUBSTITUTE)
    plan = lower_pattern(operation, pattern, ranks, size_names, reduction, max_rank)
    if not reduction or reduction == CUSTOM_REDUCTION:  # the caller's function is added by `build_reduce_executable`
        return Executable(plan, backend, copies_broadcast=operation == "repeat")
    function = _find_backend_reduction(backend, reduction, dtype)
    if sum([isinstance(node, Reduce) for node, _ in plan.steps]) > 1:  # the first may give another element type
        return Executable(plan, backend, partial(_reduce_by_dtype, backend, reduction))
    return Executable(plan, backend, function)


def _reduce_by_dtype(backend: Backend, name: str, tensor: Any, axes: tuple[int, ...]) -> Any:
    """Reduce a tensor by the backend's reduction for its element type."""
    return _find_backend_reduction(backend, name, backend.dtype(tensor))(tensor, axes)


@clearable_lru_cache(maxsize=1024)
def _find_backend_reduction(backend: Backend, name: str, dtype: Any) -> Callable[[Any, tuple[int, ...]], Any]:
    """Return the backend's reduction for an element type; raise `BackendError` if it is not defined there."""
    kind = None if dtype is None else backend.kind(dtype)
    check_dtype_kind(name, kind, dtype)
    try:
        function = backend.reduction(name, dtype)
    except (LookupError, AttributeError, NotImplementedError) as error:  # a backend of a third party may lack one
        raise make_error("PLT503", f"the backend for {backend.name} has no reduction {name!r} of {dtype}") from error
    return with_object_dtype_errors(function, name, dtype) if kind == "other" else function


def build_callable(
    operation: str, pattern: str, tensor_type: Any, shape: Any, extra_key: tuple[Any, ...], sizes: dict[str, int]
) -> Callable[..., Any]:
    """Return the callable of a call whose sizes are all ints; the arguments after the pattern are those of `lookup`.

    Without an einsum the callable obeys ``max_rank`` of the options of each of its calls.
    """
    build = partial(build_callable_within_rank, operation, pattern, tensor_type, shape, extra_key, sizes)
    if type(tensor_type) is tuple or not ranks_may_be_limited():
        return build(None)
    from plait._executor.rank_limit import choose_by_max_rank  # imported here because few calls have a limit

    return choose_by_max_rank(build)


def build_callable_within_rank(
    operation: str,
    pattern: str,
    tensor_type: Any,
    shape: Any,
    extra_key: tuple[Any, ...],
    sizes: dict[str, int],
    max_rank: int | None,
) -> Callable[..., Any]:
    """Return the callable of `build_callable` for one ``max_rank``; an einsum has its own among its options."""
    try:
        if type(tensor_type) is tuple:
            return build_einsum_callable(operation, pattern, tensor_type, shape, sizes, *extra_key)
        if operation == "reduce":
            executable = build_reduce_executable(
                pattern, tensor_type, len(shape), tuple(sizes), *extra_key, max_rank=max_rank
            )
        else:
            executable = build_executable(
                operation, pattern, (tensor_type,), (len(shape),), tuple(sizes), max_rank=max_rank
            )
        if operation == "view":
            check_view(executable, shape, extra_key[0], sizes)
        if operation == "view" or max_rank is not None:  # a schedule has views of any rank
            return executable.bind(shape, sizes)
        return bind_or_schedule(executable, shape, sizes)
    except PlaitError as error:
        add_error_context(error, pattern, shape if type(tensor_type) is tuple else (shape,), sizes)
        raise
    except Exception as error:
        mark_as_unchanged(error)  # planning calls no function of a framework
        raise


def bind_or_schedule(executable: Executable, shape: Sequence[int], sizes: dict[str, int]) -> Callable[..., Any]:
    """Return the callable for tensors of this shape; for large tensors it chooses a schedule by their layout."""
    stepwise_call = executable.bind(shape, sizes)
    if executable.min_elements is None:
        return stepwise_call
    elements = executable.larger_element_count(shape, sizes) if executable.has_new_axes else prod(shape)
    if elements < executable.min_elements:
        return stepwise_call
    from plait._executor.large.specialize import build_layout_dispatch

    return build_layout_dispatch(executable, shape, sizes, stepwise_call)


def reduction_of_unary_einsum(operation: str, backend: Backend, dtype: Any) -> str:
    """Return the reduction that an einsum of one tensor computes: the sum, or of booleans whether any is true.

    In the classical form narrow integers are summed in their own type, as the integers of several tensors are; that is
    no reduction but an einsum, ``""``.
    """
    kind = None if dtype is None else backend.kind(dtype)
    if operation == CLASSICAL_EINSUM and kind == "integer" and "64" not in str(dtype):
        return ""
    return "any" if kind == "bool" else "sum"


def build_einsum_callable(
    operation: str,
    pattern: str,
    tensor_types: tuple[type, ...],
    shapes: Sequence[Sequence[int]],
    sizes: dict[str, int],
    dtypes: tuple[Any, ...],
    options: OptionValues | None,
) -> Callable[..., Any]:
    """Return the callable of an ``einsum`` for operands of these types, shapes and element types."""
    from plait._executor.contraction import (
        build_decomposed_einsum,
        build_einsum_within_rank,
        contraction_functions_for_tensors,
        find_requested_path,
        lower_to_requested_matmul,
    )
    from plait._executor.einsum_options import (
        check_backend_kwargs_fit_plan,
        check_implicit_sums,
        options_with_path_of_plan,
    )
    from plait._executor.long_sums import build_blockwise_sum, find_long_summed_axis
    from plait._operations.einsum import drop_stretched_dimensions, lower_to_framework_einsum

    backend = common_backend(tensor_types)
    backend.exclude_functions_from_tracing(FUNCTIONS_WITH_SUBSTITUTE)
    ranks, size_names = tuple([len(shape) for shape in shapes]), tuple(sizes)
    solved = check_and_solve(operation, pattern, ranks, size_names)
    check_implicit_sums(solved, options)
    max_rank = None if options is None else options.max_rank
    if max_rank is not None:
        check_ranks_of_ends(solved, max_rank)
    all_lengths = [size for shape in shapes for size in shape]
    slots = compute_all_slots(solved, solved.size_ops, all_lengths, sizes)
    options = options_with_path_of_plan(options, solved, slots)
    if options is not None and options.memory_limit is not None:
        if max_rank is not None:
            message = "max_rank and memory_limit cannot be used together"
            raise make_error("PLT314", message, solved.text)
        if backend.build_einsum_within_limit is not None:
            plan = lower_to_framework_einsum(solved)
            slots = compute_all_slots(solved, plan.size_ops, all_lengths, sizes)
            return Executable(plan, backend).bind_einsum_within_limit(slots, options.memory_limit)
        from plait._executor.sliced_einsum import build_sliced_einsum

        return build_sliced_einsum(
            operation,
            solved,
            slots,
            tensor_types,
            dtypes,
            backend,
            options._replace(einsum="auto"),  # the limit is kept by plans whose memory is known
            build_einsum_callable,
            check_and_solve,
        )
    dropped = drop_stretched_dimensions(solved, slots)
    if dropped is not None:
        equation, remaining = dropped
        unstretched_shapes = [tuple(compress(shape, kept)) for shape, kept in zip(shapes, remaining, strict=True)]
        unstretched_options = options and options._replace(strict=False)  # implicit sums are checked above
        return with_prepared_operands(
            build_einsum_callable(
                operation, equation, tensor_types, unstretched_shapes, sizes, dtypes, unstretched_options
            ),
            [
                None if all(kept) else _squeeze_function(backend, shape, kept)
                for shape, kept in zip(shapes, remaining, strict=True)
            ],
        )
    if options is not None and options.backend_kwargs:
        plan = lower_to_framework_einsum(solved, find_requested_path(solved, slots, options) or (), max_rank)
        check_backend_kwargs_fit_plan(plan, options)
        slots = compute_all_slots(solved, plan.size_ops, all_lengths, sizes)
        return Executable(plan, backend).bind_einsum_with_backend_kwargs(slots, dict(options.backend_kwargs))
    if len(ranks) == 1:
        reduction = reduction_of_unary_einsum(operation, backend, dtypes[0])
        executable = build_executable(
            operation, pattern, tensor_types, ranks, size_names, reduction, dtypes[0], max_rank
        )
        if options is not None and (options.is_block or max_rank is not None):  # a schedule has intermediate results
            return executable.bind(shapes[0], sizes)
        return bind_or_schedule(executable, shapes[0], sizes)
    matmul_plan = lower_to_requested_matmul(solved, slots, options)
    if matmul_plan is not None:
        return Executable(matmul_plan, backend).bind(all_lengths, sizes)
    functions = contraction_functions_for_tensors(tensor_types, dtypes)
    call = build_decomposed_einsum(solved, slots, tensor_types, functions, dtypes, backend, options)
    if call is None and options is not None and max_rank is not None:
        return build_einsum_within_rank(solved, slots, functions, dtypes, backend, options, max_rank)
    if call is None:
        return build_executable(operation, pattern, tensor_types, ranks, size_names).bind(all_lengths, sizes)
    casts = None if functions is None else functions.long_sum_casts
    axis = None if casts is None else find_long_summed_axis(solved, slots)
    if casts is None or axis is None:
        return call

    def build_block_call(block_shapes: Sequence[Sequence[int]]) -> Callable[..., Any]:
        block_sizes = {name: size for name, size in sizes.items() if name != solved.labels[axis]}
        block_dtypes = (casts.block_dtype,) * len(dtypes)
        return build_einsum_callable(operation, pattern, tensor_types, block_shapes, block_sizes, block_dtypes, options)

    return build_blockwise_sum(solved, axis, shapes, backend, casts, build_block_call, call)


def _squeeze_function(backend: Backend, shape: Sequence[int], remaining: Sequence[bool]) -> Callable[[Any], Any]:
    """Return a function that keeps these dimensions of a tensor of a shape; the others have length 1."""
    reshape, squeezed = backend.reshape, tuple(compress(shape, remaining))
    if backend.build_reshape_of_axes is not None:
        dimensions = [(dimension,) for dimension in range(len(shape))]
        before = tuple([axes if kept else () for axes, kept in zip(dimensions, remaining, strict=True)])
        reshape = backend.build_reshape_of_axes(before, tuple(compress(dimensions, remaining)))
    return lambda tensor: reshape(tensor, squeezed)


def build_reduce_executable(
    pattern: str,
    tensor_type: type,
    rank: int,
    size_names: tuple[str, ...],
    reduction: Any,
    dtype: Any,
    *,
    check_result: bool = True,
    max_rank: int | None = None,
) -> Executable:
    """Return the executable of a ``reduce``; ``check_result`` makes it check the shape that a callable returns."""
    if callable(reduction):
        executable = build_executable(
            "reduce", pattern, (tensor_type,), (rank,), size_names, CUSTOM_REDUCTION, max_rank=max_rank
        )
        function = (
            with_result_shape_check(reduction, executable.backend) if check_result else with_unchanged_errors(reduction)
        )
        return Executable(executable.plan, executable.backend, function)
    return build_executable(
        "reduce", pattern, (tensor_type,), (rank,), size_names, check_reduction_name(reduction), dtype, max_rank
    )


def check_view(
    executable: Executable, shape: Sequence[int], strides: Sequence[int] | None, sizes: dict[str, int]
) -> None:
    """Raise `CopyRequiredError` if the strides do not allow the view; ``None`` means the framework has no views."""
    plan = executable.plan
    tree = plan.solved.tree
    if executable.has_new_axes and not executable.backend.expand_is_view:
        raise make_error("PLT507", f"{executable.backend.name} copies where an axis is added; use repeat", tree.text)
    if strides is None:
        raise make_error("PLT507", NO_VIEWS_MESSAGE, tree.text)
    slots = compute_all_slots(plan.solved, plan.size_ops, shape, sizes)
    view = StridedView(shape, strides)
    dims = tuple(range(len(shape)))
    for node, _ in plan.steps:
        dims = node.output_shape(dims)
        copied_dimension = node.update_view_and_find_copy(view, tuple([slots[slot] for slot in dims]))
        if copied_dimension is not None:
            item = item_of_each_dimension((tree.right or ())[0], len(dims))[copied_dimension]
            message = f"{item} needs a copy, since its axes are not adjacent in memory"
            facts = {**error_facts_from_slots(plan.solved, slots), "strides": format_shape(strides)}
            raise make_error(
                "PLT401",
                message + "; use rearrange, which copies where it must",
                tree.text,
                [(item.start, item.stop)],
                facts,
            )


def normalize_pattern_and_sizes(text: str, sizes: Mapping[str, Any]) -> tuple[str, dict[str, int], str | None]:
    """Return the pattern in canonical form, its sizes as ints, and the equation if the text is a classical one."""
    from plait._operations.rules import require_one_output

    pattern = None if sizes else equation_as_pattern(text)
    if pattern is not None:
        return pattern, {}, format_equation(parse_equation(text, pattern.partition("->")[0].count(",") + 1))
    tree = parse(text)
    require_one_output(tree, "compile")
    check_size_names(sizes, collect_names(tree.left + (tree.right or ())), text)
    return str(tree), sizes_to_ints(text, sizes), None


def check_size_names(sizes: Mapping[str, Any], axis_names: Collection[str], text: str) -> None:
    """Raise `AxisError` if a size names no axis.

    The values are checked later, so that a misspelt name is reported before an invalid value.
    """
    for name in sizes_by_normalized_name(sizes):
        if name not in axis_names:
            raise unknown_size_name_error(name, axis_names, text)


def sizes_to_ints(
    pattern: str, sizes: Mapping[str, Any], is_symbolic_size: Callable[[Any], bool] | None = None
) -> dict[str, Any]:
    """Return the sizes as ints, under normalized names; sizes that ``is_symbolic_size`` accepts stay as they are."""
    checked = sizes_by_normalized_name(sizes)
    for name, value in checked.items():
        if (type(value) is int and value >= 0) or (is_symbolic_size is not None and is_symbolic_size(value)):
            continue
        try:
            checked[name] = to_exact_size(name, value)
        except PlaitError as error:
            raise _size_error_with_span(error, pattern, name) from None
    return checked


def _size_error_with_span(error: PlaitError, pattern: str, name: str) -> PlaitError:
    """Return the error of a size with the span of its axis, or the error PLT203 if the pattern has no such axis."""
    try:
        tree = parse(pattern)
    except PlaitError:  # the syntax error is raised when the pattern is solved
        return error
    axes = collect_names(tree.left + (tree.right or ()))
    if name not in axes:
        return unknown_size_name_error(name, axes, pattern)
    error.pattern = pattern
    error.spans = ((axes[name].start, axes[name].stop),)
    return error


def add_error_context(error: PlaitError, pattern: Any, shapes: Sequence[Any], sizes: dict[str, Any]) -> None:
    """Add the pattern, the shapes and the sizes of the call to an error that lacks them."""
    if error.code.startswith("PLT1"):
        return
    if error.pattern is None and isinstance(pattern, str):
        error.pattern = pattern
    if not error.facts:
        error.facts = error_facts(shapes, sizes)
