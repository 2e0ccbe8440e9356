"""A plan bound to a backend: every step has become a function of the framework's.

A program knows ranks and names of sizes, never a size. ``bind`` makes the callable for one shape, which the cache
keeps; ``trace`` runs a recipe once on sizes that may be symbols, and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from itertools import accumulate
from math import prod
from operator import itemgetter
from string import ascii_letters
from typing import Any, NamedTuple, TypeAlias

from plait._executor.compose import along, compose, meet
from plait._executor.recipe import (
    Call,
    axes_of,
    call_of,
    calls_of,
    read_by,
)
from plait._operations.reduce import CUSTOM
from plait._plan.graph import Plan
from plait._plan.nodes import Expand, Reduce, Step
from plait._shapes.sizes import (
    Report,
    evaluate,
    evaluate_symbolic,
    report,
    shape_text,
)
from plait._shapes.solver import COMPUTING
from plait.backends.interface import Backend, as_it_is
from plait.errors import fail

Reduction: TypeAlias = Callable[[Any, tuple[int, ...]], Any]

Products: TypeAlias = "Sequence[tuple[tuple[int, ...], str]]"
"""Of each product the places of its tensors among those at hand, and its equation."""

Select: TypeAlias = Callable[[Sequence[int]], "tuple[int, ...]"]
"""Picks a shape out of the registers."""


class Recipe(NamedTuple):
    """A plan as plain tuples of ints and text, which every tracer takes for a constant."""

    ranks: tuple[int, ...]
    given: tuple[str, ...]
    constants: tuple[int, ...]
    instructions: tuple[tuple[str, int, tuple[int, ...]], ...]
    needed: tuple[int, ...]
    computed: tuple[int, ...]
    inputs: tuple[tuple[Call, ...], ...]
    products: tuple[tuple[tuple[int, ...], str], ...]
    steps: tuple[Call, ...]


def recipe(plan: Plan) -> Recipe:
    """What a plan comes to, without its pattern."""
    check_letters(plan)
    solved, axes = plan.solved, axes_of(plan)
    firsts = accumulate(solved.ranks, initial=0)
    shapes = [tuple(range(first, first + rank)) for first, rank in zip(firsts, solved.ranks)]  # noqa: B905  # one more
    inputs = tuple([calls_of(steps, shape, axes) for steps, shape in zip(plan.inputs, shapes, strict=True)])
    steps = calls_of(plan.steps, plan.combined, axes)
    return Recipe(
        solved.ranks,
        solved.given,
        solved.constants,
        plan.instructions,
        read_by(plan, (*inputs, steps)),
        read_by(plan, (*inputs, steps), COMPUTING),
        inputs,
        tuple([(product.places, product.equation) for product in plan.products]),
        steps,
    )


def check_letters(plan: Plan) -> None:
    """Raise where tensors meet in an einsum that have more axes than there are letters.

    Raises:
        BackendError: PLT506.
    """
    if not all(equation for _, equation in plan.products):
        message = f"einsum can name {len(ascii_letters)} axes, and the tensors that meet have more"
        raise fail("PLT506", message, plan.solved.text)


class Program:
    """A recipe, with the functions of one backend."""

    def __init__(self, plan: Plan, backend: Backend, reduction: Reduction | None = None) -> None:
        self.plan = plan
        self.backend = backend
        self.constants = plan.solved.constants
        self.instructions = plan.instructions
        self.decides = decides(plan)
        self.rounds = rounds(plan)
        self.stretches = any(type(step) is Expand for steps in plan.inputs for step in steps)
        self.combine = combined(plan.products, backend)
        self.steps = self._prepare(plan.steps, backend.for_any_type(), None) if plan.steps else []
        self.wrap_callable = backend.wrap_callable if _is_all_of_the_frameworks(plan) else as_it_is
        self.reduce_by(reduction)

    def reduce_by(self, reduction: Reduction | None) -> None:
        """Take this function for the reduction of the plan."""
        self.reduction = reduction
        self.inputs = [self._prepare(steps, self.backend, reduction) for steps in self.plan.inputs]
        self.ready = None if self._selects() else self.chain(())

    def reduced_by(self, reduction: Reduction) -> Program:
        """The same program with another reduction."""
        other = copy(self)
        other.reduce_by(reduction)
        return other

    def bind(self, shape: Sequence[int], sizes: dict[str, int]) -> Callable[..., Any]:
        """The callable for tensors of this shape (of several tensors: their dimensions in one sequence).

        Raises:
            SizeError: PLT302 to PLT307.
        """
        ready = self.ready
        if ready and not self.instructions:
            return ready
        registers = self.registers(shape, sizes)
        return ready or self.chain(registers)

    def registers(self, shape: Sequence[int], sizes: dict[str, int]) -> list[int]:
        """All registers, filled.

        Raises:
            SizeError: PLT302 to PLT307.
        """
        registers = [*shape, *sizes.values(), *self.constants]
        evaluate(registers, self.instructions, self._report)
        return registers

    def is_large(self, shape: Sequence[int], sizes: dict[str, int]) -> bool:
        """Whether a schedule may be worth it for tensors of this shape."""
        large = self.backend.large_tensors
        if large is None or not self.decides:
            return False
        return self.elements(shape, sizes) >= (large.min_elements_rounding if self.rounds else large.min_elements)

    def elements(self, shape: Sequence[int], sizes: dict[str, int]) -> int:
        """How many elements go in or come out, whichever is more."""
        return count_elements(self.plan, self.registers(shape, sizes)) if self.stretches else prod(shape)

    def _report(self, registers: list[int], kind: str, source: int, factors: tuple[int, ...]) -> Exception:
        return report(self.plan.solved, registers, kind, source, factors)

    def _selects(self) -> bool:
        """Whether a constant is a shape, which only a call can tell."""
        for calls in (*self.inputs, self.steps):
            for _, select, _ in calls:
                if select is not None:
                    return True
        return False

    @staticmethod
    def _prepare(
        steps: tuple[Step, ...], backend: Backend, reduction: Reduction | None
    ) -> list[tuple[Any, Select | None, Any]]:
        """For each step the function, what picks its shape out of the registers, and its constant."""
        prepared: list[tuple[Any, Select | None, Any]] = []
        for step in steps:
            method, shape, constant = call_of(step)
            if method == "reduce":
                function, backend = reduction, backend.for_any_type()
            else:
                function = getattr(backend, method)
            prepared.append((function, None if shape is None else _selection(shape), constant))
        return prepared

    def chain(self, registers: Sequence[int], wishes: dict[str, Any] | None = None) -> Callable[..., Any]:
        """The callable for these sizes, with what the caller wishes of the product.

        Raises:
            BackendError: PLT509 or PLT512, the framework does not know such wishes.
        """
        chains = [
            compose([(function, select(registers) if select else constant) for function, select, constant in calls])
            for calls in self.inputs
        ]
        if self.combine is None:
            return self.wrap_callable(chains[0])
        check_letters(self.plan)
        inputs = chains if any(self.inputs) else None
        if wishes:
            return self.wrap_callable(_joined(placed(recipe(self.plan), registers, self.backend, wishes), inputs, None))
        after = compose([(f, select(registers) if select else constant) for f, select, constant in self.steps])
        return self.wrap_callable(_joined(self.combine, inputs, after if self.steps else None))


ROUNDING = ("sum", "mean", "prod", "std", "var", "logsumexp")
"""The reductions whose result depends, in its last digits, on the order in which elements are combined."""


def rounds(plan: Plan) -> bool:
    """Whether it matters to the last digits in how many calls a tensor is reduced."""
    return any(type(step) is Reduce and step.reduction in ROUNDING for step in plan.inputs[0])


def count_elements(plan: Plan, registers: Sequence[int]) -> int:
    """How many elements go in or come out, whichever is more."""
    slots = plan.solved.slots
    written = prod([registers[slots[axis]] for dim in plan.solved.output for axis in dim])
    return max(written, prod(registers[: plan.solved.ranks[0]]))


def decides(plan: Plan) -> bool:
    """Whether a large tensor could be moved in several ways: it is reduced, or axes are merged and may be copied."""
    if len(plan.inputs) != 1 or plan.products:
        return False
    steps = plan.inputs[0]
    return any(type(step) is Reduce for step in steps) or any(len(axes) > 1 for axes in plan.solved.output)


def trace(
    recipe: Recipe,
    tensors: Sequence[Any],
    sizes: dict[str, Any],
    backend: Backend,
    reduction: Reduction | None,
    report: Report,
    wishes: dict[str, Any] | None = None,
) -> Any:
    """Run a recipe once, on sizes that may be symbols; only the dimensions that something needs are asked for."""
    ranks, given, constants, instructions, needed, computed, inputs, products, steps = recipe
    comparable = backend.comparable(tensors)
    if not comparable:
        needed = computed
    registers: list[Any] = []
    for tensor, rank in zip(tensors, ranks):  # noqa: B905  # Dynamo does not follow strict=True before torch 2.6
        shape = backend.shape(tensor)
        known = (None,) * rank if comparable else backend.static_shape(tensor, rank)
        for place in range(rank):
            registers.append(shape[place] if len(registers) in needed else known[place])  # uses its own length
    registers += [sizes[name] for name in given]
    registers += constants
    if comparable:
        evaluate(registers, instructions, report)
    else:
        evaluate_symbolic(registers, instructions, report)
    results = [
        _apply(tensor, calls, registers, backend, reduction)
        for tensor, calls in zip(tensors, inputs)  # noqa: B905  # as above
    ]
    if not products:
        return results[0]
    if wishes:
        return placed(recipe, registers, backend, wishes)(*results)
    for places, equation in products:
        results = meet(results, places, backend.einsum, equation)
    return _apply(results[0], steps, registers, backend, reduction)


def combined(products: Products, backend: Backend) -> Callable[..., Any] | None:
    """How tensors become one, by the framework's einsum; ``None`` where there is nothing to be combined."""
    return along([(places, partial(backend.einsum, equation)) for places, equation in products]) if products else None


