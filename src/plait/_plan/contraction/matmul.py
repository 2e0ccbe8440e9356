"""Products of two tensors as products of matrices: which of their axes are rows, columns, inner, or looped over.

A product of matrices sees four kinds of axes. Those that both tensors have and the result keeps are *looped* over;
those that both have and the result lacks are *inner* and summed; those of one tensor alone are its *rows* or the
other's *columns*. What makes one product cheaper than another is which operand comes first, which of its own axes are
looped over instead of merged, and whether memory already lies as the product needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import dropwhile
from math import prod
from typing import NamedTuple

from plait._plan.contraction.layouts import Arranged, Operand, arrange
from plait._plan.contraction.network import Axes, Dims
from plait._plan.contraction.pairwise import MATMUL, VECDOT, Goal, Market, Meeting, Way, finish
from plait._plan.nodes import Buffer, Contiguous, Node, Reshape, Sum


class Groups(NamedTuple):
    """The axes that are merged to the rows, the columns, and the inner dimension; the others are looped over.

    Inner axes that are ``later`` are looped over too, and summed after the product.
    """

    rows: Axes
    columns: Axes
    inner: Axes
    later: Axes = ()


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
    if len(inners) > 1 and not rows and not columns and market.costs.matmul_broadcasts:
        inner = next(iter(inners))
        yield Groups(rows, columns, inner[-1:], inner[:-1])


def _merges(own: Axes, tensor: Operand, market: Market) -> list[Axes]:
    """Which of a tensor's own axes make its rows, or columns: all, a run that lies together in memory, or one."""
    if len(own) < 2 or not market.costs.matmul_broadcasts:
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
    rows, columns, inner, later = groups
    costs = market.costs
    loops = _loops(one, other, groups, goal)
    left_loops, right_loops = _loop_dims(loops, one, market), _loop_dims(loops, other, market)
    vectors = costs.has_vecdot and bool(loops) and not rows and not columns
    row_dims: Dims = (rows,) if rows or (left_loops and not vectors) else ()  # a vector has neither rows nor columns
    column_dims: Dims = (columns,) if columns or (right_loops and not vectors) else ()
    left = arrange(one, (*left_loops, *row_dims, inner), market.sizes)
    right = arrange(other, (*right_loops, inner, *column_dims), market.sizes)
    dims: Dims = (*_loop_dims(loops, None, market), *row_dims, *column_dims)
    product = Operand((*loops, *rows, *columns), tuple([market.length(dim) for dim in dims]))
    batched = bool(left_loops or right_loops)
    price = _work(one, other, groups, loops, market) + (
        costs.matmul_overhead if batched and not vectors else costs.dot_overhead
    )
    if rows or columns:  # vectors may be strided
        left = _in_order(one, left, (*rows, *inner), market)
        right = _in_order(other, right, (*inner, *columns), market)
    price += left.price(costs) + right.price(costs)
    if later:
        places_of_sum = tuple(range(len(later)))
        kept = product.shape[len(later) :]
        product = Operand(product.axes[len(later) :], kept, (Sum(places_of_sum),))
        price += costs.sum_overhead + market.length(loops) * costs.sum_element
    more, after, result = finish(product, goal, market)
    sides = (left.steps, right.steps)
    plain = Way(
        price + more, Meeting(places, sides, VECDOT if vectors else MATMUL, "", None, after, batched, len(dims)), result
    )
    if later or vectors:
        return plain
    found = [
        plain,
        *_folded(plain, one, goal, columns, price, market),
        *_filled(plain, dims, product, goal, price, market),
    ]
    return min(found, key=lambda way: way.price)


def _work(one: Operand, other: Operand, groups: Groups, loops: Axes, market: Market) -> float:
    rows, columns, inner, _ = groups
    costs, count = market.costs, market.length(loops)
    if not rows and not columns and inner and not one.axes[-1] == other.axes[-1] == inner[-1]:
        return count * (costs.vecdot_item + market.length(inner) * costs.strided_vector_element)
    return costs.matmul_work(count, *[market.length(group) for group in (rows, columns, inner)])


