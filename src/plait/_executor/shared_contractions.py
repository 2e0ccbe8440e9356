"""Einsums inside `plait.share_intermediates`: step by step along the contraction path, with the results of other calls.

The key of a result is what was contracted: the objects, sorted by ``id``, and which axes they share and keep, as
numbers. Axes that are adjacent in all operands and in the result count as one. So neither the names of the axes, nor
the order of the operands, nor how another call divides a dimension makes a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from math import prod
from typing import Any, NamedTuple

from plait._caches import clearable_lru_cache
from plait._executor.cache import lookup, shape_for_cache_key_or_error, types_shapes_and_dtypes
from plait._executor.compile import build_callable, check_and_solve
from plait._executor.contraction import contraction_functions_for_tensors
from plait._executor.derived_patterns import (
    PatternWriter,
    build_einsum,
    functions_with_casts,
    may_be_divided,
    needs_casts,
)
from plait._executor.einsum_options import (
    DEFAULT_OPTIONS,
    OptionValues,
    check_implicit_sums,
    options_with_path_of_plan,
)
from plait._executor.pipeline import PatternAndSizes
from plait._executor.sharing import SharedResults
from plait._plan.contraction.network import build_network, build_network_of_single_axes
from plait._plan.contraction.paths import Step, numbered_steps
from plait._plan.contraction.search import find_path_if_needed
from plait._shapes.coalesce import group_adjacent_axes
from plait._shapes.sizes import compute_all_slots
from plait._shapes.solver import Axes, Dims
from plait.backends.capabilities import ContractionFunctions
from plait.backends.costs import EINSUM_ONLY_COSTS
from plait.backends.interface import Backend
from plait.backends.registry import backend_for_type, common_backend
from plait.errors import make_error


class SharedPlan(NamedTuple):
    """The steps of an einsum, each of which gives one result.

    Attributes:
        steps: the numbers of the operands of each step; the results are numbered after the tensors.
        kept: the axes that the result of each step keeps.
        dims: the dimensions of each tensor, and then those of the result of all.
        writer: writes the pattern of a step.
        lengths: the length of each axis.
        casts: the functions with the casts that the tensors and the result need; ``None`` if they need none.
        cast_key: what distinguishes a cast tensor from that of another cast.
    """

    steps: tuple[Step, ...]
    kept: tuple[frozenset[int], ...]
    dims: tuple[Dims, ...]
    writer: PatternWriter
    lengths: tuple[int, ...]
    casts: ContractionFunctions | None
    cast_key: frozenset[Any]


class _Operand(NamedTuple):
    """A tensor or a result, and its dimensions in the axes of the call; a dimension of length 1 has none."""

    tensor: Any
    dims: Dims


def shared_call_or_none(form: str, text: str, tensors: Sequence[Any], options: OptionValues) -> Any:
    """Return a function without arguments that makes a call without sizes in a block of `share_intermediates`.

    The arguments are those of `contract_with_shared_results`, but nothing is checked yet. Return ``None`` if the call
    shares nothing, or if something is wrong with it, which `contract_with_shared_results` then says.
    """
    try:
        return _build_shared_call(form, text, {}, tensors, options, _options_outside(options))
    except Exception:  # these are no key of a cache, or there is a mistake
        return None


def contract_with_shared_results(
    form: str, text: str, sizes: dict[str, int], tensors: Sequence[Any], options: OptionValues
) -> Any:
    """Return the result of an einsum whose sizes are all known, in a block of `plait.share_intermediates`.

    Args:
        form: The operation of the cache: the named or the classical form.
        text: The pattern or the equation.
        sizes: The given sizes.
        tensors: The operands.
        options: The options of the call, which have a store of shared results.

    Raises:
        BackendError: PLT517, an operand was written after an earlier call.
    """
    outside = _options_outside(options)
    try:
        shared_call = _build_shared_call(form, text, sizes, tensors, options, outside)
    except TypeError:  # the tensors are no key of a cache
        shared_call = None
    if shared_call is not None:
        return shared_call()
    types, shapes, dtypes = types_shapes_and_dtypes(tensors)
    try:
        call = lookup(form, text, types, shapes, dtypes, outside, **sizes).build()
    except TypeError:  # as above
        call = build_callable(form, text, types, tuple(map(tuple, shapes)), (dtypes, outside), sizes)
    return call(*tensors)


def _options_outside(options: OptionValues) -> OptionValues | None:
    """Return the options that a call has outside of the block."""
    outside = options._replace(shared=None)
    return None if outside == DEFAULT_OPTIONS else outside


def _build_shared_call(
    form: str,
    text: str,
    sizes: dict[str, int],
    tensors: Sequence[Any],
    options: OptionValues,
    outside: OptionValues | None,
) -> Callable[[], Any] | None:
    """Return a function that makes a call step by step, with its operands checked; ``None`` if it shares nothing."""
    store = options.shared
    if store is None or store.is_closed or len(tensors) < 3:
        return None
    types, shapes, dtypes = types_shapes_and_dtypes(tensors)
    versions = []
    for cls, tensor in zip(types, tensors, strict=True):
        version = backend_for_type(cls).version(tensor)
        if version is None:
            return None
        versions.append(version)
    plan = plan_shared_contraction(form, text, tuple(sizes.items()), types, shapes, dtypes, outside)
    if plan is None:
        return None
    for number, (tensor, version) in enumerate(zip(tensors, versions, strict=True)):
        _check_operand(store, number, tensor, version)
    return partial(_contract, store, plan, tensors, common_backend(types), kernels=options.kernels)


@clearable_lru_cache(maxsize=512)
def plan_shared_contraction(
    form: str,
    text: str,
    sizes: tuple[tuple[str, int], ...],
    types: tuple[type, ...],
    shapes: tuple[tuple[int, ...], ...],
    dtypes: tuple[Any, ...],
    options: OptionValues | None,
) -> SharedPlan | None:
    """Return the steps of an einsum; ``None`` if it has no intermediate results, or must not be divided.

    Raise `TypeError` for tensors that cannot be a key of a cache.
    """
    shapes = shape_for_cache_key_or_error(form, types, shapes, (dtypes, options), dict(sizes))
    if not may_be_divided(options):
        return None
    casts = functions_with_casts(types, dtypes)
    if needs_casts(dtypes) and casts is None:
        return None
    solved = check_and_solve(form, text, tuple(map(len, shapes)), tuple([name for name, _ in sizes]))
    check_implicit_sums(solved, options)
    slots = compute_all_slots(solved, solved.size_ops, [*chain(*shapes)], dict(sizes))
    options = options_with_path_of_plan(options, solved, slots)
    functions = contraction_functions_for_tensors(types, dtypes)
    costs = EINSUM_ONLY_COSTS if functions is None else functions.costs
    contract = "auto" if options is None else options.contract
    path = find_path_if_needed(build_network(solved, slots), contract, None, costs)
    steps = tuple(numbered_steps(path, len(shapes)))
    if len(steps) < 2 or min(map(len, steps)) < 2:  # a step of one tensor may give a view, or another element type
        return None
    *dims, output = build_network_of_single_axes(solved, slots)[1]
    needed = [frozenset(chain(*tensor_dims)) for tensor_dims in dims]  # the axes of each tensor, and of each result
    remaining = dict(enumerate(needed))
    result_axes = frozenset(chain(*output))
    for step in steps:
        axes = frozenset(chain(*[remaining.pop(number) for number in step]))
        kept = axes & result_axes.union(*remaining.values())
        remaining[len(needed)] = kept
        needed.append(kept)
    lengths = tuple([slots[slot] for slot in solved.slots])
    return SharedPlan(
        steps,
        tuple(needed[len(dims) :]),
        (*dims, output),
        PatternWriter(solved, lengths),
        lengths,
        casts,
        frozenset(dtypes),
    )


def _check_operand(store: SharedResults, number: int, tensor: Any, version: int) -> None:
    """Keep an operand and its version, or raise PLT517 if it was written since an earlier call."""
    _, first_version = store.operands.setdefault(id(tensor), (tensor, version))
    if first_version != version:
        message = (
            f"tensor {number} was written to after an einsum of it in this block of share_intermediates, whose results "
            "are kept; write to it outside of the block, or to a copy"
        )
        raise make_error("PLT517", message)


def _contract(
    store: SharedResults,
    plan: SharedPlan,
    tensors: Sequence[Any],
    backend: Backend,
    *,
    kernels: bool,
) -> Any:
    """Return the result of all steps; those but the last are looked up in the store, or added to it."""
    options = None if kernels else DEFAULT_OPTIONS._replace(kernels=False)
    casts = plan.casts
    operands = [_Operand(tensor, dims) for tensor, dims in zip(tensors, plan.dims, strict=False)]
    *steps, last = zip(plan.steps, plan.kept, strict=True)
    with backend.outside_of_traces():
        if casts is not None and casts.to_compute_dtype is not None:
            for number, operand in enumerate(operands):
                key = ("cast", id(operand.tensor), plan.cast_key)
                found = _find(store, key)
                if found is None:
                    found = casts.to_compute_dtype(operand.tensor)
                    _keep(store, key, found)
                operands[number] = operand._replace(tensor=found)
        for step, kept in steps:
            operands.append(_contract_step(store, plan, [operands[number] for number in step], kept, options))
    members = [operands[number] for number in last[0]]
    stage = _pattern_of_step(plan.writer, tuple([operand.dims for operand in members]), plan.dims[-1])
    last_tensors = [operand.tensor for operand in members]
    result = build_einsum(stage, last_tensors, options)(*last_tensors)
    return result if casts is None else casts.to_result_dtype(result)


def _contract_step(
    store: SharedResults,
    plan: SharedPlan,
    operands: Sequence[_Operand],
    kept: frozenset[int],
    options: OptionValues | None,
) -> _Operand:
    """Return the result of a step that is not the last, from the store if it is there."""
    ordered = sorted(operands, key=_id_of_tensor)
    key, dims = _describe_step(tuple([operand.dims for operand in ordered]), kept, plan.lengths)
    if len(ordered) == 2 and ordered[0].tensor is ordered[1].tensor:  # the order of the two is a matter of chance
        other = _describe_step((ordered[1].dims, ordered[0].dims), kept, plan.lengths)
        if other[0] < key:
            ordered, (key, dims) = ordered[::-1], other
    full_key = (key, tuple(map(_id_of_tensor, ordered)), options is None)
    found = _find(store, full_key)
    if found is None:
        tensors = [operand.tensor for operand in ordered]
        stage = _pattern_of_step(plan.writer, tuple([operand.dims for operand in ordered]), dims)
        found = build_einsum(stage, tensors, options)(*tensors)
        _keep(store, full_key, found)
    return _Operand(found, dims)


def _id_of_tensor(operand: _Operand) -> int:
    """Return the ``id`` of the tensor of an operand."""
    return id(operand.tensor)


@clearable_lru_cache(maxsize=1024)
def _pattern_of_step(writer: PatternWriter, inputs: tuple[Dims, ...], output: Dims) -> PatternAndSizes:
    """Return the pattern of a step, and its sizes."""
    return writer.write(inputs, output)


@clearable_lru_cache(maxsize=1024)
def _describe_step(
    inputs: tuple[Dims, ...], kept: frozenset[int], lengths: tuple[int, ...]
) -> tuple[tuple[Any, ...], Dims]:
    """Return what a step contracts, in numbers that no name decides, and the dimensions of its result.

    ``inputs`` are the dimensions of each operand. Axes that are adjacent everywhere are one dimension of the result.
    """
    terms: list[Axes] = [tuple(chain(*dims)) for dims in inputs]
    output = tuple([axis for axis in dict.fromkeys(chain(*terms)) if axis in kept])
    groups = group_adjacent_axes([*[(term,) for term in terms], (output,)])
    number_of = {group[0]: number for number, group in enumerate(groups)}
    numbered = tuple([tuple([number_of[axis] for axis in term if axis in number_of]) for term in terms])
    products = tuple([prod([lengths[axis] for axis in group]) for group in groups])
    result = tuple([number_of[axis] for axis in output if axis in number_of])
    return (numbered, products, result), tuple([groups[number] for number in result])


def _find(store: SharedResults, key: Any) -> Any:
    """Return a kept result, or ``None``; raise PLT517 if it was written."""
    found = store.results.get(key)
    if found is None:
        return None
    result, version = found
    cls: Any = type(result)
    if backend_for_type(cls).version(result) not in (version, None):
        raise make_error("PLT517", "an intermediate result in this block of share_intermediates was written to")
    return result


def _keep(store: SharedResults, key: Any, result: Any) -> None:
    """Keep a result, unless it is not a value, as of a trace, or the block has ended meanwhile."""
    cls: Any = type(result)
    version = backend_for_type(cls).version(result)
    if version is not None and not store.is_closed:
        store.results[key] = (result, version)
