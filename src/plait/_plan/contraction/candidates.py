"""How operands may be contracted: the strategies that may be the cheapest, and each carried out for given lengths.

A product of matrices sees four kinds of axes. Those that both operands have and the result keeps are *looped* over;
those that both have and the result lacks are *inner* and summed; those of one operand alone are its *rows* or the
other's *columns*. What makes one product cheaper than another is which operand comes first, which of its own axes are
looped over instead of merged, and whether memory already has the order that the product needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, dropwhile, filterfalse, product
from math import prod
from operator import not_
from string import ascii_letters
from typing import NamedTuple

from plait._plan.contraction.layouts import CostModel, LayoutChange, Operand, Target, finish, memory_order, to_dims
from plait._plan.nodes import Contiguous, Contract, Node, Reshape, Sum
from plait._shapes.coalesce import coalesce_axes
from plait._shapes.solver import Axes, Dims
from plait.backends.costs import ContractionCosts


class MatmulAxes(NamedTuple):
    """The axes that are merged to the rows, the columns, and the inner dimension; the others are looped over.

    Inner axes that are ``later`` are looped over too, and summed after the product.
    """

    rows: Axes
    columns: Axes
    inner: Axes
    later: Axes = ()


class Strategy(NamedTuple):
    """How operands are contracted, whatever their lengths."""

    method: str  # ``einsum``, ``matmul``, ``multiply``, or ``move`` for one operand
    axes: MatmulAxes | None = None  # of a product of matrices
    swapped: bool = False  # whether the second operand comes first in it
    order: Axes = ()  # of the axes of a product of elements


EINSUM = Strategy("einsum")


class PairwiseContraction(NamedTuple):
    """Two tensors become one; or one tensor is moved, or several are contracted at once."""

    cost: float  # nanoseconds, as estimated
    sides: tuple[tuple[Node, ...], ...]  # the steps of each operand before; if ``swapped``, the second one's first
    node: Contract | None  # how they are contracted; ``None`` for one operand that has steps alone
    after: tuple[Node, ...]  # the steps of the result
    result: Operand  # what is left


def strategies(operands: Sequence[Operand], target: Target, costs: ContractionCosts) -> list[Strategy]:
    """The strategies that may be the cheapest; of two operands none has an axis twice, or one that it alone sums."""
    found = [EINSUM]
    if len(operands) == 1 and target.kept == {*operands[0].axes}:
        found.append(Strategy("move"))
    if len(operands) != 2:
        return found
    one, other = operands
    both = {*one.axes}.intersection(other.axes)
    is_sum = not both <= target.kept
    if not is_sum or len(both) == len({*one.axes, *other.axes}):
        found += [Strategy("multiply", order=order) for order in _orders(one, other, target)]
    if is_sum:
        for axes in _matmul_axes(one, other, target, costs):
            found.append(Strategy("matmul", axes))
        for axes in _matmul_axes(other, one, target, costs):
            found.append(Strategy("matmul", axes, swapped=True))
    return found


def candidate(
    strategy: Strategy, operands: Sequence[Operand], target: Target, model: CostModel
) -> PairwiseContraction | None:
    """A strategy carried out; ``None`` where an einsum has too few letters."""
    if strategy.axes is not None:
        return _matmul(operands[::-1] if strategy.swapped else operands, strategy.axes, target, model)
    if strategy.method == "einsum":
        return _einsum(operands, target, model)
    if strategy.method == "multiply":
        return _multiply(operands, strategy.order, target, model)
    cost, steps, result = finish(operands[0], target, model)
    return PairwiseContraction(cost, (steps,), None, (), result)


def _einsum(operands: Sequence[Operand], target: Target, model: CostModel) -> PairwiseContraction | None:
    """The framework's own einsum."""
    size = model.sizes.__getitem__
    terms = [operand.axes for operand in operands]
    axes = tuple(dict.fromkeys(chain.from_iterable(terms)))
    if len(axes) > len(ascii_letters):
        return None
    order = tuple(filter(target.kept.__contains__, axes)) if target.order is None else target.order
    letter = dict(zip(axes, ascii_letters, strict=False)).__getitem__
    equation = ",".join(["".join(map(letter, term)) for term in terms]) + "->" + "".join(map(letter, order))
    sides: list[tuple[Node, ...]] = []
    for term, given, steps, _ in operands:
        lengths = tuple(map(size, term))
        sides.append(steps if given == lengths else (*steps, Reshape(lengths)))
    shape = tuple(map(size, order))
    more, after, result = finish(Operand(order, shape), target, model)
    cost = _einsum_work(axes, terms, order, model) + more + sum(map(len, sides)) * model.costs.view_overhead
    node = Contract("einsum", shape, equation, axes=order)
    return PairwiseContraction(cost, tuple(sides), node, after, result)


