"""Products of two tensors as products of matrices: which of their axes are rows, columns, inner, or looped over.

A product of matrices sees four kinds of axes. Those that both tensors have and the result keeps are *looped* over;
those that both have and the result lacks are *inner* and summed; those of one tensor alone are its *rows* or the
other's *columns*. What makes one product cheaper than another is which operand comes first, which of its own axes are
looped over instead of merged, and whether memory already lies as the product needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import dropwhile
from typing import NamedTuple

from weft.plan.contraction.arrange import Arranged, Operand, arrange
from weft.plan.contraction.meeting import MATMUL, Buffer, Goal, Market, Meeting, Way, finish
from weft.plan.contraction.network import Axes, Dims
from weft.plan.steps import Reshape, Step


class Groups(NamedTuple):
    """The axes that are merged to the rows, the columns, and the inner dimension; the others are looped over."""

    rows: Axes
    columns: Axes
    inner: Axes


def groups_of(one: Operand, other: Operand, goal: Goal, market: Market) -> Iterator[Groups]:
    """The groups that are worth a look, where the rows are the first tensor's, and the columns the second's."""
    both = {*one.axes} & {*other.axes}
    rows = tuple([axis for axis in one.axes if axis not in both])
    columns = tuple([axis for axis in other.axes if axis not in both])
    inners = dict.fromkeys([tuple([axis for axis in each.axes if axis in both - goal.kept]) for each in (one, other)])
    for merged_rows in _merges(rows, one, market):
        for merged_columns in _merges(columns, other, market):
            for inner in inners:
                yield Groups(merged_rows, merged_columns, inner)


def _merges(own: Axes, tensor: Operand, market: Market) -> list[Axes]:
    """Which of a tensor's own axes make its rows, or columns: all, a run that lies together in memory, or one."""
    if len(own) < 2 or not market.prices.loops:
        return [own]
    place = {axis: number for number, axis in enumerate(tensor.axes)}
    runs: list[Axes] = []
    for axis in own:
        if runs and place[axis] == place[runs[-1][-1]] + 1:
            runs[-1] = (*runs[-1], axis)
        else:
            runs.append((axis,))
    return list(dict.fromkeys([own, *runs, *[(axis,) for axis in own]]))


def matmul(places: tuple[int, ...], one: Operand, other: Operand, groups: Groups, goal: Goal, market: Market) -> Way:
    """The product of matrices with these groups."""
    rows, columns, inner = groups
    prices = market.prices
    loops = _loops(one, other, groups, goal)
    left_loops, right_loops = _loop_dims(loops, one, market), _loop_dims(loops, other, market)
    row_dims: Dims = (rows,) if rows or left_loops else ()  # a vector has neither rows nor columns
    column_dims: Dims = (columns,) if columns or right_loops else ()
    left = arrange(one, (*left_loops, *row_dims, inner), market.sizes)
    right = arrange(other, (*right_loops, inner, *column_dims), market.sizes)
    dims: Dims = (*_loop_dims(loops, None, market), *row_dims, *column_dims)
    product = Operand((*loops, *rows, *columns), tuple([market.length(dim) for dim in dims]))
    price = prices.matrices(market.length(loops), *[market.length(group) for group in groups])
    price += _brought(one, left, (*rows, *inner), market) + _brought(other, right, (*columns, *inner), market)
    more, after, result = finish(product, goal, market)
    plain = Meeting(places, (left.steps, right.steps), MATMUL, "", None, after, bool(left_loops or right_loops), len(dims))
    if prices.folds and not loops and _is_folded(one, plain, goal, market.length(columns) if columns else None):
        return Way(price, plain._replace(sides=((), right.steps), after=()), result)
    buffer = _buffer(dims, product, goal, market)
    if buffer is not None:
        filled = prices.buffer + (0 if buffer.shape == goal.shape else prices.view)
        if goal.order and goal.order[-1] not in (*rows, *columns):
            filled += market.length(product.axes) * prices.copy
        if filled < more:
            after = () if buffer.shape == goal.shape else (Reshape(goal.shape),)
            return Way(price + filled, plain._replace(buffer=buffer, after=after), result)
    return Way(price + more, plain, result)


def _loops(one: Operand, other: Operand, groups: Groups, goal: Goal) -> Axes:
    """The axes that are looped over, in the order of the goal, or of the tensors."""
    order = dict.fromkeys((*one.axes, *other.axes)) if goal.order is None else goal.order
    inside = {*groups.rows, *groups.columns, *groups.inner}
    return tuple([axis for axis in order if axis not in inside])


def _loop_dims(loops: Axes, tensor: Operand | None, market: Market) -> Dims:
    """The dimensions before the last two, of one tensor or of the product."""
    if not market.prices.loops:
        return (loops,) if loops else ()
    if tensor is None:
        return tuple([(axis,) for axis in loops])
    return tuple(dropwhile(is_unit, [(axis,) if axis in tensor.axes else () for axis in loops]))


def is_unit(axes: Axes) -> bool:
    """Whether a dimension has no axes, and so the length 1."""
    return not axes


def _brought(tensor: Operand, arranged: Arranged, matrix: Axes, market: Market) -> float:
    """The price of an operand: its calls, and a copy, which the product makes itself where no matrix lies in order."""
    price = len(arranged.steps) * market.prices.view + arranged.copied * market.prices.copy
    if not arranged.copied and tensor.axes and tensor.axes[-1] not in matrix:
        price += market.length(tensor.axes) * market.prices.copy
    return price


def _is_folded(one: Operand, meeting: Meeting, goal: Goal, columns: int | None) -> bool:
    """Whether all that is done before and after is to make one dimension of the rows, and several again."""
    steps: tuple[Step, ...] = (*meeting.sides[0], *meeting.after)
    if len(steps) != 2 or len(meeting.after) != 1 or not all(isinstance(step, Reshape) for step in steps):
        return False
    return one.shape[-1:] == steps[0][0][-1:] and goal.shape == (
        *one.shape[:-1],
        *(() if columns is None else (columns,)),
    )


def _buffer(dims: Dims, product: Operand, goal: Goal, market: Market) -> Buffer | None:
    """Memory in the order of the goal that the product can fill, where it would come in another order."""
    order = goal.order
    if not market.prices.fills or order is None or product.axes == order:
        return None
    place = {axis: number for number, axis in enumerate(order)}
    if any(place[axis] != place[group[0]] + number for group in dims for number, axis in enumerate(group)):
        return None
    memory = sorted(range(len(dims)), key=lambda number: place[dims[number][0]] if dims[number] else -1)
    shape = tuple([market.length(dims[number]) for number in memory])
    return Buffer(shape, tuple([memory.index(number) for number in range(len(dims))]))
