"""The candidates for one pairwise contraction: the strategies that may be the cheapest, and their nodes and costs.

A matrix product distinguishes four kinds of axes. *Batch* axes are those that both operands and the result have;
*inner* axes are those that both operands have and the result does not: they are summed. Axes of one operand alone are
*rows* or *columns*. What a product costs depends on which operand comes first, on which of its own axes are merged and
which become batch axes, and on whether memory already has the order that the product needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, dropwhile, filterfalse, product
from math import prod
from operator import not_
from string import ascii_letters
from typing import NamedTuple

from plait._plan.contraction.layouts import (
    LayoutChange,
    Operand,
    ResultSpec,
    SizesAndCosts,
    SizesOfAxes,
    change_layout,
    cost_and_steps_to_result,
    memory_order_of_dims,
)
from plait._plan.nodes import ContiguousCopy, Contract, Node, Reshape, Sum
from plait._shapes.coalesce import group_adjacent_axes
from plait._shapes.solver import Axes, Dims
from plait.backends.costs import ContractionCosts


class MatmulAxes(NamedTuple):
    """The axes that are merged to the rows, the columns and the inner dimension; all others are batch axes.

    Inner axes in ``summed_after`` are batch axes of the product, and summed after it.
    """

    rows: Axes
    columns: Axes
    inner: Axes
    summed_after: Axes = ()


class Strategy(NamedTuple):
    """A way to contract operands, independent of the lengths of their axes."""

    method: str  # ``einsum``, ``matmul``, ``multiply``, or ``move``: change the layout of one operand
    axes: MatmulAxes | None = None  # of a ``matmul``
    is_swapped: bool = False  # whether the second operand comes first in a ``matmul``
    order: Axes = ()  # of the axes of a ``multiply``


EINSUM_STRATEGY = Strategy("einsum")

MAX_PRODUCT_COUNT_FOR_EINSUM = 256
"""Up to this number of products, the framework's einsum is the default, unless its calls are slow."""

MAX_PARTIAL_MERGES = 3
"""How many ways to merge only some own axes of an operand are compared."""


class ContractionCandidate(NamedTuple):
    """The nodes that contract two tensors to one, or change one tensor, or contract several tensors at once."""

    cost: float  # nanoseconds, as estimated
    operand_steps: tuple[tuple[Node, ...], ...]  # applied first, in the order of the operands of ``node``
    node: Contract | None  # ``None`` if one operand only changes its layout
    epilogue: tuple[Node, ...]  # applied to the result of ``node``
    result: Operand  # the result after the epilogue


def list_strategies(
    operands: Sequence[Operand], spec: ResultSpec, costs: ContractionCosts, *, all_inner_orders: bool = True
) -> list[Strategy]:
    """Return the strategies that may be the cheapest, except products in which own axes become batch axes.

    Two operands must not have a repeated axis, or an axis that neither the other operand nor the result has. Unless
    ``all_inner_orders``, the inner axes of a product have their order in the operand with more dimensions.
    """
    found = [EINSUM_STRATEGY]
    if len(operands) == 1 and spec.kept_axes == {*operands[0].axes}:
        found.append(Strategy("move"))
    if len(operands) != 2:
        return found
    first, second = operands
    shared = {*first.axes}.intersection(second.axes)
    is_sum = not shared <= spec.kept_axes
    if not is_sum or len(shared) == len({*first.axes, *second.axes}):
        found += [Strategy("multiply", order=order) for order in _multiply_orders(first, second, spec)]
    if is_sum:
        inner_orders = _inner_orders(first, second, shared - spec.kept_axes, all_inner_orders=all_inner_orders)
        rows, columns = [tuple(filterfalse(shared.__contains__, operand.axes)) for operand in (first, second)]
        merged = [MatmulAxes(rows, columns, inner) for inner in inner_orders]
        swapped = [MatmulAxes(columns, rows, inner) for inner in reversed(inner_orders)]
        if len(inner_orders) > 1 and not rows and not columns and costs.matmul_broadcasts:
            for inner, choices in zip(inner_orders, (merged, swapped), strict=False):
                choices.append(MatmulAxes((), (), inner[-1:], inner[:-1]))
        found += [Strategy("matmul", axes) for axes in merged]
        found += [Strategy("matmul", axes, is_swapped=True) for axes in swapped]
    return found


