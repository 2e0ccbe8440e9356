"""Hypothesis strategies for patterns: valid ones with a shape that fits, and malformed ones."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

AXIS_NAMES = ["a", "b", "c", "d", "e", "long_name", "x1", "in", "ß"]


@dataclass(frozen=True)
class DrawnPattern:
    """A pattern, the shape of its input, and the sizes that must be given."""

    pattern: str
    shape: tuple[int, ...]
    sizes: dict[str, int]


@st.composite
def grouped_axes(draw, axes, *, units=True, nest=True):
    """Draw the text of one tensor with these axes in this order, in random groups.

    Args:
        axes: The axes, as text.
        units: Whether to insert dimensions of length 1.
        nest: Whether to nest groups.

    Returns:
        The text, and for each dimension the list of its axes.
    """
    texts: list[str] = []
    dims: list[list[str]] = []
    position = 0
    while position < len(axes):
        if units and draw(st.integers(0, 5)) == 0:
            texts.append(draw(st.sampled_from(["1", "()"])))
            dims.append([])
        group_size = draw(st.sampled_from([1, 1, 1, 2, 3]))
        group = axes[position : position + group_size]
        position += group_size
        dims.append(group)
        if len(group) == 1:
            texts.append(group[0] if draw(st.booleans()) or group[0] == "..." else f"({group[0]})")
        elif nest and len(group) == 3 and draw(st.booleans()):
            texts.append(f"({group[0]} ({group[1]} {group[2]}))")
        else:
            texts.append(f"({' '.join(group)})")
    return draw(st.sampled_from([" ", "  ", " \t"])).join(texts), dims


def _dim_length(dim, lengths):
    total = 1
    for axis in dim:
        total *= lengths[axis]
    return total


@st.composite
def transform_patterns(draw, kind="rearrange"):
    """Draw a pattern of the operation ``kind``, and a shape that fits; lengths may be 1, or 0 except for ``reduce``."""
    count = draw(st.integers(0, 5))
    axes = draw(st.permutations(AXIS_NAMES))[:count]
    lengths = {axis: draw(st.sampled_from([1, 2, 2, 3, 0] if kind != "reduce" else [1, 2, 3])) for axis in axes}
    dots = draw(st.lists(st.sampled_from([1, 2, 3]), max_size=2)) if draw(st.booleans()) else None
    left_axes = list(axes)
    left_text, left_dims = draw(grouped_axes(left_axes))
    kept = list(left_axes)
    new: list[str] = []
    if kind == "reduce":
        kept = [axis for axis in kept if draw(st.booleans())]
    if kind == "repeat":
        new = [f"n{number}" for number in range(draw(st.integers(0, 2)))]
        lengths.update({axis: draw(st.sampled_from([0, 1, 2, 3])) for axis in new})
    right_axes = list(draw(st.permutations(kept + new)))
    right_dots = dots is not None and (kind != "reduce" or draw(st.booleans()))
    right_text, _ = draw(grouped_axes(right_axes))
    shape = [_dim_length(dim, lengths) for dim in left_dims]
    if dots is not None:
        left_words = left_text.split(" ") if "(" not in left_text else None
        if left_words is None or draw(st.booleans()):
            left_text, shape = f"... {left_text}", [*dots, *shape]
        else:
            left_text, shape = f"{left_text} ...", [*shape, *dots]
    if right_dots:
        right_text = draw(st.sampled_from([f"... {right_text}", f"{right_text} ...", f"(...) {right_text}"]))
    sizes = {axis: lengths[axis] for axis in new}
    for dim in left_dims:
        if len(dim) > 1:
            inferred = draw(st.sampled_from(dim))
            others = [axis for axis in dim if axis != inferred]
            sizes.update({axis: lengths[axis] for axis in others})
            if 0 in [lengths[axis] for axis in others]:
                sizes[inferred] = lengths[inferred]
    return DrawnPattern(f"{left_text} -> {right_text}", tuple(shape), sizes)


NOTATION_CHARACTERS = "ab_cdℎ٣0129 ()[]+*,.->…\t\n·"


def malformed_patterns():
    """Draw a text of words of the notation, of its characters, or of any characters; most are invalid patterns."""
    left_words = st.sampled_from("a b ( ) -> ... 1 2 () , + * _ [ ] h_ ٣ …".split())
    joined = st.lists(left_words, max_size=14).map(" ".join)
    return st.one_of(joined, st.text(NOTATION_CHARACTERS, max_size=30), st.text(max_size=30))
