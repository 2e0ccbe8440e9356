"""A plan: what is done to each tensor, how the tensors meet, and what is done to the result."""

from __future__ import annotations

from typing import NamedTuple

from weft.plan.steps import Combine, Step
from weft.solve import COMPUTING, PRODUCT, Instruction, Template


class Plan(NamedTuple):
    """A solved operation, ready for any backend.

    ``inputs`` are the steps of each tensor; ``combine`` joins the tensors, and is ``None`` where there is one;
    ``steps`` follow. ``instructions`` are the template's, with those that compute the sizes the steps name.
    """

    solved: Template
    instructions: tuple[Instruction, ...]
    inputs: tuple[tuple[Step, ...], ...]
    combine: Combine | None
    steps: tuple[Step, ...]


class Sizes:
    """Hands out registers for products of axes, one instruction for each that is new."""

    def __init__(self, solved: Template) -> None:
        self.solved = solved
        self.instructions = list(solved.instructions)
        self._next = solved.width + len([1 for instruction in solved.instructions if instruction.kind in COMPUTING])
        self._known: dict[tuple[int, ...], int] = {}
        for source, axes in enumerate(axes for dims in solved.inputs for axes in dims):
            self._known.setdefault(axes, source)

    def register(self, axes: tuple[int, ...]) -> int:
        """The register that holds the product of these axes; 1 for none."""
        if len(axes) == 1:
            return self.solved.registers[axes[0]]
        known = self._known.get(axes)
        if known is None:
            registers = self.solved.registers
            self.instructions.append(Instruction(PRODUCT, 0, tuple([registers[axis] for axis in axes])))
            known = self._known[axes] = self._next
            self._next += 1
        return known