def find_direct_product(
    first: Operand, second: Operand, spec: ResultSpec, sizes_and_costs: SizesAndCosts
) -> Strategy | None:
    """Return the product of two matrices or vectors that needs no change of any layout; ``None`` if there is none."""
    inner = tuple([axis for axis in first.axes if axis in second.axes])
    count = len(inner)
    if not count or not spec.kept_axes.isdisjoint(inner):
        return None
    size_of = sizes_and_costs.size_of
    for is_swapped, one, other in ((False, first, second), (True, second, first)):
        rows, columns = one.axes[: len(one.axes) - count], other.axes[count:]
        if one.axes[len(rows) :] != inner or other.axes[:count] != inner:
            continue
        if spec.order is not None and (
            spec.order != rows + columns or spec.shape != _matrix_shape(rows, columns, size_of)
        ):
            continue
        if one.shape == _matrix_shape(rows, inner, size_of) and other.shape == _matrix_shape(inner, columns, size_of):
            return Strategy("matmul", MatmulAxes(rows, columns, inner), is_swapped)
    return None


def _matrix_shape(first: Axes, second: Axes, size_of: SizesOfAxes) -> tuple[int, ...]:
    """Return the shape of a matrix whose dimensions have these axes; a dimension without axes is left out."""
    return tuple([size_of[axes] for axes in (first, second) if axes])


def default_strategy(
    first: Operand, second: Operand, spec: ResultSpec, product_count: int, costs: ContractionCosts
) -> Strategy:
    """Return a strategy that is good for tensors of few elements, without a comparison.

    ``product_count`` is the product of the lengths of all axes of both operands.
    """
    einsum_is_cheap = costs.einsum_overhead < costs.dot_overhead + 4 * costs.view_overhead
    if product_count <= MAX_PRODUCT_COUNT_FOR_EINSUM and einsum_is_cheap:
        return EINSUM_STRATEGY
    kept, own = spec.kept_axes, {*second.axes}
    inner = tuple([axis for axis in first.axes if axis in own and axis not in kept])
    if not inner:
        return Strategy("multiply", order=_multiply_orders(first, second, spec)[0])
    rows = tuple([axis for axis in first.axes if axis not in own])
    own = {*first.axes}
    columns = tuple([axis for axis in second.axes if axis not in own])
    if spec.order is not None and rows and columns and spec.order.index(columns[0]) < spec.order.index(rows[0]):
        return Strategy("matmul", MatmulAxes(columns, rows, inner), is_swapped=True)
    return Strategy("matmul", MatmulAxes(rows, columns, inner))


def _inner_orders(first: Operand, second: Operand, inner: set[int], *, all_inner_orders: bool) -> list[Axes]:
    """Return the orders of the inner axes that the operands have, or only that of the operand with more dimensions."""
    orders = [*dict.fromkeys([tuple([axis for axis in axes if axis in inner]) for axes in (first.axes, second.axes)])]
    if all_inner_orders:
        return orders
    return orders[:1] if len(first.axes) >= len(second.axes) else orders[-1:]


def list_split_strategies(
    operands: Sequence[Operand], spec: ResultSpec, sizes_and_costs: SizesAndCosts, *, all_inner_orders: bool = True
) -> list[Strategy]:
    """Return the products in which only some own axes of an operand are merged, and the others become batch axes.

    They avoid copies of operands whose own axes are not adjacent. The arguments are those of `list_strategies`.
    """
    first, second = operands
    shared = {*first.axes}.intersection(second.axes)
    if shared <= spec.kept_axes or not sizes_and_costs.costs.matmul_broadcasts:
        return []
    inner_orders = _inner_orders(first, second, shared - spec.kept_axes, all_inner_orders=all_inner_orders)
    first_choices, second_choices = [
        _list_choices_of_axes_to_merge(operand, shared, sizes_and_costs.size_of) for operand in operands
    ]
    choices = [*product(first_choices, second_choices)][1:]  # the first choice merges all axes of both
    return [
        Strategy("matmul", MatmulAxes(*(own[::-1] if is_swapped else own), inner), is_swapped)
        for is_swapped in (False, True)
        for own in choices
        for inner in inner_orders
    ]


