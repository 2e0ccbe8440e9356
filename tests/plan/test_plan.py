"""Plans: the nodes that patterns are lowered to, without a framework."""

from __future__ import annotations

import pytest
from hypothesis import given
from pattern_strategies import transform_patterns

from plait._notation.parser import parse
from plait._operations.table import find_operation_or_einsum
from plait._plan.graph import Plan, group_by_contraction
from plait._plan.lowering import REDUNDANCY_RULES, lower_movement, remove_redundant_nodes
from plait._plan.nodes import Contract, Expand, Permute, Reduce, Reshape, View
from plait._plan.strides import contiguous_strides, reshaped_strides_or_copied_dim
from plait._shapes.solver import solve_pattern


def node_names(pattern, rank, *given, reduction="sum", operation=None):
    solved = solve_pattern(parse(pattern), (rank,), given)
    plan = (
        find_operation_or_einsum(operation).lower(solved, reduction) if operation else lower_movement(solved, reduction)
    )
    return [type(node).__name__.lower() for node, _ in plan.steps]


@pytest.mark.parametrize(
    ("pattern", "rank", "given", "expected"),
    [
        ("a b -> a b", 2, [], []),
        ("... -> ...", 3, [], []),
        ("a (b c) -> a (b c)", 2, ["c"], []),
        ("a b -> b a", 2, [], ["permute"]),
        ("a b c -> a (b c)", 3, [], ["reshape"]),
        ("a (b c) -> a b c", 2, ["c"], ["reshape"]),
        ("a (b c) -> (a b) c", 2, ["c"], ["reshape"]),
        ("a 1 b -> a b", 3, [], ["reshape"]),
        ("a b -> 1 a 1 b", 2, [], ["reshape"]),
        ("a (b c) d -> (b c) a d", 3, ["c"], ["permute"]),
        ("a (b c) -> a c b", 2, ["c"], ["reshape", "permute"]),
        ("a b c -> a (c b)", 3, [], ["permute", "reshape"]),
        ("b c (h p) (w q) -> b (c p q) h w", 4, ["p", "q"], ["reshape", "permute", "reshape"]),
        ("a b -> a", 2, [], ["reduce"]),
        ("a (b c) -> a", 2, ["c"], ["reduce"]),
        ("a (b c) -> a b", 2, ["c"], ["reshape", "reduce"]),
        ("a b c -> c a", 3, [], ["reduce", "permute"]),
        ("a b -> a 1", 2, [], ["reduce", "reshape"]),
        ("a -> r a", 1, ["r"], ["expand"]),
        ("a -> a r", 1, ["r"], ["reshape", "expand"]),
        ("a -> (a r)", 1, ["r"], ["reshape", "expand", "reshape"]),
        ("a -> (r a)", 1, ["r"], ["expand", "reshape"]),
        ("(a b) -> a r s b", 1, ["a", "r", "s"], ["reshape", "expand"]),
    ],
)
def test_plan_has_the_expected_nodes(pattern, rank, given, expected):
    assert node_names(pattern, rank, *given) == expected


def test_adjacent_reduced_axes_are_coalesced():
    plan = lower_movement(solve_pattern(parse("(a b c) d -> d"), (2,), ("a", "b")), "sum")
    assert plan.steps == ((Reduce((0,), "sum"), (0,)),)


def test_view_operation_gives_view_nodes():
    assert node_names("a b c -> a (b c)", 3, operation="view") == ["view"]


@given(transform_patterns("rearrange"))
def test_plan_has_no_redundant_nodes(drawn):
    solved = solve_pattern(parse(drawn.pattern), (len(drawn.shape),), tuple(drawn.sizes))
    plan = lower_movement(solved)
    nodes = [node for node, _ in plan.steps]
    assert remove_redundant_nodes(list(nodes)) == nodes
    assert len(nodes) <= 3
    shape = tuple(range(len(drawn.shape)))
    for node in nodes:
        shape = node.output_shape(shape)
    assert len(shape) == len(solved.output)


def test_output_shape_of_nodes():
    assert Permute((2, 0, 1)).output_shape((5, 6, 7)) == (7, 5, 6)
    assert Reduce((0, 2), "sum").output_shape((5, 6, 7)) == (6,)
    for kind in (Reshape, View, Expand):
        assert kind((1, 2)).output_shape((5, 6, 7)) == (1, 2)