def placed(recipe: Recipe, registers: Sequence[Any], backend: Backend, wishes: dict[str, Any]) -> Callable[..., Any]:
    """How tensors are combined where the caller asks something of the product.

    What is asked of the elements is asked of every product on the path, a sharding of the last alone.

    Raises:
        BackendError: PLT509 or PLT512, the framework has no such thing.
    """
    shape: Any = None
    for _, places, _ in recipe.steps:
        shape = tuple([registers[place] for place in places or ()])
    *early, (last, equation) = recipe.products
    inner = {name: wish for name, wish in wishes.items() if name != "out_sharding"}
    calls = [
        (places, backend.einsum_with_backend_kwargs(each, None, inner) if inner else partial(backend.einsum, each))
        for places, each in early
    ]
    return along([*calls, (last, backend.einsum_with_backend_kwargs(equation, shape, wishes))])


def checked(reduction: Reduction, backend: Backend) -> Reduction:
    """A reduction of the caller's, and a look at what it returns."""

    def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
        result = reduction(tensor, axes)
        expected = tuple(size for place, size in enumerate(backend.shape(tensor)) if place not in axes)
        shape = tuple(backend.shape(result)) if hasattr(result, "shape") else None
        if shape is None or _differ(shape, expected):
            got = type(result).__name__ if shape is None else f"the shape {shape_text(shape)}"
            name = getattr(reduction, "__name__", type(reduction).__name__)
            message = f"{name}(tensor, {axes}) returned {got}, and not the shape {shape_text(expected)}"
            raise fail("PLT310", message, facts={"tensor": shape_text(backend.shape(tensor))})
        return result

    return reduce