def least_cost(
    strategy: Strategy,
    operands: Sequence[Operand],
    spec: ResultSpec,
    product_count: int,
    sizes_and_costs: SizesAndCosts,
) -> float:
    """Return what a strategy costs if every change of a layout that it needs is only a view.

    ``product_count`` is the product of the lengths of all axes of the operands.
    """
    costs = sizes_and_costs.costs
    if strategy.axes is not None:
        size_of = sizes_and_costs.size_of
        rows, columns, inner, _ = strategy.axes
        row_count, column_count, depth = size_of[rows], size_of[columns], size_of[inner]
        batch_size = product_count // (row_count * column_count * depth or 1)
        overhead = costs.matmul_overhead if batch_size > 1 and (rows or columns) else costs.dot_overhead
        first, second = operands
        if strategy.is_swapped:
            first, second = second, first
        view_count = (
            _view_count(first.axes, first.shape, rows, inner, sizes_and_costs)
            + _view_count(second.axes, second.shape, inner, columns, sizes_and_costs)
            + (0 if spec.order is None else _view_count(spec.order, spec.shape, rows, columns, sizes_and_costs))
        )
        work = costs.matmul_work(batch_size, row_count, column_count, depth)
        return overhead + work + view_count * costs.view_overhead
    if strategy.method == "multiply":
        cost = costs.multiply_overhead + product_count * min(costs.multiply_element, costs.multiply_into_element)
        order = strategy.order
        for axes, *_ in operands:
            if order[len(order) - len(axes) :] != axes:
                cost += costs.view_overhead
        if len(strategy.order) > len(spec.kept_axes):
            cost += costs.sum_overhead + product_count * costs.sum_element
        return cost
    if strategy.method == "einsum" and len(operands) > 1:
        terms = [operand.axes for operand in operands]
        order = _einsum_order(terms, spec)
        view_count = sum([len(operand.shape) != len(operand.axes) for operand in operands])
        if spec.order is not None:
            view_count += len(spec.shape) != len(order)
        return _einsum_cost(terms, order, product_count, sizes_and_costs) + view_count * costs.view_overhead
    return 0.0


def separates_axes(strategy: Strategy, axes: frozenset[int]) -> bool:
    """Whether the result of a product of matrices has some axes neither before nor after all others."""
    if strategy.axes is None:
        return False
    order = strategy.axes.rows + strategy.axes.columns
    count = len(axes)
    return not (axes.issuperset(order[:count]) or axes.issuperset(order[-count:]))


def _view_count(axes: Axes, shape: tuple[int, ...], first: Axes, second: Axes, sizes_and_costs: SizesAndCosts) -> int:
    """Return how many views make matrices of a tensor with these axes and this shape, or the tensor of matrices.

    The dimensions of the matrices are the merged axes ``first`` and ``second``. Views that a framework may avoid, and
    those that make a matrix of a vector, do not count.
    """
    costs, size_of = sizes_and_costs.costs, sizes_and_costs.size_of
    matrix = first + second
    batch_rank = len(axes) - len(matrix)
    view_count = 0 if axes[batch_rank:] == matrix else 1
    if costs.matmul_folds or (batch_rank and not costs.matmul_broadcasts):
        return view_count
    if view_count or batch_rank:
        return view_count + (len(shape) != batch_rank + (len(first) > 0) + (len(second) > 0))
    return int(shape != _matrix_shape(first, second, size_of))


def _einsum_order(terms: Sequence[Axes], spec: ResultSpec) -> Axes:
    """Return the axes of the result of an einsum whose operands have these axes."""
    if spec.order is not None:
        return spec.order
    return tuple([axis for axis in dict.fromkeys(chain.from_iterable(terms)) if axis in spec.kept_axes])


def apply_strategy(
    strategy: Strategy,
    operands: Sequence[Operand],
    spec: ResultSpec,
    sizes_and_costs: SizesAndCosts,
    product_count: int | None = None,
) -> ContractionCandidate | None:
    """Return the nodes and the cost of a strategy; ``None`` if an einsum has too few letters for the axes.

    If the product of the lengths of all axes, ``product_count``, is given, the cost of an einsum is only the least one.
    """
    if strategy.axes is not None:
        return _matmul_candidate(
            operands[::-1] if strategy.is_swapped else operands, strategy.axes, spec, sizes_and_costs
        )
    if strategy.method == "einsum":
        return _einsum_candidate(operands, spec, sizes_and_costs, product_count)
    if strategy.method == "multiply":
        return _multiply_candidate(operands, strategy.order, spec, sizes_and_costs)
    cost, steps, result = cost_and_steps_to_result(operands[0], spec, sizes_and_costs)
    return ContractionCandidate(cost, (steps,), None, (), result._replace(is_temporary=False))


