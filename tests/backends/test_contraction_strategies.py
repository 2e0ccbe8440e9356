"""Pairwise contractions by every strategy, not only by the cheapest, compared with NumPy's einsum.

The cost model chooses by lengths, so that tests of small tensors would execute only some of the strategies.
"""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.frameworks import FRAMEWORKS, parametrize_by_framework
from plait._executor.contraction import build_contraction_callable
from plait._notation.equation import parse_equation
from plait._plan.contraction.candidates import list_split_strategies, list_strategies
from plait._plan.contraction.layout_search import contract_along_path
from plait._plan.contraction.layouts import SizesAndCosts, final_result_spec
from plait._plan.contraction.network import build_network
from plait._plan.contraction.search import build_contraction_plan, simplify_inputs
from plait._plan.nodes import ContiguousCopy
from plait._plan.printer import contraction_lines_and_costs
from plait._shapes.sizes import compute_all_slots
from plait._shapes.solver import solve_pattern
from plait.backends.registry import backend_for_type

LENGTH_BY_LETTER = dict(zip("abcdef", (2, 3, 4, 5, 6, 7), strict=True))
FRAMEWORKS_WITH_CONTRACTION_FUNCTIONS = tuple(
    framework for framework in FRAMEWORKS if framework.name in ("numpy", "torch")
)


@st.composite
def unary_and_binary_equations(draw):
    """Draw an equation of one or two operands without a repeated letter in a term."""
    terms = [
        "".join(draw(st.permutations("abcdef"))[: draw(st.integers(1, 4))]) for _ in range(draw(st.integers(1, 2)))
    ]
    present = sorted({letter for term in terms for letter in term})
    output = "".join(draw(st.permutations(present))[: draw(st.integers(0, len(present)))])
    return f"{','.join(terms)}->{output}"


def solve_pattern_of_equation(equation):
    terms = equation.split("->")[0].split(",")
    return solve_pattern(parse_equation(equation, len(terms)), tuple(map(len, terms)))


def build_equation_network(equation):
    terms = equation.split("->")[0].split(",")
    solved = solve_pattern_of_equation(equation)
    lengths = [LENGTH_BY_LETTER[letter] for term in terms for letter in term]
    return build_network(solved, compute_all_slots(solved, solved.size_ops, lengths, {}))


def generate_contractions(network, costs):
    """Yield the contraction by each strategy in turn."""
    path = (tuple(range(len(network.terms))),)
    inputs = simplify_inputs(network, costs)
    operands, spec = [layout.operand for layout in inputs], final_result_spec(network)
    strategies = list_strategies(operands, spec, costs)
    if len(operands) == 2:
        strategies += list_split_strategies(operands, spec, SizesAndCosts(network.sizes, costs))
    for strategy in strategies:
        yield contract_along_path(network, path, inputs, costs, (strategy,))


def check_all_strategies(framework, equation, changes, used_methods):
    terms = equation.split("->")[0].split(",")
    arrays = [
        np.arange(prod(shape), dtype=np.float64).reshape(shape) % 7 - 3
        for shape in ([LENGTH_BY_LETTER[letter] for letter in term] for term in terms)
    ]
    tensors = [framework.make(array) for array in arrays]
    backend = backend_for_type(type(tensors[0]))
    own = backend.contraction_functions(tuple(tensor.dtype for tensor in tensors))
    wanted = np.einsum(equation, *arrays)
    for contraction in generate_contractions(build_equation_network(equation), own.costs._replace(**changes)):
        plan = build_contraction_plan(solve_pattern_of_equation(equation), contraction)
        result = np.asarray(build_contraction_callable(contraction, backend, own)(*tensors))
        np.testing.assert_array_equal(result, wanted, err_msg=str(contraction.pairs))
        contraction_lines_and_costs(plan, contraction)
        (pair,) = contraction.pairs
        used_methods |= {pair.node and pair.node.method, *(["buffer"] if pair.node and pair.node.order else [])}
        used_methods |= {type(node) for nodes in (*pair.operand_steps, pair.epilogue) for node in nodes}


COST_CHANGES = {
    "as they are": {},
    "results filled in order": {"output_buffer_overhead": -1e12},
    "no products of vectors": {"has_vecdot": False},
    "rows that the framework folds": {"view_overhead": 1e12},
}
"""Changes of costs that make the planner choose each variant of a matrix product."""


@parametrize_by_framework(FRAMEWORKS_WITH_CONTRACTION_FUNCTIONS)
@pytest.mark.parametrize("change_name", COST_CHANGES)
def test_every_strategy_gives_the_result_of_numpy(framework, change_name):
    used_methods = set()

    @settings(max_examples=150, derandomize=True)
    @given(unary_and_binary_equations())
    def _(equation):
        check_all_strategies(framework, equation, COST_CHANGES[change_name], used_methods)

    _()
    assert used_methods >= {"matmul", "dot", "multiply", "einsum", None}
    if framework.name == "numpy":
        assert ("vecdot" in used_methods) == (change_name != "no products of vectors")
        assert ContiguousCopy in used_methods
        assert ("buffer" in used_methods) or change_name != "results filled in order"
