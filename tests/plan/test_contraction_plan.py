"""Contraction plans: `explain` shows and makes them, they are saved as JSON, and a call uses them."""

from __future__ import annotations

import contextlib
import copy
import json
import pickle

import pytest
from drawn_examples import example_count
from hypothesis import given, settings
from hypothesis import strategies as st

import plait
from plait._executor import contraction

np = pytest.importorskip("numpy")

CHAIN = "i j, j k, k l -> i l"
SHAPES = [(2, 30), (30, 4), (4, 5)]
ARRAYS = [np.arange(1.0, 1 + np.prod(shape)).reshape(shape) for shape in SHAPES]
PLAN = plait.ContractionPlan(CHAIN, SHAPES, [(1, 2), (0, 1)], {"i": 2, "j": 30, "k": 4, "l": 5})


@pytest.fixture
def used_paths(monkeypatch):
    """The contraction paths chosen during a test."""
    seen, choose = [], contraction.choose_contraction

    def watched(*arguments):
        chosen = choose(*arguments)
        seen.append(chosen and chosen.path)
        return chosen

    monkeypatch.setattr(contraction, "choose_contraction", watched)
    return seen


def test_a_plan_of_explain_that_is_saved_and_loaded_is_used_by_a_call(used_paths):
    with plait.options(contract=[(0, 2), (0, 1)]):
        saved = plait.explain(CHAIN, *ARRAYS).plan.to_json()
    plan = plait.ContractionPlan.from_json(saved)
    used_paths.clear()
    with plait.options(contract=plan):
        result = plait.einsum(*ARRAYS, CHAIN)
        assert plait.explain(CHAIN, *ARRAYS).plan == plan
        np.testing.assert_allclose(plait.compile(CHAIN).einsum(*ARRAYS), result)
        np.testing.assert_allclose(plait.einsum("ij,jk,kl", *ARRAYS), result)
    np.testing.assert_allclose(plait.einsum("ij,jk,kl", *ARRAYS, optimize=plan), result)
    assert {*used_paths} == {((0, 2), (0, 1))}
    np.testing.assert_allclose(result, np.einsum("ij,jk,kl", *ARRAYS))


def test_a_plan_knows_the_sizes_inside_groups_and_of_stretched_letters():
    x, y = np.ones((6, 5)), np.ones((5, 2))
    plan = plait.explain("(h w) c, c d -> h d w", x, y, h=2).plan
    assert plan.sizes == {"h": 2, "w": 3, "c": 5, "d": 2}
    with plait.options(contract=plan):
        assert plait.einsum(x, y, "(h w) c, c d -> h d w", w=3).shape == (2, 2, 3)
        with pytest.raises(plait.AxisError, match=r"PLT216.*h=2, w=3"):
            plait.einsum(x, y, "(h w) c, c d -> h d w", h=3)
    stretched = plait.explain("ij,jk,kl->il", (2, 1), (30, 4), (4, 5)).plan
    assert stretched.sizes["j"] == 30
    with plait.options(contract=stretched):
        np.testing.assert_allclose(
            plait.einsum("ij,jk,kl->il", ARRAYS[0][:, :1], *ARRAYS[1:]),
            np.einsum("ij,jk,kl->il", ARRAYS[0][:, :1], *ARRAYS[1:]),
        )


@pytest.mark.parametrize(
    "call",
    [
        lambda: plait.einsum(*ARRAYS, "a j, j k, k l -> a l"),
        lambda: plait.einsum(*ARRAYS, "i j, j k, k l -> l i"),
        lambda: plait.einsum(*ARRAYS[:2], "i j, j k -> i k"),
        lambda: plait.einsum(ARRAYS[0], "i j -> j i"),
        lambda: plait.einsum(ARRAYS[0][:1], *ARRAYS[1:], CHAIN),
        lambda: plait.einsum("ij,jk,kl->li", *ARRAYS),
        lambda: plait.explain("i j, j k, k l -> i l", (3, 30), (30, 4), (4, 5)),
    ],
)
def test_a_plan_of_another_pattern_or_of_other_shapes_is_an_error(call):
    with plait.options(contract=PLAN), pytest.raises(plait.AxisError, match="PLT216"):
        call()