def _einsum_candidate(
    operands: Sequence[Operand], spec: ResultSpec, sizes_and_costs: SizesAndCosts, product_count: int | None
) -> ContractionCandidate | None:
    """Return the candidate that calls the framework's einsum; ``None`` if there are more axes than letters.

    The last argument is that of `apply_strategy`.
    """
    costs, size = sizes_and_costs.costs, sizes_and_costs.sizes.__getitem__
    terms = [operand.axes for operand in operands]
    axes = dict.fromkeys(chain.from_iterable(terms))
    if len(axes) > len(ascii_letters):
        return None
    order = spec.order
    if order is None:
        order = tuple(filter(spec.kept_axes.__contains__, axes))
    letter = dict(zip(axes, ascii_letters, strict=False)).__getitem__
    left = ",".join(["".join(map(letter, term)) for term in terms])
    equation = f"{left}->{''.join(map(letter, order))}"
    operand_steps: list[tuple[Node, ...]] = []
    view_count = 0
    for term, given, steps, _ in operands:
        lengths = tuple(map(size, term))
        if given != lengths:
            steps = (*steps, Reshape(lengths))  # noqa: PLW2901  # the steps of the operand, and one more
        operand_steps.append(steps)
        view_count += len(steps)
    shape = tuple(map(size, order))
    extra, epilogue, result = cost_and_steps_to_result(Operand(order, shape, is_temporary=True), spec, sizes_and_costs)
    if product_count is None:
        cost = _einsum_cost(terms, order, prod(map(size, axes)), sizes_and_costs)
    else:
        cost = costs.einsum_overhead + product_count * costs.einsum_element
    cost += extra + view_count * costs.view_overhead
    if len(operands) == 1:
        result = result._replace(is_temporary=False)  # it may be a view of the operand
    return ContractionCandidate(
        cost, tuple(operand_steps), Contract("einsum", shape, equation, axes=order), epilogue, result
    )


def _einsum_cost(terms: Sequence[Axes], order: Axes, product_count: int, sizes_and_costs: SizesAndCosts) -> float:
    """Return the cost of an einsum, as a loop nest over all axes that reads in memory order as far as possible.

    ``terms`` are the axes of the operands, ``order`` those of the result, and ``product_count`` the product of the
    lengths of all axes.
    """
    sizes, costs = sizes_and_costs.sizes, sizes_and_costs.costs
    outer_axes = {*chain.from_iterable([term[:-1] for term in terms]), *order[:-1]}
    innermost_axes = {*chain.from_iterable([term[-1:] for term in terms]), *order[-1:]}
    sequential_axes = innermost_axes - outer_axes  # each tensor that has such an axis reads it without a stride
    axes = outer_axes | innermost_axes
    if len(terms) == 1 and len(axes) == len(order):
        return costs.einsum_view_overhead
    element_cost = costs.einsum_element if sequential_axes else costs.einsum_strided_element
    row_cost = costs.einsum_row if len(axes) > len(order) else costs.einsum_row / 4
    row_count = product_count // max([1, *[sizes[axis] for axis in sequential_axes or axes]])
    return costs.einsum_overhead + product_count * element_cost * max(1, len(terms) - 1) + row_count * row_cost


def _multiply_orders(first: Operand, second: Operand, spec: ResultSpec) -> list[Axes]:
    """Return the orders that the axes of an elementwise product may have; axes that are summed after it come last."""
    if spec.order is not None:
        return [(*spec.order, *[axis for axis in first.axes if axis not in spec.kept_axes])]
    own = [axis for axis in first.axes if axis not in second.axes]
    others = [axis for axis in second.axes if axis not in first.axes]
    found = [(*first.axes, *others), (*own, *second.axes), (*second.axes, *own), (*others, *first.axes)]
    return list(dict.fromkeys([tuple(sorted(order, key=lambda axis: axis not in spec.kept_axes)) for order in found]))


