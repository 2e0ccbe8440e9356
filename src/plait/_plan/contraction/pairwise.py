"""One step along a contraction path: what it computes, what it has to leave, and a candidate for it with its cost."""

from __future__ import annotations

from itertools import accumulate
from math import prod
from operator import mul
from typing import NamedTuple

from plait._plan.contraction.layouts import LayoutChange, Operand, to_dims
from plait._plan.contraction.network import Axes, Network
from plait._plan.nodes import Contract, Node, Reshape
from plait.backends.costs import ContractionCosts


class PairwiseContraction(NamedTuple):
    """Two tensors become one; or one tensor is moved, or several are contracted at once.

    Attributes:
        operands: the numbers of the tensors. The tensors of the contraction are numbered first, then the results.
        sides: the steps of each operand before they are contracted.
        node: how they are contracted; ``None`` for one operand that has steps alone.
        after: the steps of the result.
    """

    operands: tuple[int, ...]
    sides: tuple[tuple[Node, ...], ...]
    node: Contract | None
    after: tuple[Node, ...] = ()


class Target(NamedTuple):
    """What is to be left: the axes that are ``kept``, and of the result of all their ``order`` and the ``shape``.

    ``merges`` says that the shape has dimensions of several axes.
    """

    kept: frozenset[int]
    order: Axes | None = None
    shape: tuple[int, ...] = ()
    merges: bool = False


class Candidate(NamedTuple):
    """One way to contract operands, its cost in nanoseconds, and what it leaves."""

    cost: float
    contraction: PairwiseContraction
    result: Operand


class CostModel(NamedTuple):
    """The lengths of the axes, and what the calls of a framework cost."""

    sizes: tuple[int, ...]
    costs: ContractionCosts


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
