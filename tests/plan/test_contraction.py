"""Contractions without a framework: the network, the path, and what each step costs."""

from __future__ import annotations

import itertools
import math
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plait
from plait._notation.equation import parse_equation
from plait._notation.parser import parse
from plait._plan.contraction.network import build_network
from plait._plan.contraction.paths import find_path
from plait._plan.contraction.search import build_contraction_plan, plan_contraction, reuse_strategies
from plait._plan.nodes import Permute, Reshape
from plait._plan.printer import list_contraction_lines
from plait._shapes.sizes import evaluate_size_ops, size_op_error
from plait._shapes.solver import solve_pattern
from plait.backends.costs import EINSUM_ONLY_COSTS, ContractionCosts


def solved_of(pattern, *shapes, **sizes):
    tree = parse(pattern) if " " in pattern else parse_equation(pattern, len(shapes))
    return solve_pattern(tree, tuple(map(len, shapes)), tuple(sizes))


def costs_of(contraction, equation, *shapes):
    plan = build_contraction_plan(solved_of(equation, *shapes), contraction)
    return list_contraction_lines(plan, contraction.network, contraction.path)[1]


def network_of(pattern, *shapes, **sizes):
    solved = solved_of(pattern, *shapes, **sizes)
    registers = [size for shape in shapes for size in shape] + [*sizes.values(), *solved.constants]
    evaluate_size_ops(registers, solved.size_ops, partial(size_op_error, solved))
    return build_network(solved, registers)


def pairs_of(pattern, *shapes, costs=None, **sizes):
    return plan_contraction(network_of(pattern, *shapes, **sizes), costs or ContractionCosts()).pairs


HEADS = ("b i (h d), b j (h d) -> b h i j", (8, 1024, 512), (8, 1024, 512))


def test_axes_that_stay_together_are_one():
    found = network_of("b h w c, c o -> b h w o", (2, 3, 4, 5), (5, 6))
    assert found.labels == ("b h w", "c", "o")
    assert found.sizes == (24, 5, 6)
    assert found.terms == ((0, 1), (1, 2))


def test_units_and_stretched_dimensions_are_gone():
    found = network_of("...ij,...jk", (1, 2, 3), (7, 3, 1))
    assert [[found.sizes[axis] for axis in term] for term in found.terms] == [[2, 3], [7, 3]]
    assert found.result == (7, 2, 1)


def test_elements_meet_as_they_are():
    assert network_of("ij,ij->ij", (2, 3), (2, 3)).sizes == (2, 3)
    assert network_of("ij,ij->", (2, 3), (2, 3)).sizes == (6,)


def test_attention_is_one_product_over_views():
    (pair,) = pairs_of(*HEADS, h=8)
    assert pair.node.method == "matmul"
    assert pair.operand_steps == (
        (Reshape((8, 1024, 8, 64)), Permute((0, 2, 1, 3))),
        (Reshape((8, 1024, 8, 64)), Permute((0, 2, 3, 1))),
    )
    assert pair.epilogue == ()


def test_a_result_that_would_be_copied_is_filled_in_its_order():
    (pair,) = pairs_of("b h i j, b j (h d) -> b i (h d)", (8, 8, 1024, 1024), (8, 1024, 512), h=8)
    assert (pair.node.shape, pair.node.order) == ((8, 1024, 8, 64), (0, 2, 1, 3))
    assert pair.epilogue == (Reshape((8, 1024, 512)),)


def test_the_operand_is_chosen_that_lets_the_product_land_in_order():
    found = plan_contraction(network_of("b c h w, o c -> b o h w", (8, 64, 56, 56), (64, 64)), ContractionCosts())
    (pair,), (strategy,) = found.pairs, found.strategies
    assert strategy.is_swapped
    assert pair.operand_steps == ((), (Reshape((8, 64, 3136)),))
    assert pair.epilogue == (Reshape((8, 64, 56, 56)),)


def test_without_a_sum_elements_are_multiplied():
    (pair,) = pairs_of("i j, i j -> i j", (3, 4), (3, 4))
    assert pair.node.method == "multiply"


