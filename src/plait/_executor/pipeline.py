"""Patterns one after the other, as few patterns as they can be: the cold half of a composition.

For each new shape the sizes of every stage are solved, and neighbours are joined until none can be. What is left are
*pieces*, in the best case one, and each is a pattern as any other: it is planned, bound and kept as if it had been
written by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import chain, pairwise
from math import prod
from typing import Any, NamedTuple

from plait._executor.caches import register
from plait._executor.compile import add_context
from plait._executor.einsum_options import check_implicit_sums, looks_like_typo
from plait._executor.pipeline_stages import Stage, Step, after, deal, steps_of
from plait._executor.tensors import is_concrete, shape_of
from plait._notation.parser import parse
from plait._operations.reduce import CUSTOM, check_reduction
from plait._shapes.composition import AxisMap, axis_map, compose, compose_axes
from plait._shapes.sizes import evaluate, report
from plait._shapes.solver import SolvedPattern, solve_pattern
from plait._shapes.unparse import pattern_text, pattern_words
from plait.backends.reduction_rules import MERGING
from plait.backends.registry import one_backend
from plait.errors import PlaitError

FUSED = 1024
"""How many compositions are kept: patterns, each with the shapes of the tensors."""


class Piece(NamedTuple):
    """One pattern in the place of the stages from ``first`` to ``last``."""

    step: Step
    stage: Stage
    first: int
    last: int


class Fused(NamedTuple):
    """What a composition comes to; ``reasons`` say why a piece and the next are not one."""

    pieces: tuple[Piece, ...]
    reasons: tuple[str, ...]


class _Group(NamedTuple):
    wire: AxisMap
    first: int
    last: int


def fuse(operation: str, stages: tuple[Stage, ...], tensors: Sequence[Any], reduction: Any) -> Fused | None:
    """What a composition comes to for these tensors; ``None`` where a size is not known, or a tensor missing.

    Raises:
        PlaitError: those of `steps_of` and of the sizes.
    """
    for tensor in tensors:
        shape_of(tensor)
    if operation == "reduce" and not callable(reduction):
        check_reduction(reduction)
    backend = one_backend(tuple([type(tensor) for tensor in tensors]))
    shapes = [backend.shape(tensor) for tensor in tensors]
    if not all(is_concrete(shape) for shape in shapes):
        return None
    return fused(operation, stages, tuple(map(tuple, shapes)), CUSTOM if callable(reduction) else reduction)


@lru_cache(maxsize=FUSED)
def fused(
    operation: str, stages: tuple[Stage, ...], shapes: tuple[tuple[int, ...], ...], reduction: str = ""
) -> Fused | None:
    """What a composition comes to for these shapes; ``None`` where there are too many of them, or too few.

    Raises:
        PlaitError: those of `steps_of` and of the sizes.
    """
    steps = steps_of(operation, tuple([text for text, _ in stages]))
    if len(shapes) != sum([step.tensors for step in steps]) - len(steps) + 1:
        return None
    groups = _joined(
        [_Group(wire, place, place) for place, wire in enumerate(_wirings(stages, steps, shapes))], reduction
    )
    reasons = [str(_join(one, other, reduction)) for one, other in pairwise(groups)]
    return Fused(tuple([_piece(group, operation, steps, stages) for group in groups]), tuple(reasons))


def _joined(groups: list[_Group], reduction: str) -> list[_Group]:
    """Neighbours joined, until none can be; what two refuse, three may allow."""
    place = 0
    while place < len(groups) - 1:
        wire = _join(groups[place], groups[place + 1], reduction)
        if isinstance(wire, str):
            place += 1
            continue
        groups[place : place + 2] = [_Group(wire, groups[place].first, groups[place + 1].last)]
        place = max(place - 1, 0)
    return groups


def _join(one: _Group, other: _Group, reduction: str) -> AxisMap | str:
    """Two as one, or the reason why they are not."""
    if reduction == CUSTOM and other.wire.dropped:
        return "a callable is given the dimensions of its own pattern"
    if reduction not in MERGING and reduction and one.wire.dropped and other.wire.dropped:
        return f"{reduction} of {reduction} is not {reduction} of all"
    wire = compose(one.wire, other.wire)
    if isinstance(wire, AxisMap) and wire.dropped and wire.added:
        return "one operation does not both drop and add axes"
    return wire


def _piece(group: _Group, operation: str, steps: tuple[Step, ...], stages: tuple[Stage, ...]) -> Piece:
    wire, first, last = group
    if first == last:
        return Piece(steps[first], stages[first], first, last)
    text, sizes = pattern_text(_unmistakable(wire) if operation == "einsum" else wire)
    operation = "repeat" if operation == "reduce" and wire.added else operation
    return Piece(Step(operation, len(wire.inputs)), (text, tuple(sizes.items())), first, last)


def _unmistakable(wire: AxisMap) -> AxisMap:
    """Names of two patterns that are alike are no misspelling, of which einsum would warn: a number says so."""
    stands = Counter(chain(*chain(*wire.inputs)))
    labels = [
        f"{label}1"
        if axis in wire.dropped and stands[axis] == 1 and any(looks_like_typo(label, other) for other in wire.labels)
        else label
        for axis, label in enumerate(wire.labels)
    ]
    return wire._replace(labels=tuple(labels))


def _wirings(stages: tuple[Stage, ...], steps: tuple[Step, ...], shapes: tuple[tuple[int, ...], ...]) -> list[AxisMap]:
    """Every stage, solved for what it will be given."""
    wires: list[AxisMap] = []
    before: tuple[tuple[int, ...], ...] = ()
    for number, ((text, given), others) in enumerate(zip(stages, deal(steps, shapes), strict=True)):
        taken, sizes = (*before, *others), dict(given)
        try:
            solved = solve(text, tuple([len(shape) for shape in taken]), tuple(sizes))
            slots = [size for shape in taken for size in shape] + [*sizes.values(), *solved.constants]
            evaluate(slots, solved.size_ops, partial(report, solved))
        except PlaitError as error:
            add_context(error, text, taken, sizes)
            raise after(error, stages, number) from None
        if steps[number].operation == "einsum":
            check_implicit_sums(solved, None)
        wires.append(axis_map(solved, slots))
        before = (tuple([prod([slots[solved.slots[axis]] for axis in axes]) for axes in solved.output]),)
    return wires


@lru_cache(maxsize=FUSED)
def solve(text: str, ranks: tuple[int, ...], given: tuple[str, ...]) -> SolvedPattern:
    """The template of a pattern, remembered."""
    return solve_pattern(parse(text), ranks, given)


register(compose_axes)
register(pattern_words)
register(fused)
register(solve)