def test_the_error_of_other_shapes_underlines_the_tensor():
    with plait.options(contract=PLAN), pytest.raises(plait.AxisError) as caught:
        plait.einsum(ARRAYS[0], np.ones((30, 6)), np.ones((6, 5)), CHAIN)
    assert caught.value.spans == ((5, 8),)


def test_equality_hash_copies_and_pickles_of_plans():
    same = plait.ContractionPlan("i  j,j k,k l->i l", [list(shape) for shape in SHAPES], [[1, 2], [0, 1]], PLAN.sizes)
    assert same == PLAN
    assert hash(same) == hash(PLAN)
    assert len({same, PLAN, plait.ContractionPlan(CHAIN, SHAPES, [(0, 1), (0, 1)], PLAN.sizes)}) == 2
    assert PLAN != "plan"
    for other in (pickle.loads(pickle.dumps(PLAN)), copy.deepcopy(PLAN), eval(repr(PLAN))):
        assert other == PLAN
    with pytest.raises(AttributeError, match="immutable"):
        PLAN.path = ()
    with pytest.raises(AttributeError, match="immutable"):
        del PLAN.shapes
    PLAN.sizes["i"] = 7
    assert PLAN.sizes["i"] == 2


SAVED = json.loads(PLAN.to_json())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *[(text, "not JSON") for text in ("", "{", "plan", "__import__('os')", b"\xff\xfe", "[" * 100_000)],
        *[(text, "not a JSON object") for text in ("[]", "3", "null", '"text"')],
        *[(json.dumps({**SAVED, "format": name}), "lacks the entry") for name in ("numpy", None, 1)],
        *[
            (json.dumps({**SAVED, "version": version}), "version")
            for version in (0, -1, "1", None, True, 1.0, 2, 10**9)
        ],
        (json.dumps({**SAVED, "slices": {}}), "unknown: 'slices'"),
        *[
            (json.dumps({key: value for key, value in SAVED.items() if key != name}), f"missing, or unknown: '{name}'")
            for name in ("pattern", "shapes", "sizes", "path")
        ],
        (json.dumps({**SAVED, "pattern": 3}), "pattern is not text"),
        (json.dumps({**SAVED, "pattern": "i j, j k -> i k"}), "one tensor for each"),
        (json.dumps({**SAVED, "pattern": "i j, j k, k l"}), "needs an arrow"),
        *[(json.dumps({**SAVED, "sizes": sizes}), "sizes") for sizes in ([], {"i": "2"}, {"i": 2.0}, {"i": True}, 3)],
        *[(json.dumps({**SAVED, "shapes": shapes}), "lists of integers") for shapes in (3, [3], [[2.0]], [["2"]], {})],
        (json.dumps({**SAVED, "shapes": [[-1, 3], [3, 4], [4, 5]]}), "negative"),
        *[
            (json.dumps({**SAVED, "path": path}), "lists of integers")
            for path in (3, [3], [[0.5, 1]], [[True, 0]], "ab")
        ],
    ],
)
def test_text_that_is_no_plan_is_an_error(text, reason):
    with pytest.raises(plait.AxisError, match="PLT217") as caught:
        plait.ContractionPlan.from_json(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize("path", [[], [[0, 1]], [[0, 3], [0, 1]], [[0, 0], [0, 1]], [[0, 1], [0, 1], [0, 1]]])
def test_a_saved_path_that_does_not_fit_is_an_error(path):
    with pytest.raises(plait.AxisError, match="PLT214"):
        plait.ContractionPlan.from_json(json.dumps({**SAVED, "path": path}))


def test_a_saved_pattern_that_cannot_be_parsed_is_an_error():
    with pytest.raises(plait.PatternSyntaxError):
        plait.ContractionPlan.from_json(json.dumps({**SAVED, "pattern": "i (j, j k, k l -> i l"}))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*SAVED]), inner),
)


