"""A plan: what is done to each tensor, how the tensors meet, and what is done to the result."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from plait._plan.nodes import Einsum, Step
from plait._shapes.solver import PRODUCT, SizeOp, SolvedPattern


class Plan(NamedTuple):
    """A solved operation, ready for any backend.

    ``inputs`` are the steps of each tensor; ``products`` join the tensors one after the other, and are none where
    there is no einsum; they leave the shape ``combined``, and ``steps`` follow. ``instructions`` are those of the
    solved pattern,
    with those that compute the sizes the steps name.
    """

    solved: SolvedPattern
    instructions: tuple[SizeOp, ...]
    inputs: tuple[tuple[Step, ...], ...]
    products: tuple[Einsum, ...]
    steps: tuple[Step, ...]
    combined: tuple[int, ...] = ()


class Sizes:
    """Hands out registers for products of axes, one instruction for each that is new."""

    def __init__(self, solved: SolvedPattern) -> None:
        self.solved = solved
        self.added: list[SizeOp] = []
        self._known: dict[tuple[int, ...], int] = {}

    @property
    def instructions(self) -> tuple[SizeOp, ...]:
        """The template's instructions and the new ones."""
        return (*self.solved.size_ops, *self.added)

    def shape(self, dims: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
        """For each dimension the register that holds the product of its axes; 1 for none."""
        registers, product = self.solved.slots, self._product
        return tuple([registers[axes[0]] if len(axes) == 1 else product(axes) for axes in dims])

    def _product(self, axes: tuple[int, ...]) -> int:
        known = self._known.get(axes)
        if known is None:
            known = self._known[axes] = self._find(axes)
        return known

    def _find(self, axes: tuple[int, ...]) -> int:
        solved = self.solved
        first = 0
        for dims in solved.inputs:
            if axes in dims:  # a dimension of the input holds the product already
                return first + dims.index(axes)
            first += len(dims)
        self.added.append(SizeOp(PRODUCT, 0, tuple([solved.slots[axis] for axis in axes])))
        return solved.filled + len(self.added) - 1