def _loops(one: Operand, other: Operand, groups: Groups, goal: Goal) -> Axes:
    """The axes that are looped over: those that are summed later, then the others in the order of the goal."""
    order = dict.fromkeys((*one.axes, *other.axes)) if goal.order is None else goal.order
    inside = {*groups.rows, *groups.columns, *groups.inner, *groups.later}
    return (*groups.later, *[axis for axis in order if axis not in inside])


def _loop_dims(loops: Axes, tensor: Operand | None, market: Market) -> Dims:
    """The dimensions before the last two, of one tensor or of the product."""
    if not market.costs.matmul_broadcasts:
        return (loops,) if loops else ()
    if tensor is None:
        return tuple([(axis,) for axis in loops])
    return tuple(dropwhile(is_unit, [(axis,) if axis in tensor.axes else () for axis in loops]))


def is_unit(axes: Axes) -> bool:
    """Whether a dimension has no axes, and so the length 1."""
    return not axes


def _in_order(tensor: Operand, arranged: Arranged, matrix: Axes, market: Market) -> Arranged:
    """An operand whose matrices lie in order: a copy, where neither rows nor columns are neighbours in memory."""
    if not market.costs.matmul_broadcasts or arranged.copied or not tensor.axes or tensor.axes[-1] in matrix:
        return arranged
    stride = market.length(tensor.axes[tensor.axes.index(matrix[-1]) + 1 :]) if matrix else 1
    row = market.sizes[matrix[-1]] if matrix else 1
    return Arranged((*arranged.steps, Contiguous(tensor.shape)), market.length(tensor.axes), row, stride)


def _folded(plain: Way, one: Operand, goal: Goal, columns: Axes, price: float, market: Market) -> Iterator[Way]:
    """The product without the reshapes around it, where they only make one dimension of the rows, and several again."""
    meeting, costs = plain.meeting, market.costs
    steps: tuple[Node, ...] = (*meeting.sides[0], *meeting.after)
    if (
        meeting.batched
        or len(steps) != 2
        or len(meeting.after) != 1
        or not all(type(step) is Reshape for step in steps)
    ):
        return
    lengths = (market.length(columns),) if columns else ()
    if one.shape[-1:] != steps[0][0][-1:] or goal.shape != (*one.shape[:-1], *lengths):
        return
    price -= costs.view_overhead
    if not costs.matmul_folds:
        price += costs.matmul_overhead - costs.dot_overhead + prod(one.shape[:-2]) * costs.matmul_item
    after = meeting._replace(sides=((), meeting.sides[1]), after=(), batched=not costs.matmul_folds)
    yield Way(price, after, plain.left)


def _filled(plain: Way, dims: Dims, product: Operand, goal: Goal, price: float, market: Market) -> Iterator[Way]:
    """The product into memory in the order of the goal, where it would come in another order."""
    order, costs = goal.order, market.costs
    if not costs.matmul_fills or order is None or product.axes == order:
        return
    place = {axis: number for number, axis in enumerate(order)}
    if any(place[axis] != place[group[0]] + number for group in dims for number, axis in enumerate(group)):
        return
    memory = sorted(range(len(dims)), key=lambda number: place[dims[number][0]] if dims[number] else -1)
    shape = tuple([market.length(dims[number]) for number in memory])
    buffer = Buffer(shape, tuple([memory.index(number) for number in range(len(dims))]))
    after = () if shape == goal.shape else (Reshape(goal.shape),)
    price += costs.output_buffer_overhead + len(after) * costs.view_overhead
    if not any(group and group[-1] == order[-1] for group in dims[-2:]):
        price += market.length(order) * (costs.copy_element + costs.copy_strided_element)
    yield Way(price, plain.meeting._replace(buffer=buffer, after=after), plain.left)