@given(JSON_VALUES)
@settings(max_examples=example_count(200))
def test_no_json_raises_another_error(value):
    for text in (json.dumps(value), json.dumps({**SAVED, **value} if isinstance(value, dict) else [value])):
        with contextlib.suppress(plait.PlaitError):
            plan = plait.ContractionPlan.from_json(text)
            assert plait.ContractionPlan.from_json(plan.to_json()) == plan


@st.composite
def chains_and_networks(draw):
    """Draw a pattern of three to six matrices, the shapes, and a path."""
    count = draw(st.integers(3, 6))
    terms = [draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True)) for _ in range(count)]
    lengths = {name: draw(st.integers(1, 4)) for name in "abcdef"}
    used = sorted({name for term in terms for name in term})
    output = draw(st.lists(st.sampled_from(used), max_size=3, unique=True))
    path, left = [], count
    while left > 1:
        width = draw(st.integers(2, min(left, 3)))
        path.append(tuple(draw(st.permutations(range(left)))[:width]))
        left -= width - 1
    pattern = f"{', '.join(map(' '.join, terms))} -> {' '.join(output)}"
    return pattern, [tuple(lengths[name] for name in term) for term in terms], path


@given(chains_and_networks())
@settings(max_examples=example_count(100))
def test_every_path_survives_a_save_and_gives_the_right_result(case):
    pattern, shapes, path = case
    arrays = [np.arange(np.prod(shape)).reshape(shape) % 5 - 2 for shape in shapes]
    with plait.options(contract=path):
        explanation = plait.explain(pattern, *arrays)
    plan = plait.ContractionPlan.from_json(explanation.plan.to_json())
    assert plan == explanation.plan
    assert plan.path == tuple(path)
    with plait.options(contract=plan):
        result = plait.einsum(*arrays, pattern)
    np.testing.assert_array_equal(result, np.einsum(pattern.replace(" ", ""), *arrays))
    assert [line.operands for line in explanation.path_lines] == path
    assert explanation.path_lines[-1].size == np.prod(result.shape)


def test_the_path_table_is_that_of_opt_einsum():
    oe = pytest.importorskip("opt_einsum")
    equation = "abc,bcd,de,efa->f"
    shapes = [(2, 3, 4), (3, 4, 5), (5, 6), (6, 7, 2)]
    shown = plait.explain(equation, *shapes)
    _, info = oe.contract_path(equation, *shapes, shapes=True, optimize=list(shown.plan.path))
    assert [line.scaling for line in shown.path_lines] == list(info.scale_list)
    assert sum(line.flops for line in shown.path_lines) == info.opt_cost
    assert max(line.size for line in shown.path_lines) == max(info.size_list)
    for line, (_, _, step, remaining, _) in zip(shown.path_lines, info.contraction_list, strict=True):
        result = step.partition("->")[2]
        assert {*line.contraction.partition("-> ")[2].split()} == {*result}
        assert len(line.remaining.split(", ")) == len(remaining or [1])


def test_the_remaining_tensors_of_a_long_path_are_cut():
    pattern = ", ".join(f"a{number} a{number + 1}" for number in range(200)) + " -> a0 a200"
    shown = plait.explain(pattern, *[(2, 2)] * 200)
    assert max(len(line.remaining) for line in shown.path_lines) < 80
    assert shown.path_lines[0].remaining.endswith("…")


def test_an_explanation_without_a_path_has_no_plan():
    assert plait.explain("a b -> b a", (2, 3)).plan is None
    assert plait.explain("a b -> a", (2, 3)).plan is None
    assert (plait.compile("a b, b c -> a c") >> plait.compile("a c -> c a")).explain((2, 3), (3, 4)).plan is not None