def _einsum_work(axes: Axes, terms: Sequence[Axes], order: Axes, model: CostModel) -> float:
    """What it costs: a loop over all axes, the best of them innermost."""
    sizes, costs = model
    if len(terms) == 1 and len(axes) == len(order):
        return costs.einsum_view_overhead
    size = sizes.__getitem__
    total = prod(map(size, axes))
    innermost, outer = set[int](), set[int]()
    for term in (*terms, order):
        innermost.update(term[-1:])
        outer.update(term[:-1])
    rows = innermost - outer  # axes along which each tensor that has them is read in order
    element = costs.einsum_element if rows else costs.einsum_strided_element
    row = costs.einsum_row if len(axes) > len(order) else costs.einsum_row / 4
    count = total // max([1, *map(size, rows or axes)])
    return costs.einsum_overhead + total * element * max(1, len(terms) - 1) + count * row


def _orders(one: Operand, other: Operand, target: Target) -> list[Axes]:
    """The orders in which a product of elements may have its axes; what is summed after it comes last."""
    if target.order is not None:
        return [(*target.order, *[axis for axis in one.axes if axis not in target.kept])]
    own = [axis for axis in one.axes if axis not in other.axes]
    others = [axis for axis in other.axes if axis not in one.axes]
    found = [(*one.axes, *others), (*own, *other.axes), (*other.axes, *own), (*others, *one.axes)]
    return list(dict.fromkeys([tuple(sorted(order, key=lambda axis: axis not in target.kept)) for order in found]))


def _multiply(operands: Sequence[Operand], order: Axes, target: Target, model: CostModel) -> PairwiseContraction:
    """A product of elements, each operand broadcast along the axes that only the other has; sums come after it."""
    sizes, costs = model
    size = sizes.__getitem__
    cost, sides = costs.multiply_overhead, []
    for operand in operands:
        dims = tuple(dropwhile(not_, [(axis,) if axis in operand.axes else () for axis in order]))
        change = to_dims(operand, dims, sizes)
        sides.append(change.steps)
        cost += change.cost(costs)
    reused_operand = None
    if costs.multiply_reuses and order and not any(sides):
        own = [number for number, operand in enumerate(operands) if operand.is_temporary and operand.axes == order]
        reused_operand = own[0] if own else None
    element = _multiply_element(order, operands, costs) if reused_operand is None else costs.multiply_into_element
    count = prod(map(size, order))
    cost += count * element
    kept = tuple(filter(target.kept.__contains__, order))
    steps: tuple[Node, ...] = ()
    if len(kept) < len(order):
        steps = (Sum(tuple(range(len(kept), len(order)))),)
        cost += costs.sum_overhead + count * costs.sum_element
    more, after, result = finish(Operand(kept, tuple(map(size, kept)), steps), target, model)
    node = Contract("multiply", tuple(map(size, order)), reused_operand=reused_operand, axes=order)
    return PairwiseContraction(cost + more, tuple(sides), node, after, result)


