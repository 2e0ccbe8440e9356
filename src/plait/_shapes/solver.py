"""The solver: finds how each axis size is computed from dimensions and given sizes, before any length is known.

A solved pattern depends on the pattern, the ranks and the *names* of the given sizes, and consists of ints and strings
only. It is therefore a constant under every tracer, and the same for every shape.

Sizes are stored in a list of *slots*, in this order: the dimensions of every tensor, the given sizes, the constants of
the pattern, and then one slot for each size operation that computes a size.
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
    item_of_each_dimension,
)
from plait.errors import PlaitError, Span, did_you_mean, make_error

PRODUCT = "product"
"""A kind of `SizeOp`: append the product of its ``factors`` to the slots."""
QUOTIENT = "quotient"
"""A kind of `SizeOp`: append ``source`` divided by the product of ``factors`` to the slots; raise for a remainder."""
CHECK_EQUAL = "check"
"""A kind of `SizeOp`: raise if ``source`` is not the product of ``factors``."""
BROADCAST = "broadcast"
"""A kind of `SizeOp`: append to the slots the length to which ``source`` and the one item of ``factors`` broadcast.

So do the dimensions of an ellipsis, and in a classical equation those of one letter in several tensors."""
CHECK_NONEMPTY = "nonempty"
"""A kind of `SizeOp`: raise if ``source`` is 0."""
SIZE_OP_KINDS_WITH_RESULT = (PRODUCT, QUOTIENT, BROADCAST)
"""The kinds of `SizeOp` that append a slot; the other kinds only check."""

ELLIPSIS_LABEL = "..."
"""The label of every axis that an ellipsis represents."""

Axes: TypeAlias = "tuple[int, ...]"
"""The axes of one dimension, as numbers."""

Dims: TypeAlias = "tuple[Axes, ...]"
"""The dimensions of one tensor, each as its axes."""


class SizeOp(NamedTuple):
    """One operation on the list of slots: it reads sizes there, and appends a new one or checks them."""

    kind: str  # `PRODUCT` or another of the constants above
    source: int  # the slot of a size
    factors: tuple[int, ...]  # the slots of sizes


class SolvedPattern(NamedTuple):
    """A pattern solved for all shapes of certain ranks; the axes are numbered from 0."""

    text: str
    is_classical: bool  # whether the text is a classical equation of single letters
    ranks: tuple[int, ...]
    size_names: tuple[str, ...]  # of the given sizes
    constants: tuple[int, ...]  # the numbers in the pattern, except 1
    inputs: tuple[Dims, ...]  # without unit axes: a dimension without axes has the length 1
    output: Dims
    labels: tuple[str, ...]  # the text of each axis in the pattern
    slots: tuple[int, ...]  # the slot that holds the size of each axis
    size_ops: tuple[SizeOp, ...]
    slot_count: int  # the number of slots after the last size operation

    @property
    def tree(self) -> Tree:
        """The syntax tree; it is not stored but parsed again, since only errors and explanations need it."""
        if self.is_classical:
            from plait._notation.equation import parse_equation

            return parse_equation(self.text, len(self.ranks))
        return parse(self.text)

    @property
    def is_bijection(self) -> bool:
        """Whether there is one tensor, and every axis has a name and appears exactly once on each side."""
        axes = [*range(len(self.labels))]
        return axes == sorted(sum(self.inputs[0], ())) == sorted(sum(self.output, ())) and not self.constants

    @property
    def initial_slot_count(self) -> int:
        """The number of slots before the first size operation runs."""
        return sum(self.ranks) + len(self.size_names) + len(self.constants)


def solve_pattern(tree: Tree, ranks: tuple[int, ...], size_names: tuple[str, ...] = ()) -> SolvedPattern:
    """Solve a pattern for tensors of the given ranks and for the names of the sizes that the caller gives.

    >>> from plait._notation.parser import parse
    >>> solve_pattern(parse("b (h p) -> b h p"), (2,), ("p",)).size_ops
    (SizeOp(kind='quotient', source=1, factors=(2,)),)
    """
    ellipsis_rank = 0
    axes: dict[object, int] = {}
    inputs: list[Dims] = []
    for number, expr in enumerate(tree.left):
        missing = ranks[number] - len(expr.items) + 1  # the number of axes of an ellipsis
        inputs.append(_number_axes(expr, missing, axes))
        if len(inputs[-1]) != ranks[number]:
            raise rank_error(tree, number, ranks[number], len(ranks))
        if Ellipsis in map(type, expr.items):
            ellipsis_rank = max(ellipsis_rank, missing)
    output = _number_axes(tree.right[0], ellipsis_rank, axes) if tree.right else ()
    for name in size_names:
        if name not in axes:
            raise unknown_size_name_error(name, collect_names(tree.left + (tree.right or ())), tree.text)
    first_given = sum(ranks)  # the slot of the first given size
    labels: list[str] = []
    slots: list[int | None] = []
    constants: list[int] = []
    for key in axes:
        if type(key) is Number:
            labels.append(str(key.value))
            slots.append(first_given + len(size_names) + len(constants))
            constants.append(key.value)
        else:
            labels.append(key if type(key) is str else ELLIPSIS_LABEL)
            slots.append(first_given + size_names.index(key) if key in size_names else None)
    next_slot = first_given + len(size_names) + len(constants)
    if tree.is_classical:
        size_ops, slot_count = _infer_broadcast_sizes(inputs, slots, next_slot)
    else:
        size_ops, slot_count = _infer_sizes(tree, ranks, sum(inputs, ()), labels, slots, next_slot)
    if None in slots:
        raise _missing_size_error(tree, labels[slots.index(None)])
    return SolvedPattern(
        text=tree.text,
        is_classical=tree.is_classical,
        ranks=ranks,
        size_names=size_names,
        constants=tuple(constants),
        inputs=tuple(inputs),
        output=output,
        labels=tuple(labels),
        slots=tuple(slots),  # type: ignore[arg-type]  # None was excluded above
        size_ops=tuple(size_ops),
        slot_count=slot_count,
    )


def _number_axes(expr: TensorExpr, ellipsis_rank: int, axes: dict[object, int]) -> Dims:
    """Return the dimensions of one tensor, each as the numbers of its axes; new axes are added to ``axes``.

    The key of an axis in ``axes`` is its name, the node of its number, or its index in an ellipsis, counted from the
    right as in broadcasting. The ellipsis of this tensor represents ``ellipsis_rank`` axes.
    """
    dims: list[Axes] = []
    for item in expr.items:
        if type(item) is Name:  # a fast path for the common case
            dims.append((axes.setdefault(item.text, len(axes)),))
            continue
        dim: list[int] = []
        for leaf in item_leaves(item):
            if type(leaf) is Name:
                dim.append(axes.setdefault(leaf.text, len(axes)))
            elif type(leaf) is Ellipsis:
                dim += [axes.setdefault(index, len(axes)) for index in reversed(range(ellipsis_rank))]
            elif type(leaf) is Number and leaf.value != 1:
                dim.append(axes.setdefault(leaf, len(axes)))
        if type(item) is Ellipsis:
            dims += [(axis,) for axis in dim]
        else:
            dims.append(tuple(dim))
    return tuple(dims)


def _infer_sizes(
    tree: Tree,
    ranks: tuple[int, ...],
    dims: Iterable[Axes],
    labels: Sequence[str],
    slots: list[int | None],
    next_slot: int,
) -> tuple[list[SizeOp], int]:
    """Set the slot of each axis of the inputs; return the size operations, and the number of slots after them.

    The size of an axis is inferred from a dimension in which the sizes of all other axes are known. This may leave one
    unknown axis in another dimension, and so is repeated until every axis has a slot.
    """
    size_ops: list[SizeOp] = []
    remaining = list(enumerate(dims))
    while remaining:
        unsolved: list[tuple[int, Axes]] = []
        for source, axes in remaining:
            if len(axes) == 1 and slots[axes[0]] is None:
                slots[axes[0]] = source
                continue
            factors: list[Any] = [*map(slots.__getitem__, axes)]
            unknown = factors.count(None)
            if unknown > 1:
                unsolved.append((source, axes))
            elif unknown:
                axis = axes[factors.index(None)]
                factors.remove(None)
                size_ops.append(SizeOp(QUOTIENT, source, tuple(factors)))
                slots[axis] = next_slot
                next_slot += 1
            elif len(axes) == 1 and labels[axes[0]] == ELLIPSIS_LABEL:
                size_ops.append(SizeOp(BROADCAST, source, tuple(factors)))
                slots[axes[0]] = next_slot
                next_slot += 1
            else:
                size_ops.append(SizeOp(CHECK_EQUAL, source, tuple(factors)))
        if len(unsolved) == len(remaining):
            raise _ambiguous_dimension_error(tree, ranks, labels, slots, *unsolved[0])
        remaining = unsolved
    return size_ops, next_slot


def _infer_broadcast_sizes(inputs: Sequence[Dims], slots: list[int | None], next_slot: int) -> tuple[list[SizeOp], int]:
    """Do what `_infer_sizes` does for a classical equation, in which each dimension has one axis.

    Length 1 is stretched to the length that the axis has in another tensor; within one tensor, and where the caller
    gives the size, all lengths are equal.
    """
    size_ops: list[SizeOp] = []
    given = {axis for axis, slot in enumerate(slots) if slot is not None}
    source = 0
    for dims in inputs:
        slot_in_tensor: dict[int, int] = {}
        for (axis,) in dims:
            slot = slots[axis]
            if axis in slot_in_tensor:
                size_ops.append(SizeOp(CHECK_EQUAL, source, (slot_in_tensor[axis],)))
            elif slot is None:
                slots[axis] = source
            elif axis in given:
                size_ops.append(SizeOp(CHECK_EQUAL, source, (slot,)))
            else:
                size_ops.append(SizeOp(BROADCAST, source, (slot,)))
                slots[axis] = next_slot
                next_slot += 1
            slot_in_tensor.setdefault(axis, source)
            source += 1
    return size_ops, next_slot


def slot_labels(solved: SolvedPattern, size_ops: Iterable[SizeOp]) -> dict[int, str]:
    """Return, for each slot, the text of the axis or dimension whose size it holds: ``h``, ``(h p)``, or ``1``.

    >>> from plait._notation.parser import parse
    >>> solved = solve_pattern(parse("b (h p) -> b h p"), (2,), ("p",))
    >>> slot_labels(solved, solved.size_ops)
    {0: 'b', 1: '(h p)', 3: 'h', 2: 'p'}
    """
    labels = {}
    for source, axes in enumerate(sum(solved.inputs, ())):
        labels[source] = format_dimension([solved.labels[axis] for axis in axes])
    labels.update(zip(solved.slots, solved.labels, strict=True))
    next_slot = solved.initial_slot_count
    for op in size_ops:
        if op.kind == PRODUCT:
            labels[next_slot] = format_dimension([labels[factor] for factor in op.factors])
        next_slot += op.kind in SIZE_OP_KINDS_WITH_RESULT
    return labels


def format_dimension(axes: Sequence[str]) -> str:
    """Return one dimension of a tensor as text: ``h``, ``(h p)``, or ``1`` if it has no axes."""
    if len(axes) == 1:
        return axes[0]
    return f"({' '.join(axes)})" if axes else "1"


_NO_TUNING_HINT = "plait chooses how to compute it"
_CONVERT_HINT = "convert the tensor before or after the call"
_KEEP_HINT = "write 1 on the right for each dimension to keep"
_AXIS_HINT = "leave the axis out on the right of the pattern"
_PATH_HINT = "plait.options(contract=...) chooses the contraction path"
_LIMIT_HINT = "plait.options(memory_limit=...) limits the memory of an einsum"
_BACKEND_HINT = "the framework of the tensors computes the result"

_HINTS_BY_ARGUMENT_NAME = {
    **dict.fromkeys(("optimize", "optimizer", "path", "slicing_opts"), _PATH_HINT),
    "memory_limit": _LIMIT_HINT,
    "out": "elsewhere plait returns a new result",
    **dict.fromkeys(("dtype", "acc_dtype", "casting"), _CONVERT_HINT),
    "order": "plait does not promise a memory order; copy the result in the order that you need",
    **dict.fromkeys(("backend", "device", "stream"), _BACKEND_HINT),
    **dict.fromkeys(("use_blas", "split_every", "implementation", "_dot_general", "autojit"), _NO_TUNING_HINT),
    "requires_grad": "the result has a gradient if a tensor has one",
    "name": "plait gives no names to operations",
    **dict.fromkeys(("constants", "shapes"), "plait.compile(pattern) makes an object for many calls"),
    "subscripts": "pass the pattern without a keyword",
    "equation": "pass the pattern without a keyword",
    **dict.fromkeys(("operands", "tensors"), "pass the tensors without a keyword"),
    **dict.fromkeys(("axis", "axes", "dim", "dims"), _AXIS_HINT),
    **dict.fromkeys(("keepdims", "keepdim", "keep_dims"), _KEEP_HINT),
    **dict.fromkeys(("where", "initial", "ddof", "correction"), "pass a function f(tensor, axes) as the reduction"),
    **dict.fromkeys(("out_sharding", "precision", "preferred_element_type"), "it is an argument of einsum"),
}
"""Hints in the error for an unknown size, for names that are arguments of other libraries' functions."""

