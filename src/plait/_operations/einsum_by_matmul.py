"""The plan of an einsum by products of matrices, for runtimes that have no einsum: ``options(einsum="matmul")``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import chain, product
from typing import NamedTuple

from plait._plan.bounded_contraction import contraction_exceeds_rank, lower_to_matrix_products
from plait._plan.contraction.paths import Path, left_to_right_path, numbered_steps
from plait._plan.graph import NodeWithOperands, Plan, SizeOpBuilder
from plait._plan.lowering import diagonal_equation, remove_redundant_nodes
from plait._plan.nodes import Contract, Expand, Node, Permute, Reshape
from plait._shapes.coalesce import group_adjacent_axes
from plait._shapes.solver import ELLIPSIS_LABEL, Axes, SolvedPattern

Groups = tuple[Axes, ...]
"""Groups of axes that are adjacent wherever they appear; each is treated as one axis."""


class _Operand(NamedTuple):
    """A tensor or the result of a step, with nodes that are still to be applied to it; it then has these groups."""

    number: int
    nodes: tuple[Node, ...]
    groups: Groups
    slots: dict[Axes, int]  # of the length of each group, which may be 1 for one of the ellipsis


class _MatmulOrder(NamedTuple):
    """The order of the groups of two operands in their product: batch rows inner, times batch inner columns."""

    swapped: bool  # whether the rows belong to the second operand
    batch: Groups
    rows: Groups
    columns: Groups
    inner: Groups

    @property
    def result(self) -> Groups:
        """The groups of the product."""
        return (*self.batch, *self.rows, *self.columns)

    def count_permutes(self, left: Groups, right: Groups, output: Groups | None) -> int:
        """Return how many of the operands, and of the result unless it may have any order, are to be permuted."""
        left, right = (right, left) if self.swapped else (left, right)
        return sum(
            [
                left != (*self.batch, *self.rows, *self.inner),
                right != (*self.batch, *self.inner, *self.columns),
                output not in (None, self.result),
            ]
        )


def lower_to_matmul(solved: SolvedPattern, path: Path = (), max_rank: int | None = None) -> Plan:
    """Return the plan of an einsum of several tensors by products of two tensors: of matrices, or of elements.

    If an axis is to be summed that only one of the two has, `Expand` adds it to the other. Only the diagonal of a
    tensor that has an axis twice is an einsum. Without a path, tensors are contracted from left to right. If a tensor
    would exceed ``max_rank``, all axes of a batch are one dimension.
    """
    path = path or left_to_right_path(len(solved.inputs))
    lowering = _MatmulLowering(solved)
    operands = dict(enumerate(lowering.read_inputs()))
    count = len(operands)
    for result, numbers in enumerate(numbered_steps(path, count), count):
        operand, *others = [operands.pop(number) for number in numbers]
        for position, other in enumerate(others, 1):
            waiting = [other.groups for other in (*operands.values(), *others[position:])]
            operand = lowering.contract(operand, other, waiting)
        operands[result] = operand
    (operand,) = operands.values()
    plan = lowering.finish(operand)
    if max_rank is not None and contraction_exceeds_rank(plan, max_rank):
        return lower_to_matrix_products(solved, path, max_rank, by_matmul=True)
    return plan


class _MatmulLowering:
    """The steps of a plan while it is made."""

    def __init__(self, solved: SolvedPattern) -> None:
        self._solved = solved
        self._sizes = SizeOpBuilder(solved)
        self._steps: list[NodeWithOperands] = []
        groups = group_adjacent_axes((*solved.inputs, solved.output))
        self._group_by_first_axis = {group[0]: group for group in groups}
        self._output = self._groups_of(solved.output)

    def _groups_of(self, dims: Iterable[Axes]) -> Groups:
        """Return the groups in these dimensions."""
        start = self._group_by_first_axis
        return tuple([start[axis] for axis in chain(*dims) if axis in start])

    def _length_slot(self, *groups: Axes) -> int:
        """Return the slot of the length of a dimension with these groups."""
        (slot,) = self._sizes.shape_slots([tuple(chain(*groups))])
        return slot

    def read_inputs(self) -> list[_Operand]:
        """Return the tensors, each without repeated axes."""
        solved, operands = self._solved, []
        with_ellipsis = [axis for dims in solved.inputs for (axis, *_) in filter(None, dims) if self._broadcasts(axis)]
        first_slot = 0
        for number, dims in enumerate(solved.inputs):
            groups, nodes = self._groups_of(dims), list[Node]()
            # the dimension of a group has the length in its own slot, which may be 1 if it is broadcast
            own_slots = {axes: slot for slot, axes in enumerate(dims, first_slot)}
            slots = {group: own_slots[group] if group in own_slots else self._length_slot(group) for group in groups}
            first_slot += len(dims)
            if list(dims) != [*groups]:
                nodes.append(Reshape(tuple([slots[group] for group in groups])))
            distinct = tuple(dict.fromkeys(groups))
            if len(distinct) < len(groups):
                equation = diagonal_equation([distinct.index(group) for group in groups])
                nodes.append(Contract("einsum", tuple([slots[group] for group in distinct]), equation))
            full_slots = {
                group: self._length_slot(group) if with_ellipsis.count(group[0]) > 1 else slots[group]
                for group in distinct
            }
            if full_slots != slots:
                nodes.append(Expand(tuple(full_slots.values())))
            operands.append(_Operand(number, tuple(nodes), distinct, full_slots))
        return operands

    def _broadcasts(self, axis: int) -> bool:
        """Whether the lengths of an axis must be made equal: one of the ellipsis that products do not broadcast.

        The product of two tensors broadcasts it, if the result has it. The lengths of other results would depend on it.
        """
        solved = self._solved
        is_kept = any(axis in axes for axes in solved.output)
        return solved.labels[axis] == ELLIPSIS_LABEL and (len(solved.inputs) > 2 or not is_kept)

    def contract(self, one: _Operand, other: _Operand, waiting: Sequence[Groups]) -> _Operand:
        """Return the product of two operands, summed over the axes that no waiting operand and not the output has."""
        needed = {*self._output}.union(*waiting)
        one, other = (
            self._expand(one, [group for group in other.groups if group not in (*one.groups, *needed)]),
            self._expand(other, [group for group in one.groups if group not in (*other.groups, *needed)]),
        )
        slots = {
            group: one.slots[group] if one.slots.get(group) == other.slots.get(group) else self._length_slot(group)
            for group in (*one.groups, *other.groups)
            if group in needed
        }
        if {*one.groups, *other.groups} <= needed:
            return self._multiply(one, other, slots)
        return self._multiply_matrices(one, other, slots, is_last=not waiting)

    def _expand(self, operand: _Operand, groups: Sequence[Axes]) -> _Operand:
        """Return an operand with these groups before its own."""
        if not groups:
            return operand
        slots = {**{group: self._length_slot(group) for group in groups}, **operand.slots}
        expand = Expand(tuple([slots[group] for group in (*groups, *operand.groups)]))
        return _Operand(operand.number, (*operand.nodes, expand), (*groups, *operand.groups), slots)

    def _multiply(self, one: _Operand, other: _Operand, slots: dict[Axes, int]) -> _Operand:
        """Return the product of elements, with the groups in the order of the output as far as it has them."""
        groups: Groups = tuple(dict.fromkeys([*[group for group in self._output if group in slots], *slots]))
        numbers = []
        for operand in (one, other):
            kept = tuple([group for group in groups if group in operand.groups])
            aligned = groups[groups.index(kept[0]) :] if kept else ()  # missing dimensions before these are broadcast
            nodes = [*operand.nodes, *_permute(operand.groups, kept)]
            if aligned != kept:
                lengths = [operand.slots[group] if group in kept else self._length_slot() for group in aligned]
                nodes.append(Reshape(tuple(lengths)))
            numbers.append(self._apply(operand.number, nodes))
        shape = tuple([slots[group] for group in groups])
        return _Operand(self._add(Contract("multiply", shape), *numbers), (), groups, slots)

    def _multiply_matrices(self, one: _Operand, other: _Operand, slots: dict[Axes, int], *, is_last: bool) -> _Operand:
        """Return the product of matrices, in the order with the fewest permutations."""
        order = min(
            _matmul_orders(one.groups, other.groups, slots, self._output),
            key=lambda order: order.count_permutes(one.groups, other.groups, self._output if is_last else None),
        )
        left, right = (other, one) if order.swapped else (one, other)
        batch, rows, columns, inner = order[1:]
        numbers = []
        for operand, row_groups, column_groups in ((left, rows, inner), (right, inner, columns)):
            nodes = [*operand.nodes, *_permute(operand.groups, (*batch, *row_groups, *column_groups))]
            if not len(row_groups) == len(column_groups) == 1:
                dims = [self._length_slot(*row_groups), self._length_slot(*column_groups)]
                nodes.append(Reshape((*[operand.slots[group] for group in batch], *dims)))
            numbers.append(self._apply(operand.number, nodes))
        shape = (*[slots[group] for group in batch], self._length_slot(*rows), self._length_slot(*columns))
        number = self._add(Contract("matmul", shape), *numbers)
        is_split = len(rows) == len(columns) == 1
        split = () if is_split else (Reshape(tuple([slots[group] for group in order.result])),)
        return _Operand(number, split, order.result, slots)

    def finish(self, operand: _Operand) -> Plan:
        """Return the plan whose result is this operand, with the dimensions of the output."""
        nodes = [*operand.nodes, *_permute(operand.groups, self._output)]
        if list(self._solved.output) != [*self._output]:
            nodes.append(Reshape(self._sizes.shape_slots(self._solved.output)))
        number = self._apply(operand.number, nodes)
        return Plan(self._solved, self._sizes.size_ops, tuple(self._steps), (number,))

    def _apply(self, number: int, nodes: list[Node]) -> int:
        """Add nodes, each of which takes the result of the one before; return the number of the last one's result."""
        for node in remove_redundant_nodes(nodes):
            number = self._add(node, number)
        return number

    def _add(self, node: Node, *operands: int) -> int:
        """Add a node, and return the number of its result."""
        self._steps.append((node, operands))
        return len(self._solved.inputs) + len(self._steps) - 1


def _matmul_orders(left: Groups, right: Groups, needed: Collection[Axes], output: Groups) -> Iterable[_MatmulOrder]:
    """Return the orders worth trying: of each kind of groups as in an operand or in the output, and both ways round."""
    for swapped in (False, True):
        one, other = (right, left) if swapped else (left, right)
        kinds = [
            [group for group in one if group in other and group in needed],
            [group for group in one if group not in other],
            [group for group in other if group not in one],
            [group for group in one if group in other and group not in needed],
        ]
        orders = [
            dict.fromkeys(
                [tuple(sorted(kind, key=order.index)) for order in (output, one, other) if {*kind} <= {*order}]
            )
            for kind in kinds
        ]
        for batch, rows, columns, inner in product(*orders):
            yield _MatmulOrder(swapped, batch, rows, columns, inner)


def _permute(groups: Groups, target: Groups) -> list[Node]:
    """Return the node that changes the order of groups, in a list that is empty if it stays the same."""
    return [] if groups == target else [Permute(tuple([groups.index(group) for group in target]))]
