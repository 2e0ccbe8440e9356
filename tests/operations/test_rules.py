"""The checks of the operations on syntax trees, without tensors."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pattern_strategies import malformed_patterns, transform_patterns

import plait
import plait._executor.compile as compile_module
from plait._notation.equation import parse_equation
from plait._notation.parser import parse
from plait._operations.pack import dimension_counts_around_star, packed_lengths_and_shapes, split_shape
from plait._operations.parse_shape import find_labeled_dimensions, read_named_lengths
from plait._operations.reduce import check_dtype_kind, check_reduction_name
from plait._operations.table import OPERATION_NAMES, find_operation_or_einsum, infer_operation
from plait._shapes.solver import solve_pattern
from plait.backends.reduction_rules import REDUCTION_RULES


@pytest.mark.parametrize(
    ("operation", "pattern", "code"),
    [
        ("rearrange", "a b -> b a", None),
        ("rearrange", "a ... -> ... a", None),
        ("rearrange", "a 1 -> () a", None),
        ("rearrange", "a b -> a", "PLT204"),
        ("rearrange", "a -> a b", "PLT205"),
        ("rearrange", "a 2 -> a", "PLT207"),
        ("rearrange", "a -> a 2", "PLT207"),
        ("rearrange", "a ... -> a", "PLT208"),
        ("rearrange", "a -> a ...", "PLT208"),
        ("rearrange", "(a ...) -> a ...", "PLT208"),
        ("view", "a b -> a", "PLT204"),
        ("reduce", "a b ... 2 -> a", None),
        ("reduce", "a -> a b", "PLT205"),
        ("reduce", "a -> 2", "PLT207"),
        ("repeat", "a -> (a 2) b", None),
        ("repeat", "a b -> a", "PLT204"),
        ("repeat", "a 2 -> a", "PLT207"),
        ("repeat", "a ... -> a", "PLT208"),
        ("einsum", "a a 2, b -> a", None),
        ("einsum", "a -> b", "PLT205"),
        ("einsum", "a -> a a", "PLT206"),
        ("einsum", "a -> 2", "PLT207"),
        ("einsum", "... -> ", "PLT208"),
        ("rearrange", "a, b -> a b", "PLT202"),
        ("rearrange", "a -> a, a", "PLT202"),
        ("rearrange", "a", "PLT105"),
        ("rearrange", "a a -> a", "PLT206"),
        ("rearrange", "((a) [b]) -> a b", "PLT201"),
        ("rearrange", "((a + b)) -> a b", "PLT201"),
        ("rearrange", "a... -> a...", "PLT201"),
        ("einsum", "* -> *", "PLT201"),
    ],
)
def test_check_accepts_or_rejects_patterns(operation, pattern, code):
    check = find_operation_or_einsum(operation).check
    if code is None:
        check(parse(pattern))
        return
    with pytest.raises(plait.PlaitError) as caught:
        check(parse(pattern))
    assert caught.value.code == code
    assert caught.value.spans


@given(
    st.one_of(malformed_patterns(), transform_patterns("rearrange").map(lambda drawn: drawn.pattern)), st.integers(0, 4)
)
@settings(max_examples=500)
def test_plain_bijections_pass_every_check(pattern, rank):
    try:
        tree = parse(pattern)
        solved = solve_pattern(tree, (rank,) * len(tree.left), ())
    except plait.PlaitError:
        return
    if tree.is_plain and solved.is_bijection:
        for operation in map(find_operation_or_einsum, OPERATION_NAMES):
            if operation.allows_bijections:
                operation.check(tree)


@pytest.mark.parametrize("operation", ["rearrange", "repeat"])
@pytest.mark.parametrize("pattern", ["b a -> a a", "a b -> b b", "a b c -> c a a"])
def test_an_axis_twice_on_the_right_is_an_error(operation, pattern):
    np = pytest.importorskip("numpy")
    with pytest.raises(plait.AxisError, match=r"PLT20[46]"):
        getattr(plait, operation)(np.ones((2, 3, 4)[: pattern.index("-") // 2]), pattern)


def test_find_operation_returns_every_operation():
    assert [find_operation_or_einsum(name).name for name in OPERATION_NAMES] == [*OPERATION_NAMES]
    assert {*OPERATION_NAMES} < {*plait.__all__}


@pytest.mark.parametrize(
    ("pattern", "operation"),
    [
        ("a b -> b a", "rearrange"),
        ("a b -> a", "reduce"),
        ("a 2 -> a", "reduce"),
        ("a -> a b", "repeat"),
        ("a -> a 2", "repeat"),
        ("a, b -> a b", "einsum"),
    ],
)
def test_infer_operation_from_the_pattern(pattern, operation):
    assert infer_operation(parse(pattern)) == operation


@pytest.mark.parametrize(
    ("equation", "count", "meaning"),
    [
        ("ij,jk", 2, "i j, j k -> i k"),
        ("ba", 1, "b a -> a b"),
        ("ii", 1, "i i ->"),
        (" i j , j -> i ", 2, "i j, j -> i"),
        ("...ij,...jk", 2, "... i j, ... j k -> ... i k"),
        ("Ba", 1, "B a -> B a"),
        (",", 2, ",  ->"),
        ("", 1, "->"),
    ],
)
def test_parse_equation(equation, count, meaning):
    assert str(parse_equation(equation, count)) == meaning


def test_check_reduction_name_and_dtype_kind():
    for name in REDUCTION_RULES:
        assert check_reduction_name(name) == name
        check_dtype_kind(name, None, None)
        check_dtype_kind(name, "floating", "float32")
    with pytest.raises(plait.AxisError, match="PLT209"):
        check_reduction_name("average")


def test_parse_pack_pattern_and_split_shape():
    assert dimension_counts_around_star("a * b c", "pack") == (1, 2)
    assert dimension_counts_around_star("*", "pack") == (0, 0)
    assert split_shape((2, 3, 4, 5), dimension_counts_around_star("a * b", "pack"), "a * b", 0) == ((2,), (3, 4), (5,))
    assert split_shape((2, 5), dimension_counts_around_star("a * b", "pack"), "a * b", 0) == ((2,), (), (5,))


def test_packed_lengths_and_inferred_sizes():
    assert packed_lengths_and_shapes([(2,), (3, 2), ()], 9, "*") == [(2, (2,)), (6, (3, 2)), (1, ())]
    assert packed_lengths_and_shapes([(2, -1), (3,)], 9, "*") == [(6, (2, 3)), (3, (3,))]
    assert packed_lengths_and_shapes([(-1,), (3,)], 3, "*") == [(0, (0,)), (3, (3,))]
    for shapes, total in (([(2,)], 3), ([(2, -1)], 3), ([(-1,), (4,)], 3), ([(-1, -1)], 4), ([(0, -1)], 0)):
        with pytest.raises(plait.SizeError, match="PLT309"):
            packed_lengths_and_shapes(shapes, total, "*")


def test_label_dimensions_and_read_named_lengths():
    assert find_labeled_dimensions("a ... 3 _", 5) == ((0, "a"), (3, 3))
    assert find_labeled_dimensions("() ...", 1) == ((0, 1),)
    assert read_named_lengths(find_labeled_dimensions("a _ c", 3), (4, 5, 6), "a _ c") == {"a": 4, "c": 6}
    for pattern, rank in (("a b", 3), ("a b ...", 1), ("a", 0)):
        with pytest.raises(plait.SizeError, match="PLT304"):
            find_labeled_dimensions(pattern, rank)


@pytest.mark.parametrize("allows_bijections", [True, False])
def test_check_of_a_bijection_is_skipped_only_if_bijections_are_allowed(monkeypatch, allows_bijections):
    checked = []
    operation = find_operation_or_einsum("rearrange")._replace(
        check=checked.append, allows_bijections=allows_bijections
    )
    monkeypatch.setattr(compile_module, "find_operation_or_einsum", lambda _: operation)
    compile_module.check_and_solve("rearrange", "a b -> b a", (2,), ())
    assert len(checked) == (0 if allows_bijections else 1)
