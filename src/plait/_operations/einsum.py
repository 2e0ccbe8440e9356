"""``einsum``: multiply tensors, and sum over what the right side leaves out.

The named form and the classical one are read into the same tree, and are one operation from there on.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from itertools import accumulate, chain
from string import ascii_letters

from plait._notation.tree import Tree
from plait._operations.operation import Operation
from plait._operations.rules import (
    Side,
    collect_axes,
    forbid_grouped_ellipsis,
    text_and_spans,
    two_sides,
)
from plait._plan.contraction.network import Axes, Dims, neighbours
from plait._plan.contraction.paths import Path
from plait._plan.graph import Plan, Sizes
from plait._plan.nodes import Einsum, Reshape, Step
from plait._plan.simplify import simplify
from plait._shapes.solver import SolvedPattern
from plait.errors import fail


def check(tree: Tree) -> None:
    """Raise where the right side has an axis that no tensor has, or one twice."""
    left, right = two_sides(tree, "einsum")
    before = [collect_axes(expr, tree, "einsum", repeats=True) for expr in left]
    after = collect_axes(right, tree, "einsum")
    for expr, side in zip(left, before, strict=True):
        forbid_grouped_ellipsis(expr, side, tree)
    known = {name for side in before for name in side.names}
    new = [name for text, name in after.names.items() if text not in known]
    if new:
        message = f"{new[0].text} stands on the right only, and einsum adds no axis; repeat does"
        raise fail("PLT205", message, *text_and_spans(tree, new))
    if lengths := after.lengths:
        message = "einsum adds no axis, and so takes no length but 1 on the right; repeat does"
        raise fail("PLT207", message, *text_and_spans(tree, lengths))
    _check_dots(before, after, tree)


def _check_dots(before: list[Side], after: Side, tree: Tree) -> None:
    dots = [dots for side in before for dots in side.dots]
    if after.dots and not dots:
        raise fail("PLT208", "this ellipsis stands on the right only", *text_and_spans(tree, after.dots))
    if dots and not after.dots:
        message = "the ellipsis stands on the left only; put it on the right, or name the axes to be summed"
        raise fail("PLT208", message, *text_and_spans(tree, dots))


def lower(solved: SolvedPattern, _: str = "", path: Path = ()) -> Plan:
    """Split each tensor into what the product needs apart, contract by the framework's einsum, merge.

    This is the plan for sizes that are not known, and for frameworks whose own einsum is best.
    `plait._plan.contraction` chooses among others where the sizes are known.

    Args:
        solved: the solved pattern.
        path: the order in which the tensors meet; without one, all at once.

    """
    sizes = Sizes(solved)
    runs = neighbours((*solved.inputs, solved.output), across=False)
    run_of = {run[0]: run for run in runs}
    terms = [[run_of[axis] for axis in chain(*dims) if axis in run_of] for dims in solved.inputs]
    output = [run_of[axis] for axis in chain(*solved.output) if axis in run_of]
    firsts = accumulate(solved.ranks, initial=0)
    inputs = tuple([_split(sizes, *each) for each in zip(solved.inputs, terms, firsts)])  # noqa: B905  # one more
    products = _products(solved, [*terms, output], path)
    combined = sizes.shape(output)
    steps: list[Step] = []
    if list(solved.output) != output:
        steps.append(Reshape(sizes.shape(solved.output)))
    return Plan(solved, tuple(sizes.instructions), inputs, products, simplify(steps), combined)


def _split(sizes: Sizes, dims: Dims, runs: list[Axes], first: int) -> tuple[Step, ...]:
    """Every run of axes as a dimension of its own.

    A dimension that is one already keeps its own length, which in an ellipsis may be the 1 that is stretched.
    """
    if list(dims) == runs:
        return ()
    places = {axes: place for place, axes in enumerate(dims, first)}
    return (Reshape(tuple([places[run] if run in places else sizes.shape([run])[0] for run in runs])),)


def _products(solved: SolvedPattern, terms: list[list[Axes]], path: Path) -> tuple[Einsum, ...]:
    """The einsums along a path; without one a single einsum, or from left to right where letters are too few."""
    hand, output = terms[:-1], terms[-1]
    count = len(hand)
    if not path:
        everything = {run for term in terms for run in term if not _is_dots(solved, run)}
        at_once = len(everything) <= len(ascii_letters) or count < 3
        path = (tuple(range(count)),) if at_once else ((0, 1), *[(0, count - 2 - done) for done in range(count - 2)])
    products = []
    for meeting in path:
        met = [hand[place] for place in meeting]
        hand = [term for place, term in enumerate(hand) if place not in meeting]
        needed = {run for term in (*hand, output) for run in term}
        kept = [run for run in dict.fromkeys(chain(*met)) if run in needed]
        made = sorted(kept, key=lambda run: not _is_dots(solved, run)) if hand else output  # the dots of a term are one
        products.append(Einsum(meeting, _equation(solved, [*met, made])))
        hand.append(made)
    return tuple(products)


def _is_dots(solved: SolvedPattern, run: Axes) -> bool:
    return solved.labels[run[0]] == "..."


def _equation(solved: SolvedPattern, terms: list[list[Axes]]) -> str:
    """A letter for every run; those of an ellipsis are dots, since the framework broadcasts them itself.

    Units have no letter, since no dimension is left of them. Where letters are too few there is no equation.
    """
    runs = dict.fromkeys([run for term in terms for run in term if not _is_dots(solved, run)])
    if len(runs) > len(ascii_letters):
        return ""
    letter = dict(zip(runs, ascii_letters, strict=False))
    texts = []
    for term in terms:
        text = "".join([letter.get(run, ".") for run in term])
        texts.append(re.sub(r"\.+", "...", text))
    return f"{','.join(texts[:-1])}->{texts[-1]}"


@lru_cache(maxsize=512)
def lonely(solved: SolvedPattern) -> tuple[int, ...]:
    """The axes that stand once on the left, and not on the right: einsum sums over each of them alone."""
    stands = Counter([axis for dims in solved.inputs for axes in dims for axis in axes])
    kept = {axis for axes in solved.output for axis in axes}
    return tuple([axis for axis, count in stands.items() if count == 1 and axis not in kept])


EINSUM = Operation("einsum", check, lower)