def _multiply_candidate(
    operands: Sequence[Operand], order: Axes, spec: ResultSpec, sizes_and_costs: SizesAndCosts
) -> ContractionCandidate:
    """Return the candidate that multiplies elementwise, with axes in this order, and then sums the axes not kept.

    Each operand is broadcast along the axes that it does not have.
    """
    sizes, costs = sizes_and_costs.sizes, sizes_and_costs.costs
    cost, operand_steps = costs.multiply_overhead, []
    for operand in operands:
        dims = tuple(dropwhile(not_, [(axis,) if axis in operand.axes else () for axis in order]))
        change = change_layout(operand, dims, sizes_and_costs.size_of)
        operand_steps.append(change.steps)
        cost += change.cost(costs)
    reused_operand = None
    if costs.multiply_reuses and order and not any(operand_steps):
        reusable = [number for number, operand in enumerate(operands) if operand.is_temporary and operand.axes == order]
        reused_operand = reusable[0] if reusable else None
    element = _multiply_element_cost(order, operands, costs) if reused_operand is None else costs.multiply_into_element
    count = sizes_and_costs.size_of[order]
    cost += count * element
    kept = tuple(filter(spec.kept_axes.__contains__, order))
    steps: tuple[Node, ...] = ()
    if len(kept) < len(order):
        steps = (Sum(tuple(range(len(kept), len(order)))),)
        cost += costs.sum_overhead + count * costs.sum_element
    extra, epilogue, result = cost_and_steps_to_result(
        Operand(kept, tuple([sizes[axis] for axis in kept]), steps, is_temporary=True), spec, sizes_and_costs
    )
    node = Contract("multiply", tuple([sizes[axis] for axis in order]), reused_operand=reused_operand, axes=order)
    return ContractionCandidate(cost + extra, tuple(operand_steps), node, epilogue, result)


def _multiply_element_cost(order: Axes, operands: Sequence[Operand], costs: ContractionCosts) -> float:
    """Return the cost of one element: the highest where an operand is read with a stride."""
    last = order[-1:]
    if all(operand.axes[-1:] == last for operand in operands):
        return costs.multiply_element
    if any(last[0] in operand.axes[:-1] for operand in operands):
        return costs.einsum_strided_element
    return costs.multiply_broadcast_element


def _list_choices_of_axes_to_merge(operand: Operand, shared: set[int], size_of: SizesOfAxes) -> list[Axes]:
    """Return the choices of own axes to merge: all of them, those that are adjacent in memory, or a single one.

    ``shared`` are the axes that the other operand has too. Of many choices, those of the most elements are returned.
    """
    own = tuple(filterfalse(shared.__contains__, operand.axes))
    if len(own) < 2:
        return [own]
    runs = [run for run in group_adjacent_axes(((own,), (operand.axes,))) if run[0] in own]
    found = [*dict.fromkeys([*runs, *[(axis,) for axis in own]])]
    if len(found) > MAX_PARTIAL_MERGES:
        found = sorted(found, key=lambda axes: -size_of[axes])[:MAX_PARTIAL_MERGES]
    return [*dict.fromkeys([own, *found])]


