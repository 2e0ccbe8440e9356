"""The parser: what it reads, what it refuses, and that nothing makes it slow or deep."""

from __future__ import annotations

import gc
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import plait
from plait._notation.parser import normalise, parse
from plait._notation.tree import Bracket, Ellipsis, Expr, Group, Mark, Name, Number, leaves, names
from strategies import nearly_patterns, transforms


def dimensions(expr):
    """The dimensions of one tensor, each as its axes."""
    return [leaves(item) for item in expr.items]


def test_every_kind_of_node_knows_its_place():
    text = "a (b 12 + c...) [d] , * _ -> ()"
    tree = parse(text)
    first, second = tree.left
    assert first.items == (
        Name("a", 0, 1),
        Group(((Name("b", 3, 4), Number(12, 5, 7)), (Ellipsis("c", 10, 14),)), 2, 15),
        Bracket((Name("d", 17, 18),), 16, 19),
    )
    assert second.items == (Mark("*", 22, 23), Mark("_", 24, 25))
    assert tree.right == (Expr((Group(((),), 29, 31),), 28, 31),)
    assert text[first.start : first.stop].strip() == "a (b 12 + c...) [d]"


@given(transforms())
def test_places_are_those_of_the_words(drawn):
    tree = parse(drawn.pattern)
    for expr in (*tree.left, *(tree.right or ())):
        for dim in dimensions(expr):
            for leaf in dim:
                written = drawn.pattern[leaf.start : leaf.stop]
                assert written == (leaf.text if isinstance(leaf, Name) else written)
                assert written.strip() == written != ""


@given(transforms())
def test_canonical_text_means_the_same(drawn):
    once = str(parse(drawn.pattern))
    assert str(parse(once)) == once
    assert names(parse(once).left).keys() == names(parse(drawn.pattern).left).keys()


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


def test_keywords_and_letters_of_any_script_are_names():
    text = "in def 日本 été ß x_1 A"
    assert [leaf.text for (leaf,) in dimensions(parse(text).left[0])] == text.split()


@given(st.text(max_size=8))
def test_names_are_what_python_takes_for_an_identifier(word):
    if not word.isidentifier() or word[0] == "_" or word[-1] == "_" or normalise(word)[-1] == "_":
        return
    (item,) = parse(word).left[0].items
    namespace: dict[str, int] = {}
    exec(f"def f(**kw): return list(kw)\nnames = f(**{{{word!r}: 1}})", namespace)
    assert isinstance(item, Name)
    assert item.text == normalise(word)


@given(nearly_patterns())
def test_nothing_but_a_plait_error_is_raised(text):
    try:
        tree = parse(text)
    except plait.PatternSyntaxError as error:
        assert error.pattern == text
        assert error.spans
        assert str(error)
    else:
        assert parse(str(tree)) is not None


@given(st.one_of(st.none(), st.integers(), st.binary(), st.lists(st.text()), st.floats()))
def test_what_is_no_text_is_refused(value):
    with pytest.raises(plait.PatternSyntaxError, match="PLT101"):
        parse(value)


HUGE = 100_000

MONSTERS = {
    "open": "(" * HUGE,
    "close": ")" * HUGE,
    "nested": "(" * (HUGE // 2) + ")" * (HUGE // 2),
    "flat": "a " * (HUGE // 2),
    "one name": "a" * HUGE,
    "underscores": "a" + "_" * HUGE,
    "underscores between": "a_" * (HUGE // 2) + "a",
    "digits": "9" * HUGE,
    "dots": "." * HUGE,
    "arrows": "->" * (HUGE // 2),
    "dashes": "-" * HUGE,
    "commas": "," * HUGE,
    "groups": "()" * (HUGE // 2),
    "plusses": "(a" + "+a" * (HUGE // 2),
    "white space": " " * HUGE,
    "brackets": "[]" * (HUGE // 2),
    "stars": "*" * HUGE,
    "emoji": "🙂" * HUGE,
    "letters that normalise": "ﷺ" * HUGE,
    "surrogates": "\ud800" * HUGE,
    "nul": "\0" * HUGE,
    "combining": "a" + "\u0301" * HUGE,
    "names": " ".join(f"a{number}" for number in range(HUGE // 7)),
}


@pytest.mark.parametrize("name", MONSTERS)
def test_no_text_is_slow_deep_or_fatal(name):
    text = MONSTERS[name]
    limit = sys.getrecursionlimit()

    def seconds(part):
        start = time.perf_counter()
        try:
            repr(parse(part).left[:1])[:10]
        except plait.PlaitError as error:
            assert len(str(error)) < 1000
        return time.perf_counter() - start

    sys.setrecursionlimit(200)
    gc.disable()  # its passes would be measured, and not the parser
    try:
        whole = min(seconds(text) for _ in range(3))
        hundredth = min(seconds(text[: HUGE // 100]) for _ in range(5))
    finally:
        gc.enable()
        sys.setrecursionlimit(limit)
    assert whole < 2000 * hundredth + 0.1  # linear makes 100, quadratic 10,000; the rest is the machine's noise


@pytest.mark.parametrize("name", MONSTERS)
def test_no_pattern_is_fatal_to_an_operation(name):
    np = pytest.importorskip("numpy")
    text = MONSTERS[name]
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


def test_leaves_lays_nested_groups_flat():
    ((group,),) = [expr.items for expr in parse("(a (b (c d)) 2)").left]
    assert [getattr(leaf, "text", "2") for leaf in leaves(group)] == ["a", "b", "c", "d", "2"]
