"""How two tensors meet: every way to multiply them and sum that may be the cheapest, with its price.

A product of matrices sees four kinds of axes. Those that both tensors have and the result keeps are *looped* over;
those that both have and the result lacks are *inner* and summed; those of one tensor alone are its *rows* or the
other's *columns*. What makes one product cheaper than another is which operand comes first, which of its own axes are
looped over instead of merged, and whether memory already lies as the product needs it.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from itertools import accumulate, dropwhile
from math import prod
from operator import mul
from typing import NamedTuple

from weft.plan.contraction.arrange import Arranged, Operand, arrange
from weft.plan.contraction.network import Axes, Dims
from weft.plan.contraction.prices import Prices
from weft.plan.steps import Reshape, Step

MATMUL = "matmul"
MULTIPLY = "multiply"
EINSUM = "einsum"
NOTHING = "nothing"
"""One tensor alone: all that is done to it are its steps."""


class Buffer(NamedTuple):
    """Memory for a result: its shape, and the order of its dimensions in which the product fills it."""

    shape: tuple[int, ...]
    order: tuple[int, ...]


class Meeting(NamedTuple):
    """Tensors become one.

    ``places`` are those of the tensors among the ones at hand: they are taken out, and the result becomes the last.
    ``sides`` are the steps of each tensor before, ``after`` those of the result. ``equation`` is for ``einsum``. A product
    of matrices may fill a ``buffer`` made before, and is ``batched`` where a side has more than two dimensions.
    """

    places: tuple[int, ...]
    sides: tuple[tuple[Step, ...], ...]
    how: str
    equation: str
    buffer: Buffer | None
    after: tuple[Step, ...]
    batched: bool = False


class Goal(NamedTuple):
    """What a meeting is to leave: the axes ``kept``; at the end of a contraction their ``order``, and the ``shape``.

    ``merges`` says that the shape has dimensions of several axes.
    """

    kept: frozenset[int]
    order: Axes | None = None
    shape: tuple[int, ...] = ()
    merges: bool = False


class Way(NamedTuple):
    """One way to meet: its price in microseconds, the meeting, and what it leaves."""

    price: float
    meeting: Meeting
    left: Operand


def goal_of(output: Axes, shape: tuple[int, ...], sizes: Sequence[int]) -> Goal:
    """The goal of the last meeting."""
    ends = set(accumulate([sizes[axis] for axis in output], mul))
    return Goal(frozenset(output), output, shape, not ends <= set(accumulate(shape, mul)))


def ways(places: tuple[int, ...], tensors: Sequence[Operand], goal: Goal, sizes: Sequence[int], prices: Prices) -> list[Way]:
    """All ways to meet that are worth a look.

    Args:
        places: which of the tensors at hand meet.
        tensors: those two, or more for einsum alone. No axis stands twice in one, or in one alone and not in the goal.
        goal: what they are to leave.
        sizes: the length of each axis.
        prices: what the framework charges.
    """
    found = list(einsums(places, tensors, goal, sizes, prices))
    if len(tensors) == 1 and goal.kept == {*tensors[0].axes}:
        price, steps, left = _finish(tensors[0], goal, sizes, prices)
        found.append(Way(price, Meeting(places, (steps,), NOTHING, "", None, ()), left))
    if len(tensors) == 2:
        one, other = tensors
        if {*one.axes} & {*other.axes} <= goal.kept:
            found.append(_multiplied(places, one, other, goal, sizes, prices))
        else:
            found += _matmuls(places, one, other, goal, sizes, prices)
            found += _matmuls(places[::-1], other, one, goal, sizes, prices)
    return found


def _length(axes: Axes, sizes: Sequence[int]) -> int:
    return prod([sizes[axis] for axis in axes])


def _finish(product: Operand, goal: Goal, sizes: Sequence[int], prices: Prices) -> tuple[float, tuple[Step, ...], Operand]:
    """The price and the steps from a product to the goal, and what is left then."""
    if goal.order is None:
        return 0, product.steps, product._replace(steps=())
    steps, copied = arrange(product, tuple([(axis,) for axis in goal.order]), sizes)
    if product.axes == goal.order:
        steps = product.steps if product.shape == goal.shape else (*product.steps, Reshape(goal.shape))
    elif goal.shape != tuple([sizes[axis] for axis in goal.order]):
        steps = (*steps, Reshape(goal.shape))
        copied += _length(product.axes, sizes) if goal.merges else 0
    return len(steps) * prices.view + copied * prices.copy, steps, Operand(goal.order, goal.shape)


def einsums(
    places: tuple[int, ...], tensors: Sequence[Operand], goal: Goal, sizes: Sequence[int], prices: Prices
) -> Iterator[Way]:
    """The framework's own einsum, if there are letters enough."""
    axes = list(dict.fromkeys([axis for tensor in tensors for axis in tensor.axes]))
    if len(axes) > len(string.ascii_letters):
        return
    order = tuple([axis for axis in axes if axis in goal.kept]) if goal.order is None else goal.order
    letter = dict(zip(axes, string.ascii_letters, strict=False))
    texts = ["".join([letter[axis] for axis in term]) for term in (*[tensor.axes for tensor in tensors], order)]
    sides = [arrange(tensor, tuple([(axis,) for axis in tensor.axes]), sizes).steps for tensor in tensors]
    total = _length(tuple(axes), sizes)
    innermost = [tensor.axes[-1] for tensor in tensors if tensor.axes]
    row = max([sizes[axis] for axis in innermost if _is_innermost(axis, tensors, order)], default=1)
    rate = prices.scan if row > 1 else prices.stray
    work = prices.einsum + total * rate * max(1, len(tensors) - 1) + total // row * prices.row
    after, steps, left = _finish(Operand(order, tuple([sizes[axis] for axis in order])), goal, sizes, prices)
    equation = f"{','.join(texts[:-1])}->{texts[-1]}"
    price = work + after + prices.view * sum(map(len, sides))
    yield Way(price, Meeting(places, tuple(sides), EINSUM, equation, None, steps), left)


