"""Templates: which size comes from which, without a size in sight."""

from __future__ import annotations

from functools import partial

import pytest

import plait
from plait._notation.parser import parse
from plait._shapes.sizes import evaluate, evaluate_symbolic, exact, normalise_sizes, report
from plait._shapes.solver import PRODUCT, SizeOp, slot_labels, solve_pattern


def solved(pattern, *ranks, given=()):
    return solve_pattern(parse(pattern), ranks, tuple(given))


def sizes_of(pattern, *shapes, **given):
    found = solved(pattern, *map(len, shapes), given=given)
    registers = [size for shape in shapes for size in shape] + [*given.values(), *found.constants]
    evaluate(registers, found.size_ops, lambda registers, *row: AssertionError(row))
    return {label: registers[register] for label, register in zip(found.labels, found.slots, strict=True)}


def test_an_axis_alone_is_its_dimension():
    found = solved("a b -> b a", 2)
    assert found.slots == (0, 1)
    assert found.size_ops == ()


def test_a_split_is_a_quotient():
    found = solved("(h p) w -> h p w", 2, given=["p"])
    assert found.size_ops == (SizeOp("quotient", 0, (2,)),)
    assert found.slots == (3, 2, 1)


def test_what_is_known_twice_is_checked():
    assert solved("a b -> b a", 2, given=["a"]).size_ops == (SizeOp("check", 0, (2,)),)
    assert solved("a, a ->", 1, 1).size_ops == (SizeOp("check", 1, (0,)),)
    assert solved("1 a -> a", 2).size_ops == (SizeOp("check", 0, ()),)


def test_constants_have_registers_of_their_own():
    found = solved("(h 2) (w 3) -> h w", 2)
    assert found.constants == (2, 3)
    assert sizes_of("(h 2) (w 3) -> h w", (4, 6)) == {"h": 2, "2": 2, "w": 2, "3": 3}


def test_one_tensor_may_tell_the_sizes_of_another():
    assert sizes_of("b (h d), h d -> b", (2, 12), (3, 4)) == {"b": 2, "h": 3, "d": 4}


def test_an_ellipsis_is_counted_from_the_right():
    found = solved("... i, ... i -> ...", 3, 2)
    assert found.inputs == (((0,), (1,), (2,)), ((1,), (2,)))
    assert found.output == ((0,), (1,))


def test_a_template_is_the_same_for_every_shape_and_holds_no_size():
    assert solved("b (h p) -> b h p", 2, given=["p"]) == solved("b (h p) -> b h p", 2, given=["p"])


@pytest.mark.parametrize(
    ("pattern", "ranks", "given", "code"),
    [
        ("(a b) -> a b", (1,), (), "PLT303"),
        ("a -> a b", (1,), (), "PLT303"),
        ("a b -> a b", (3,), (), "PLT304"),
        ("a ... b -> a b", (1,), (), "PLT304"),
        ("a -> a", (1,), ("b",), "PLT203"),
    ],
)
def test_what_cannot_be_solved(pattern, ranks, given, code):
    with pytest.raises(plait.PlaitError, match=code):
        solved(pattern, *ranks, given=given)


class Symbol:
    """A size that computes, and refuses to be compared, hashed or looked into."""

    __hash__ = None

    def __init__(self, text):
        self.text = text

    def __mul__(self, other):
        return Symbol(f"({self.text}*{getattr(other, 'text', other)})")

    __rmul__ = __mul__

    def __floordiv__(self, other):
        return Symbol(f"({self.text}//{getattr(other, 'text', other)})")

    def __eq__(self, other):
        raise AssertionError("a symbol was compared")

    def __bool__(self):
        raise AssertionError("a symbol was asked")

    def __index__(self):
        raise AssertionError("a symbol was looked into")


def test_symbols_are_computed_with_and_never_asked():
    found = solved("(h p) w, w -> h p w", 2, 1, given=["p"])
    registers = [Symbol("n"), Symbol("m"), Symbol("k"), 4]
    evaluate_symbolic(registers, found.size_ops, partial(report, found))
    assert [getattr(register, "text", register) for register in registers] == ["n", "m", "k", 4, "(n//4)"]


def test_what_is_known_beside_symbols_is_checked():
    found = solved("n (h p), h n -> h p", 2, 2, given=["p"])
    registers = [Symbol("n"), 8, 2, Symbol("m"), 4]
    evaluate_symbolic(registers, found.size_ops, partial(report, found))
    assert registers[5:] == [2]
    with pytest.raises(plait.SizeError, match="PLT305"):
        evaluate_symbolic([Symbol("n"), 8, 3, None, 4], found.size_ops, partial(report, found))
    with pytest.raises(plait.SizeError, match="PLT302"):
        evaluate_symbolic([None, 8, None, None, 3], found.size_ops, partial(report, found))


@pytest.mark.parametrize("value", [2.0, True, "2", None, 2 + 0j, float("nan"), [2], b"2"])
def test_only_exact_integers_are_sizes(value):
    with pytest.raises(plait.SizeError, match="PLT301"):
        exact("h", value)


def test_names_of_sizes_are_normalised_once():
    assert normalise_sizes({"ℎ": 2, "w": 3}) == {"h": 2, "w": 3}
    with pytest.raises(plait.SizeError, match="PLT311"):
        normalise_sizes({"ℎ": 2, "h": 2})


@pytest.mark.parametrize(
    ("pattern", "ranks", "given", "added", "labels"),
    [
        ("b (h p) -> b h p", (2,), ["p"], (), "b | (h p) | p | h"),
        ("1 (a 2) -> a", (2,), [], (), "1 | (a 2) | 2 | a"),
        ("a b -> (b a)", (2,), [], ((1, 0),), "a | b | (b a)"),
        ("a b c -> ((c b) a)", (3,), [], ((2, 1), (3, 0)), "a | b | c | (c b) | ((c b) a)"),
        ("... a, ... -> a ...", (2, 1), [], (), "... | a | ... | ..."),
        ("a -> a 1", (1,), [], ((),), "a | 1"),
    ],
)
def test_labels_of_slots_are_what_the_pattern_writes(pattern, ranks, given, added, labels):
    found = solved(pattern, *ranks, given=given)
    size_ops = (*found.size_ops, *(SizeOp(PRODUCT, 0, factors) for factors in added))
    named = slot_labels(found, size_ops)
    assert " | ".join(named[slot] for slot in sorted(named)) == labels


def test_what_is_made_of_an_unknown_size_is_unknown():
    found = solved("(h p) ..., (w q) ... -> h w ...", 2, 2, given=["p", "q"])
    slots = [None, None, 12, 5, 2, 3]
    evaluate_symbolic(slots, found.size_ops, partial(report, found))
    sizes = {label: slots[slot] for label, slot in zip(found.labels, found.slots, strict=True)}
    assert sizes == {"h": None, "p": 2, "...": 5, "w": 4, "q": 3}
