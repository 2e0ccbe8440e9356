"""``einsum``: multiply tensors, and sum over what the right side leaves out.

The named form and the classical one are read into the same tree, and are one operation from there on.
"""

from __future__ import annotations

import string

from weft.errors import fail
from weft.ops.operation import Operation
from weft.ops.rules import Side, no_grouped_dots, places, spans_of, survey, two_sides
from weft.pattern import Tree
from weft.plan import Einsum, Plan, Reshape, Sizes, Step, simplify
from weft.solve import Template


def check(tree: Tree) -> None:
    """Raise where the right side has an axis that no tensor has, or one twice."""
    left, right = two_sides(tree, "einsum")
    before = [survey(expr, tree, "einsum", repeats=True) for expr in left]
    after = survey(right, tree, "einsum")
    for expr, side in zip(left, before, strict=True):
        no_grouped_dots(expr, side, tree)
    known = {name for side in before for name in side.names}
    new = [name for text, name in after.names.items() if text not in known]
    if new:
        message = f"{new[0].text} stands on the right only, and einsum adds no axis; repeat does"
        raise fail("W205", message, *places(tree, new))
    numbers = [number for number in after.numbers if number.value != 1]
    if numbers:
        message = "einsum adds no axis, and so takes no length but 1 on the right; repeat does"
        raise fail("W207", message, *places(tree, numbers))
    _check_dots(before, after, tree)


def _check_dots(before: list[Side], after: Side, tree: Tree) -> None:
    dots = [dots for side in before for dots in side.dots]
    if after.dots and not dots:
        raise fail("W208", "this ellipsis stands on the right only", tree.text, spans_of(after.dots))
    if dots and not after.dots:
        message = "the ellipsis stands on the left only; put it on the right, or name the axes to be summed"
        raise fail("W208", message, tree.text, spans_of(dots))


def lower(solved: Template, _: str = "") -> Plan:
    """Split each tensor into its axes, contract by the framework's einsum, merge."""
    sizes = Sizes(solved)
    letters = _letters(solved)
    firsts = [sum(solved.ranks[:number]) for number in range(len(solved.ranks))]
    inputs = tuple([_split(sizes, dims, first) for dims, first in zip(solved.inputs, firsts, strict=True)])
    terms = [_term(dims, letters) for dims in solved.inputs]
    equation = f"{','.join(terms)}->{_term(solved.output, letters)}"
    steps: list[Step] = []
    if any(len(axes) != 1 for axes in solved.output):
        steps.append(Reshape(sizes.shape(solved.output)))
    return Plan(solved, tuple(sizes.instructions), inputs, Einsum(equation), simplify(steps))


def _split(sizes: Sizes, dims: tuple[tuple[int, ...], ...], first: int) -> tuple[Step, ...]:
    """Every axis as a dimension of its own.

    A dimension that is one axis already keeps its own length, which in an ellipsis may be the 1 that is stretched.
    """
    if all(len(axes) == 1 for axes in dims):
        return ()
    shape: list[int] = []
    for place, axes in enumerate(dims, first):
        shape += [place] if len(axes) == 1 else sizes.shape([(axis,) for axis in axes])
    return (Reshape(tuple(shape)),)


def _letters(solved: Template) -> list[str]:
    """A letter for every axis; those of an ellipsis have dots, since the framework broadcasts them itself."""
    free = iter(string.ascii_letters)
    letters = ["..." if label == "..." else next(free, "") for label in solved.labels]
    if "" in letters:
        message = f"einsum can name {len(string.ascii_letters)} axes, and the pattern has more"
        raise fail("W506", message, solved.text)
    return letters


def _term(dims: tuple[tuple[int, ...], ...], letters: list[str]) -> str:
    """One tensor of the equation. Units have no letter, since no dimension is left of them."""
    term = ""
    for axis in sum(dims, ()):
        if not (letters[axis] == "..." and term.endswith("...")):
            term += letters[axis]
    return term


EINSUM = Operation("einsum", check, lower)