CLASSICAL_ARGUMENT_NAMES = ("optimize", "out", "dtype", "casting", "order")
"""The arguments of NumPy's einsum, which `plait.einsum` has in the classical and the interleaved form alone."""

PARAMETER_NAMES = ("tensor", "pattern", "reduction")
"""The names that Python takes for arguments of the public functions, so that no size can be given with such a name."""


def unknown_size_name_error(name: str, axis_names: Collection[str], text: str) -> PlaitError:
    """Return the error for a given size whose name is not an axis of the pattern."""
    hint = _HINTS_BY_ARGUMENT_NAME.get(name)
    if name in CLASSICAL_ARGUMENT_NAMES:
        message = f"'{name}' is not an axis of the pattern; it is an argument of einsum in the classical form alone, "
        return make_error("PLT203", f"{message}einsum(equation, *tensors, {name}=...); {hint}", text)
    end = f" or an argument of plait; {hint}" if hint else did_you_mean(name, axis_names)
    return make_error("PLT203", f"'{name}' is not an axis of the pattern{end}", text)


def _ambiguous_dimension_error(
    tree: Tree, ranks: tuple[int, ...], labels: Sequence[str], slots: Sequence[int | None], source: int, dim_axes: Axes
) -> Exception:
    """Return the error for a dimension with several axes whose sizes cannot be inferred."""
    unknown = [labels[axis] for axis in dim_axes if slots[axis] is None]
    listed = f"{', '.join(unknown[:-1])} and {unknown[-1]}"
    others = "one of them" if len(unknown) == 2 else "all but one"
    where, span = dimension_phrase_and_span(tree, ranks, source)
    possible = [name for name in unknown if name not in PARAMETER_NAMES] or unknown
    message = f"cannot infer {listed} from {where}; pass {others}, {_example_of_size(possible[-1])}"
    return make_error("PLT303", message, tree.text, [span])


