"""A plan: a graph of nodes that takes tensors to results, with the arithmetic of the sizes that it needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from plait._plan.nodes import Contract, Node, Sum
from plait._shapes.solver import PRODUCT, SizeOp, SolvedPattern

Step: TypeAlias = "tuple[Node, tuple[int, ...]]"
"""A node, and its operands: the numbers of tensors, or of the results of earlier steps."""


class Plan(NamedTuple):
    """A solved operation, ready for any backend; the tensors are numbered, and then the result of each step."""

    solved: SolvedPattern
    size_ops: tuple[SizeOp, ...]  # of the solved pattern, and of the sizes that the nodes name
    steps: tuple[Step, ...]  # the nodes, each behind those that it needs
    outputs: tuple[int, ...]  # the numbers of the results


class Segment(NamedTuple):
    """A contraction with the chains of nodes around it, or one chain alone; nodes are given by their numbers."""

    operands: tuple[tuple[int, tuple[int, ...]], ...]  # where each comes from, and the nodes that bring it into shape
    contract: int | None  # ``None`` where there is one operand, and nothing to be contracted
    after: tuple[int, ...] = ()  # the nodes of the result


def segments(plan: Plan) -> tuple[list[Segment], tuple[int, ...]]:
    """The plan as contractions and chains, and the numbers of its outputs among the tensors and their results.

    A change of the layout of a result belongs to the contraction that needs it.
    """
    count = len(plan.solved.ranks)
    last = max([step for step, (node, _) in enumerate(plan.steps) if isinstance(node, Contract)], default=-1)
    uses = Counter(plan.outputs)
    for _, operands in plan.steps:
        uses.update(operands)
    found: list[Segment] = []
    chains: dict[int, tuple[int, tuple[int, ...]]] = {number: (number, ()) for number in range(count)}
    """For each value where it comes from, and the nodes that are still to be applied to that."""

    def add(operands: tuple[tuple[int, tuple[int, ...]], ...], contract: int | None) -> tuple[int, tuple[int, ...]]:
        found.append(Segment(operands, contract))
        return count + len(found) - 1, ()

    for step, (node, operands) in enumerate(plan.steps):
        if isinstance(node, Contract):
            chains[count + step] = add(tuple([chains[operand] for operand in operands]), step)
            continue
        source, nodes = chains[operands[0]]
        is_last = operands[0] == count + step - 1 and uses[operands[0]] == 1
        belongs = step > last or isinstance(node, Sum)
        if belongs and is_last and not nodes and source == count + len(found) - 1 >= count:
            found[-1] = found[-1]._replace(after=(*found[-1].after, step))
            chains[count + step] = (source, ())
        elif uses[count + step] > 1 or len(plan.outputs) > 1:
            chains[count + step] = add(((source, (*nodes, step)),), None)
        else:
            chains[count + step] = (source, (*nodes, step))
    outputs = []
    for value in plan.outputs:
        source, nodes = chains[value]
        outputs.append(add((chains[value],), None)[0] if nodes or not found else source)
    return found, tuple(outputs)


def chain_plan(solved: SolvedPattern, size_ops: tuple[SizeOp, ...], nodes: Sequence[Node]) -> Plan:
    """The plan of one tensor that takes one node after the other."""
    steps = tuple(zip(nodes, zip(range(len(nodes))), strict=True))  # each node takes the value before it
    return Plan(solved, size_ops, steps, (len(steps),))


class SizeBuilder:
    """Finds the slot of a product of axes, or adds one with the operation that fills it."""

    __slots__ = ("_known", "added", "solved")

    def __init__(self, solved: SolvedPattern) -> None:
        self.solved = solved
        self.added: list[SizeOp] = []
        self._known: dict[tuple[int, ...], int] | None = None

    @property
    def size_ops(self) -> tuple[SizeOp, ...]:
        """Those of the solved pattern, and the new ones."""
        return (*self.solved.size_ops, *self.added)

    def shape(self, dims: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
        """For each dimension, given as its axes, the slot of its length."""
        slots, product = self.solved.slots, self._product
        return tuple([slots[axes[0]] if len(axes) == 1 else product(axes) for axes in dims])

    def _product(self, axes: tuple[int, ...]) -> int:
        known = self._known
        if known is None:  # a dimension of an input holds its product already
            known = self._known = {}
            for slot, dim in enumerate(sum(self.solved.inputs, ())):
                known.setdefault(dim, slot)
        if axes not in known:
            self.added.append(SizeOp(PRODUCT, 0, tuple(map(self.solved.slots.__getitem__, axes))))
            known[axes] = self.solved.filled + len(self.added) - 1
        return known[axes]