def _differ(shape: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether two shapes differ, as far as it is known."""
    if len(shape) != len(other):
        return True
    return any(one != two for one, two in zip(shape, other, strict=True) if type(one) is type(two) is int)


def tried(reduction: Reduction, name: str, dtype: Any) -> Reduction:
    """A reduction of elements that plait cannot judge, such as objects: they say themselves whether they have it."""

    def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
        try:
            return reduction(tensor, axes)
        except TypeError as error:
            raise fail("PLT503", f"{name} is not defined on {dtype}: {error}") from error

    return reduce


def _apply(
    tensor: Any, calls: Sequence[Call], registers: Sequence[Any], backend: Backend, reduction: Reduction | None
) -> Any:
    for method, shape, constant in calls:
        argument: Any = constant if shape is None else tuple([registers[place] for place in shape])
        if method == "reshape":
            tensor = backend.traced_reshape(tensor, argument, registers, constant)
        else:
            function: Any = reduction if method == "reduce" else getattr(backend, method)
            tensor = function(tensor, argument)
    return tensor


def _is_all_of_the_frameworks(plan: Plan) -> bool:
    """Whether there is something to do, and no function of the caller's does it."""
    steps = [step for steps in plan.inputs for step in steps]
    if any(type(step) is Reduce and step.reduction == CUSTOM for step in steps):
        return False
    return bool(steps or plan.products)


def _selection(shape: tuple[int, ...]) -> Select:
    """Picks a shape out of the registers."""
    if len(shape) > 1:
        return itemgetter(*shape)
    if shape:
        only = shape[0]
        return lambda registers: (registers[only],)
    return lambda _: ()


def _joined(
    combine: Callable[..., Any],
    inputs: list[Callable[[Any], Any]] | None,
    after: Callable[[Any], Any] | None,
) -> Callable[..., Any]:
    if inputs is None:
        return combine if after is None else lambda *tensors: after(combine(*tensors))
    finish = after or compose(())
    return lambda *tensors: finish(combine(*[split(tensor) for split, tensor in zip(inputs, tensors, strict=True)]))
