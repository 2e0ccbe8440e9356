"""Patterns drawn at random, valid ones with a shape that fits, and nearly valid ones."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

NAMES = ["a", "b", "c", "d", "e", "long_name", "x1", "in", "ß"]


@dataclass(frozen=True)
class Drawn:
    """A pattern, the shape of its input, and the sizes that must be given."""

    pattern: str
    shape: tuple[int, ...]
    sizes: dict[str, int]


@st.composite
def grouped(draw, axes, *, units=True, nest=True):
    """Text of one tensor that has these axes in this order, and the groups that it was cut into."""
    items: list[str] = []
    dims: list[list[str]] = []
    place = 0
    while place < len(axes):
        if units and draw(st.integers(0, 5)) == 0:
            items.append(draw(st.sampled_from(["1", "()"])))
            dims.append([])
        run = draw(st.sampled_from([1, 1, 1, 2, 3]))
        part = axes[place : place + run]
        place += run
        dims.append(part)
        if len(part) == 1:
            items.append(part[0] if draw(st.booleans()) or part[0] == "..." else f"({part[0]})")
        elif nest and len(part) == 3 and draw(st.booleans()):
            items.append(f"({part[0]} ({part[1]} {part[2]}))")
        else:
            items.append(f"({' '.join(part)})")
    return draw(st.sampled_from([" ", "  ", " \t"])).join(items), dims


def _length(dim, lengths):
    total = 1
    for axis in dim:
        total *= lengths[axis]
    return total


@st.composite
def transforms(draw, kind="rearrange"):
    """A pattern of ``rearrange``, ``reduce`` or ``repeat``, with zero-sized and unit axes among them."""
    count = draw(st.integers(0, 5))
    axes = draw(st.permutations(NAMES))[:count]
    lengths = {axis: draw(st.sampled_from([1, 2, 2, 3, 0] if kind != "reduce" else [1, 2, 3])) for axis in axes}
    dots = draw(st.lists(st.sampled_from([1, 2, 3]), max_size=2)) if draw(st.booleans()) else None
    left_axes = list(axes)
    left_text, left_dims = draw(grouped(left_axes))
    kept = list(left_axes)
    new: list[str] = []
    if kind == "reduce":
        kept = [axis for axis in kept if draw(st.booleans())]
    if kind == "repeat":
        new = [f"n{number}" for number in range(draw(st.integers(0, 2)))]
        lengths.update({axis: draw(st.sampled_from([0, 1, 2, 3])) for axis in new})
    right_axes = list(draw(st.permutations(kept + new)))
    right_dots = dots is not None and (kind != "reduce" or draw(st.booleans()))
    right_text, _ = draw(grouped(right_axes))
    shape = [_length(dim, lengths) for dim in left_dims]
    if dots is not None:
        words = left_text.split(" ") if "(" not in left_text else None
        if words is None or draw(st.booleans()):
            left_text, shape = f"... {left_text}", [*dots, *shape]
        else:
            left_text, shape = f"{left_text} ...", [*shape, *dots]
    if right_dots:
        right_text = draw(st.sampled_from([f"... {right_text}", f"{right_text} ...", f"(...) {right_text}"]))
    sizes = {axis: lengths[axis] for axis in new}
    for dim in left_dims:
        if len(dim) > 1:
            open_axis = draw(st.sampled_from(dim))
            others = [axis for axis in dim if axis != open_axis]
            sizes.update({axis: lengths[axis] for axis in others})
            if 0 in [lengths[axis] for axis in others]:
                sizes[open_axis] = lengths[open_axis]
    return Drawn(f"{left_text} -> {right_text}", tuple(shape), sizes)


ALPHABET = "ab_cdℎ٣0129 ()[]+*,.->…\t\n·"


def nearly_patterns():
    """Text made of the notation's own signs, most of it wrong."""
    words = st.sampled_from("a b ( ) -> ... 1 2 () , + * _ [ ] h_ ٣ …".split())
    joined = st.lists(words, max_size=14).map(" ".join)
    return st.one_of(joined, st.text(ALPHABET, max_size=30), st.text(max_size=30))
