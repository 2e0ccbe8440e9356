"""Which size is computed from which, before any size is known.

A solved pattern depends on the pattern, the ranks and the *names* of the given sizes, and holds nothing but ints and
strings. That makes it a constant under every tracer, and the same for every shape.

Sizes are in numbered *slots*, in this order: the dimensions of every tensor, the given sizes, the constants of the
pattern, and then one for each size operation that computes a size.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from plait._notation.parser import parse
from plait._notation.tree import (
    Ellipsis,
    Name,
    Number,
    TensorExpr,
    Tree,
    collect_names,
    item_leaves,
    items_by_dimension,
)
from plait.errors import PlaitError, Span, did_you_mean, make_error

PRODUCT = "product"  # appends the product of the factors
QUOTIENT = "quotient"  # appends the source divided by that product
CHECK = "check"  # compares the source with that product
BROADCAST = "broadcast"  # appends the length that the source and the one factor broadcast to
NONEMPTY = "nonempty"  # refuses a source of 0
COMPUTING = (PRODUCT, QUOTIENT, BROADCAST)
"""The kinds that append a slot; the others only compare."""

NAMELESS = "..."
"""The label of an axis that an ellipsis stands for."""

Axes: TypeAlias = "tuple[int, ...]"
"""The axes of one dimension."""

Dims: TypeAlias = "tuple[Axes, ...]"
"""The dimensions of one tensor."""


class SizeOp(NamedTuple):
    """One step of arithmetic on slots."""

    kind: str
    source: int
    factors: tuple[int, ...]


class SolvedPattern(NamedTuple):
    """A pattern, solved for all shapes of these ranks; an *axis* is a number from 0."""

    text: str
    is_classical: bool  # whether the text is a classical equation of single letters
    ranks: tuple[int, ...]
    given: tuple[str, ...]
    constants: tuple[int, ...]
    inputs: tuple[Dims, ...]  # unit axes are left out: a dimension of no axes has the length 1
    output: Dims
    labels: tuple[str, ...]  # the axes as the pattern spells them
    slots: tuple[int, ...]  # where the sizes of the axes are found
    size_ops: tuple[SizeOp, ...]
    slot_count: int  # after the last size operation

    @property
    def tree(self) -> Tree:
        """The pattern, read once more: only an error or an explanation needs it."""
        if self.is_classical:
            from plait._notation.equation import parse_equation

            return parse_equation(self.text, len(self.ranks))
        return parse(self.text)

    @property
    def is_bijection(self) -> bool:
        """Whether every axis of the one tensor appears once on each side, and has a name."""
        axes = len(self.labels)
        return len(sum(self.inputs[0], ())) == axes == len(sum(self.output, ())) and not self.constants

    @property
    def initial_slot_count(self) -> int:
        """The number of slots that are filled before the first size operation."""
        return sum(self.ranks) + len(self.given) + len(self.constants)


def solve_pattern(tree: Tree, ranks: tuple[int, ...], given: tuple[str, ...] = ()) -> SolvedPattern:
    """Solve a pattern for tensors of these ranks, and the names of the sizes that the caller gives.

    >>> from plait._notation.parser import parse
    >>> solve_pattern(parse("b (h p) -> b h p"), (2,), ("p",)).size_ops
    (SizeOp(kind='quotient', source=1, factors=(2,)),)
    """
    dots = 0
    axes: dict[object, int] = {}
    inputs: list[Dims] = []
    for number, expr in enumerate(tree.left):
        missing = ranks[number] - len(expr.items) + 1  # the axes that an ellipsis stands for
        inputs.append(_dimensions(expr, missing, axes))
        if len(inputs[-1]) != ranks[number]:
            raise rank_error(tree, number, ranks[number], len(ranks))
        if Ellipsis in map(type, expr.items):
            dots = max(dots, missing)
    output = _dimensions(tree.right[0], dots, axes) if tree.right else ()
    for name in given:
        if name not in axes:
            raise unknown_size(name, collect_names(tree.left + (tree.right or ())), tree.text)
    first = sum(ranks)  # the first slot of the given sizes
    labels: list[str] = []
    slots: list[int | None] = []
    constants: list[int] = []
    for key in axes:
        if type(key) is Number:
            labels.append(str(key.value))
            slots.append(first + len(given) + len(constants))
            constants.append(key.value)
        else:
            labels.append(key if type(key) is str else NAMELESS)
            slots.append(first + given.index(key) if key in given else None)
    following = first + len(given) + len(constants)
    size_ops, slot_count = _infer(tree, ranks, sum(inputs, ()), labels, slots, following)
    if None in slots:
        raise _unsized(tree, labels[slots.index(None)])
    return SolvedPattern(
        text=tree.text,
        is_classical=tree.is_classical,
        ranks=ranks,
        given=given,
        constants=tuple(constants),
        inputs=tuple(inputs),
        output=output,
        labels=tuple(labels),
        slots=tuple(slots),  # type: ignore[arg-type]  # None was excluded above
        size_ops=tuple(size_ops),
        slot_count=slot_count,
    )


def _dimensions(expr: TensorExpr, dots: int, axes: dict[object, int]) -> Dims:
    """The dimensions of one tensor, each as its axes; new ones are added to ``axes``.

    The key of an axis is its name, the node of its number, or its place in an ellipsis, counted from the right as
    broadcasting does; the ellipsis of this tensor stands for ``dots`` axes.
    """
    dims: list[Axes] = []
    for item in expr.items:
        if type(item) is Name:  # as most are
            dims.append((axes.setdefault(item.text, len(axes)),))
            continue
        dim: list[int] = []
        for leaf in item_leaves(item):
            if type(leaf) is Name:
                dim.append(axes.setdefault(leaf.text, len(axes)))
            elif type(leaf) is Ellipsis:
                dim += [axes.setdefault(place, len(axes)) for place in reversed(range(dots))]
            elif type(leaf) is Number and leaf.value != 1:
                dim.append(axes.setdefault(leaf, len(axes)))
        if type(item) is Ellipsis:
            dims += [(axis,) for axis in dim]
        else:
            dims.append(tuple(dim))
    return tuple(dims)


def _infer(
    tree: Tree,
    ranks: tuple[int, ...],
    dims: Iterable[Axes],
    labels: Sequence[str],
    slots: list[int | None],
    following: int,
) -> tuple[list[SizeOp], int]:
    """Find the slots of the axes of the inputs, the size operations that fill and check them, and how many are filled.

    A dimension with one unknown axis tells its size; that may leave one unknown in another, so this is repeated.
    """
    size_ops: list[SizeOp] = []
    waiting = list(enumerate(dims))
    while waiting:
        open_dims: list[tuple[int, Axes]] = []
        for source, axes in waiting:
            if len(axes) == 1 and slots[axes[0]] is None:
                slots[axes[0]] = source
                continue
            factors: list[Any] = [*map(slots.__getitem__, axes)]
            unknown = factors.count(None)
            if unknown > 1:
                open_dims.append((source, axes))
            elif unknown:
                axis = axes[factors.index(None)]
                factors.remove(None)
                size_ops.append(SizeOp(QUOTIENT, source, tuple(factors)))
                slots[axis] = following
                following += 1
            elif len(axes) == 1 and labels[axes[0]] == NAMELESS:
                size_ops.append(SizeOp(BROADCAST, source, tuple(factors)))
                slots[axes[0]] = following
                following += 1
            else:
                size_ops.append(SizeOp(CHECK, source, tuple(factors)))
        if len(open_dims) == len(waiting):
            raise _ambiguous(tree, ranks, labels, slots, *open_dims[0])
        waiting = open_dims
    return size_ops, following


def slot_labels(solved: SolvedPattern, size_ops: Iterable[SizeOp]) -> dict[int, str]:
    """What each slot is the size of, as the pattern spells it: ``h``, ``(h p)``, or ``1`` for a unit dimension.

    >>> from plait._notation.parser import parse
    >>> solved = solve_pattern(parse("b (h p) -> b h p"), (2,), ("p",))
    >>> slot_labels(solved, solved.size_ops)
    {0: 'b', 1: '(h p)', 3: 'h', 2: 'p'}
    """
    labels = {}
    for source, axes in enumerate(sum(solved.inputs, ())):
        labels[source] = dimension_text([solved.labels[axis] for axis in axes])
    labels.update(zip(solved.slots, solved.labels, strict=True))
    following = solved.initial_slot_count
    for row in size_ops:
        if row.kind == PRODUCT:
            labels[following] = dimension_text([labels[factor] for factor in row.factors])
        following += row.kind in COMPUTING
    return labels


def dimension_text(axes: Sequence[str]) -> str:
    """One dimension of a tensor as text: ``h``, ``(h p)``, or ``1`` where it has no axes."""
    if len(axes) == 1:
        return axes[0]
    return f"({' '.join(axes)})" if axes else "1"


def unknown_size(name: str, known: Collection[str], text: str) -> Exception:
    """The error for a size that names no axis."""
    return make_error("PLT203", f"size {name} names no axis of the pattern{did_you_mean(name, known)}", text)


def _ambiguous(
    tree: Tree, ranks: tuple[int, ...], labels: Sequence[str], slots: Sequence[int | None], source: int, axes: Axes
) -> Exception:
    unknown = [labels[axis] for axis in axes if slots[axis] is None]
    listed = f"{', '.join(unknown[:-1])} and {unknown[-1]}"
    both, others = ("both", "one of them") if len(unknown) == 2 else ("all", "all but one")
    where, span = dimension_place(tree, ranks, source)
    message = f"{listed} cannot {both} be inferred from {where}; give {others}, as in {unknown[-1]}=2"
    return make_error("PLT303", message, tree.text, [span])


def _unsized(tree: Tree, label: str) -> Exception:
    node = collect_names(tree.right or ())[label]
    message = f"nothing tells the size of {label}, which stands on the right only; give it, as in {label}=2"
    return make_error("PLT303", message, tree.text, [(node.start, node.stop)])


def rank_error(tree: Tree, number: int, rank: object, tensors: int = 1) -> PlaitError:
    """The rank of one tensor is not what the pattern says."""
    expr = tree.left[number]
    dots = any(type(item) is Ellipsis for item in expr.items)
    count = len(expr.items) - dots
    message = (
        f"{tensor_place(number, tensors)} has rank {rank}, and the pattern "
        f"'{expr}' has {'at least ' if dots else ''}{count} dimension{'s' if count != 1 else ''}"
    )
    return make_error("PLT304", message, tree.text, [expr.span])


def tensor_place(number: int, count: int) -> str:
    """How a sentence names a tensor."""
    return "the input" if count == 1 else tensor_name(number, count)


def tensor_name(number: int, count: int) -> str:
    """What a tensor is called in the lines of an error or of a plan."""
    return "input" if count == 1 else f"tensor {number}"


def dimension_place(tree: Tree, ranks: tuple[int, ...], slot: int) -> tuple[str, Span]:
    """How an error names a dimension, and where the pattern has it."""
    number, place = 0, slot
    while place >= ranks[number]:
        place -= ranks[number]
        number += 1
    item = items_by_dimension(tree.left[number], ranks[number])[place]
    where = f"dimension {place} of {tensor_place(number, len(ranks))}"
    return where, (item.start, item.stop)