def _matmul_candidate(
    operands: Sequence[Operand], axes: MatmulAxes, spec: ResultSpec, sizes_and_costs: SizesAndCosts
) -> ContractionCandidate:
    """Return the cheapest matrix product with these axes."""
    first, second = operands
    rows, columns, inner, summed_after = axes
    if len(rows) + len(inner) == len(first.axes) and len(columns) + len(inner) == len(second.axes):
        return _dot_candidate(first, second, axes, spec, sizes_and_costs)
    size_of, costs = sizes_and_costs.size_of, sizes_and_costs.costs
    order = dict.fromkeys((*first.axes, *second.axes)) if spec.order is None else spec.order
    batch_axes = (*summed_after, *filterfalse({*rows, *columns, *inner, *summed_after}.__contains__, order))
    first_batch, second_batch, batch_dims = [
        _batch_dims(batch_axes, own, costs) for own in (first.axes, second.axes, batch_axes)
    ]
    is_vecdot = costs.has_vecdot and not rows and not columns
    is_batched = bool(first_batch or second_batch) and not is_vecdot
    row_dims: Dims = (rows,) if rows or (first_batch and not is_vecdot) else ()
    column_dims: Dims = (columns,) if columns or (second_batch and not is_vecdot) else ()

    batch_size, depth = size_of[batch_axes], size_of[inner]
    if not rows and not columns and inner and not first.axes[-1] == second.axes[-1] == inner[-1]:
        cost = batch_size * (costs.vecdot_item + depth * costs.strided_vector_element)
    else:
        cost = costs.matmul_work(batch_size, size_of[rows], size_of[columns], depth)
    cost += costs.matmul_overhead if is_batched else costs.dot_overhead
    first_change = change_layout(first, (*first_batch, *row_dims, inner), size_of)
    second_change = change_layout(second, (*second_batch, inner, *column_dims), size_of)
    # a matrix that is contiguous along neither dimension is copied; vectors may have any stride
    if (rows or columns) and costs.matmul_broadcasts:
        first_change = _add_copy_if_strided(first, first_change, (*rows, *inner), size_of)
        second_change = _add_copy_if_strided(second, second_change, (*inner, *columns), size_of)
    cost += first_change.cost(costs) + second_change.cost(costs)

    product_dims = (*batch_dims, *row_dims, *column_dims)
    shape = tuple([size_of[dim] for dim in product_dims])
    product_axes = (*batch_axes, *rows, *columns)
    node = Contract("vecdot" if is_vecdot else "matmul" if is_batched else "dot", shape, axes=product_axes)
    steps: tuple[Node, ...] = ()
    if summed_after:
        steps = (Sum(tuple(range(len(summed_after)))),)
        product_axes, shape = product_axes[len(summed_after) :], shape[len(summed_after) :]
        cost += costs.sum_overhead + batch_size * costs.sum_element
    product = Operand(product_axes, shape, steps, is_temporary=True)
    extra, epilogue, result = cost_and_steps_to_result(product, spec, sizes_and_costs)
    best = ContractionCandidate(cost + extra, (first_change.steps, second_change.steps), node, epilogue, result)
    if summed_after or is_vecdot:
        return best
    return _cheapest_way_to_result(best, first, product_dims, columns, cost, spec, sizes_and_costs)


def _dot_candidate(
    first: Operand, second: Operand, axes: MatmulAxes, spec: ResultSpec, sizes_and_costs: SizesAndCosts
) -> ContractionCandidate:
    """Return the cheapest product of two matrices or vectors, which have all axes of the operands."""
    rows, columns, inner, _ = axes
    size_of, costs = sizes_and_costs.size_of, sizes_and_costs.costs
    if not rows and not columns and not first.axes[-1] == second.axes[-1] == inner[-1]:
        cost = costs.vecdot_item + size_of[inner] * costs.strided_vector_element
    else:
        cost = costs.matmul_work(1, size_of[rows], size_of[columns], size_of[inner])
    # a product of two vectors has neither rows nor columns
    first_change = change_layout(first, (rows, inner) if rows else (inner,), size_of)
    second_change = change_layout(second, (inner, columns) if columns else (inner,), size_of)
    cost += costs.dot_overhead + first_change.cost(costs) + second_change.cost(costs)
    product = Operand(rows + columns, _matrix_shape(rows, columns, size_of), is_temporary=True)
    extra, epilogue, result = cost_and_steps_to_result(product, spec, sizes_and_costs)
    node = Contract("dot", product.shape, axes=product.axes)
    best = ContractionCandidate(cost + extra, (first_change.steps, second_change.steps), node, epilogue, result)
    product_dims = tuple([dim for dim in (rows, columns) if dim])
    return _cheapest_way_to_result(best, first, product_dims, columns, cost, spec, sizes_and_costs)