def test_what_only_one_tensor_has_is_summed_first():
    (pair,) = pairs_of("i j, j k -> k", (100, 100), (100, 100))
    assert [type(step).__name__ for step in pair.operand_steps[0]] == ["Sum"]
    assert pair.node.method == "dot"


def test_one_tensor_is_moved():
    (pair,) = pairs_of("a b c -> c (a b)", (2, 3, 4))
    assert (pair.node, pair.operand_steps) == (None, ((Permute((2, 0, 1)), Reshape((4, 6))),))


def test_a_framework_with_nothing_but_einsum_takes_it_pair_by_pair():
    found = pairs_of("ab,bc,cd->ad", (2, 30), (30, 4), (4, 5), costs=EINSUM_ONLY_COSTS)
    assert [pair.node.method for pair in found] in (["einsum", "einsum"], ["einsum"])


def test_a_layout_is_chosen_for_the_meeting_after_it():
    """The trace of four matrices: two products, one of them transposed, so that the last is of vectors."""
    *_, last = pairs_of("ab,bc,cd,da->", *[(300, 300)] * 4)
    assert last.operand_steps == ((Reshape((90000,)),), (Reshape((90000,)),))


def test_a_decision_holds_for_other_lengths():
    small, large = (network_of("bhij,bjhd->bihd", (2, 3, n, n), (2, n, 3, 4)) for n in (9, 15))
    found = plan_contraction(small, ContractionCosts())
    assert reuse_strategies(found, large, ContractionCosts()) == plan_contraction(large, ContractionCosts())


@pytest.mark.parametrize("equation", ["ij,jk->ik", "ii->", "i,j->ij", "ij,jk,kl->il"])
def test_no_elements_are_contracted_like_any_others(equation):
    shapes = [(0,) * len(term) for term in equation.split("->")[0].split(",")]
    assert plan_contraction(network_of(equation, *shapes), ContractionCosts()).pairs


# the path


@st.composite
def networks(draw, most=5):
    letters = "abcdefg"
    lengths = {letter: draw(st.sampled_from([2, 3, 5, 8])) for letter in letters}
    count = draw(st.integers(1, most))
    terms = ["".join(draw(st.permutations(letters))[: draw(st.integers(0, 4))]) for _ in range(count)]
    present = sorted({letter for term in terms for letter in term})
    output = "".join(draw(st.permutations(present))[: draw(st.integers(0, len(present)))])
    return f"{','.join(terms)}->{output}", [tuple(lengths[letter] for letter in term) for term in terms]


def cost(equation, shapes, path):
    """The operations along a path, counted from the definition: every multiplication, and every addition."""
    left, output = equation.split("->")
    hand, sizes = left.split(","), {}
    for term, shape in zip(left.split(","), shapes, strict=True):
        sizes.update(zip(term, shape, strict=True))
    total = 0
    for places in path:
        met = [hand[place] for place in places]
        hand = [term for place, term in enumerate(hand) if place not in places]
        inside = set("".join(met))
        kept = inside & set("".join([*hand, output]))
        total += math.prod(sizes[letter] for letter in inside) * (max(1, len(met) - 1) + (kept != inside))
        hand.append("".join(sorted(kept)))
    return total


def every_path(count):
    if count == 1:
        yield ()
        return
    for pair in itertools.combinations(range(count), 2):
        for rest in every_path(count - 1):
            yield (pair, *rest)


@given(networks(4))
@settings(max_examples=60)
def test_the_path_of_a_few_tensors_is_the_cheapest_of_all(drawn):
    equation, shapes = drawn
    found = find_path(network_of(equation, *shapes), "optimal", None)
    if len(shapes) > 1:
        cheapest = min(cost(equation, shapes, path) for path in every_path(len(shapes)))
        assert cost(equation, shapes, found) == cheapest


@given(networks(6), st.sampled_from(["auto", "greedy", "optimal"]))
def test_a_path_uses_every_tensor_once(drawn, how):
    equation, shapes = drawn
    left = len(shapes)
    for places in find_path(network_of(equation, *shapes), how, None):
        assert len(set(places)) == len(places)
        assert all(0 <= place < left for place in places)
        left -= len(places) - 1
    assert left == 1


