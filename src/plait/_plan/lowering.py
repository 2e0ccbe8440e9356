"""From a solved pattern of one tensor to nodes: split, reduce, permute, expand, merge.

Axes that are neighbours both in a dimension of the input and in a dimension of the output are never taken apart. Axes
of different dimensions of the input are not merged before they are permuted: on a strided tensor that would be a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

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


class Rewrite(NamedTuple):
    """Replaces a node, and the one after it (or ``None``), without changing what they do."""

    name: str
    reason: str
    on: type  # the kind of the node
    apply: Callable[[Node, Node | None], tuple[Node, ...] | None]  # what replaces both, or ``None`` to leave them


def _drop_identity(node: Node, follower: Node | None) -> tuple[Node, ...] | None:
    order = node[0]
    if order != tuple(range(len(order))):
        return None
    return () if follower is None else (follower,)


def _keep_last_reshape(_: Node, follower: Node | None) -> tuple[Node, ...] | None:
    return (follower,) if isinstance(follower, Reshape) else None


REWRITES = (
    Rewrite("permutation that moves nothing", "a call saved", Permute, _drop_identity),
    Rewrite(
        "reshape of a reshape",
        "never split what is merged again; only the last shape counts",
        Reshape,
        _keep_last_reshape,
    ),
)


def rewrite(nodes: list[Node]) -> list[Node]:
    """Apply the rewrites until none applies.

    >>> rewrite([Reshape((0, 1)), Permute((0, 1)), Reshape((2,))])
    [Reshape(shape=(2,))]
    """
    place = len(nodes) - 1
    while place >= 0:
        kind = type(nodes[place])
        for rule in REWRITES:
            if kind is rule.on:
                follower = nodes[place + 1] if place + 1 < len(nodes) else None
                replacement = rule.apply(nodes[place], follower)
                if replacement is not None:
                    nodes[place : place + 2] = replacement
                    break
        place -= 1
    return nodes