def _multiply_element(order: Axes, operands: Sequence[Operand], costs: ContractionCosts) -> float:
    """What an element costs: most where one of the operands is read with a stride."""
    last = order[-1:]
    if all(operand.axes[-1:] == last for operand in operands):
        return costs.multiply_element
    if any(last[0] in operand.axes[:-1] for operand in operands):
        return costs.einsum_strided_element
    return costs.multiply_broadcast_element


def _matmul_axes(one: Operand, other: Operand, target: Target, costs: ContractionCosts) -> list[MatmulAxes]:
    """What may be the cheapest, where the rows are the first operand's, and the columns the second's."""
    both = {*one.axes}.intersection(other.axes)
    rows, columns = tuple(filterfalse(both.__contains__, one.axes)), tuple(filterfalse(both.__contains__, other.axes))
    is_inner = (both - target.kept).__contains__
    inners = dict.fromkeys((tuple(filter(is_inner, one.axes)), tuple(filter(is_inner, other.axes))))
    splits = costs.matmul_broadcasts
    all_rows = _merges(rows, one.axes) if splits and len(rows) > 1 else [rows]
    all_columns = _merges(columns, other.axes) if splits and len(columns) > 1 else [columns]
    found = [MatmulAxes(*merged, inner) for merged in product(all_rows, all_columns) for inner in inners]
    if len(inners) > 1 and not rows and not columns and splits:
        inner = next(iter(inners))
        found.append(MatmulAxes(rows, columns, inner[-1:], inner[:-1]))
    return found


def _merges(own: Axes, axes: Axes) -> list[Axes]:
    """Which of an operand's own axes make its rows, or columns: all, a run that is adjacent in memory, or one."""
    runs = [run for run in coalesce_axes(((own,), (axes,))) if run[0] in own]
    return list(dict.fromkeys([own, *runs, *[(axis,) for axis in own]]))


def _matmul(operands: Sequence[Operand], axes: MatmulAxes, target: Target, model: CostModel) -> PairwiseContraction:
    """The cheapest product of matrices with these axes."""
    one, other = operands
    rows, columns, inner, later = axes
    sizes, costs = model
    size = sizes.__getitem__
    order = dict.fromkeys((*one.axes, *other.axes)) if target.order is None else target.order
    loops = (*later, *filterfalse({*rows, *columns, *inner, *later}.__contains__, order))
    left: Dims = ()
    right: Dims = ()
    outer: Dims = ()
    if loops:
        left, right, outer = [_loop_dims(loops, own, costs) for own in (one.axes, other.axes, loops)]
    is_vecdot = bool(loops) and costs.has_vecdot and not rows and not columns
    is_batched = bool(left or right) and not is_vecdot
    row_dims: Dims = (rows,) if rows or (left and not is_vecdot) else ()  # a vector has neither rows nor columns
    column_dims: Dims = (columns,) if columns or (right and not is_vecdot) else ()

    count, depth = prod(map(size, loops)), prod(map(size, inner))
    if not rows and not columns and inner and not one.axes[-1] == other.axes[-1] == inner[-1]:
        cost = count * (costs.vecdot_item + depth * costs.strided_vector_element)
    else:
        cost = costs.matmul_work(count, prod(map(size, rows)), prod(map(size, columns)), depth)
    cost += costs.matmul_overhead if is_batched else costs.dot_overhead
    first = to_dims(one, (*left, *row_dims, inner), sizes)
    second = to_dims(other, (*right, inner, *column_dims), sizes)
    if (rows or columns) and costs.matmul_broadcasts:  # vectors may be strided
        first, second = (
            _in_order(one, first, (*rows, *inner), sizes),
            _in_order(other, second, (*inner, *columns), sizes),
        )
    cost += first.cost(costs) + second.cost(costs)

    dims = (*outer, *row_dims, *column_dims)
    shape = tuple([prod(map(size, dim)) for dim in dims])
    product_axes = (*loops, *rows, *columns)
    node = Contract("vecdot" if is_vecdot else "matmul" if is_batched else "dot", shape, axes=product_axes)
    steps: tuple[Node, ...] = ()
    if later:
        steps = (Sum(tuple(range(len(later)))),)
        product_axes, shape = product_axes[len(later) :], shape[len(later) :]
        cost += costs.sum_overhead + count * costs.sum_element
    more, after, result = finish(Operand(product_axes, shape, steps), target, model)
    best = PairwiseContraction(cost + more, (first.steps, second.steps), node, after, result)
    if later or is_vecdot:
        return best
    other_way = None
    if not is_batched and len(first.steps) == len(after) == 1:
        other_way = _unmerged(best, one, columns, target, model)
    elif costs.matmul_fills and target.order is not None and product_axes != target.order:
        other_way = _into_buffer(best, node, dims, cost, target, model)
    return best if other_way is None or best.cost <= other_way.cost else other_way


