"""An einsum of which some operands are constant: their contraction is made once, and each call contracts the rest.

Both parts are einsums with patterns of their own, which are written here, so that every framework computes them like
any other einsum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import index
from typing import Any, NamedTuple

from plait._caches import clearable_lru_cache
from plait._executor.cache import shape_for_cache_key_or_error, types_shapes_and_dtypes
from plait._executor.compile import check_and_solve
from plait._executor.contraction import contraction_functions_for_tensors
from plait._executor.derived_patterns import (
    PatternWriter,
    build_einsum,
    functions_with_casts,
    may_be_divided,
    needs_casts,
)
from plait._executor.einsum_forms import CLASSICAL_EINSUM
from plait._executor.einsum_options import (
    DEFAULT_OPTIONS,
    OptionValues,
    check_implicit_sums,
    options_with_path_of_plan,
)
from plait._executor.pipeline import PatternAndSizes, solve_for_shapes
from plait._executor.tensors import shape_of_tensor
from plait._notation.parser import parse
from plait._notation.tree import Ellipsis
from plait._plan.contraction.hoisting import HoistedGroup, choose_hoisting
from plait._plan.contraction.network import build_network_of_single_axes
from plait._plan.contraction.paths import Path
from plait._shapes.sizes import compute_all_slots
from plait._shapes.solver import Dims
from plait.backends.costs import EINSUM_ONLY_COSTS, ContractionCosts
from plait.backends.interface import Backend
from plait.backends.registry import backend_for_type, common_backend
from plait.errors import make_error, short_repr


class PatternOfTensors(NamedTuple):
    """A pattern and its sizes, and the numbers of the tensors that it takes."""

    numbers: tuple[int, ...]
    stage: PatternAndSizes


class PlanWithConstants(NamedTuple):
    """What is contracted once, and what each call contracts.

    Attributes:
        groups: the einsums of constants alone.
        call: the einsum of each call. Its tensors are numbered as those of the whole; the results of the groups follow.
        path: the contraction path of each call; ``None`` if it is found as usual.
    """

    groups: tuple[PatternOfTensors, ...]
    call: PatternOfTensors
    path: Path | None


def check_constants(text: str, equation: str | None, sizes: Mapping[str, int], constants: Any) -> dict[int, Any]:
    """Return constant operands by their numbers, in ascending order.

    Args:
        text: The pattern.
        equation: The equation that it was made of, if it was.
        sizes: The sizes of the pattern.
        constants: The tensors by number of the operand, counted from 0.

    Raises:
        AxisError: PLT218, there is no such operand.
        SizeError: A rank or a length does not fit the pattern.
        BackendError: PLT501, a constant is not a tensor.
    """
    tree = parse(text)
    count = len(tree.left)
    if not isinstance(constants, Mapping):
        message = f"constants are tensors by number of the operand, such as {{1: w}}, not {short_repr(constants)}"
        raise make_error("PLT218", message, text)
    checked: dict[int, Any] = {}
    for key, constant in constants.items():
        try:
            number = -1 if isinstance(key, bool) else index(key)
        except TypeError:
            number = -1
        if not 0 <= number < count:
            last = f"operands 0 to {count - 1}" if count > 1 else "operand 0 alone"
            raise make_error("PLT218", f"there is no operand {short_repr(key)}; the pattern has {last}", text)
        cls: Any = type(constant)
        backend_for_type(cls)
        checked[number] = constant
    shapes: list[Any] = [
        tuple(shape_of_tensor(checked[number]))
        if number in checked
        else (None,) * sum([type(item) is not Ellipsis for item in expr.items])
        for number, expr in enumerate(tree.left)
    ]
    if all(type(size) is int or size is None for shape in shapes for size in shape):
        if equation is None:
            solve_for_shapes(text, tuple(sizes.items()), shapes)
        else:
            solve_for_shapes(equation, (), shapes, CLASSICAL_EINSUM)
    return dict(sorted(checked.items()))


def build_call_with_constants(
    form: str,
    text: str,
    sizes: dict[str, int],
    operands: Sequence[Any],
    constants: tuple[int, ...],
    options: OptionValues | None,
    results: dict[Any, Any],
) -> Callable[..., Any] | None:
    """Return the function of the other operands, with what is constant contracted.

    Args:
        form: The operation of the cache: the named or the classical form.
        text: The pattern or the equation.
        sizes: The sizes of the pattern.
        operands: All operands; those that are not constant give their types, shapes and element types.
        constants: The numbers of the constants that may be kept.
        options: The options of the call, or ``None``.
        results: What was contracted for other calls with the same constants; new results are added.

    Returns:
        The function; ``None`` if nothing is contracted once.

    Raises:
        TypeError: The operands cannot be the key of a cache.
    """
    types, shapes, dtypes = types_shapes_and_dtypes(operands)
    shapes = shape_for_cache_key_or_error(form, types, shapes, (dtypes, options), sizes)
    plan = plan_with_constants(form, text, tuple(sizes.items()), types, shapes, dtypes, constants, options)
    if plan is None:
        return None
    backend = common_backend(types)
    casts = functions_with_casts(types, dtypes)
    inner_options = _options_without_path(options)
    tensors: dict[int, Any] = dict(enumerate(operands))
    with backend.outside_of_traces():
        for number, group in enumerate(plan.groups, len(operands)):
            key = (group, None if casts is None else frozenset(dtypes))
            result = results.get(key)
            if result is None:
                members = [tensors[member] for member in group.numbers]
                if casts is not None and casts.to_compute_dtype is not None:
                    members = [casts.to_compute_dtype(member) for member in members]
                result = results[key] = build_einsum(group.stage, members, inner_options)(*members)
            tensors[number] = result
        if {*plan.call.numbers}.isdisjoint({*range(len(operands))} - {*constants}):
            members = [tensors[number] for number in plan.call.numbers]
            result = build_einsum(plan.call.stage, members, inner_options)(*members)
            if casts is not None:
                result = casts.to_result_dtype(result)
            return _copy_function(backend.for_any_type(), result)
    if plan.path is not None:
        inner_options = (inner_options or DEFAULT_OPTIONS)._replace(contract=plan.path)
    call_operands = [tensors[number] for number in plan.call.numbers]
    contract = build_einsum(plan.call.stage, call_operands, inner_options)
    others = [number for number in range(len(operands)) if number not in constants]
    place_by_number = {number: place for place, number in enumerate(plan.call.numbers)}
    bound = _bind(contract, call_operands, [place_by_number[number] for number in others])
    if casts is None:
        return bound
    to_result = casts.to_result_dtype
    return lambda *tensors: to_result(bound(*tensors))


@clearable_lru_cache(maxsize=512)
def plan_with_constants(
    form: str,
    text: str,
    sizes: tuple[tuple[str, int], ...],
    types: tuple[type, ...],
    shapes: tuple[tuple[int, ...], ...],
    dtypes: tuple[Any, ...],
    constants: tuple[int, ...],
    options: OptionValues | None,
) -> PlanWithConstants | None:
    """Return what is contracted once and what each call contracts; ``None`` if nothing is contracted once.

    The arguments are those of `build_call_with_constants`, with what matters of the operands.
    """
    if not constants or not may_be_divided(options):
        return None
    backend = common_backend(types)
    functions = contraction_functions_for_tensors(types, dtypes)
    can_cast = functions_with_casts(types, dtypes) is not None
    if needs_casts(dtypes) and not can_cast:
        return None
    can_sum_alone = all(backend.kind(dtype) in ("floating", "complex") for dtype in dtypes)
    costs = EINSUM_ONLY_COSTS if functions is None else functions.costs
    return plan_for_shapes(form, text, sizes, shapes, constants, costs, options, can_sum_alone=can_sum_alone)


def plan_for_shapes(
    form: str,
    text: str,
    sizes: tuple[tuple[str, int], ...],
    shapes: tuple[tuple[int, ...], ...],
    constants: tuple[int, ...],
    costs: ContractionCosts,
    options: OptionValues | None,
    *,
    can_sum_alone: bool = True,
) -> PlanWithConstants | None:
    """Return what `plan_with_constants` returns, for a framework with these costs."""
    solved = check_and_solve(form, text, tuple(map(len, shapes)), tuple([name for name, _ in sizes]))
    check_implicit_sums(solved, options)
    slots = compute_all_slots(solved, solved.size_ops, [*chain(*shapes)], dict(sizes))
    options = options_with_path_of_plan(options, solved, slots)
    network, (*dims_of_tensors, output) = build_network_of_single_axes(solved, slots)
    contract = "auto" if options is None else options.contract
    hoisting = choose_hoisting(network, constants, costs, contract, can_sum_alone=can_sum_alone)
    groups = [each for each in hoisting.operands if not isinstance(each, int)]
    if not groups and len(constants) < len(shapes):
        return None
    writer = PatternWriter(solved, network.sizes)
    written_groups = [
        PatternOfTensors(
            group.members,
            writer.write([dims_of_tensors[number] for number in group.members], _dims_of_group(group)),
        )
        for group in groups
    ]
    call_dims = [dims_of_tensors[each] if isinstance(each, int) else _dims_of_group(each) for each in hoisting.operands]
    numbers = tuple([each if isinstance(each, int) else len(shapes) + groups.index(each) for each in hoisting.operands])
    call = PatternOfTensors(numbers, writer.write(call_dims, output))
    return PlanWithConstants(tuple(written_groups), call, hoisting.path if len(numbers) > 2 else None)


def plan_with_constants_for_explain(
    form: str,
    text: str,
    sizes: dict[str, int],
    operands: Sequence[Any],
    shapes: tuple[tuple[int, ...], ...],
    constants: tuple[int, ...],
    options: OptionValues | None,
) -> PlanWithConstants | None:
    """Return what `plan_with_constants` returns: for shapes as NumPy does it, for tensors as their framework."""
    pairs = tuple(sizes.items())
    if not all(hasattr(operand, "dtype") for operand in operands):
        return plan_for_shapes(form, text, pairs, shapes, constants, ContractionCosts(), options) if constants else None
    types: tuple[Any, ...] = tuple(map(type, operands))
    backends = [backend_for_type(cls) for cls in types]
    dtypes = tuple([backend.dtype(operand) for backend, operand in zip(backends, operands, strict=True)])
    kept = tuple([number for number in constants if backends[number].version(operands[number]) is not None])
    return plan_with_constants(form, text, pairs, types, shapes, dtypes, kept, options)


def version_functions(tensors: Sequence[Any]) -> list[tuple[Callable[[Any], int | None], Any]]:
    """Return for each tensor the function that says its version, and the tensor; see `Backend.version`."""
    types: list[Any] = [*map(type, tensors)]
    return [(backend_for_type(cls).version, tensor) for cls, tensor in zip(types, tensors, strict=True)]


def _options_without_path(options: OptionValues | None) -> OptionValues | None:
    """Return the options of the parts of a contraction, whose implicit sums are checked on the whole."""
    if options is None:
        return None
    contract = options.contract if isinstance(options.contract, (str, float)) or callable(options.contract) else "auto"
    options = options._replace(strict=False, contract=contract)
    return None if options == DEFAULT_OPTIONS else options


def _bind(function: Callable[..., Any], operands: Sequence[Any], places: Sequence[int]) -> Callable[..., Any]:
    """Return a function of the operands in some places; the others are these."""
    if len(places) == 1:
        before, after = tuple(operands[: places[0]]), tuple(operands[places[0] + 1 :])
        return lambda tensor: function(*before, tensor, *after)
    template = [None if place in places else operand for place, operand in enumerate(operands)]

    def call(*tensors: Any) -> Any:
        values = template.copy()
        for place, tensor in zip(places, tensors, strict=True):
            values[place] = tensor
        return function(*values)

    return call


def _copy_function(backend: Backend, result: Any) -> Callable[[], Any]:
    """Return a function without arguments that copies a result, so that its caller may write into what it gets."""
    shape = tuple(backend.shape(result))
    return lambda: backend.reshape(backend.stack([result]), shape)


def _dims_of_group(group: HoistedGroup) -> Dims:
    """Return the dimensions of the result of a group, of one axis each."""
    return tuple([(axis,) for axis in group.axes])
