"""Lower a solved pattern of one tensor to nodes of which none gives a tensor above a given rank.

Where the plan of `lower_movement` exceeds the rank, the nodes come in an order that moves few bytes: a reduction first,
in several calls if its axes may be divided; then the transposes that `plait._plan.transposes` finds; new axes last.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain, groupby
from string import ascii_letters

from plait._plan.graph import Plan, SizeOpBuilder, build_chain_plan, input_and_output_shapes
from plait._plan.lowering import lower_movement, remove_redundant_nodes
from plait._plan.nodes import Contract, Expand, Node, Permute, Reduce, Reshape, Shape
from plait._plan.transposes import Reducibility, can_reduce, find_transposes
from plait._shapes.solver import Axes, Dims, SolvedPattern
from plait.backends.reduction_rules import MERGEABLE_REDUCTIONS, REDUCTION_RULES


def lower_within_rank(solved: SolvedPattern, reduction: str, max_rank: int) -> Plan:
    """Return the plan of `lower_movement`, or another one if a step of that gives a tensor above a rank.

    Without a reduction, axes that only the input has are summed by einsums, in the element type of the tensor.
    """
    plan = lower_movement(solved, reduction)
    if (reduction or not any(isinstance(node, Reduce) for node, _ in plan.steps)) and not exceeds_rank(plan, max_rank):
        return plan
    movement = BoundedMovement(SizeOpBuilder(solved), solved.inputs[0], max_rank)
    movement.move_to(solved.output, reduction)
    return build_chain_plan(solved, movement.sizes.size_ops, remove_redundant_nodes(movement.nodes))


def exceeds_rank(plan: Plan, max_rank: int, input_shapes: Sequence[Shape] | None = None) -> bool:
    """Whether a step of a plan gives a tensor above a rank; ``input_shapes`` are those of a plan for given sizes."""
    return any(len(shape) > max_rank for _, shape in input_and_output_shapes(plan, input_shapes))


class BoundedMovement:
    """Builds the nodes that bring one tensor into another shape, none of which exceeds a rank.

    Attributes:
        sizes: where the slots of lengths are found.
        dims: the dimensions of the tensor after the last node, each as its axes.
        max_rank: the highest rank of a tensor.
        nodes: the nodes, some of which `remove_redundant_nodes` may leave out.
    """

    def __init__(self, sizes: SizeOpBuilder, dims: Dims, max_rank: int) -> None:
        self.sizes, self.dims, self.max_rank = sizes, dims, max_rank
        self.nodes: list[Node] = []

    @property
    def axes(self) -> Axes:
        """The axes of the tensor in order."""
        return tuple(chain.from_iterable(self.dims))

    def move_to(self, output: Dims, reduction: str = "") -> None:
        """Add the nodes to a tensor with these dimensions; its axes that are not among them are reduced.

        If an axis appears in two dimensions, their diagonal is taken first. Without a name of a reduction the axes are
        summed by einsums.
        """
        self._take_diagonals()
        kept = {*chain.from_iterable(output)}
        reducibility = Reducibility.PARTS
        if reduction and reduction not in MERGEABLE_REDUCTIONS:
            reducibility = Reducibility.WHOLE if reduction in REDUCTION_RULES else Reducibility.ORDERED
        else:
            for reduced in divide_among_calls(self.axes, kept, self.max_rank):
                self._reduce(reduced, reduction)
        self._permute(output, reduction, reducibility)
        for added in reversed(divide_among_calls(tuple(chain.from_iterable(output)), {*self.axes}, self.max_rank)):
            self._add_axes(added, output)
        self._reshape(output)

    def _reshape(self, dims: Dims) -> None:
        """Divide the axes, in their order, into these dimensions."""
        if dims != self.dims:
            self.nodes.append(Reshape(self.sizes.shape_slots(dims)))
            self.dims = dims

    def _take_diagonals(self) -> None:
        """Bring two dimensions of the same axis to the front and take their diagonal, for each such pair."""
        while len(axes := self.axes) > len({*axes}):
            second = next(place for place, axis in enumerate(axes) if axis in axes[:place])
            first = axes.index(axes[second])
            order = (first, second, *[place for place in range(len(axes)) if place not in (first, second)])
            numbers = tuple([order.index(place) for place in range(len(axes))])
            for segments, new_order in find_transposes(numbers, self.max_rank, frozenset()):
                self._transpose([[axes[order[number]] for number in segment] for segment in segments], new_order)
            axis, _, *others = self.axes
            rest = (tuple(others),) if others else ()
            self._reshape(((axis,), (axis,), *rest))
            self._contract("aab->ab" if rest else "aa->a", ((axis,), *rest))

    def _permute(self, output: Dims, reduction: str, reducibility: Reducibility) -> None:
        """Bring the axes into the order of an output, and reduce those that it does not have, if any are left."""
        axes, kept = self.axes, [axis for axis in chain.from_iterable(output) if axis in self.axes]
        reduced = [axis for axis in axes if axis not in kept]
        numbers = {axis: place for place, axis in enumerate(kept)}
        numbers.update({axis: place - len(reduced) for place, axis in enumerate(reduced)})
        axis_of = {number: axis for axis, number in numbers.items()}
        firsts = [next((axis for axis in dim if axis in kept), None) for dim in output]
        starts = frozenset([numbers[axis] for axis in firsts if axis is not None])
        order = tuple([numbers[axis] for axis in axes])
        steps = find_transposes(order, self.max_rank, starts, reducibility)
        self._reduce_if_possible(reduced, reduction, reducibility, numbers)
        for segments, new_order in steps:
            self._transpose([[axis_of[number] for number in segment] for segment in segments], new_order)
            self._reduce_if_possible(reduced, reduction, reducibility, numbers)

    def _transpose(self, segments: Sequence[Sequence[int]], order: Axes) -> None:
        """Reorder segments of the axes."""
        self._reshape(tuple(map(tuple, segments)))
        self.nodes.append(Permute(order))
        self.dims = tuple([self.dims[place] for place in order])

    def _reduce_if_possible(
        self, reduced: Sequence[int], reduction: str, reducibility: Reducibility, numbers: dict[int, int]
    ) -> None:
        """Reduce these axes, if the tensor has them and one call can reduce them all."""
        axes = self.axes
        if not {*reduced}.isdisjoint(axes) and can_reduce(
            [numbers[axis] for axis in axes], self.max_rank, reducibility
        ):
            self._reduce(reduced, reduction)

    def _reduce(self, reduced: Collection[int], reduction: str) -> None:
        """Reduce these axes in one call."""
        self._reshape(tuple([tuple(run) for _, run in groupby(self.axes, reduced.__contains__)]))
        removed = tuple([dim for dim, axes in enumerate(self.dims) if axes[0] in reduced])
        kept = tuple([axes for axes in self.dims if axes[0] not in reduced])
        if not reduction:
            letters = ascii_letters[: len(self.dims)]
            self._contract(f"{letters}->{''.join([letters[self.dims.index(axes)] for axes in kept])}", kept)
            return
        self.nodes.append(Reduce(removed, reduction))
        self.dims = kept

    def _contract(self, equation: str, dims: Dims) -> None:
        """Apply an einsum of one tensor, which gives these dimensions."""
        self.nodes.append(Contract("einsum", self.sizes.shape_slots(dims), equation))
        self.dims = dims

    def _add_axes(self, added: Collection[int], output: Dims) -> None:
        """Broadcast along new axes of an output."""
        present = {*self.axes, *added}
        axes = [axis for axis in chain.from_iterable(output) if axis in present]
        dims = tuple([tuple(run) for _, run in groupby(axes, added.__contains__)])
        before = [() if dim[0] in added else dim for dim in dims]
        if () not in before[1:]:  # `Expand` itself adds a dimension at the front
            del before[0]
        self._reshape(tuple(before))
        self.nodes.append(Expand(self.sizes.shape_slots(dims)))
        self.dims = dims


def divide_among_calls(axes: Axes, kept: Collection[int], max_rank: int) -> list[frozenset[int]]:
    """Return which of the axes that are not kept each call of a reduction takes, so that its tensor keeps a rank.

    Each call takes as many neighbouring runs of them as the rank allows, and those at the ends last: they are
    neighbours once all between them are reduced.

    >>> divide_among_calls((0, 1, 2, 3, 4), {0, 2, 4}, 3)
    [frozenset({1}), frozenset({3})]
    """
    calls: list[frozenset[int]] = []
    while not {*axes} <= {*kept}:
        runs = [(is_kept, [*run]) for is_kept, run in groupby(axes, kept.__contains__)]
        places = [place for place, (is_kept, _) in enumerate(runs) if not is_kept]
        windows = [(first, last) for first in places for last in places if first <= last]
        fitting = [(a, b) for a, b in windows if (a > 0) + (b - a + 1) + (b < len(runs) - 1) <= max_rank]
        first, last = max(fitting, key=lambda each: (each[1] - each[0], each[0] > 0, each[1] < len(runs) - 1))
        calls.append(frozenset(chain.from_iterable([runs[place][1] for place in range(first, last + 1, 2)])))
        axes = tuple([axis for axis in axes if axis not in calls[-1]])
    return calls
