"""A plan bound to a backend: every step has become a function of the framework's.

A program knows ranks and names of sizes, never a size. ``bind`` makes the callable for one shape, which the cache
keeps; ``trace`` runs it once on sizes that may be symbols, and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

from weft.backends.base import Backend
from weft.errors import fail
from weft.plan import Concat, Einsum, Expand, Permute, Plan, Reduce, Reshape, Shape, Step, View
from weft.run.compose import Call, compose
from weft.solve import evaluate, shape_text

Select = Callable[[Sequence[Any]], Any]
"""Picks a shape out of the registers."""


class Program:
    """What remains of a pattern: instructions on registers, and calls of the framework's functions."""

    def __init__(self, plan: Plan, backend: Backend, reduction: Callable[[Any, Any], Any] | None = None) -> None:
        solved = plan.solved
        self.plan = plan
        self.backend = backend
        self.given = solved.given
        self.constants = solved.constants
        self.instructions = plan.instructions
        self.inputs = tuple([tuple([_call(step, backend, reduction) for step in steps]) for steps in plan.inputs])
        self.steps = tuple([_call(step, backend, reduction) for step in plan.steps])
        self.combine = _combiner(plan.combine, backend)
        self._selecting = [[_selecting(call) for call in calls] for calls in (*self.inputs, self.steps)]
        self._ready = None if plan.instructions or self._selects() else self._chain(())

    def bind(self, shape: Sequence[int], sizes: dict[str, int]) -> Callable[..., Any]:
        """The callable for tensors of this shape (of several tensors: their dimensions in one sequence).

        Raises:
            SizeError: W302 to W307.
        """
        if self._ready is not None:
            return self._ready
        registers = [*shape, *sizes.values(), *self.constants]
        evaluate(self.plan.solved, registers, self.instructions)
        return self._chain(registers)

    def trace(self, tensors: Sequence[Any], sizes: dict[str, Any]) -> Any:
        """Run once, on sizes that may be symbols; only the dimensions that a step needs are asked for."""
        registers: list[Any] = []
        needed = self.needed
        for tensor, rank in zip(tensors, self.plan.solved.ranks, strict=True):
            for place in range(rank):
                wanted = len(registers) in needed
                registers.append(self.backend.dimension(tensor, place) if wanted else None)
        registers += [sizes[name] for name in self.given]
        registers += self.constants
        if self.instructions:
            evaluate(self.plan.solved, registers, self.instructions, self.backend.agree)
        results = [_apply(tensor, calls, registers) for tensor, calls in zip(tensors, self.inputs, strict=True)]
        result = results[0] if self.combine is None else self.combine(*results)
        return _apply(result, self.steps, registers)

    @property
    def needed(self) -> frozenset[int]:
        """The registers that something reads."""
        read = {register for row in self.instructions for register in row.factors}
        read |= {row.source for row in self.instructions if row.kind != "product"}
        for calls in (*self.inputs, self.steps):
            for _, shape, _ in calls:
                read |= set(shape or ())
        return frozenset(read)

    def _selects(self) -> bool:
        return any(shape is not None for calls in (*self.inputs, self.steps) for _, shape, _ in calls)

    def _chain(self, registers: Sequence[Any]) -> Callable[..., Any]:
        *inputs, after = [
            compose([(function, constant if select is None else select(registers)) for function, select, constant in calls])
            for calls in self._selecting
        ]
        if self.combine is None:
            return inputs[0]
        return _joined(self.combine, inputs if any(self.inputs) else None, after if self.steps else None)


Bound = tuple[Callable[[Any, Any], Any], "Shape | None", Any]
"""A function, and the registers of its constant where that is a shape, or else the constant."""


def _call(step: Step, backend: Backend, reduction: Any) -> Bound:
    match step:
        case Reshape(shape):
            return backend.reshape, shape, None
        case View(shape):
            return backend.view, shape, None
        case Expand(shape):
            return backend.expand, shape, None
        case Permute(order):
            return backend.permute, None, order
        case Reduce(axes):
            return reduction, None, axes


def checked(reduction: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A reduction of the caller's, and a look at what it returns."""

    def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
        result = reduction(tensor, axes)
        expected = tuple(size for place, size in enumerate(tensor.shape) if place not in axes)
        shape = getattr(result, "shape", None)
        if shape is None or tuple(shape) != expected:
            got = type(result).__name__ if shape is None else f"the shape {shape_text(shape)}"
            name = getattr(reduction, "__name__", type(reduction).__name__)
            message = f"{name}(tensor, {axes}) returned {got}, and not the shape {shape_text(expected)}"
            raise fail("W310", message, facts={"tensor": shape_text(tensor.shape)})
        return result

    return reduce


def _combiner(combine: Concat | Einsum | None, backend: Backend) -> Callable[..., Any] | None:
    match combine:
        case Einsum(equation):
            return partial(backend.einsum, equation)
        case Concat(axis):
            return lambda *tensors: backend.concat(tensors, axis)
    return None


def _selecting(call: Bound) -> tuple[Callable[[Any, Any], Any], Select | None, Any]:
    function, shape, constant = call
    if shape is None:
        return function, None, constant
    if len(shape) > 1:
        return function, itemgetter(*shape), None
    if shape:
        only = shape[0]
        return function, lambda registers: (registers[only],), None
    return function, lambda _: (), None


def _apply(tensor: Any, calls: Sequence[Bound], registers: Sequence[Any]) -> Any:
    for function, shape, constant in calls:
        tensor = function(tensor, constant if shape is None else tuple([registers[place] for place in shape]))
    return tensor


def _joined(
    combine: Callable[..., Any],
    inputs: list[Callable[[Any], Any]] | None,
    after: Callable[[Any], Any] | None,
) -> Callable[..., Any]:
    if inputs is None:
        return combine if after is None else lambda *tensors: after(combine(*tensors))
    finish = after or (lambda tensor: tensor)
    return lambda *tensors: finish(combine(*[split(tensor) for split, tensor in zip(inputs, tensors, strict=True)]))


__all__ = ["Call", "Program"]