def _missing_size_error(tree: Tree, label: str) -> Exception:
    """Return the error for a new axis on the right whose size is not given."""
    node = collect_names(tree.right or ())[label]
    message = f"cannot infer the length of new axis '{label}'; pass it, {_example_of_size(label)}"
    return make_error("PLT303", message, tree.text, [(node.start, node.stop)])


def _example_of_size(name: str) -> str:
    """Return the end of a message that shows how a size is given."""
    if name in PARAMETER_NAMES:
        return f"but rename it first, since '{name}' is an argument, or use plait.compile(pattern, {name}=2)"
    return f"e.g. {name}=2"


def rank_error(tree: Tree, number: int, rank: object, tensors: int = 1) -> PlaitError:
    """Return the error for a tensor whose rank does not fit the pattern."""
    expr = tree.left[number]
    dots = any(type(item) is Ellipsis for item in expr.items)
    count = len(expr.items) - dots
    message = (
        f"{tensor_phrase(number, tensors)} has rank {rank}, but the pattern "
        f"'{expr}' has {'at least ' if dots else ''}{count} dimension{'s' if count != 1 else ''}"
    )
    letters = str(expr)
    if tree.is_classical and any(len(word) > 1 for word in tree.text[expr.start : expr.stop].split()):
        from plait._notation.equation import PATTERN_LAST_HINT

        message += f"; {PATTERN_LAST_HINT}"
    elif count == 1 and letters.isalpha() and len(letters) == rank:
        message += f"; write blanks between axes: '{' '.join(letters)}'"
    return make_error("PLT304", message, tree.text, [expr.span])


def tensor_phrase(number: int, count: int) -> str:
    """Return how the sentence of a message refers to a tensor: ``the input``, or ``tensor 1`` of several."""
    return "the input" if count == 1 else tensor_label(number, count)


def tensor_label(number: int, count: int) -> str:
    """Return the label of a tensor in errors and printed plans: ``input``, or ``tensor 1`` of several."""
    return "input" if count == 1 else f"tensor {number}"


def tensor_number_and_dimension(ranks: Sequence[int], slot: int) -> tuple[int, int]:
    """Return the number of the tensor, and the dimension of it, whose length is in a slot.

    >>> tensor_number_and_dimension((2, 3), 4)
    (1, 2)
    """
    number = 0
    while slot >= ranks[number]:
        slot -= ranks[number]
        number += 1
    return number, slot


def dimension_phrase_and_span(tree: Tree, ranks: tuple[int, ...], slot: int) -> tuple[str, Span]:
    """Return how a message refers to the dimension whose length is in a slot, and the range of its text."""
    number, dim = tensor_number_and_dimension(ranks, slot)
    item = item_of_each_dimension(tree.left[number], ranks[number])[dim]
    where = f"dimension {dim} of {tensor_phrase(number, len(ranks))}"
    return where, (item.start, item.stop)