@given(networks(6))
def test_greedy_keeps_a_limit_or_gives_up(drawn):
    equation, shapes = drawn
    limit = 64
    found = network_of(equation, *shapes)
    for how in ("greedy", "optimal"):
        path = find_path(found, how, limit)
        hand = [set(term) for term in found.terms]
        for places in path[:-1]:
            met = set().union(*[hand[place] for place in places])
            hand = [term for place, term in enumerate(hand) if place not in places]
            made = met & set(found.output).union(*hand)
            assert math.prod(found.sizes[axis] for axis in made) <= limit
            hand.append(made)


def test_the_operations_are_counted_as_opt_einsum_counts_them():
    opt_einsum = pytest.importorskip("opt_einsum")
    cases = [
        ("ij,jk->ik", [(30, 40), (40, 50)]),
        ("bhid,bhjd->bhij", [(2, 3, 8, 16), (2, 3, 9, 16)]),
        ("i,j->ij", [(8,), (9,)]),
        ("ij,ij->ij", [(30, 40), (30, 40)]),
        ("ab,bc,cd,de->ae", [(40, 300), (300, 40), (40, 300), (300, 40)]),
        ("ik,jkl,il->ij", [(64, 96), (128, 96, 80), (64, 80)]),
        ("abc,ai,bj,ck->ijk", [(16, 16, 16), (16, 20), (16, 20), (16, 20)]),
    ]
    for equation, shapes in cases:
        found = plan_contraction(network_of(equation, *shapes), ContractionCosts())
        costs = costs_of(found, equation, *shapes)
        _, info = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize=found.path)
        assert costs.flops == int(info.opt_cost), equation
        if len(shapes) > 2:
            assert costs.largest == max(info.size_list[:-1]), equation


@given(networks(4))
@settings(max_examples=60)
def test_no_more_operations_than_opt_einsum_counts_along_the_same_path(drawn):
    """Fewer, where an axis is summed before it is multiplied, or a diagonal taken."""
    opt_einsum = pytest.importorskip("opt_einsum")
    equation, shapes = drawn
    found = plan_contraction(network_of(equation, *shapes), ContractionCosts())
    costs = costs_of(found, equation, *shapes)
    _, info = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize=found.path)
    assert costs.flops <= int(info.opt_cost)


# what is shown


def test_explain_shows_the_path_and_what_it_costs():
    shown = plait.explain(*HEADS, h=8)
    assert str(shown).splitlines() == [
        "einsum  b i (h d), b j (h d) -> b h i j   h=8",
        "  tensor 0   8 1024 512      b i (h d)",
        "  reshape    8 1024 8 64     b i h d     view",
        "  permute    8 8 1024 64     b h i d     view",
        "  tensor 1   8 1024 512      b j (h d)",
        "  reshape    8 1024 8 64     b j h d     view",
        "  permute    8 8 64 1024     b h d j     view",
        "  matmul     8 8 1024 1024   b h i j     8,589,934,592 FLOPs",
        "  output     8 8 1024 1024   b h i j",
        "  path (0, 1)   8,589,934,592 FLOPs   reads 33,554,432 bytes, writes 268,435,456 (float32)",
    ]
    assert shown.costs.flops == 2 * 8 * 8 * 1024 * 1024 * 64
    assert shown.costs.read == 2 * 8 * 1024 * 512
    assert shown.costs.written == 8 * 8 * 1024 * 1024


def test_explain_says_which_steps_copy():
    shown = plait.explain("a b c, b d c -> a (d c)", (64, 64, 64), (64, 64, 64))
    copying = [line for line in shown.lines if "copies" in line.cost]
    assert shown.costs.read >= 2 * 64**3 + sum(64**3 for _ in copying)


def test_explain_shows_a_contraction_of_nothing():
    shown = plait.explain("a b, c -> c a b", (2, 0), (3,))
    assert [line.axes for line in shown.lines if line.shape == (3, 2, 0)] == ["c a b", "c a b"]
    assert shown.costs.flops == 0


def test_explain_shows_the_largest_intermediate():
    shown = plait.explain("i j, j k, k l -> i l", (50, 2), (2, 60), (60, 3))
    assert shown.costs.path == ((1, 2), (0, 1))
    assert shown.costs.largest == 6
    assert "largest intermediate 6 elements" in str(shown)