def _is_innermost(axis: int, tensors: Sequence[Operand], order: Axes) -> bool:
    return all(axis not in term or axis == term[-1] for term in (*[tensor.axes for tensor in tensors], order))


def _multiplied(
    places: tuple[int, ...], one: Operand, other: Operand, goal: Goal, sizes: Sequence[int], prices: Prices
) -> Way:
    """Nothing is summed: a product of elements, each tensor stretched along the axes that only the other has."""
    own = tuple([axis for axis in other.axes if axis not in one.axes])
    order = (*one.axes, *own) if goal.order is None else goal.order
    sides, work = [], prices.multiply
    for tensor in (one, other):
        dims = tuple(dropwhile(_is_unit, [(axis,) if axis in tensor.axes else () for axis in order]))
        steps, copied = arrange(tensor, dims, sizes)
        sides.append(steps)
        work += len(steps) * prices.view + copied * prices.copy
    row = order[-1] if order else None
    ordered = all(row not in tensor.axes or row == tensor.axes[-1] for tensor in (one, other))
    work += _length(order, sizes) * (prices.elementwise if ordered else prices.stray)
    after, steps, left = _finish(Operand(order, tuple([sizes[axis] for axis in order])), goal, sizes, prices)
    return Way(work + after, Meeting(places, tuple(sides), MULTIPLY, "", None, steps), left)


def _is_unit(axes: Axes) -> bool:
    return not axes


def _matmuls(
    places: tuple[int, ...], one: Operand, other: Operand, goal: Goal, sizes: Sequence[int], prices: Prices
) -> Iterator[Way]:
    """Products of matrices in which the rows are the first tensor's, and the columns the second's."""
    both = {*one.axes} & {*other.axes}
    rows = tuple([axis for axis in one.axes if axis not in both])
    columns = tuple([axis for axis in other.axes if axis not in both])
    inners = dict.fromkeys([tuple([axis for axis in each.axes if axis in both - goal.kept]) for each in (one, other)])
    for merged_rows in _merges(rows, one, prices):
        for merged_columns in _merges(columns, other, prices):
            for inner in inners:
                groups = _Groups(merged_rows, merged_columns, inner)
                yield _matmul(places, one, other, groups, goal, sizes, prices)


class _Groups(NamedTuple):
    rows: Axes
    columns: Axes
    inner: Axes


