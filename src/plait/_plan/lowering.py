"""From a solved pattern of one tensor to nodes: split, reduce, permute, expand, merge.

Axes that are neighbours both in a dimension of the input and in a dimension of the output are never taken apart. Axes
of different dimensions of the input are not merged before they are permuted: on a strided tensor that would be a copy.
"""

from __future__ import annotations

from collections.abc import Callable

from plait._plan.graph import Plan, SizeBuilder, chain_plan
from plait._plan.nodes import Expand, Node, Permute, Reduce, Reshape
from plait._shapes.coalesce import coalesce_axes
from plait._shapes.solver import SolvedPattern


def lower_movement(solved: SolvedPattern, reduction: str = "") -> Plan:
    """The plan that takes the one input to the output, and reduces the axes that only the input has."""
    sizes = SizeBuilder(solved)
    (dims,) = solved.inputs
    start: dict[int, tuple[int, ...]] = {}
    for group in coalesce_axes((dims, solved.output)):
        start[group[0]] = group
    groups = [start[axis] for axis in sum(dims, ()) if axis in start]
    target = [start[axis] for axis in sum(solved.output, ()) if axis in start]
    nodes: list[Node] = []
    if list(dims) != groups:
        nodes.append(Reshape(sizes.shape(groups)))
    if not set(target).issuperset(groups):
        nodes.append(Reduce(tuple([place for place, group in enumerate(groups) if group not in target]), reduction))
        groups = [group for group in groups if group in target]
    if groups != target:
        nodes.append(Permute(tuple([groups.index(group) for group in target if group in groups])))
    if len(groups) < len(target):
        new = len(target) - len(groups)
        if any(group in groups for group in target[:new]):  # new dimensions that lead need no unit dimensions
            nodes.append(Reshape(sizes.shape([group if group in groups else () for group in target])))
        nodes.append(Expand(sizes.shape(target)))
    if list(solved.output) != target:
        nodes.append(Reshape(sizes.shape(solved.output)))
    return chain_plan(solved, sizes.size_ops, rewrite(nodes))


def _is_identity(node: Node, _: Node | None) -> bool:
    """A permutation that moves nothing is a call saved."""
    order = node[0]
    return order == tuple(range(len(order)))


def _is_reshaped_again(_: Node, follower: Node | None) -> bool:
    """Of a reshape of a reshape only the last shape counts: what is merged again is never split."""
    return isinstance(follower, Reshape)


REWRITES: dict[type, Callable[[Node, Node | None], bool]] = {Permute: _is_identity, Reshape: _is_reshaped_again}
"""For a kind of node whether one can be left out, given the node and the one after it, if any."""


def rewrite(nodes: list[Node]) -> list[Node]:
    """Leave out the nodes that can be, from the last to the first.

    >>> rewrite([Reshape((0, 1)), Permute((0, 1)), Reshape((2,))])
    [Reshape(shape=(2,))]
    """
    follower = None
    for place in range(len(nodes) - 1, -1, -1):
        node = nodes[place]
        can_be_left_out = REWRITES.get(type(node))
        if can_be_left_out is not None and can_be_left_out(node, follower):
            del nodes[place]
        else:
            follower = node
    return nodes
