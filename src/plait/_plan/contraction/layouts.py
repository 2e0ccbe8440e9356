"""How a tensor gets other dimensions, as an operand or a result: the fewest steps, and what they copy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from math import prod
from operator import mul
from typing import NamedTuple

from plait._plan.contraction.network import Network
from plait._plan.nodes import Node, Permute, Reshape
from plait._shapes.coalesce import coalesce_axes
from plait._shapes.solver import Axes, Dims
from plait.backends.costs import ContractionCosts


class Operand(NamedTuple):
    """A tensor in row-major order: its axes in that order, its shape, and the steps that are still to be done.

    After the ``steps`` it has this ``shape``, whose dimensions hold the axes, in order. Nobody else uses the memory of
    a temporary, an intermediate result.
    """

    axes: Axes
    shape: tuple[int, ...]
    steps: tuple[Node, ...] = ()
    is_temporary: bool = False


class Target(NamedTuple):
    """What is to be left: the axes that are ``kept``, and of the result of all their ``order`` and the ``shape``.

    ``merges`` says that the shape has dimensions of several axes.
    """

    kept: frozenset[int]
    order: Axes | None = None
    shape: tuple[int, ...] = ()
    merges: bool = False


class CostModel(NamedTuple):
    """The lengths of the axes, and what the calls of a framework cost."""

    sizes: tuple[int, ...]
    costs: ContractionCosts


class LayoutChange(NamedTuple):
    """The steps to other dimensions, and how many elements they copy: in rows of a length, with a stride before."""

    steps: tuple[Node, ...]
    copied: int = 0
    row: int = 1
    stride: int = 1

    def cost(self, costs: ContractionCosts) -> float:
        """In nanoseconds."""
        overhead = len(self.steps) * costs.view_overhead
        return overhead + costs.copy_work(self.copied, self.row, self.stride) if self.copied else overhead


def to_dims(operand: Operand, dims: Dims, sizes: Sequence[int]) -> LayoutChange:
    """Bring an operand into dimensions with these axes; a dimension without axes has length 1.

    The axes of a dimension must be adjacent in memory, in this order; where they are not, the operand is copied.
    """
    axes, _, steps, _ = operand
    size = sizes.__getitem__
    wanted: Axes = tuple(chain.from_iterable(dims))
    shape = tuple([prod(map(size, group)) for group in dims])
    if wanted == axes:
        return LayoutChange((*steps, Reshape(shape)) if shape != operand.shape else steps)
    memory = memory_order(dims, axes)
    if memory is not None:  # a reshape that merges, then a permutation: views both
        order = tuple(map(memory.index, range(len(dims))))
        return LayoutChange((*steps, *_reshape(operand.shape, tuple(map(shape.__getitem__, memory))), Permute(order)))
    groups = coalesce_axes(((wanted,), (axes,)))
    split = sorted(groups, key=lambda group: axes.index(group[0]))
    lengths = tuple([prod(map(size, group)) for group in split])
    order = tuple(map(split.index, groups))
    stride = prod(map(size, axes[axes.index(wanted[-1]) + 1 :]))
    steps = (*steps, *_reshape(operand.shape, lengths), Permute(order), Reshape(shape))
    return LayoutChange(steps, prod(lengths), lengths[order[-1]], stride)


def memory_order(dims: Dims, axes: Axes) -> list[int] | None:
    """How dimensions lie in memory in which the axes lie in this order: those without axes first, outer before inner.

    ``None`` where the axes of a dimension are not adjacent there.
    """
    starts = []
    for group in dims:
        start = axes.index(group[0]) if group else -1
        if axes[start : start + len(group)] != group:
            return None
        starts.append(start)
    return sorted(range(len(dims)), key=starts.__getitem__)


def _reshape(shape: tuple[int, ...], target: tuple[int, ...]) -> tuple[Node, ...]:
    return () if shape == target else (Reshape(target),)


def final_target(network: Network) -> Target:
    """The target of the last step."""
    order, shape = network.output, network.result
    boundaries = {*accumulate([network.sizes[axis] for axis in order], mul)}
    return Target(frozenset(order), order, shape, merges=not boundaries <= {*accumulate(shape, mul)})


def finish(product: Operand, target: Target, model: CostModel) -> tuple[float, tuple[Node, ...], Operand]:
    """The cost and the steps from a product to the target, and what is left then."""
    sizes, costs = model
    axes, _, steps, _ = product
    order = target.order
    if order is None:
        return len(steps) * costs.view_overhead, steps, Operand(axes, product.shape)
    result = Operand(order, target.shape)
    if axes == order:
        if product.shape != target.shape:
            steps = (*steps, Reshape(target.shape))
        return len(steps) * costs.view_overhead, steps, result
    size = sizes.__getitem__
    change = to_dims(product, tuple([(axis,) for axis in order]), sizes)
    if target.shape != tuple(map(size, order)):
        steps = (*change.steps, Reshape(target.shape))
        change = change._replace(steps=steps)
        if target.merges:
            stride = prod(map(size, axes[axes.index(order[-1]) + 1 :]))
            change = LayoutChange(steps, prod(map(size, order)), sizes[order[-1]], stride)
    return change.cost(costs), change.steps, result