def _loop_dims(loops: Axes, axes: Axes, costs: ContractionCosts) -> Dims:
    """The dimensions before the last two, of an operand with these axes."""
    if not costs.matmul_broadcasts:
        return (loops,)
    return tuple(dropwhile(not_, [(axis,) if axis in axes else () for axis in loops]))


def _in_order(operand: Operand, change: LayoutChange, matrix: Axes, sizes: Sequence[int]) -> LayoutChange:
    """An operand whose matrices are in order: a copy, where neither rows nor columns are adjacent in memory."""
    axes = operand.axes
    if change.copied or not axes or axes[-1] in matrix:
        return change
    size = sizes.__getitem__
    stride = prod(map(size, axes[axes.index(matrix[-1]) + 1 :])) if matrix else 1
    row = size(matrix[-1]) if matrix else 1
    return LayoutChange((*change.steps, Contiguous(operand.shape)), prod(map(size, axes)), row, stride)


def _unmerged(
    plain: PairwiseContraction, one: Operand, columns: Axes, target: Target, model: CostModel
) -> PairwiseContraction | None:
    """The product without the reshapes around it, where they only merge dimensions to rows, and split them again."""
    sizes, costs = model
    cost, ((merge,), second), _, (split,), result = plain
    lengths = (prod([sizes[axis] for axis in columns]),) if columns else ()
    if not isinstance(merge, Reshape) or not isinstance(split, Reshape) or merge.shape[-1:] != one.shape[-1:]:
        return None
    if target.shape != (*one.shape[:-1], *lengths):
        return None
    cost -= 2 * costs.view_overhead
    if not costs.matmul_folds:
        cost += costs.matmul_overhead - costs.dot_overhead + prod(one.shape[:-2]) * costs.matmul_item
    node = Contract("dot" if costs.matmul_folds else "matmul", target.shape, axes=(*one.axes[:-1], *columns))
    return PairwiseContraction(cost, ((), second), node, (), result)


def _into_buffer(
    plain: PairwiseContraction, node: Contract, dims: Dims, cost: float, target: Target, model: CostModel
) -> PairwiseContraction | None:
    """The product into memory in the order of the target, where it would come in another order."""
    (sizes, costs), order = model, target.order or ()
    memory = memory_order(dims, order)
    if memory is None:
        return None
    shape = tuple(map(node.shape.__getitem__, memory))
    filled = tuple(map(memory.index, range(len(dims))))
    after = () if shape == target.shape else (Reshape(target.shape),)
    cost += costs.output_buffer_overhead + len(after) * costs.view_overhead
    if not any(dim[-1:] == order[-1:] for dim in dims[-2:]):
        cost += prod([sizes[axis] for axis in order]) * (costs.copy_element + costs.copy_strided_element)
    node = node._replace(shape=shape, order=filled, axes=order)
    return PairwiseContraction(cost, plain.sides, node, after, plain.result)
