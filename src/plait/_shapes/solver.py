"""The first half of solving: which size is computed from which, before any size is known.

A solved pattern depends on the pattern, the ranks and the *names* of the given sizes, and holds nothing but ints and
strings. That makes it a constant under every tracer, and the same for every shape.

Sizes live in numbered *slots*, in this order: the dimensions of every tensor, the given sizes, the
constants of the pattern, and then one more for each instruction that computes a size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from plait._notation.equation import parse_equation
from plait._notation.parser import parse
from plait._notation.tree import (
    Ellipsis,
    Expr,
    Item,
    Name,
    Number,
    Tree,
    leaves,
    names,
)
from plait._notation.unparse import expr_text
from plait.errors import Span, did_you_mean, fail

PRODUCT = "product"
QUOTIENT = "quotient"
CHECK = "check"
BROADCAST = "broadcast"
NONEMPTY = "nonempty"
COMPUTING = (PRODUCT, QUOTIENT, BROADCAST)
"""The kinds that append a slot; the others only compare."""


class SizeOp(NamedTuple):
    """One step of arithmetic on slots.

    ``product`` appends the product of the factors; ``quotient`` appends the source divided by that product;
    ``check`` compares the source with that product; ``broadcast`` appends the length that the source and the
    one factor broadcast to; ``nonempty`` refuses a source of 0.
    """

    kind: str
    source: int
    factors: tuple[int, ...]


class SolvedPattern(NamedTuple):
    """A pattern, solved for every shape of one rank.

    An *axis* is a number from 0; ``labels`` are the axes as the pattern spells them, and ``slots`` say where
    their sizes are found. Unit axes are left out: a dimension of no axes has the length 1.
    """

    text: str
    classical: bool
    ranks: tuple[int, ...]
    given: tuple[str, ...]
    constants: tuple[int, ...]
    inputs: tuple[tuple[tuple[int, ...], ...], ...]
    output: tuple[tuple[int, ...], ...]
    labels: tuple[str, ...]
    slots: tuple[int, ...]
    size_ops: tuple[SizeOp, ...]
    filled: int
    """The number of slots that are filled after the last instruction."""

    @property
    def tree(self) -> Tree:
        """The pattern, read once more: only an error or an explanation needs it."""
        return parse_equation(self.text, len(self.ranks)) if self.classical else parse(self.text)

    @property
    def width(self) -> int:
        """The number of slots that are filled before the first instruction."""
        return sum(self.ranks) + len(self.given) + len(self.constants)


def solve_pattern(tree: Tree, ranks: tuple[int, ...], given: tuple[str, ...] = ()) -> SolvedPattern:
    """Solve a pattern for tensors of these ranks.

    Args:
        tree: a pattern with an arrow, whose right side has at most one tensor.
        ranks: the rank of each tensor of the left side.
        given: the names of the sizes that the caller gives.

    Raises:
        AxisError: PLT203, a given size names no axis.
        SizeError: PLT303, a size cannot be inferred; PLT304, a rank does not fit.

    >>> from plait._notation.parser import parse
    >>> solve_pattern(parse("b (h p) -> b h p"), (2,), ("p",)).size_ops
    (SizeOp(kind='quotient', source=1, factors=(2,)),)
    """
    return _Solver(tree, ranks, given).solve()


class _Solver:
    def __init__(self, tree: Tree, ranks: tuple[int, ...], given: tuple[str, ...]) -> None:
        self.tree = tree
        self.ranks = ranks
        self.given = given
        self.base = sum(ranks)
        self.constants: list[int] = []
        self.axes: dict[object, tuple[int]] = {}
        self.labels: list[str] = []
        self.slots: list[int | None] = []
        self.size_ops: list[SizeOp] = []
        self.dots = 0

    def solve(self) -> SolvedPattern:
        tree, ranks = self.tree, self.ranks
        self._count_dots()
        inputs = tuple([self._dimensions(expr) for expr in tree.left])
        for number, dims in enumerate(inputs):
            if len(dims) != ranks[number]:
                raise rank_error(tree, number, ranks)
        output = self._dimensions(tree.right[0]) if tree.right else ()
        for name in self.given:
            if name not in self.axes:
                raise self._stray(name)
        self.next = self.base + len(self.given) + len(self.constants)
        self._infer(sum(inputs, ()))
        if None in self.slots:
            raise self._unsized()
        slots: tuple[int, ...] = tuple(self.slots)  # type: ignore[arg-type]  # None was excluded above
        constants, labels, size_ops = tuple(self.constants), tuple(self.labels), tuple(self.size_ops)
        text = (tree.text, tree.classical)
        return SolvedPattern(*text, ranks, self.given, constants, inputs, output, labels, slots, size_ops, self.next)

    def _stray(self, name: str) -> Exception:
        known = names(self.tree.left + (self.tree.right or ()))
        return fail("PLT203", f"size {name} names no axis of the pattern{did_you_mean(name, known)}", self.tree.text)

    def _count_dots(self) -> None:
        """How many axes the ellipsis stands for: as many as the tensor with the most of them has."""
        for number, expr in enumerate(self.tree.left):
            for item in expr.items:
                if type(item) is Ellipsis:
                    count = self.ranks[number] - len(expr.items) + 1
                    if count < 0:
                        raise rank_error(self.tree, number, self.ranks)
                    self.dots = max(self.dots, count)

    def _dimensions(self, expr: Expr) -> tuple[tuple[int, ...], ...]:
        known = self.axes
        dims: list[tuple[int, ...]] = []
        for item in expr.items:
            if type(item) is Name:
                dims.append(known.get(item.text) or self._name(item.text))
            elif type(item) is Ellipsis:
                dims += self._ellipsis(expr)
            else:
                dims.append(tuple(self._group(item, expr)))
        return tuple(dims)

    def _group(self, item: Item, expr: Expr) -> list[int]:
        known = self.axes
        axes: list[int] = []
        for leaf in leaves(item):
            if type(leaf) is Name:
                axes += known.get(leaf.text) or self._name(leaf.text)
            elif type(leaf) is Ellipsis:
                axes += [axis for (axis,) in self._ellipsis(expr)]
            elif type(leaf) is Number and leaf.value != 1:
                slot = self.base + len(self.given) + len(self.constants)
                self.constants.append(leaf.value)
                axes += self._new(leaf, str(leaf.value), slot)
        return axes

    def _name(self, name: str) -> tuple[int]:
        given = self.given
        return self._new(name, name, self.base + given.index(name) if name in given else None)

    def _new(self, key: object, label: str, slot: int | None) -> tuple[int]:
        """A new axis, as a dimension of its own."""
        axis = self.axes[key] = (len(self.labels),)
        self.labels.append(label)
        self.slots.append(slot)
        return axis

    def _ellipsis(self, expr: Expr) -> list[tuple[int]]:
        """The axes of an ellipsis, counted from the right, as broadcasting does."""
        count = self.dots
        for number, side in enumerate(self.tree.left):
            if side is expr:
                count = self.ranks[number] - len(expr.items) + 1
        known = self.axes
        return [known[place] if place in known else self._new(place, "...", None) for place in reversed(range(count))]

    def _infer(self, dims: tuple[tuple[int, ...], ...]) -> None:
        """Find a slot for every axis, from the dimensions that have at most one unknown."""
        slots = self.slots
        waiting = list(enumerate(dims))
        while waiting:
            still: list[tuple[int, tuple[int, ...]]] = []
            for source, axes in waiting:
                if len(axes) == 1 and slots[axes[0]] is None:
                    slots[axes[0]] = source
                    continue
                known = [slots[axis] for axis in axes]
                unknown = known.count(None)
                if not unknown:
                    self._agree(source, axes)
                elif unknown > 1:
                    still.append((source, axes))
                else:
                    axis = axes[known.index(None)]
                    known.remove(None)
                    slots[axis] = self._emit(QUOTIENT, source, tuple(known))  # type: ignore[arg-type]  # the one None is gone
            if len(still) == len(waiting):
                raise self._ambiguous(*still[0])
            waiting = still

    def _agree(self, source: int, axes: tuple[int, ...]) -> None:
        known: tuple[int, ...] = tuple([self.slots[axis] for axis in axes])  # type: ignore[misc]  # none is None here
        if len(axes) == 1 and self.labels[axes[0]] == "...":
            self.slots[axes[0]] = self._emit(BROADCAST, source, known)
        else:
            self.size_ops.append(SizeOp(CHECK, source, known))

    def _emit(self, kind: str, source: int, factors: tuple[int, ...]) -> int:
        self.size_ops.append(SizeOp(kind, source, factors))
        self.next += 1
        return self.next - 1

    def _ambiguous(self, source: int, axes: tuple[int, ...]) -> Exception:
        unknown = [self.labels[axis] for axis in axes if self.slots[axis] is None]
        listed = " and ".join([", ".join(unknown[:-1]), unknown[-1]])
        where, span = dimension_place(self.tree, self.ranks, source)
        message = f"{listed} cannot all be inferred from {where}; give all but one, as in {unknown[-1]}=2"
        if len(unknown) == 2:
            message = f"{listed} cannot both be inferred from {where}; give one of them, as in {unknown[-1]}=2"
        return fail("PLT303", message, self.tree.text, [span])

    def _unsized(self) -> Exception:
        label = self.labels[self.slots.index(None)]
        node = names(self.tree.right or ())[label]
        message = f"nothing tells the size of {label}, which stands on the right only; give it, as in {label}=2"
        return fail("PLT303", message, self.tree.text, [(node.start, node.stop)])


def slot_labels(solved: SolvedPattern, size_ops: Iterable[SizeOp]) -> dict[int, str]:
    """What each slot is the size of, as the pattern spells it: ``h``, ``(h p)``, or ``1`` for a unit dimension.

    Args:
        solved: the pattern.
        size_ops: its size operations, and those that a plan adds.

    >>> from plait._notation.parser import parse
    >>> solved = solve_pattern(parse("b (h p) -> b h p"), (2,), ("p",))
    >>> slot_labels(solved, solved.size_ops)
    {0: 'b', 1: '(h p)', 3: 'h', 2: 'p'}
    """
    labels = {}
    for source, axes in enumerate(sum(solved.inputs, ())):
        labels[source] = _group_label([solved.labels[axis] for axis in axes])
    labels.update(zip(solved.slots, solved.labels, strict=True))
    following = solved.width
    for row in size_ops:
        if row.kind == PRODUCT:
            labels[following] = _group_label([labels[factor] for factor in row.factors])
        following += row.kind in COMPUTING
    return labels


def _group_label(labels: Sequence[str]) -> str:
    if len(labels) == 1:
        return labels[0]
    return f"({' '.join(labels)})" if labels else "1"


def rank_error(tree: Tree, number: int, ranks: tuple[int, ...]) -> Exception:
    """The rank of one tensor is not what the pattern says."""
    expr = tree.left[number]
    dots = any(type(item) is Ellipsis for item in expr.items)
    count = len(expr.items) - dots
    span = (expr.items[0].start, expr.items[-1].stop) if expr.items else (expr.start, expr.stop)
    message = (
        f"{tensor_place(number, len(ranks))} has rank {ranks[number]}, and the pattern "
        f"'{expr_text(expr)}' has {'at least ' if dots else ''}{count} dimension{'s' if count != 1 else ''}"
    )
    return fail("PLT304", message, tree.text, [span])


def tensor_place(number: int, count: int) -> str:
    """How an error names a tensor."""
    return "the input" if count == 1 else f"tensor {number}"


def dimension_place(tree: Tree, ranks: tuple[int, ...], slot: int) -> tuple[str, Span]:
    """How an error names a dimension, and where the pattern has it."""
    number, place = 0, slot
    while place >= ranks[number]:
        place -= ranks[number]
        number += 1
    expr = tree.left[number]
    items: list[Item] = []
    for item in expr.items:
        items += [item] * (ranks[number] - len(expr.items) + 1 if type(item) is Ellipsis else 1)
    item = items[place]
    where = f"dimension {place} of {tensor_place(number, len(ranks))}"
    return where, (item.start, item.stop)
