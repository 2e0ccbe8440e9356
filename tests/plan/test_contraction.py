"""Contractions without a framework: the network, the contraction path, and the nodes and costs of each step."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plait
from plait._notation.equation import parse_equation
from plait._notation.parser import parse
from plait._plan.contraction.network import build_network
from plait._plan.contraction.search import build_contraction_plan, search_contraction
from plait._plan.nodes import Permute, Reshape
from plait._plan.printer import contraction_lines_and_costs
from plait._shapes.sizes import extend_slots, size_op_error
from plait._shapes.solver import solve_pattern
from plait.backends.costs import EINSUM_ONLY_COSTS, ContractionCosts


def parse_and_solve(pattern, *shapes, **sizes):
    """Return the solved pattern; a pattern without blanks is an equation in the form of NumPy."""
    tree = parse(pattern) if " " in pattern else parse_equation(pattern, len(shapes))
    return solve_pattern(tree, tuple(map(len, shapes)), tuple(sizes))


def explained_costs(contraction, equation, *shapes):
    """Return the total cost that `explain` prints for a contraction."""
    plan = build_contraction_plan(parse_and_solve(equation, *shapes), contraction)
    return contraction_lines_and_costs(plan, contraction)[1]


def make_network(pattern, *shapes, **sizes):
    """Return the tensor network of a pattern for these shapes."""
    solved = parse_and_solve(pattern, *shapes, **sizes)
    registers = [size for shape in shapes for size in shape] + [*sizes.values(), *solved.constants]
    extend_slots(registers, solved.size_ops, partial(size_op_error, solved))
    return build_network(solved, registers)


def plan_pairs(pattern, *shapes, costs=None, **sizes):
    """Return the pairwise contractions of the cheapest contraction."""
    return search_contraction(make_network(pattern, *shapes, **sizes), costs or ContractionCosts()).pairs


ATTENTION_SCORES_ARGUMENTS = ("b i (h d), b j (h d) -> b h i j", (8, 1024, 512), (8, 1024, 512))


def test_adjacent_axes_are_coalesced():
    found = make_network("b h w c, c o -> b h w o", (2, 3, 4, 5), (5, 6))
    assert found.labels == ("b h w", "c", "o")
    assert found.sizes == (24, 5, 6)
    assert found.terms == ((0, 1), (1, 2))


def test_network_omits_unit_and_broadcast_dimensions():
    found = make_network("...ij,...jk", (1, 2, 3), (7, 3, 1))
    assert [[found.sizes[axis] for axis in term] for term in found.terms] == [[2, 3], [7, 3]]
    assert found.result_shape == (7, 2, 1)


def test_axes_of_an_elementwise_product_are_not_coalesced():
    assert make_network("ij,ij->ij", (2, 3), (2, 3)).sizes == (2, 3)
    assert make_network("ij,ij->", (2, 3), (2, 3)).sizes == (6,)


def test_attention_scores_are_one_matmul_of_views():
    (pair,) = plan_pairs(*ATTENTION_SCORES_ARGUMENTS, h=8)
    assert pair.node.method == "matmul"
    assert pair.operand_steps == (
        (Reshape((8, 1024, 8, 64)), Permute((0, 2, 1, 3))),
        (Reshape((8, 1024, 8, 64)), Permute((0, 2, 3, 1))),
    )
    assert pair.epilogue == ()


def test_matmul_writes_into_a_buffer_instead_of_copying_the_result():
    (pair,) = plan_pairs("b h i j, b j (h d) -> b i (h d)", (8, 8, 1024, 1024), (8, 1024, 512), h=8)
    assert (pair.node.shape, pair.node.order) == ((8, 1024, 8, 64), (0, 2, 1, 3))
    assert pair.epilogue == (Reshape((8, 1024, 512)),)


def test_operands_are_swapped_to_avoid_a_permutation():
    found = search_contraction(make_network("b c h w, o c -> b o h w", (8, 64, 56, 56), (64, 64)), ContractionCosts())
    (pair,), (strategy,) = found.pairs, found.strategies
    assert strategy.is_swapped
    assert pair.operand_steps == ((), (Reshape((8, 64, 3136)),))
    assert pair.epilogue == (Reshape((8, 64, 56, 56)),)


def test_product_without_sum_is_an_elementwise_multiply():
    (pair,) = plan_pairs("i j, i j -> i j", (3, 4), (3, 4))
    assert pair.node.method == "multiply"


def test_axes_of_one_operand_are_summed_before_the_product():
    (pair,) = plan_pairs("i j, j k -> k", (100, 100), (100, 100))
    assert [type(step).__name__ for step in pair.operand_steps[0]] == ["Sum"]
    assert pair.node.method == "dot"


def test_einsum_of_one_tensor_is_permute_and_reshape():
    (pair,) = plan_pairs("a b c -> c (a b)", (2, 3, 4))
    assert (pair.node, pair.operand_steps) == (None, ((Permute((2, 0, 1)), Reshape((4, 6))),))


def test_einsum_only_costs_give_einsum_nodes():
    found = plan_pairs("ab,bc,cd->ad", (2, 30), (30, 4), (4, 5), costs=EINSUM_ONLY_COSTS)
    assert [pair.node.method for pair in found] in (["einsum", "einsum"], ["einsum"])


def test_layout_of_an_intermediate_suits_the_next_contraction():
    """The trace of four matrices: one product is transposed, so that the last is a product of vectors."""
    *_, last = plan_pairs("ab,bc,cd,da->", *[(300, 300)] * 4)
    assert last.operand_steps == ((Reshape((90000,)),), (Reshape((90000,)),))


@pytest.mark.parametrize("equation", ["ij,jk->ik", "ii->", "i,j->ij", "ij,jk,kl->il"])
def test_tensors_without_elements_are_contracted(equation):
    shapes = [(0,) * len(term) for term in equation.split("->")[0].split(",")]
    assert search_contraction(make_network(equation, *shapes), ContractionCosts()).pairs


# FLOPs


@st.composite
def equations_with_shapes(draw, max_tensors=5):
    """Draw an equation of up to ``max_tensors`` tensors, and their shapes."""
    letters = "abcdefg"
    lengths = {letter: draw(st.sampled_from([2, 3, 5, 8])) for letter in letters}
    count = draw(st.integers(1, max_tensors))
    terms = ["".join(draw(st.permutations(letters))[: draw(st.integers(0, 4))]) for _ in range(count)]
    present = sorted({letter for term in terms for letter in term})
    output = "".join(draw(st.permutations(present))[: draw(st.integers(0, len(present)))])
    return f"{','.join(terms)}->{output}", [tuple(lengths[letter] for letter in term) for term in terms]


def test_flops_equal_those_of_opt_einsum():
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
        found = search_contraction(make_network(equation, *shapes), ContractionCosts())
        costs = explained_costs(found, equation, *shapes)
        _, info = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize=found.path)
        assert costs.flops == int(info.opt_cost), equation
        if len(shapes) > 2:
            assert costs.largest == max(info.size_list[:-1]), equation


@given(equations_with_shapes(4))
@settings(max_examples=60)
def test_flops_of_a_path_are_at_most_those_counted_by_opt_einsum(drawn):
    """They are fewer where an axis is summed before the product, or a diagonal is taken."""
    opt_einsum = pytest.importorskip("opt_einsum")
    equation, shapes = drawn
    found = search_contraction(make_network(equation, *shapes), ContractionCosts())
    costs = explained_costs(found, equation, *shapes)
    _, info = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize=found.path)
    assert costs.flops <= int(info.opt_cost)


# explain


def test_explain_prints_path_and_costs():
    shown = plait.explain(*ATTENTION_SCORES_ARGUMENTS, h=8)
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
        "  path (0, 1)   8,589,934,592 FLOPs   reads 33,554,432 bytes, writes 268,435,456 (float32)   about 130 ms",
    ]
    assert shown.costs.flops == 2 * 8 * 8 * 1024 * 1024 * 64
    assert shown.costs.read == 2 * 8 * 1024 * 512
    assert shown.costs.written == 8 * 8 * 1024 * 1024


def test_explain_counts_reads_of_copies():
    shown = plait.explain("a b c, b d c -> a (d c)", (64, 64, 64), (64, 64, 64))
    copying = [line for line in shown.lines if "copies" in line.cost]
    assert shown.costs.read >= 2 * 64**3 + sum(64**3 for _ in copying)


def test_explain_of_a_contraction_without_elements():
    shown = plait.explain("a b, c -> c a b", (2, 0), (3,))
    assert [line.axes for line in shown.lines if line.shape == (3, 2, 0)] == ["c a b", "c a b"]
    assert shown.costs.flops == 0


def test_explain_shows_the_largest_intermediate():
    shown = plait.explain("i j, j k, k l -> i l", (50, 2), (2, 60), (60, 3))
    assert shown.costs.path == ((1, 2), (0, 1))
    assert shown.costs.largest == 6
    assert "largest intermediate 6 elements" in str(shown)
