"""``einsum``: multiply tensors, and sum over what the right side leaves out.

The named form has groups and numbers; the classical form, one letter an axis, is read into the same tree.
"""

from __future__ import annotations

import string
from collections import Counter

from weft.errors import fail
from weft.ops.operation import Operation
from weft.ops.rules import Side, no_grouped_dots, places, spans_of, survey, two_sides
from weft.pattern import Ellipsis, Expr, Name, Number, Tree, dimensions
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
    (right,) = solved.tree.right or ()  # the rule saw that there is one
    sizes = Sizes(solved)
    letters = _Letters(solved.tree)
    firsts = [sum(solved.ranks[:number]) for number in range(len(solved.ranks))]
    inputs = tuple([_split(sizes, dims, first) for dims, first in zip(solved.inputs, firsts, strict=True)])
    equation = ",".join([letters.term(expr) for expr in solved.tree.left])
    equation += "->" + letters.term(right)
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


class _Letters:
    """A letter for every axis but those of the ellipsis, which the framework broadcasts itself."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.free = iter(string.ascii_letters)
        self.known: dict[str, str] = {}

    def term(self, expr: Expr) -> str:
        """One tensor of the equation; units are left out, since no dimension is left of them."""
        term = ""
        for leaf in (leaf for dim in dimensions(expr) for leaf in dim):
            if isinstance(leaf, Ellipsis):
                term += "..."
            elif isinstance(leaf, Name):
                term += self.known.get(leaf.text) or self.known.setdefault(leaf.text, self._next())
            elif isinstance(leaf, Number) and leaf.value != 1:
                term += self._next()
        return term

    def _next(self) -> str:
        letter = next(self.free, "")
        if not letter:
            message = f"einsum can name {len(string.ascii_letters)} axes, and the pattern has more"
            raise fail("W506", message, self.tree.text)
        return letter


def classical(equation: str, count: int) -> Tree:
    """The tree of a classical equation: every letter an axis, white space ignored, the output optional.

    Args:
        equation: such as ``"ij,jk->ik"`` or ``"ij,jk"``.
        count: the number of tensors.

    Raises:
        PatternSyntaxError: W101, W102, W105, W106 or W110.

    >>> from weft.pattern import tree_text
    >>> tree_text(classical("ij, jk", 2))
    'i j, j k -> i k'
    """
    if not isinstance(equation, str):
        raise fail("W101", f"the equation must be text, and this is {type(equation).__name__}")
    sides = _classical_sides(equation)
    left = sides[0]
    if len(left) != count:
        message = f"the equation has {len(left)} tensor{'s' * (len(left) != 1)}, and einsum was given {count}"
        raise fail("W202", message, equation, [(expr.start, expr.stop) for expr in left])
    right = sides[1] if len(sides) == 2 else (_implicit(left, len(equation)),)
    if len(right) != 1:
        raise fail("W110", "einsum gives one tensor", equation, [(expr.start, expr.stop) for expr in right])
    return Tree(equation, left, right)


def _classical_sides(equation: str) -> list[tuple[Expr, ...]]:
    sides: list[tuple[Expr, ...]] = []
    exprs: list[Expr] = []
    items: list[Name | Ellipsis] = []
    start = place = 0
    while place <= len(equation):
        char = equation[place : place + 1]
        if char == "," or not char or equation.startswith("->", place):
            if char == "-" and sides:
                raise fail("W105", "an equation has one arrow", equation, [(place, place + 2)])
            exprs.append(Expr(tuple(items), start, place))
            items = []
            start = place + (2 if char == "-" else 1)
            if char != ",":
                sides.append(tuple(exprs))
                exprs = []
            place = start
            continue
        if equation.startswith("...", place):
            if any(type(item) is Ellipsis for item in items):
                raise fail("W106", "an ellipsis may stand once in a tensor", equation, [(place, place + 3)])
            items.append(Ellipsis(None, place, place + 3))
            place += 3
            continue
        if char.isascii() and char.isalpha():
            items.append(Name(char, place, place + 1))
        elif not char.isspace():
            message = f"{char!r} cannot stand in an equation, whose axes are the letters a to z and A to Z"
            raise fail("W110", message, equation, [(place, place + 1)])
        place += 1
    return sides


def _implicit(left: tuple[Expr, ...], end: int) -> Expr:
    """The output where the equation has none: the ellipsis, then the letters that stand once, sorted."""
    found = [item for expr in left for item in expr.items]
    counts = Counter(item.text for item in found if isinstance(item, Name))
    once = sorted(letter for letter, count in counts.items() if count == 1)
    dots = [Ellipsis(None, end, end)] if any(isinstance(item, Ellipsis) for item in found) else []
    return Expr((*dots, *(Name(letter, end, end) for letter in once)), end, end)


EINSUM = Operation("einsum", check, lower)