def test_redundancy_rules_have_docstrings():
    assert all(rule.__doc__ for rule in REDUNDANCY_RULES.values())
    assert len({rule.__name__ for rule in REDUNDANCY_RULES.values()}) == len(REDUNDANCY_RULES)


@pytest.mark.parametrize("kind", REDUNDANCY_RULES)
def test_each_node_class_has_a_simplification_that_removes_nodes(kind):
    assert any(len(after) < len(before) for before, after in SIMPLIFICATION_CASES_BY_NODE_CLASS[kind])


def test_reshape_strides_of_views_and_copies():
    assert contiguous_strides((2, 0, 3)) == (3, 3, 1)
    assert reshaped_strides_or_copied_dim((4, 6), (6, 1), (24,)) == (1,)
    assert reshaped_strides_or_copied_dim((4, 6), (1, 4), (24,)) == 0
    assert reshaped_strides_or_copied_dim((2, 4, 6), (48, 1, 4), (2, 24)) == 1
    assert reshaped_strides_or_copied_dim((4, 1, 6), (6, 99, 1), (24, 1)) == (1, 1)
    assert reshaped_strides_or_copied_dim((), (), (1, 1)) == (1, 1)
    assert reshaped_strides_or_copied_dim((3, 4), (0, 1), (12,)) == 0


def test_plan_with_a_shared_value_and_several_outputs():
    """Nodes for concatenation or splitting will need this: no node assumes that its result is used once."""
    from plait._executor.executable import build_plan_function

    solved = solve_pattern(parse("a b -> b a"), (2,), ())
    reshape, permute, flat = Reshape((3, 2)), Permute((1, 0)), Reshape((6,))
    product = Contract("einsum", (2, 2), "ab,bc->ac")
    steps = ((reshape, (0,)), (permute, (1,)), (product, (0, 1)), (flat, (2,)))
    plan = Plan(solved, (), steps, (3, 4, 1))
    groups, outputs = group_by_contraction(plan)
    assert len(outputs) == 3
    assert outputs[2] in dict.fromkeys(source for group in groups for source, _ in group.operand_chains)
    np = pytest.importorskip("numpy")
    functions = {"reshape": np.reshape, "permute": np.transpose}
    calls = [
        (lambda *tensors: np.einsum(product.equation, *tensors), None)
        if isinstance(node, Contract)
        else (functions[node.method], node[0])
        for node, _ in steps
    ]
    x = np.arange(6.0).reshape(2, 3)
    matrix, vector, reshaped = build_plan_function(plan, calls)(x)
    np.testing.assert_array_equal(matrix, x @ x.reshape(3, 2))
    np.testing.assert_array_equal(vector, x.reshape(3, 2).T.reshape(6))
    np.testing.assert_array_equal(reshaped, x.reshape(3, 2))


SIMPLIFICATION_CASES_BY_NODE_CLASS = {
    Permute: [
        ([Permute((0, 1))], []),
        ([Permute((0, 1)), Reshape((2,))], [Reshape((2,))]),
        ([Reduce((1,), "sum"), Permute((0, 1)), Expand((1, 2, 0))], [Reduce((1,), "sum"), Expand((1, 2, 0))]),
        ([Permute((1, 0))], [Permute((1, 0))]),
    ],
    Reshape: [
        ([Reshape((0, 1)), Reshape((2,))], [Reshape((2,))]),
        ([Reshape((0, 1)), Reshape((2,)), Reshape((3, 4))], [Reshape((3, 4))]),
        ([Reshape((0, 1)), Permute((1, 0)), Reshape((2,))], [Reshape((0, 1)), Permute((1, 0)), Reshape((2,))]),
    ],
}
"""For each redundancy rule lists of nodes, and what is left of them."""


@pytest.mark.parametrize(
    ("before", "after"), [pair for pairs in SIMPLIFICATION_CASES_BY_NODE_CLASS.values() for pair in pairs]
)
def test_redundant_nodes_are_removed(before, after):
    assert SIMPLIFICATION_CASES_BY_NODE_CLASS.keys() == REDUNDANCY_RULES.keys()
    assert remove_redundant_nodes(list(before)) == after