def _cheapest_way_to_result(
    best: ContractionCandidate,
    first: Operand,
    product_dims: Dims,
    columns: Axes,
    cost: float,
    spec: ResultSpec,
    sizes_and_costs: SizesAndCosts,
) -> ContractionCandidate:
    """Return a matrix product, or the same product without steps that change the layout of its result, if it is better.

    Args:
        best: The product with these steps.
        first: Its first operand.
        product_dims: The axes of each dimension of the product.
        columns: The axes of its columns.
        cost: Its cost without the steps after the product.
        spec: What the result must be.
        sizes_and_costs: The lengths of the axes, and the costs of the framework.
    """
    node = best.node
    if spec.order is None or node is None:
        return best
    alternative = None
    if node.method == "dot" and len(best.operand_steps[0]) == len(best.epilogue) == 1:
        alternative = _matmul_without_reshapes(best, first, columns, spec, sizes_and_costs)
    elif sizes_and_costs.costs.matmul_fills and node.axes != spec.order:
        alternative = _matmul_into_buffer(best, node, product_dims, cost, spec, sizes_and_costs)
    return best if alternative is None or best.cost <= alternative.cost else alternative


def _batch_dims(batch_axes: Axes, axes: Axes, costs: ContractionCosts) -> Dims:
    """Return the batch dimensions of an operand with these axes; one dimension of all if matmul does not broadcast."""
    if not costs.matmul_broadcasts:
        return (batch_axes,)
    return tuple(dropwhile(not_, [(axis,) if axis in axes else () for axis in batch_axes]))


def _add_copy_if_strided(operand: Operand, change: LayoutChange, matrix: Axes, size_of: SizesOfAxes) -> LayoutChange:
    """Return the layout change, with a copy if neither rows nor columns of the matrices are contiguous in memory.

    ``matrix`` are the axes of the rows, then those of the columns of each matrix.
    """
    axes = operand.axes
    if change.copied_elements or not axes or axes[-1] in matrix:
        return change
    stride = size_of[axes[axes.index(matrix[-1]) + 1 :]] if matrix else 1
    row = size_of[matrix[-1:]]
    return LayoutChange((*change.steps, ContiguousCopy(operand.shape)), size_of[axes], row, stride)


def _matmul_without_reshapes(
    candidate: ContractionCandidate, first: Operand, columns: Axes, spec: ResultSpec, sizes_and_costs: SizesAndCosts
) -> ContractionCandidate | None:
    """Return the product without the reshapes that only merge dimensions to rows and split them again.

    ``columns`` are the axes of the columns of the second operand. Return ``None`` if the reshapes of the
    candidate do something else.
    """
    costs = sizes_and_costs.costs
    cost, ((merge,), second), _, (split,), result = candidate
    lengths = (sizes_and_costs.size_of[columns],) if columns else ()
    if not isinstance(merge, Reshape) or not isinstance(split, Reshape) or merge.shape[-1:] != first.shape[-1:]:
        return None
    if spec.shape != (*first.shape[:-1], *lengths):
        return None
    cost -= 2 * costs.view_overhead
    if not costs.matmul_folds:
        cost += costs.matmul_overhead - costs.dot_overhead + prod(first.shape[:-2]) * costs.matmul_item
    node = Contract("dot" if costs.matmul_folds else "matmul", spec.shape, axes=(*first.axes[:-1], *columns))
    return ContractionCandidate(cost, ((), second), node, (), result)


def _matmul_into_buffer(
    candidate: ContractionCandidate,
    node: Contract,
    product_dims: Dims,
    cost: float,
    spec: ResultSpec,
    sizes_and_costs: SizesAndCosts,
) -> ContractionCandidate | None:
    """Return the product that writes its elements in the order that the result must have, which is not its own.

    ``candidate`` is the product in its own order, and ``node`` its node, whose dimensions have the axes
    ``product_dims``; ``cost`` is its cost without the steps after the node. Return ``None`` if the axes of a
    dimension of the product are not adjacent in that order.
    """
    costs, order = sizes_and_costs.costs, spec.order or ()
    memory_order = memory_order_of_dims(product_dims, order)
    if memory_order is None:
        return None
    shape = tuple(map(node.shape.__getitem__, memory_order))
    order_in_buffer = tuple(map(memory_order.index, range(len(product_dims))))
    epilogue = () if shape == spec.shape else (Reshape(spec.shape),)
    cost += costs.output_buffer_overhead + len(epilogue) * costs.view_overhead
    if not any(dim[-1:] == order[-1:] for dim in product_dims[-2:]):
        cost += sizes_and_costs.size_of[order] * (costs.copy_element + costs.copy_strided_element)
    node = node._replace(shape=shape, order=order_in_buffer, axes=order)
    return ContractionCandidate(cost, candidate.operand_steps, node, epilogue, candidate.result)
