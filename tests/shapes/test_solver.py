"""The solver: solved patterns, the evaluation of their sizes, and the checks of given sizes."""

from __future__ import annotations

from functools import partial

import pytest

import plait
from plait._notation.parser import parse
from plait._shapes.sizes import (
    extend_slots,
    extend_symbolic_slots,
    size_op_error,
    sizes_by_normalized_name,
    to_exact_size,
)
from plait._shapes.solver import PRODUCT, SizeOp, slot_labels, solve_pattern


def solve_text(pattern, *ranks, given=()):
    return solve_pattern(parse(pattern), ranks, tuple(given))


def axis_sizes(pattern, *shapes, **given):
    solved = solve_text(pattern, *map(len, shapes), given=given)
    slots = [size for shape in shapes for size in shape] + [*given.values(), *solved.constants]
    extend_slots(slots, solved.size_ops, lambda slots, *op: AssertionError(op))
    return {label: slots[slot] for label, slot in zip(solved.labels, solved.slots, strict=True)}


def test_the_size_of_a_single_axis_is_the_length_of_its_dimension():
    solved = solve_text("a b -> b a", 2)
    assert solved.slots == (0, 1)
    assert solved.size_ops == ()


def test_the_unknown_axis_of_a_group_is_a_quotient():
    solved = solve_text("(h p) w -> h p w", 2, given=["p"])
    assert solved.size_ops == (SizeOp("quotient", 0, (2,)),)
    assert solved.slots == (3, 2, 1)


def test_redundant_sizes_are_checked():
    assert solve_text("a b -> b a", 2, given=["a"]).size_ops == (SizeOp("check", 0, (2,)),)
    assert solve_text("a, a ->", 1, 1).size_ops == (SizeOp("check", 1, (0,)),)
    assert solve_text("1 a -> a", 2).size_ops == (SizeOp("check", 0, ()),)


def test_numbers_have_slots_of_their_own():
    solved = solve_text("(h 2) (w 3) -> h w", 2)
    assert solved.constants == (2, 3)
    assert axis_sizes("(h 2) (w 3) -> h w", (4, 6)) == {"h": 2, "2": 2, "w": 2, "3": 3}


def test_sizes_are_inferred_from_another_tensor():
    assert axis_sizes("b (h d), h d -> b", (2, 12), (3, 4)) == {"b": 2, "h": 3, "d": 4}


def test_ellipsis_axes_are_aligned_from_the_right():
    solved = solve_text("... i, ... i -> ...", 3, 2)
    assert solved.inputs == (((0,), (1,), (2,)), ((1,), (2,)))
    assert solved.output == ((0,), (1,))


def test_solved_patterns_of_equal_arguments_are_equal():
    assert solve_text("b (h p) -> b h p", 2, given=["p"]) == solve_text("b (h p) -> b h p", 2, given=["p"])


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
def test_unsolvable_patterns_raise(pattern, ranks, given, code):
    with pytest.raises(plait.PlaitError, match=code):
        solve_text(pattern, *ranks, given=given)


class IncomparableSize:
    """A symbolic size that supports arithmetic, and raises if it is compared, hashed or converted."""

    __hash__ = None

    def __init__(self, text):
        self.text = text

    def __mul__(self, other):
        return IncomparableSize(f"({self.text}*{getattr(other, 'text', other)})")

    __rmul__ = __mul__

    def __floordiv__(self, other):
        return IncomparableSize(f"({self.text}//{getattr(other, 'text', other)})")

    def __eq__(self, other):
        raise AssertionError("a symbolic size was compared")

    def __bool__(self):
        raise AssertionError("a symbolic size was converted to bool")

    def __index__(self):
        raise AssertionError("a symbolic size was converted to int")


def test_symbolic_sizes_are_computed_without_being_compared():
    solved = solve_text("(h p) w, w -> h p w", 2, 1, given=["p"])
    slots = [IncomparableSize("n"), IncomparableSize("m"), IncomparableSize("k"), 4]
    extend_symbolic_slots(slots, solved.size_ops, partial(size_op_error, solved))
    assert [getattr(slot, "text", slot) for slot in slots] == ["n", "m", "k", 4, "(n//4)"]


def test_concrete_sizes_are_checked_beside_symbolic_sizes():
    solved = solve_text("n (h p), h n -> h p", 2, 2, given=["p"])
    slots = [IncomparableSize("n"), 8, 2, IncomparableSize("m"), 4]
    extend_symbolic_slots(slots, solved.size_ops, partial(size_op_error, solved))
    assert slots[5:] == [2]
    with pytest.raises(plait.SizeError, match="PLT305"):
        extend_symbolic_slots([IncomparableSize("n"), 8, 3, None, 4], solved.size_ops, partial(size_op_error, solved))
    with pytest.raises(plait.SizeError, match="PLT302"):
        extend_symbolic_slots([None, 8, None, None, 3], solved.size_ops, partial(size_op_error, solved))


@pytest.mark.parametrize("value", [2.0, True, "2", None, 2 + 0j, float("nan"), [2], b"2"])
def test_to_exact_size_rejects_values_that_are_not_exact_integers(value):
    with pytest.raises(plait.SizeError, match="PLT301"):
        to_exact_size("h", value)


def test_normalize_size_names_rejects_equal_names():
    assert sizes_by_normalized_name({"ℎ": 2, "w": 3}) == {"h": 2, "w": 3}
    with pytest.raises(plait.SizeError, match="PLT311"):
        sizes_by_normalized_name({"ℎ": 2, "h": 2})


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
def test_slot_labels_are_the_text_of_the_pattern(pattern, ranks, given, added, labels):
    solved = solve_text(pattern, *ranks, given=given)
    size_ops = (*solved.size_ops, *(SizeOp(PRODUCT, 0, factors) for factors in added))
    named = slot_labels(solved, size_ops)
    assert " | ".join(named[slot] for slot in sorted(named)) == labels


def test_sizes_computed_from_an_unknown_size_are_unknown():
    solved = solve_text("(h p) ..., (w q) ... -> h w ...", 2, 2, given=["p", "q"])
    slots = [None, None, 12, 5, 2, 3]
    extend_symbolic_slots(slots, solved.size_ops, partial(size_op_error, solved))
    sizes = {label: slots[slot] for label, slot in zip(solved.labels, solved.slots, strict=True)}
    assert sizes == {"h": None, "p": 2, "...": 5, "w": 4, "q": 3}
