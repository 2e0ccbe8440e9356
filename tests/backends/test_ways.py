"""Every way to contract two tensors, not the cheapest alone: each is executed, and gives what NumPy's gives.

Which way is taken depends on costs and on lengths, so that tests of small tensors would hardly see some of them.
"""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.frameworks import FRAMEWORKS, each
from plait._executor.contraction import build_contraction_callable
from plait._notation.equation import parse_equation
from plait._plan.contraction.candidates import list_strategies
from plait._plan.contraction.layouts import final_result_spec
from plait._plan.contraction.network import build_network
from plait._plan.contraction.search import build_contraction_plan, reuse_strategies, simplified_state
from plait._plan.nodes import Contiguous
from plait._plan.printer import list_contraction_lines
from plait._shapes.solver import solve_pattern
from plait.backends.registry import backend_for_type

LENGTHS = dict(zip("abcdef", (2, 3, 4, 5, 6, 7), strict=True))
TAKEN_APART = tuple(framework for framework in FRAMEWORKS if framework.name in ("numpy", "torch"))


@st.composite
def products(draw):
    """An equation of one or two tensors in which no letter appears twice in one."""
    terms = [
        "".join(draw(st.permutations("abcdef"))[: draw(st.integers(1, 4))]) for _ in range(draw(st.integers(1, 2)))
    ]
    present = sorted({letter for term in terms for letter in term})
    output = "".join(draw(st.permutations(present))[: draw(st.integers(0, len(present)))])
    return f"{','.join(terms)}->{output}"


def solved_of(equation):
    terms = equation.split("->")[0].split(",")
    return solve_pattern(parse_equation(equation, len(terms)), tuple(map(len, terms)))


def network_of(equation):
    terms = equation.split("->")[0].split(",")
    return build_network(solved_of(equation), [LENGTHS[letter] for term in terms for letter in term])


def every_way(found, costs):
    """The contractions by the first strategy, the second, and so on."""
    path = (tuple(range(len(found.terms))),)
    start = simplified_state(found, path, costs)
    for strategy in list_strategies(start.operands, final_result_spec(found), costs):
        yield reuse_strategies(start._replace(strategies=(strategy,)), found, costs)


def check(framework, equation, changes, taken):
    terms = equation.split("->")[0].split(",")
    arrays = [
        np.arange(prod(shape), dtype=np.float64).reshape(shape) % 7 - 3
        for shape in ([LENGTHS[letter] for letter in term] for term in terms)
    ]
    tensors = [framework.make(array) for array in arrays]
    backend = backend_for_type(type(tensors[0]))
    own = backend.contraction_ops(tuple(tensor.dtype for tensor in tensors))
    wanted = np.einsum(equation, *arrays)
    for contraction in every_way(network_of(equation), own.costs._replace(**changes)):
        plan = build_contraction_plan(solved_of(equation), contraction)
        result = np.asarray(build_contraction_callable(plan, backend, own)(*tensors))
        np.testing.assert_array_equal(result, wanted, err_msg=str(contraction.pairs))
        list_contraction_lines(plan, contraction.network, contraction.path)
        (pair,) = contraction.pairs
        taken |= {pair.node and pair.node.method, *(["buffer"] if pair.node and pair.node.order else [])}
        taken |= {type(node) for nodes in (*pair.operand_steps, pair.epilogue) for node in nodes}


CHANGES = {
    "as they are": {},
    "results filled in order": {"output_buffer_overhead": -1e12},
    "no products of vectors": {"has_vecdot": False},
    "rows that the framework folds": {"view_overhead": 1e12},
}
"""Costs that let each of the ways be taken that are chosen between within a product."""


@each(TAKEN_APART)
@pytest.mark.parametrize("changes", CHANGES)
def test_every_way_gives_the_same(framework, changes):
    taken = set()

    @settings(max_examples=150, derandomize=True)
    @given(products())
    def _(equation):
        check(framework, equation, CHANGES[changes], taken)

    _()
    assert taken >= {"matmul", "dot", "multiply", "einsum", None}
    if framework.name == "numpy":
        assert ("vecdot" in taken) == (changes != "no products of vectors")
        assert Contiguous in taken
        assert ("buffer" in taken) or changes != "results filled in order"
