"""Behind a miss of the cache: from text to an executable, and from that to the callable that the cache keeps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from math import prod
from typing import Any

from plait._caches import clearable_lru_cache
from plait._executor.executable import Executable, with_object_dtype_errors, with_result_shape_check
from plait._executor.tracer_hooks import FUNCTIONS_WITH_SUBSTITUTE
from plait._notation.equation import parse_equation
from plait._notation.parser import parse
from plait._notation.tree import collect_names, items_by_dimension
from plait._operations.reduce import CUSTOM_REDUCTION, check_dtype_kind, check_reduction_name
from plait._operations.table import find_operation
from plait._plan.graph import Plan
from plait._plan.strides import StridedView
from plait._shapes.sizes import (
    facts_of_call,
    facts_of_slots,
    fill_slots,
    format_shape,
    normalize_size_names,
    to_exact_size,
)
from plait._shapes.solver import SolvedPattern, solve_pattern, unknown_size_error
from plait.backends.interface import NO_VIEWS_MESSAGE, Backend
from plait.backends.registry import common_backend
from plait.errors import PlaitError, make_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from plait._executor.einsum_options import EinsumOptions

CLASSICAL_EINSUM = "classical"
"""The operation of an equation in the classical form."""


@clearable_lru_cache(maxsize=1024)
def check_and_solve(operation: str, pattern: str, ranks: tuple[int, ...], given: tuple[str, ...]) -> SolvedPattern:
    """A pattern, checked by the rule of its operation unless that is empty, and solved for these ranks."""
    if not operation:
        return solve_pattern(parse(pattern), ranks, given)
    row = find_operation(operation)
    tree = parse_equation(pattern, len(ranks)) if operation == CLASSICAL_EINSUM else parse(pattern)
    if tree.is_plain and len(ranks) == 1:
        try:
            solved = solve_pattern(tree, ranks, given)
        except PlaitError:
            row.check(tree)  # what breaks the rule is said first
            raise
        if not solved.is_bijection:  # which keeps the rule of every operation
            row.check(tree)
        return solved
    row.check(tree)
    if len(tree.left) != len(ranks):
        several = "s" * (len(tree.left) != 1)
        message = f"the pattern has {len(tree.left)} tensor{several} on the left, and {row.name} was given {len(ranks)}"
        raise make_error("PLT202", message, tree.text, [(expr.start, expr.stop) for expr in tree.left])
    return solve_pattern(tree, ranks, given)


def lower_pattern(
    operation: str, pattern: str, ranks: tuple[int, ...], given: tuple[str, ...], reduction: str = ""
) -> Plan:
    """The plan of a call, the same for every framework and shape."""
    return find_operation(operation).lower(check_and_solve(operation, pattern, ranks, given), reduction)


@clearable_lru_cache(maxsize=1024)
def build_executable(
    operation: str,
    pattern: str,
    classes: tuple[type, ...],
    ranks: tuple[int, ...],
    given: tuple[str, ...],
    reduction: str = "",
    dtype: Any = None,
) -> Executable:
    """The plan of a call, bound to the framework of these types."""
    backend = common_backend(classes)
    backend.register_functions(FUNCTIONS_WITH_SUBSTITUTE)
    plan = lower_pattern(operation, pattern, ranks, given, reduction)
    if not reduction or reduction == CUSTOM_REDUCTION:  # which `build_reduce_executable` gives
        return Executable(plan, backend)
    return Executable(plan, backend, _find_backend_reduction(backend, reduction, dtype))


@clearable_lru_cache(maxsize=1024)
def _find_backend_reduction(backend: Backend, name: str, dtype: Any) -> Callable[[Any, tuple[int, ...]], Any]:
    """The framework's reduction of elements of a type; an error where it is not defined on them."""
    kind = None if dtype is None else backend.kind(dtype)
    check_dtype_kind(name, kind, dtype)
    function = backend.reduction(name, dtype)
    return with_object_dtype_errors(function, name, dtype) if kind == "other" else function


def build_callable(
    operation: str, pattern: str, cls: Any, shape: Any, details: tuple[Any, ...], sizes: dict[str, int]
) -> Callable[..., Any]:
    """The callable of one call whose sizes are all known, from what `plait._executor.cache.lookup_arguments` gives."""
    try:
        if type(cls) is tuple:
            return build_einsum_callable(operation, pattern, cls, shape, sizes, *details)
        if operation == "reduce":
            found = build_reduce_executable(pattern, cls, len(shape), tuple(sizes), *details)
        else:
            found = build_executable(operation, pattern, (cls,), (len(shape),), tuple(sizes))
        if operation == "view":
            check_view(found.plan, shape, details[0], sizes)
            return found.bind(shape, sizes)
        plain = found.bind(shape, sizes)
        if found.min_elements is None:
            return plain
        count = found.larger_element_count(shape, sizes) if found.has_new_axes else prod(shape)
        if count < found.min_elements:
            return plain
        from plait._executor.large.specialize import build_layout_dispatch

        return build_layout_dispatch(found, shape, sizes, plain)
    except PlaitError as error:
        add_error_context(error, pattern, shape if type(cls) is tuple else (shape,), sizes)
        raise