def _merges(own: Axes, tensor: Operand, prices: Prices) -> list[Axes]:
    """Which of a tensor's own axes make its rows, or columns; the others are looped over."""
    if len(own) < 2 or not prices.loops:
        return [own]
    place = {axis: number for number, axis in enumerate(tensor.axes)}
    runs: list[Axes] = []
    for axis in own:
        if runs and place[axis] == place[runs[-1][-1]] + 1:
            runs[-1] = (*runs[-1], axis)
        else:
            runs.append((axis,))
    return list(dict.fromkeys([own, *runs, *[(axis,) for axis in own]]))


def _matmul(
    places: tuple[int, ...],
    one: Operand,
    other: Operand,
    groups: _Groups,
    goal: Goal,
    sizes: Sequence[int],
    prices: Prices,
) -> Way:
    rows, columns, inner = groups
    loops = _loops(one, other, groups, goal)
    left_loops, right_loops = _loop_dims(loops, one, prices), _loop_dims(loops, other, prices)
    with_rows = bool(rows or left_loops)
    with_columns = bool(columns or right_loops)
    left = arrange(one, (*left_loops, *((rows,) * with_rows), inner), sizes)
    right = arrange(other, (*right_loops, inner, *((columns,) * with_columns)), sizes)
    dims: Dims = (*_loop_dims(loops, None, prices), *((rows,) * with_rows), *((columns,) * with_columns))
    product = Operand((*loops, *rows, *columns), tuple([_length(group, sizes) for group in dims]))
    batched = bool(left_loops or right_loops)
    lengths = [_length(group, sizes) for group in (rows, columns, inner)]
    work = prices.matrices(_length(loops, sizes), *lengths)
    work += _brought(one, left, (rows, inner), sizes, prices) + _brought(other, right, (columns, inner), sizes, prices)
    sides = (left.steps, right.steps)
    after, steps, rest = _finish(product, goal, sizes, prices)
    buffer = _buffer(dims, product, goal, sizes, prices)
    if buffer is not None:
        filled = prices.buffer + (0 if buffer.shape == goal.shape else prices.view)
        if not {*rows, *columns} & {*(goal.order or ())[-1:]}:
            filled += _length(product.axes, sizes) * prices.copy
        if filled < after:
            steps = () if buffer.shape == goal.shape else (Reshape(goal.shape),)
            return Way(work + filled, Meeting(places, sides, MATMUL, "", buffer, steps, batched), rest)
    return Way(work + after, Meeting(places, sides, MATMUL, "", None, steps, batched), rest)


def _loops(one: Operand, other: Operand, groups: _Groups, goal: Goal) -> Axes:
    """The axes that are looped over, in the order of the goal, or of the tensors."""
    order = dict.fromkeys((*one.axes, *other.axes)) if goal.order is None else goal.order
    inside = {*groups.rows, *groups.columns, *groups.inner}
    return tuple([axis for axis in order if axis not in inside])


def _loop_dims(loops: Axes, tensor: Operand | None, prices: Prices) -> Dims:
    """The dimensions before the last two, of one tensor or of the product."""
    if not prices.loops:
        return (loops,) if loops else ()
    if tensor is None:
        return tuple([(axis,) for axis in loops])
    return tuple(dropwhile(_is_unit, [(axis,) if axis in tensor.axes else () for axis in loops]))


def _brought(tensor: Operand, arranged: Arranged, matrix: tuple[Axes, Axes], sizes: Sequence[int], prices: Prices) -> float:
    """The price of an operand: its calls, and a copy where the product of matrices would make one itself."""
    price = len(arranged.steps) * prices.view + arranged.copied * prices.copy
    last = tensor.axes[-1:]
    if not arranged.copied and last and last[0] not in (*matrix[0], *matrix[1]):
        price += _length(tensor.axes, sizes) * prices.copy
    return price


def _buffer(dims: Dims, product: Operand, goal: Goal, sizes: Sequence[int], prices: Prices) -> Buffer | None:
    """Memory in the order of the goal that the product can fill, where it would come in another order."""
    order = goal.order
    if not prices.fills or order is None or product.axes == order:
        return None
    place = {axis: number for number, axis in enumerate(order)}
    if any(place[axis] != place[group[0]] + number for group in dims for number, axis in enumerate(group)):
        return None
    memory = sorted(range(len(dims)), key=lambda number: place[dims[number][0]] if dims[number] else -1)
    shape = tuple([_length(dims[number], sizes) for number in memory])
    return Buffer(shape, tuple([memory.index(number) for number in range(len(dims))]))
