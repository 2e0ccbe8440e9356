"""Plans of limited rank: into how few calls a reduction is divided, and what stays as it is."""

from __future__ import annotations

from itertools import combinations, groupby

import pytest

from plait._executor.compile import lower_pattern
from plait._notation.parser import parse
from plait._operations.table import find_operation_or_einsum
from plait._plan.bounded_contraction import lower_to_matrix_products
from plait._plan.bounded_lowering import divide_among_calls, exceeds_rank
from plait._plan.lowering import lower_movement
from plait._plan.nodes import Permute, Reduce
from plait._shapes.solver import solve_pattern


def fewest_calls(axes, kept, max_rank):
    """How many calls reduce all axes that are not kept, of all choices of the axes of each call."""
    states, calls = {axes}, 0
    while not any({*state} <= kept for state in states):
        states = {
            tuple(axis for axis in state if axis not in chosen)
            for state in states
            for count in range(1, len({*state} - kept) + 1)
            for chosen in combinations([axis for axis in state if axis not in kept], count)
            if len([*groupby(state, lambda axis: axis in chosen)]) <= max_rank
        }
        calls += 1
    return calls


@pytest.mark.parametrize("max_rank", [3, 4, 5, 6])
@pytest.mark.parametrize("count", [1, 2, 3, 6, 7, 8, 9])
def test_reduction_is_divided_into_the_fewest_calls(count, max_rank):
    for is_first_kept in (True, False):
        axes = tuple(range(count))
        kept = {axis for axis in axes if (axis % 2 == 0) == is_first_kept}
        calls = divide_among_calls(axes, kept, max_rank)
        assert len(calls) == fewest_calls(axes, kept, max_rank)
        assert frozenset().union(*calls) == {*axes} - kept
        for reduced in calls:
            assert len([*groupby(axes, reduced.__contains__)]) <= max_rank
            axes = tuple(axis for axis in axes if axis not in reduced)


def plan_of(operation, pattern, rank, given, reduction, max_rank):
    return find_operation_or_einsum(operation).lower(solve_pattern(parse(pattern), (rank,), given), reduction, max_rank)


@pytest.mark.parametrize(
    ("reduction", "reduces", "permutes"), [("sum", 2, 0), ("max", 2, 0), ("var", 1, 1), ("custom", 1, 1)]
)
def test_reduction_that_may_not_be_divided_is_made_after_a_transpose(reduction, reduces, permutes):
    plan = plan_of("reduce", "b (h p) (w q) c -> b h w c", 4, ("p", "q"), reduction, 4)
    assert sum(isinstance(node, Reduce) for node, _ in plan.steps) == reduces
    assert sum(isinstance(node, Permute) for node, _ in plan.steps) == permutes
    assert not exceeds_rank(plan, 4)


@pytest.mark.parametrize("pattern", ["a b c -> c b a", "(a b) c -> b (a c)", "a b c d -> (d c) (b a)"])
def test_plan_that_keeps_the_rank_is_the_usual_one(pattern):
    tree = parse(pattern)
    solved = solve_pattern(tree, (len(tree.left[0].items),), ("a",) if pattern.startswith("(a") else ())
    assert find_operation_or_einsum("rearrange").lower(solved, "", 4) == lower_movement(solved)


def test_a_product_of_matrices_is_ordered_as_its_result():
    solved = lower_pattern("einsum", "a b i j, a b k j -> a b k i", (4, 4), ()).solved
    plan = lower_to_matrix_products(solved, ((0, 1),), 4)
    assert sum(isinstance(node, Permute) for node, _ in plan.steps) == 1  # of an operand, and not of the result too
