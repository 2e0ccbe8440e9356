"""Lower a solved pattern of one tensor to nodes: split, reduce, permute, expand and merge dimensions.

Axes that are adjacent in both the input and the output are treated as one. Axes of different dimensions of the input
are merged only after the permutation, since a merge before it would have to copy some strided tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from string import ascii_letters

from plait._plan.graph import Plan, SizeOpBuilder, build_chain_plan
from plait._plan.nodes import Contract, Expand, Node, Permute, Reduce, Reshape
from plait._shapes.coalesce import group_adjacent_axes
from plait._shapes.solver import SolvedPattern
from plait.errors import make_error


def lower_movement(solved: SolvedPattern, reduction: str = "") -> Plan:
    """Return the plan from the input to the output; ``reduction`` reduces the axes that only the input has.

    If an axis appears in two dimensions of the input, their diagonal is taken first, as an einsum does.
    """
    sizes = SizeOpBuilder(solved)
    (dims,) = solved.inputs
    group_by_first_axis: dict[int, tuple[int, ...]] = {}
    for group in group_adjacent_axes((dims, solved.output)):
        group_by_first_axis[group[0]] = group
    groups = [group_by_first_axis[axis] for axis in sum(dims, ()) if axis in group_by_first_axis]
    has_diagonal = len({*groups}) < len(groups)
    target = [group_by_first_axis[axis] for axis in sum(solved.output, ()) if axis in group_by_first_axis]
    nodes: list[Node] = []
    if list(dims) != groups:
        nodes.append(Reshape(sizes.shape_slots(groups)))
    if has_diagonal:
        diagonal_groups = [*dict.fromkeys(groups)]
        equation = diagonal_equation([diagonal_groups.index(group) for group in groups])
        nodes.append(Contract("einsum", sizes.shape_slots(diagonal_groups), equation))
        groups = diagonal_groups
    if not set(target).issuperset(groups):
        nodes.append(Reduce(tuple([dim for dim, group in enumerate(groups) if group not in target]), reduction))
        groups = [group for group in groups if group in target]
    if groups != target:
        nodes.append(Permute(tuple([groups.index(group) for group in target if group in groups])))
    if len(groups) < len(target):
        new_count = len(target) - len(groups)
        if any(group in groups for group in target[:new_count]):  # `Expand` itself adds new dimensions at the front
            nodes.append(Reshape(sizes.shape_slots([group if group in groups else () for group in target])))
        nodes.append(Expand(sizes.shape_slots(target)))
    if list(solved.output) != target:
        nodes.append(Reshape(sizes.shape_slots(solved.output)))
    return build_chain_plan(solved, sizes.size_ops, remove_redundant_nodes(nodes))


def diagonal_equation(labels: list[int]) -> str:
    """Return the equation of an einsum that takes the diagonal of the dimensions with equal labels.

    >>> diagonal_equation([0, 1, 0])
    'aba->ab'
    """
    if max(labels) >= len(ascii_letters):
        message = f"einsum supports {len(ascii_letters)} different axes, but this tensor has more"
        raise make_error("PLT506", message)
    term = "".join([ascii_letters[label] for label in labels])
    return f"{term}->{''.join(dict.fromkeys(term))}"


def _is_identity_permute(node: Node, _: Node | None) -> bool:
    """Whether a permutation keeps every dimension where it is."""
    order = node[0]
    return order == tuple(range(len(order)))


def _is_reshape_before_reshape(_: Node, next_node: Node | None) -> bool:
    """Whether the next node is a reshape too, which makes this one unnecessary."""
    return isinstance(next_node, Reshape)


REDUNDANCY_RULES: dict[type, Callable[[Node, Node | None], bool]] = {
    Permute: _is_identity_permute,
    Reshape: _is_reshape_before_reshape,
}
"""For a type of node the function that says whether such a node can be left out, given it and the next node, if any."""


def remove_redundant_nodes(nodes: list[Node]) -> list[Node]:
    """Remove from a list of nodes those that can be left out by `REDUNDANCY_RULES`, and return the list.

    >>> remove_redundant_nodes([Reshape((0, 1)), Permute((0, 1)), Reshape((2,))])
    [Reshape(shape=(2,))]
    """
    next_node = None
    for position in range(len(nodes) - 1, -1, -1):
        node = nodes[position]
        is_redundant = REDUNDANCY_RULES.get(type(node))
        if is_redundant is not None and is_redundant(node, next_node):
            del nodes[position]
        else:
            next_node = node
    return nodes
