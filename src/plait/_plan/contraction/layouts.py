"""The layout of operands and results: the fewest steps that change it, and how many elements they copy.

A layout is the order of the axes in memory, and how they are divided among the dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from math import prod
from operator import mul
from typing import NamedTuple

from plait._plan.contraction.network import TensorNetwork
from plait._plan.nodes import Node, Permute, Reshape
from plait._shapes.solver import Axes, Dims
from plait.backends.costs import ContractionCosts


class Operand(NamedTuple):
    """A row-major tensor: its axes in memory order, its shape, and the steps that have yet to be applied to it.

    ``shape`` is the shape after these steps; each of its dimensions has one or several of the axes, in order. A
    temporary is an intermediate result whose memory may be overwritten.
    """

    axes: Axes
    shape: tuple[int, ...]
    steps: tuple[Node, ...] = ()
    is_temporary: bool = False


class ResultSpec(NamedTuple):
    """What a contraction of some tensors must return: the axes to keep.

    The last contraction of a path must also return them in this order and shape. ``merges_axes`` says whether the shape
    has dimensions of several axes.
    """

    kept_axes: frozenset[int]
    order: Axes | None = None
    shape: tuple[int, ...] = ()
    merges_axes: bool = False


class SizesOfAxes(dict[Axes, int]):
    """For each tuple of axes the product of their lengths, computed when it is first asked for."""

    def __init__(self, lengths: Sequence[int]) -> None:
        super().__init__({(): 1})
        self._lengths = lengths

    def __missing__(self, axes: Axes) -> int:
        size = self[axes] = prod([self._lengths[axis] for axis in axes])
        return size


class SizesAndCosts:
    """The lengths of the axes, their products, and the costs of a framework's calls."""

    __slots__ = ("costs", "size_of", "sizes")

    def __init__(self, sizes: tuple[int, ...], costs: ContractionCosts) -> None:
        self.sizes, self.size_of, self.costs = sizes, SizesOfAxes(sizes), costs


class LayoutChange(NamedTuple):
    """Steps that change a layout, and the number of elements that they copy, if any.

    The copy writes rows of ``row_length`` elements; in the source, the elements of a row are ``source_stride`` apart.
    """

    steps: tuple[Node, ...]
    copied_elements: int = 0
    row_length: int = 1
    source_stride: int = 1

    def cost(self, costs: ContractionCosts) -> float:
        """Return the estimated time in nanoseconds."""
        overhead = len(self.steps) * costs.view_overhead
        if not self.copied_elements:
            return overhead
        return overhead + costs.copy_work(self.copied_elements, self.row_length, self.source_stride)


def change_layout(operand: Operand, dims: Dims, size_of: SizesOfAxes) -> LayoutChange:
    """Return the steps that give an operand dimensions of these axes; a dimension without axes has length 1.

    The operand is copied where the axes of a dimension are not adjacent in memory, in this order.
    """
    axes, given_shape, steps, _ = operand
    new_axes: Axes = tuple(chain.from_iterable(dims))
    shape = tuple([size_of[dim_axes] for dim_axes in dims])
    if new_axes == axes:
        return LayoutChange((*steps, Reshape(shape)) if shape != given_shape else steps)
    memory_order = memory_order_of_dims(dims, axes)
    if memory_order is not None:  # merging adjacent axes and permuting are both views
        order = tuple([memory_order.index(dim) for dim in range(len(dims))])
        shape_in_memory = tuple([shape[dim] for dim in memory_order])
        if shape_in_memory == given_shape:
            return LayoutChange((*steps, Permute(order)))
        return LayoutChange((*steps, Reshape(shape_in_memory), Permute(order)))
    groups, memory_order = _group_as_in_memory(new_axes, axes)
    lengths = tuple([size_of[groups[number]] for number in memory_order])
    order = tuple([memory_order.index(number) for number in range(len(groups))])
    if lengths != given_shape:
        steps = (*steps, Reshape(lengths))
    stride = size_of[axes[axes.index(new_axes[-1]) + 1 :]]
    return LayoutChange((*steps, Permute(order), Reshape(shape)), size_of[axes], lengths[order[-1]], stride)


def _group_as_in_memory(new_axes: Axes, axes: Axes) -> tuple[list[Axes], list[int]]:
    """Return ``new_axes`` in groups that are adjacent in ``axes`` too, and the numbers of the groups in its order."""
    groups: list[Axes] = []
    starts: list[int] = []
    next_position = -1
    for axis in new_axes:
        position = axes.index(axis)
        if position == next_position:
            groups[-1] = (*groups[-1], axis)
        else:
            groups.append((axis,))
            starts.append(position)
        next_position = position + 1
    return groups, sorted(range(len(groups)), key=starts.__getitem__)


def memory_order_of_dims(dims: Dims, axes: Axes) -> list[int] | None:
    """Return the indices of the dimensions in the order in which they lie in memory; ``axes`` is that of the axes.

    Dimensions without axes come first. Return ``None`` if the axes of a dimension are not adjacent in memory.
    """
    first_positions = []
    for dim_axes in dims:
        start = axes.index(dim_axes[0]) if dim_axes else -1
        if axes[start : start + len(dim_axes)] != dim_axes:
            return None
        first_positions.append(start)
    return sorted(range(len(dims)), key=first_positions.__getitem__)


def final_result_spec(network: TensorNetwork) -> ResultSpec:
    """Return what the last contraction of a network must return."""
    order, shape = network.output, network.result_shape
    lengths = tuple([network.sizes[axis] for axis in order])
    merges_axes = lengths != shape and not {*accumulate(lengths, mul)} <= {*accumulate(shape, mul)}
    return ResultSpec(frozenset(order), order, shape, merges_axes)


def cost_and_steps_to_result(
    product: Operand, spec: ResultSpec, sizes_and_costs: SizesAndCosts
) -> tuple[float, tuple[Node, ...], Operand]:
    """Return the cost and the steps that turn a product into the required result, and that result, a temporary.

    The product is a temporary, and may have steps to be applied to it.
    """
    costs = sizes_and_costs.costs
    axes, _, steps, _ = product
    order = spec.order
    if order is None:
        return (len(steps) * costs.view_overhead, steps, product._replace(steps=())) if steps else (0.0, (), product)
    result = Operand(order, spec.shape, is_temporary=True)
    if axes == order:
        if product.shape != spec.shape:
            steps = (*steps, Reshape(spec.shape))
        return len(steps) * costs.view_overhead, steps, result
    sizes, size_of = sizes_and_costs.sizes, sizes_and_costs.size_of
    change = change_layout(product, tuple([(axis,) for axis in order]), size_of)
    if spec.shape != tuple([sizes[axis] for axis in order]):
        steps = (*change.steps, Reshape(spec.shape))
        change = change._replace(steps=steps)
        if spec.merges_axes:
            stride = size_of[axes[axes.index(order[-1]) + 1 :]]
            change = LayoutChange(steps, size_of[order], sizes[order[-1]], stride)
    return change.cost(costs), change.steps, result
