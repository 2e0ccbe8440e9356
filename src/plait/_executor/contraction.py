"""A contraction bound to a framework's products: one callable for tensors of one shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import chain
from math import prod
from typing import Any

from plait._executor.caches import register
from plait._executor.einsum_options import EinsumOptions
from plait._executor.program import Call, link
from plait._plan.contraction.network import neighbours, network
from plait._plan.contraction.paths import Path, path_of
from plait._plan.contraction.plan import contraction_plan
from plait._plan.contraction.search import Contraction, Decision, carry_out, contract, decide
from plait._plan.graph import Plan
from plait._plan.nodes import Contiguous, Contract, Diagonal, Sum
from plait._shapes.solver import SolvedPattern
from plait.backends.capabilities import Products
from plait.backends.costs import ONLY_EINSUM, ContractionCosts
from plait.backends.interface import Backend
from plait.backends.registry import backend_of, one_backend


def specialize_einsum(
    solved: SolvedPattern,
    slots: Sequence[int],
    classes: Sequence[type],
    dtypes: tuple[Any, ...],
    backend: Backend,
    options: EinsumOptions | None,
) -> Callable[..., Any] | None:
    """The callable of an einsum, or ``None`` where the framework's own einsum, called once, is the best way.

    Raises:
        PlaitError: PLT214 or PLT511, of the options.
    """
    products = products_of(classes, dtypes)
    contraction = planned(solved, slots, products, backend, options)
    if contraction is None:
        return None
    plan = contraction_plan(solved, contraction)
    call = build_contraction(plan, backend_of(classes[0]) if products else backend, products)
    return backend.wrap_callable(call) if plan.steps else call


def planned(
    solved: SolvedPattern,
    slots: Sequence[int],
    products: Products | None,
    backend: Backend,
    options: EinsumOptions | None,
) -> Contraction | None:
    """The contraction that a framework is to carry out, or ``None`` for its own einsum, called once."""
    if products is not None:
        return best(solved, slots, products.costs, options)
    if (len(solved.ranks) < 3 or backend.einsum_optimizes_path) and requested_path(solved, slots, options) is None:
        return None
    return best(solved, slots, ONLY_EINSUM, options)


def best(
    solved: SolvedPattern, slots: Sequence[int], costs: ContractionCosts, options: EinsumOptions | None
) -> Contraction | None:
    """The cheapest contraction at these costs, or what is options for."""
    across = not costs.only_einsum
    found = network(solved, slots, across=across)
    if options is not None:
        return contract(found, costs, options.contract, options.memory_limit)
    decision = decided(solved, rough(solved, slots), costs, across)
    return None if decision is None else carry_out(found, costs, decision)


def rough(solved: SolvedPattern, slots: Sequence[int]) -> tuple[int, ...]:
    """The slots with every length but 0 and 1 rounded up to a power of two.

    What is best is the same for lengths that are about the same. So a new shape is arithmetic, and nothing is decided.
    """
    found = list(slots)
    lengths = [1 << (slots[slot] - 1).bit_length() if slots[slot] else 0 for slot in solved.slots]
    for slot, length in zip(solved.slots, lengths, strict=True):
        found[slot] = length
    for place, axes in enumerate(chain(*solved.inputs)):
        found[place] = 1 if slots[place] == 1 else prod([lengths[axis] for axis in axes])
    return tuple(found)


@lru_cache(maxsize=1024)
def decided(solved: SolvedPattern, slots: tuple[int, ...], costs: ContractionCosts, across: bool) -> Decision | None:
    """`decide`, remembered."""
    return decide(network(solved, slots, across=across), costs)


def chosen(
    solved: SolvedPattern, slots: Sequence[int], tensors: Sequence[Any], options: EinsumOptions | None
) -> tuple[Contraction | None, str, tuple[int, str]]:
    """What `plait.explain` shows: the contraction, or why there is none; and the size and name of the element type.

    Args:
        solved: the solved pattern.
        slots: all sizes.
        tensors: what the caller gave: tensors, whose framework decides, or shapes.
        options: what is options.
    """
    if not tensors or not all(hasattr(tensor, "dtype") for tensor in tensors):
        return best(solved, slots, ContractionCosts(), options), "", (4, "float32")
    classes = tuple([type(tensor) for tensor in tensors])
    backend = one_backend(classes)
    dtypes = tuple([backend.dtype(tensor) for tensor in tensors])
    contraction = planned(solved, slots, products_of(classes, dtypes), backend, options)
    order = "which finds the order itself" if backend.einsum_optimizes_path else "which nothing else is better than"
    reason = f"  left to the einsum of {backend.name}, called once, {order}"
    itemsize = getattr(dtypes[0], "itemsize", 4)
    return contraction, reason, (itemsize, str(dtypes[0]).removeprefix("torch."))


def products_of(classes: Sequence[type], dtypes: tuple[Any, ...]) -> Products | None:
    """What a contraction of tensors of these types is taken apart into, if they are all of one kind."""
    makers = dict.fromkeys([backend_of(cls).products for cls in dict.fromkeys(classes)])
    return None if len(makers) > 1 else next(iter(makers))(dtypes)


def requested_path(solved: SolvedPattern, slots: Sequence[int], options: EinsumOptions | None) -> Path | None:
    """The path that the options ask for, or ``None``.

    Raises:
        PlaitError: PLT214 or PLT511.
    """
    if options is None or (options.contract == "auto" and options.memory_limit is None):
        return None
    return path_of(network(solved, slots, across=False), options.contract, options.memory_limit)


def build_contraction(plan: Plan, backend: Backend, products: Products | None) -> Callable[..., Any]:
    """The callable of a plan that was chosen for given sizes.

    Args:
        plan: what is to be done.
        backend: the framework, for tensors as they come.
        products: its products; without them every contraction is by its einsum.
    """
    call = link(plan, contraction_calls(plan, backend, products))
    return call if products is None else products.around(call)


def contraction_calls(plan: Plan, backend: Backend, products: Products | None) -> list[Call]:
    """For each step of a plan for given sizes its function and argument."""
    calls: list[Call] = []
    scalars: set[int] = set()  # results that may be scalars of the framework, which have methods of their own
    count = len(plan.solved.ranks)
    for number, (node, operands) in enumerate(plan.steps, count):
        if isinstance(node, Contract):
            calls.append((_contract_function(node, backend, products), None))
            if not node.shape:
                scalars.add(number)
            continue
        if operands[0] in scalars:
            scalars.add(number)
        own = backend.for_any_type() if operands[0] in scalars else backend
        if isinstance(node, (Sum, Diagonal)):
            scalars.add(number)
        source: Any = products if isinstance(node, (Sum, Diagonal, Contiguous)) else own
        calls.append((getattr(source, node.method), node[0]))
    return calls


def _contract_function(node: Contract, backend: Backend, products: Products | None) -> Callable[..., Any]:
    if node.method == "einsum" or products is None:
        return partial(products.einsum if products else backend.einsum, node.equation)
    if node.method == "vecdot" and products.vecdot is not None:
        return products.vecdot
    if node.method == "multiply":
        if node.in_place is None or products.update is None:
            return products.multiply
        update = products.update
        return update if node.in_place == 0 else lambda one, other: update(other, one)
    if node.buffer is not None and products.fill is not None:
        return products.fill(*node.buffer)
    return products.dot if node.method == "dot" else products.matmul


register(decided)
register(neighbours)
