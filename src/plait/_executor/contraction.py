"""A contraction bound to a framework's products: one callable for tensors of one shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import chain
from math import prod
from typing import Any, TypeAlias

from plait._executor.caches import FORGET
from plait._executor.compose import along, compose
from plait._executor.einsum_options import Asked
from plait._executor.program import Program
from plait._plan.contraction.network import Network, neighbours, network
from plait._plan.contraction.pairwise import (
    EINSUM,
    MULTIPLY,
    NOTHING,
    VECDOT,
    Meeting,
)
from plait._plan.contraction.paths import Path, path_of
from plait._plan.contraction.search import (
    Contraction,
    Decision,
    carry_out,
    contract,
    decide,
)
from plait._plan.nodes import (
    Add,
    Copy,
    Diagonal,
    Permute,
    Reshape,
    Step,
)
from plait._shapes.solver import SolvedPattern
from plait.backends.capabilities import Products
from plait.backends.costs import ONLY_EINSUM, ContractionCosts
from plait.backends.interface import Backend
from plait.backends.registry import backend_of, one_backend

Unary: TypeAlias = Callable[[Any], Any]


def contracted(
    program: Program,
    registers: Sequence[int],
    classes: Sequence[type],
    dtypes: tuple[Any, ...],
    asked: Asked | None,
) -> Callable[..., Any] | None:
    """The callable of an einsum, or ``None`` where the framework's own einsum, called once, is the best way.

    Raises:
        PlaitError: PLT214 or PLT511, of what is asked.
    """
    products = products_of(classes, dtypes)
    contraction = planned(program.plan.solved, registers, products, program.backend, asked)
    if contraction is None:
        return None
    backend = backend_of(classes[0]) if products else program.backend
    return program.wrap_callable(bound(contraction, backend, products))


def planned(
    solved: SolvedPattern, registers: Sequence[int], products: Products | None, backend: Backend, asked: Asked | None
) -> Contraction | None:
    """The contraction that a framework is to carry out, or ``None`` for its own einsum, called once."""
    if products is not None:
        return best(solved, registers, products.costs, asked)
    if len(solved.ranks) < 3 or backend.einsum_optimizes_path:
        found = network(solved, registers, across=False)
        if asked_path(found, asked) is None:
            return None
    return best(solved, registers, ONLY_EINSUM, asked)


def best(
    solved: SolvedPattern, registers: Sequence[int], costs: ContractionCosts, asked: Asked | None
) -> Contraction | None:
    """The cheapest contraction at these costs, or what is asked for."""
    across = not costs.only_einsum
    found = network(solved, registers, across=across)
    if asked is not None:
        return contract(found, costs, asked.contract, asked.memory_limit)
    decision = decided(solved, rough(solved, registers), costs, across)
    return None if decision is None else carry_out(found, costs, decision)


def rough(solved: SolvedPattern, registers: Sequence[int]) -> tuple[int, ...]:
    """The registers with every length but 0 and 1 rounded up to a power of two.

    What is best is the same for lengths that are about the same. So a new shape is arithmetic, and nothing is decided.
    """
    found = list(registers)
    lengths = [1 << (registers[register] - 1).bit_length() if registers[register] else 0 for register in solved.slots]
    for register, length in zip(solved.slots, lengths, strict=True):
        found[register] = length
    for place, axes in enumerate(chain(*solved.inputs)):
        found[place] = 1 if registers[place] == 1 else prod([lengths[axis] for axis in axes])
    return tuple(found)


@lru_cache(maxsize=1024)
def decided(
    solved: SolvedPattern, registers: tuple[int, ...], costs: ContractionCosts, across: bool
) -> Decision | None:
    """`decide`, remembered."""
    return decide(network(solved, registers, across=across), costs)


def chosen(
    solved: SolvedPattern, registers: Sequence[int], tensors: Sequence[Any], asked: Asked | None
) -> tuple[Contraction | None, str, tuple[int, str]]:
    """What `plait.explain` shows: the contraction, or why there is none; and the size and name of the element type.

    Args:
        solved: the solved pattern.
        registers: its registers, filled.
        tensors: what the caller gave: tensors, whose framework decides, or shapes.
        asked: what is asked.
    """
    if not tensors or not all(hasattr(tensor, "dtype") for tensor in tensors):
        return best(solved, registers, ContractionCosts(), asked), "", (4, "float32")
    classes = tuple([type(tensor) for tensor in tensors])
    backend = one_backend(classes)
    dtypes = tuple([backend.dtype(tensor) for tensor in tensors])
    contraction = planned(solved, registers, products_of(classes, dtypes), backend, asked)
    order = "which finds the order itself" if backend.einsum_optimizes_path else "which nothing else is better than"
    reason = f"  left to the einsum of {backend.name}, called once, {order}"
    itemsize = getattr(dtypes[0], "itemsize", 4)
    return contraction, reason, (itemsize, str(dtypes[0]).removeprefix("torch."))


def products_of(classes: Sequence[type], dtypes: tuple[Any, ...]) -> Products | None:
    """What a contraction of tensors of these types is taken apart into, if they are all of one kind."""
    makers = dict.fromkeys([backend_of(cls).products for cls in dict.fromkeys(classes)])
    return None if len(makers) > 1 else next(iter(makers))(dtypes)


def asked_path(network: Network, asked: Asked | None) -> Path | None:
    """The path that the caller asks for, or ``None``.

    Raises:
        PlaitError: PLT214 or PLT511.
    """
    if asked is None or (asked.contract == "auto" and asked.memory_limit is None):
        return None
    return path_of(network, asked.contract, asked.memory_limit)


def bound(contraction: Contraction, backend: Backend, products: Products | None) -> Callable[..., Any]:
    """The callable.

    Args:
        contraction: what is to be done.
        backend: the framework, for tensors as they come.
        products: its products; without them every meeting is by its einsum.
    """
    call = along([(meeting.places, _met(meeting, backend, products)) for meeting in contraction.meetings])
    return call if products is None else products.around(call)


def _met(meeting: Meeting, backend: Backend, products: Products | None) -> Callable[..., Any]:
    """One meeting as a function of its tensors, in the order of their places."""
    sides = [_chain(steps, backend, products) for steps in meeting.sides]
    if meeting.how == NOTHING:
        return sides[0] or compose(())
    call = _brought(_product(meeting, backend, products), sides)
    after = _chain(meeting.after, backend if meeting.rank else backend.for_any_type(), products)
    return call if after is None else _then(call, after)


def _brought(product: Callable[..., Any], sides: Sequence[Unary | None]) -> Callable[..., Any]:
    """A product of what the sides make of the tensors, with no call more than there is something to do."""
    if not any(sides):
        return product
    whole = [side or compose(()) for side in sides]
    if len(whole) != 2:
        return lambda *tensors: product(*[side(tensor) for side, tensor in zip(whole, tensors, strict=True)])
    one, other = whole
    if sides[0] is None:
        return lambda a, b: product(a, other(b))
    if sides[1] is None:
        return lambda a, b: product(one(a), b)
    return lambda a, b: product(one(a), other(b))


def _then(call: Callable[..., Any], after: Unary) -> Callable[..., Any]:
    return lambda *tensors: after(call(*tensors))


def _product(meeting: Meeting, backend: Backend, products: Products | None) -> Callable[..., Any]:
    if meeting.how == EINSUM or products is None:
        return partial(products.einsum if products else backend.einsum, meeting.equation)
    if meeting.how == VECDOT and products.vecdot is not None:
        return products.vecdot
    if meeting.how == MULTIPLY:
        if meeting.reuse is None or products.update is None:
            return products.multiply
        update = products.update
        return update if meeting.reuse == 0 else lambda one, other: update(other, one)
    if meeting.buffer is not None and products.fill is not None:
        return products.fill(*meeting.buffer)
    return products.matmul if meeting.batched else products.dot


def _chain(steps: Sequence[Step], backend: Backend, products: Products | None) -> Unary | None:
    """The steps of one tensor as a function, or ``None`` where there are none."""
    calls: list[tuple[Callable[[Any, Any], Any], Any]] = []
    for step in steps:
        if isinstance(step, Reshape):
            calls.append((backend.reshape, step.shape))
        elif isinstance(step, Permute):
            calls.append((backend.permute, step.order))
        elif isinstance(step, Copy) and products is not None:
            calls.append((products.copy, None))
        elif isinstance(step, (Add, Diagonal)) and products is not None:
            calls.append((products.add if isinstance(step, Add) else products.diagonal, step.axes))
            backend = backend.for_any_type()
        else:
            raise TypeError(step)
    return compose(calls) if calls else None


FORGET += [decided.cache_clear, neighbours.cache_clear]
