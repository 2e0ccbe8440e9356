"""``options(einsum="matmul")`` on every framework: the values and types of an einsum, without one in the plan."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from einsum_strategies import (
    assert_equal,
    classical_equations,
    einsum_patterns,
    expected_einsum,
    given_for_framework,
    integer_arrays,
)
from hypothesis import assume, given
from hypothesis import strategies as st

import plait
from backends.frameworks import parametrize_by_framework
from plait._executor.compile import lower_pattern
from plait._operations.einsum_by_matmul import lower_to_matmul
from plait._plan.graph import input_and_output_shapes
from plait._plan.nodes import Contract, Permute

pytestmark = pytest.mark.filterwarnings(r"ignore:\[PLT602\]:plait.AxisWarning")  # equations such as "a...bbb,...bbb"


@parametrize_by_framework()
def test_patterns_agree_with_the_definition(framework):
    @given_for_framework(framework, einsum_patterns(4))
    def _(case):
        arrays = integer_arrays(case.shapes)
        with plait.options(einsum="matmul"):
            result = plait.einsum(*map(framework.make, arrays), case.text, **case.sizes)
        assert_equal(result, expected_einsum(case.text, arrays, case.sizes))


@parametrize_by_framework()
def test_equations_agree_with_numpy(framework):
    @given_for_framework(framework, classical_equations())
    def _(case):
        arrays = integer_arrays(case.shapes)
        with plait.options(einsum="matmul"):
            result = plait.einsum(case.text, *map(framework.make, arrays))
        assert framework.shape(result) == np.einsum(case.text, *arrays).shape
        assert_equal(result, np.einsum(case.text, *arrays))


@parametrize_by_framework()
def test_element_types_are_those_of_an_einsum(framework):
    dtype_pairs = [("bool", "bool"), ("uint8", "uint8"), ("bool", "int32"), ("int32", "float32")]
    for equation, dtypes in product(["ij,jk->ik", "ij,ij->ij", "ij,kl->i"], dtype_pairs):
        if {*dtypes} & {*framework.unsupported_dtypes}:
            continue
        arrays = [np.ones((2, 2), dtype) for dtype in dtypes]
        tensors = list(map(framework.make, arrays))
        expected = plait.einsum(equation, *tensors)
        with plait.options(einsum="matmul"):
            result = plait.einsum(equation, *tensors)
        assert str(result.dtype) == str(expected.dtype), (equation, dtypes)
        assert_equal(result, plait.asnumpy(expected))


def plan_by_matmul(pattern, ranks, *names):
    return lower_to_matmul(lower_pattern("einsum", pattern, ranks, names).solved)


@given(einsum_patterns(4))
def test_only_diagonals_are_an_einsum(case):
    if len(case.shapes) == 1:
        return
    plan = plan_by_matmul(case.text, tuple(map(len, case.shapes)), *case.sizes)
    for node, operands in plan.steps:
        if isinstance(node, Contract):
            left = node.equation.partition("->")[0]
            assert (node.method in ("matmul", "multiply")) is (len(operands) == 2)
            assert len(operands) == 2 or len({*left}) < len(left)


@pytest.mark.parametrize(
    ("pattern", "permutes"),
    [
        ("b i j, b j k -> b i k", 0),
        ("b h i d, b h j d -> b h i j", 1),  # the keys are transposed, as by hand
        ("b h i j, b h j d -> b h i d", 0),
        ("b h i j, b h j d -> b i h d", 1),
        ("b h i j, b j h d -> b i h d", 2),
        ("j k, i j -> i k", 0),  # the operands are swapped
        ("i j, j k, k l -> i l", 0),
        ("b i, j i -> b j", 1),
        ("i j, k j -> k i", 1),  # swapped, so that the result has the right order
        ("b c h, c -> b c h", 0),
        ("i (a b), (b a) k -> i k", 1),
    ],
)
def test_plans_permute_no_more_than_by_hand(pattern, permutes):
    ranks = tuple(
        len(term.replace("(a b)", "a").replace("(b a)", "a").split()) for term in pattern.split(" ->")[0].split(",")
    )
    names = ("a",) if "(" in pattern else ()
    assert sum(isinstance(node, Permute) for node, _ in plan_by_matmul(pattern, ranks, *names).steps) == permutes


@given(einsum_patterns(3), st.sampled_from([3, 4]))
def test_both_options_keep_the_rank_and_the_values(case, max_rank):
    ranks = tuple(map(len, case.shapes))
    plan = lower_pattern("einsum", case.text, ranks, tuple(case.sizes))
    assume(len(ranks) > 1 and max(*ranks, len(plan.solved.output)) <= max_rank)
    products = lower_to_matmul(plan.solved, max_rank=max_rank)
    assert max([len(result) for _, result in input_and_output_shapes(products)]) <= max_rank
    arrays = integer_arrays(case.shapes)
    with plait.options(einsum="matmul", max_rank=max_rank):
        result = plait.einsum(*arrays, case.text, **case.sizes)
    assert_equal(result, expected_einsum(case.text, arrays, case.sizes))


def test_a_batch_of_several_axes_is_one_dimension_within_the_rank():
    with plait.options(einsum="matmul", max_rank=4):
        steps = plait.explain("(a b) (c i) j, (a b) (c j) k -> (a b) (c i) k", (6, 8, 5), (6, 10, 7), b=2, c=2).lines
    assert max(len(line.shape) for line in steps) <= 4


def test_an_unknown_method_is_an_error():
    with pytest.raises(plait.AxisError, match="PLT214"):
        plait.options(einsum="loops")


def test_explain_shows_the_products():
    with plait.options(einsum="matmul"):
        text = plait.explain("b h i d, b h j d -> b h i j", (2, 3, 4, 5), (2, 3, 6, 5)).text
    assert "matmul" in text
    assert "einsum b" not in text