def build_einsum_callable(
    operation: str,
    pattern: str,
    classes: tuple[type, ...],
    shapes: Sequence[Sequence[int]],
    sizes: dict[str, int],
    dtypes: tuple[Any, ...],
    options: EinsumOptions | None,
) -> Callable[..., Any]:
    """The callable of an ``einsum``."""
    from plait._executor.contraction import build_specialized_einsum, find_requested_path
    from plait._executor.einsum_options import check_implicit_sums
    from plait._operations.einsum import lower_einsum

    backend = common_backend(classes)
    backend.register_functions(FUNCTIONS_WITH_SUBSTITUTE)
    ranks, given = tuple([len(shape) for shape in shapes]), tuple(sizes)
    solved = check_and_solve(operation, pattern, ranks, given)
    check_implicit_sums(solved, options)
    flat = [size for shape in shapes for size in shape]
    slots = fill_slots(solved, solved.size_ops, flat, sizes)
    if options is not None and options.backend_kwargs:
        plan = lower_einsum(solved, path=find_requested_path(solved, slots, options) or ())
        slots = fill_slots(solved, plan.size_ops, flat, sizes)
        return Executable(plan, backend).compile_with_kwargs(slots, dict(options.backend_kwargs))
    call = build_specialized_einsum(solved, slots, classes, dtypes, backend, options)
    if call is not None:
        return call
    return build_executable(operation, pattern, classes, ranks, given).bind(flat, sizes)


def build_reduce_executable(
    pattern: str,
    cls: type,
    rank: int,
    given: tuple[str, ...],
    reduction: Any,
    dtype: Any,
    *,
    check_result: bool = True,
) -> Executable:
    """The executable of a ``reduce``; it may check the shape that a callable returns."""
    if callable(reduction):
        found = build_executable("reduce", pattern, (cls,), (rank,), given, CUSTOM_REDUCTION)
        function = with_result_shape_check(reduction, found.backend) if check_result else reduction
        return Executable(found.plan, found.backend, function)
    return build_executable("reduce", pattern, (cls,), (rank,), given, check_reduction_name(reduction), dtype)


def check_view(plan: Plan, shape: Sequence[int], strides: Sequence[int] | None, sizes: dict[str, int]) -> None:
    """Raise where the memory of a tensor does not allow the view; ``strides`` are unknown where there are no views."""
    tree = plan.solved.tree
    if strides is None:
        raise make_error("PLT507", NO_VIEWS_MESSAGE, tree.text)
    slots = fill_slots(plan.solved, plan.size_ops, shape, sizes)
    view = StridedView(shape, strides)
    dims = tuple(range(len(shape)))
    for node, _ in plan.steps:
        dims = node.output_shape(dims)
        copying = node.update_view(view, tuple([slots[slot] for slot in dims]))
        if copying is not None:
            item = items_by_dimension((tree.right or ())[0], len(dims))[copying]
            message = f"{item} cannot be formed without a copy: its axes are not neighbours in memory"
            seen = {**facts_of_slots(plan.solved, slots), "strides": format_shape(strides)}
            raise make_error("PLT401", message + "; rearrange copies", tree.text, [(item.start, item.stop)], seen)


def normalize_pattern(text: str, sizes: dict[str, Any]) -> tuple[str, dict[str, int]]:
    """The pattern in canonical form, and the sizes as ints."""
    from plait._operations.rules import sides_with_one_output

    tree = parse(text)
    sides_with_one_output(tree, "compile")
    check_size_names(sizes, collect_names(tree.left + (tree.right or ())), text)
    return str(tree), sizes_to_ints(text, sizes)


def check_size_names(sizes: dict[str, Any], known: Collection[str], text: str) -> None:
    """Raise where a size names no axis; its value comes later, since that of a misspelt keyword may be no size."""
    for name in normalize_size_names(sizes):
        if name not in known:
            raise unknown_size_error(name, known, text)


def sizes_to_ints(
    pattern: str, sizes: dict[str, Any], is_symbolic: Callable[[Any], bool] | None = None
) -> dict[str, Any]:
    """The given sizes as ints, but for symbols, under the names that Python gives them."""
    normal = normalize_size_names(sizes)
    for name, value in normal.items():
        if (type(value) is int and value >= 0) or (is_symbolic is not None and is_symbolic(value)):
            continue
        try:
            normal[name] = to_exact_size(name, value)
        except PlaitError as error:
            _add_axis_span(error, pattern, name)
            raise
    return normal


def _add_axis_span(error: PlaitError, pattern: str, name: str) -> None:
    """Let an error show where in the pattern an axis appears."""
    try:
        tree = parse(pattern)
    except PlaitError:  # it will be raised in its turn
        return
    error.pattern = pattern
    node = collect_names(tree.left + (tree.right or ())).get(name)
    if node is not None:
        error.spans = ((node.start, node.stop),)


def add_error_context(error: PlaitError, pattern: Any, shapes: Sequence[Any], sizes: dict[str, Any]) -> None:
    """Add to an error what the call knows: the pattern, the shapes, and the sizes."""
    if error.code.startswith("PLT1"):
        return
    if error.pattern is None and isinstance(pattern, str):
        error.pattern = pattern
    if not error.facts:
        error.facts = facts_of_call(shapes, sizes)
