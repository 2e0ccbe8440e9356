"""The parser: the tree of each notation, the errors, and linear time without recursion for any text."""

from __future__ import annotations

import gc
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pattern_strategies import malformed_patterns, transform_patterns

import plait
from plait._notation.parser import normalize_name, parse
from plait._notation.tree import (
    Bracket,
    Ellipsis,
    Group,
    Name,
    Number,
    TensorExpr,
    Wildcard,
    collect_names,
    item_leaves,
)


def leaves_by_dimension(expr):
    """The leaves of each dimension of one tensor."""
    return [item_leaves(item) for item in expr.items]


def test_every_kind_of_node_has_its_range_in_the_text():
    text = "a (b 12 + c...) [d] , * _ -> ()"
    tree = parse(text)
    first, second = tree.left
    assert first.items == (
        Name("a", 0, 1),
        Group(((Name("b", 3, 4), Number(12, 5, 7)), (Ellipsis("c", 10, 14),)), 2, 15),
        Bracket((Name("d", 17, 18),), 16, 19),
    )
    assert second.items == (Wildcard("*", 22, 23), Wildcard("_", 24, 25))
    assert tree.right == (TensorExpr((Group(((),), 29, 31),), 28, 31),)
    assert text[first.start : first.stop].strip() == "a (b 12 + c...) [d]"


@given(transform_patterns())
def test_node_ranges_match_the_source_text(drawn):
    tree = parse(drawn.pattern)
    for expr in (*tree.left, *(tree.right or ())):
        for dim in leaves_by_dimension(expr):
            for leaf in dim:
                written = drawn.pattern[leaf.start : leaf.stop]
                assert written == (leaf.text if isinstance(leaf, Name) else written)
                assert written.strip() == written != ""


@given(transform_patterns())
def test_canonical_text_parses_to_itself(drawn):
    once = str(parse(drawn.pattern))
    assert str(parse(once)) == once
    assert collect_names(parse(once).left).keys() == collect_names(parse(drawn.pattern).left).keys()


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("  b(h p)c->b  h (p c) ", "b (h p) c -> b h (p c)"),
        ("...->", "... ->"),
        ("->1()", "-> 1 ()"),
        ("a,b->a b", "a, b -> a b"),
        ("… ℎ", "... h"),
        ("(a+b c)[d e]", "(a + b c) [d e]"),
        ("007 s...", "7 s..."),
        ("a\n->\u2003a\u00a0", "a -> a"),
        ("", ""),
    ],
)
def test_canonical_text(text, canonical):
    assert str(parse(text)) == canonical


def test_python_keywords_and_unicode_letters_are_axis_names():
    text = "in def 日本 été ß x_1 A"
    assert [leaf.text for (leaf,) in leaves_by_dimension(parse(text).left[0])] == text.split()


@given(st.text(max_size=8))
def test_axis_names_are_normalized_as_python_identifiers(word):
    if not word.isidentifier() or word[0] == "_" or word[-1] == "_" or normalize_name(word)[-1] == "_":
        return
    (item,) = parse(word).left[0].items
    namespace: dict[str, int] = {}
    exec(f"def f(**kw): return list(kw)\nnames = f(**{{{word!r}: 1}})", namespace)
    assert isinstance(item, Name)
    assert item.text == normalize_name(word)


@given(malformed_patterns())
def test_parse_raises_only_pattern_syntax_errors(text):
    try:
        tree = parse(text)
    except plait.PatternSyntaxError as error:
        assert error.pattern == text
        assert error.spans
        assert str(error)
    else:
        assert parse(str(tree)) is not None


@given(st.one_of(st.none(), st.integers(), st.binary(), st.lists(st.text()), st.floats()))
def test_parse_rejects_values_that_are_not_strings(value):
    with pytest.raises(plait.PatternSyntaxError, match="PLT101"):
        parse(value)


HUGE_LENGTH = 100_000

HUGE_PATTERNS = {
    "open": "(" * HUGE_LENGTH,
    "close": ")" * HUGE_LENGTH,
    "nested": "(" * (HUGE_LENGTH // 2) + ")" * (HUGE_LENGTH // 2),
    "flat": "a " * (HUGE_LENGTH // 2),
    "one name": "a" * HUGE_LENGTH,
    "underscores": "a" + "_" * HUGE_LENGTH,
    "underscores between": "a_" * (HUGE_LENGTH // 2) + "a",
    "digits": "9" * HUGE_LENGTH,
    "dots": "." * HUGE_LENGTH,
    "arrows": "->" * (HUGE_LENGTH // 2),
    "dashes": "-" * HUGE_LENGTH,
    "commas": "," * HUGE_LENGTH,
    "groups": "()" * (HUGE_LENGTH // 2),
    "plusses": "(a" + "+a" * (HUGE_LENGTH // 2),
    "white space": " " * HUGE_LENGTH,
    "brackets": "[]" * (HUGE_LENGTH // 2),
    "stars": "*" * HUGE_LENGTH,
    "emoji": "🙂" * HUGE_LENGTH,
    "letters that normalise": "ﷺ" * HUGE_LENGTH,
    "surrogates": "\ud800" * HUGE_LENGTH,
    "nul": "\0" * HUGE_LENGTH,
    "combining": "a" + "\u0301" * HUGE_LENGTH,
    "names": " ".join(f"a{number}" for number in range(HUGE_LENGTH // 7)),
}


@pytest.mark.parametrize("name", HUGE_PATTERNS)
def test_parse_takes_linear_time_without_recursion(name):
    text = HUGE_PATTERNS[name]
    limit = sys.getrecursionlimit()

    def seconds(part):
        start = time.perf_counter()
        try:
            repr(parse(part).left[:1])[:10]
        except plait.PlaitError as error:
            assert len(str(error)) < 1000
        return time.perf_counter() - start

    sys.setrecursionlimit(200)
    gc.disable()  # otherwise the time of a collection would be measured
    try:
        whole = min(seconds(text) for _ in range(3))
        hundredth = min(seconds(text[: HUGE_LENGTH // 100]) for _ in range(5))
    finally:
        gc.enable()
        sys.setrecursionlimit(limit)
    assert (
        whole < 2000 * hundredth + 0.1
    )  # a linear parser gives about 100, a quadratic one 10,000; timing noise is below 20-fold


@pytest.mark.parametrize("name", HUGE_PATTERNS)
def test_operations_raise_only_plait_errors_for_huge_patterns(name):
    np = pytest.importorskip("numpy")
    text = HUGE_PATTERNS[name]
    for call in (
        lambda: plait.rearrange(np.zeros(3), text),
        lambda: plait.rearrange(np.zeros(3), f"{text} -> {text}"),
        lambda: plait.einsum(text, np.zeros(3)),
        lambda: plait.pack([np.zeros(3)], text),
        lambda: plait.parse_shape(np.zeros(3), text),
        lambda: plait.compile(text).inverse(),
    ):
        try:
            call()
        except plait.PlaitError as error:
            assert len(str(error)) < 300_000


def test_item_leaves_flattens_nested_groups():
    ((group,),) = [expr.items for expr in parse("(a (b (c d)) 2)").left]
    assert [getattr(leaf, "text", "2") for leaf in item_leaves(group)] == ["a", "b", "c", "d", "2"]
