"""The callable of an einsum for given shapes: a contraction path with the framework's operations for each pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from plait._executor.einsum_options import OptionValues
from plait._executor.executable import (
    Executable,
    FunctionAndArgument,
    build_path_function,
    chain_calls,
    compose_functions,
    with_prepared_operands,
)
from plait._operations.einsum import lower_to_framework_einsum
from plait._plan.contraction.layout_search import NetworkContraction
from plait._plan.contraction.network import build_network
from plait._plan.contraction.paths import Path
from plait._plan.contraction.search import build_contraction_plan, find_path_if_needed, search_contraction
from plait._plan.graph import Plan
from plait._plan.nodes import ContiguousCopy, Contract, Diagonal, Node, Sum
from plait._shapes.sizes import extend_slots, size_op_error
from plait._shapes.solver import SolvedPattern
from plait.backends.capabilities import ContractionFunctions
from plait.backends.costs import EINSUM_ONLY_COSTS, ContractionCosts
from plait.backends.interface import Backend, identity
from plait.backends.registry import backend_for_type, common_backend
from plait.errors import make_error


def build_decomposed_einsum(
    solved: SolvedPattern,
    slots: Sequence[int],
    tensor_types: Sequence[type],
    functions: ContractionFunctions | None,
    dtypes: tuple[Any, ...],
    backend: Backend,
    options: OptionValues | None,
) -> Callable[..., Any] | None:
    """Return the callable of an einsum for these sizes; ``None`` if one call of the framework's einsum is best."""
    contraction = choose_contraction(solved, slots, functions, dtypes, backend, options)
    if contraction is None:
        return None
    if options is not None and options.is_block and functions is not None and functions.dot_of_slices is not None:
        functions = functions._replace(dot=functions.dot_of_slices)
    has_limit = options is not None and options.max_rank is not None
    if has_limit and contraction_plan_within_rank(solved, contraction, options) is None:
        return None
    own_backend = backend_for_type(tensor_types[0]) if functions else backend
    return backend.wrap_callable(build_contraction_callable(contraction, own_backend, functions))


def contraction_plan_within_rank(
    solved: SolvedPattern, contraction: NetworkContraction, options: OptionValues | None
) -> Plan | None:
    """Return the plan of a contraction for given sizes; ``None`` if it exceeds ``max_rank`` of the options."""
    plan = build_contraction_plan(solved, contraction)
    if options is None or options.max_rank is None:
        return plan
    from plait._plan.bounded_contraction import contraction_exceeds_rank  # imported here because few calls have a limit

    return None if contraction_exceeds_rank(plan, options.max_rank, contraction.network.shapes) else plan


def lower_einsum_within_rank(solved: SolvedPattern, slots: Sequence[int], options: OptionValues, max_rank: int) -> Plan:
    """Return the plan of an einsum by einsums of the framework, along the path for these sizes, within a rank."""
    network = build_network(solved, slots, across=False)
    path = find_path_if_needed(network, options.contract, options.max_intermediate, EINSUM_ONLY_COSTS)
    return lower_to_framework_einsum(solved, path, max_rank)


def build_einsum_within_rank(
    solved: SolvedPattern,
    slots: Sequence[int],
    functions: ContractionFunctions | None,
    dtypes: tuple[Any, ...],
    backend: Backend,
    options: OptionValues,
    max_rank: int,
) -> Callable[..., Any]:
    """Return the callable of an einsum for these sizes by the framework's einsums of matrices, within ``max_rank``."""
    plan = lower_einsum_within_rank(solved, slots, options, max_rank)
    all_slots = [*slots]
    extend_slots(all_slots, plan.size_ops[len(solved.size_ops) :], partial(size_op_error, solved))
    call = Executable(plan, backend).bind_slots(all_slots)
    if len(dtypes) < 3 or len({*dtypes}) == 1:
        return call
    if functions is None or functions.to_compute_dtype is None:  # a product of two alone could overflow
        message = f"max_rank={max_rank} needs products of two tensors; convert the tensors to one element type"
        raise make_error("PLT314", message, solved.text)
    call, to_result = (
        with_prepared_operands(call, [functions.to_compute_dtype] * len(dtypes)),
        functions.to_result_dtype,
    )
    return lambda *tensors: to_result(call(*tensors))


def choose_contraction(
    solved: SolvedPattern,
    slots: Sequence[int],
    functions: ContractionFunctions | None,
    dtypes: tuple[Any, ...],
    backend: Backend,
    options: OptionValues | None,
) -> NetworkContraction | None:
    """Return the contraction to execute; ``None`` if one call of the framework's einsum is best.

    For several element types it is the only one that is right, if there are no other functions, since it promotes all
    tensors first: the product of two bools or bytes alone would be a disjunction, or overflow.
    """
    if functions is not None:
        return find_cheapest_contraction(solved, slots, functions.costs, options)
    if any(dtype != dtypes[0] for dtype in dtypes):
        return None
    if (len(solved.ranks) < 3 or backend.einsum_optimizes_path) and not (options and options.requests_path):
        return None
    return find_cheapest_contraction(solved, slots, EINSUM_ONLY_COSTS, options)


def find_cheapest_contraction(
    solved: SolvedPattern, slots: Sequence[int], costs: ContractionCosts, options: OptionValues | None
) -> NetworkContraction | None:
    """Return the contraction with the lowest estimated cost that the options allow."""
    network = build_network(solved, slots, across=not costs.has_only_einsum)
    if options is None:
        return search_contraction(network, costs)
    return search_contraction(network, costs, options.contract, options.max_intermediate)


def contraction_reason_and_dtype_for_explain(
    solved: SolvedPattern, slots: Sequence[int], tensors: Sequence[Any], options: OptionValues | None
) -> tuple[NetworkContraction | None, str, tuple[int, str]]:
    """Return what `plait.explain` shows of an einsum.

    Returns:
        The contraction or ``None``; the reason if it is ``None``; the bytes per element and the name of the dtype.
    """
    if not tensors or not all(hasattr(tensor, "dtype") for tensor in tensors):
        return find_cheapest_contraction(solved, slots, ContractionCosts(), options), "", (4, "float32")
    tensor_types = tuple([type(tensor) for tensor in tensors])
    backend = common_backend(tensor_types)
    dtypes = tuple([backend.dtype(tensor) for tensor in tensors])
    contraction = choose_contraction(
        solved, slots, contraction_functions_for_tensors(tensor_types, dtypes), dtypes, backend, options
    )
    order = "which finds the order itself" if backend.einsum_optimizes_path else "which nothing else is better than"
    reason = f"left to the einsum of {backend.name}, called once, {order}"
    itemsize = getattr(dtypes[0], "itemsize", 4)
    return contraction, reason, (itemsize, str(dtypes[0]).removeprefix("torch."))


def contraction_functions_for_tensors(
    tensor_types: Sequence[type], dtypes: tuple[Any, ...]
) -> ContractionFunctions | None:
    """Return the operations for pairwise contractions of these tensors; ``None`` if there are none beside einsum.

    That is so if the tensors' backends differ, or if they have no others for these element types.
    """
    factories = {backend_for_type(cls).contraction_functions for cls in {*tensor_types}}
    return None if len(factories) > 1 else factories.pop()(tuple(dict.fromkeys(dtypes)))


def find_requested_path(solved: SolvedPattern, slots: Sequence[int], options: OptionValues | None) -> Path | None:
    """Return the contraction path that the options ask for; ``None`` if they ask for none."""
    if options is None or not options.requests_path:
        return None
    network = build_network(solved, slots, across=False)
    return find_path_if_needed(network, options.contract, options.max_intermediate, EINSUM_ONLY_COSTS)


def lower_to_requested_matmul(solved: SolvedPattern, slots: Sequence[int], options: OptionValues | None) -> Plan | None:
    """Return the plan by products of matrices if the options ask for it; ``None`` if they do not."""
    if options is None or options.einsum != "matmul":
        return None
    from plait._operations.einsum_by_matmul import lower_to_matmul  # imported here because few calls ask for it

    return lower_to_matmul(solved, find_requested_path(solved, slots, options) or (), options.max_rank)


def build_contraction_callable(
    contraction: NetworkContraction, backend: Backend, functions: ContractionFunctions | None
) -> Callable[..., Any]:
    """Return the callable of a contraction of tensors; without ``functions`` each pair calls einsum."""
    path: list[tuple[tuple[int, ...], Callable[..., Any]]] = []
    maybe_scalar: set[int] = set()  # the numbers of results that may be framework scalars instead of tensors

    def add_calls(nodes: Sequence[Node], is_scalar: bool, calls: list[FunctionAndArgument]) -> bool:
        """Append the calls of nodes with one operand; return whether their result may be a scalar."""
        for node in nodes:
            is_special = isinstance(node, (Sum, Diagonal))
            provider: Any = backend.for_any_type() if is_scalar else backend
            if is_special or isinstance(node, ContiguousCopy):
                provider = functions
            calls.append((getattr(provider, node.method), node[0]))
            is_scalar = is_scalar or is_special
        return is_scalar

    tensor_count = len(contraction.network.terms)
    for number, (numbers, strategy, pair) in enumerate(
        zip(contraction.steps, contraction.strategies, contraction.pairs, strict=True), tensor_count
    ):
        operands = numbers[::-1] if strategy.is_swapped else numbers
        prepare_functions: list[Callable[[Any], Any] | None] = []
        is_scalar = False
        for operand, nodes in zip(operands, pair.operand_steps, strict=True):
            calls: list[FunctionAndArgument] = []
            is_scalar = add_calls(nodes, operand in maybe_scalar, calls)
            prepare_functions.append(chain_calls(calls) if calls else None)
        call = prepare_functions[0] or identity
        if pair.node is not None:
            call = with_prepared_operands(
                _pairwise_contraction_function(pair.node, backend, functions), prepare_functions
            )
            is_scalar = not pair.node.shape
        if pair.epilogue:
            calls = []
            is_scalar = add_calls(pair.epilogue, is_scalar, calls)
            call = compose_functions(call, chain_calls(calls))
        if is_scalar:
            maybe_scalar.add(number)
        path.append((operands, call))
    function = build_path_function(path, tensor_count, (tensor_count + len(path) - 1,))
    return function if functions is None else functions.wrap(function)


def _pairwise_contraction_function(
    node: Contract, backend: Backend, functions: ContractionFunctions | None
) -> Callable[..., Any]:
    """Return the function of the operands that executes one pairwise contraction."""
    if node.method == "einsum" or functions is None:
        return partial(functions.einsum if functions else backend.einsum, node.equation)
    if node.method == "vecdot" and functions.vecdot is not None:
        return functions.vecdot
    if node.method == "multiply":
        if node.reused_operand is None or functions.multiply_into is None:
            return functions.multiply
        multiply_into = functions.multiply_into
        return multiply_into if node.reused_operand == 0 else lambda one, other: multiply_into(other, one)
    if node.order is not None and functions.build_matmul_with_output_order is not None:
        return functions.build_matmul_with_output_order(node.shape, node.order)
    return functions.dot if node.method == "dot" else functions.matmul
