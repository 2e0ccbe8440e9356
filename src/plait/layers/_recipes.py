"""The plans of a layer as plain tuples of numbers and words, for a framework that compiles no Python of plait's."""

from __future__ import annotations

from plait._executor.compile import planned
from plait._executor.program import Recipe, recipe
from plait._notation.parser import parse
from plait._notation.tree import Ellipsis
from plait._pattern import Pattern

RANKS = 8
"""The highest rank for which a pattern with an ellipsis gets a recipe."""


def recipes(operation: str, pattern: Pattern, reduction: str = "", *others: int) -> dict[int, Recipe]:
    """What a pattern comes to, for each rank of the tensor: one rank, or with an ellipsis all up to `RANKS`.

    Args:
        operation: ``"rearrange"``, ``"reduce"``, ``"repeat"`` or ``"einsum"``.
        pattern: the pattern with its sizes, whose numbers stand in their order behind those of the shapes.
        reduction: the name of a reduction, or nothing.
        others: the ranks of the tensors behind the first.
    """
    items = parse(pattern.text).left[0].items
    named = sum(not isinstance(item, Ellipsis) for item in items)
    ranks = range(named, max(named, RANKS) + 1) if named < len(items) else (named,)
    given = tuple(pattern.sizes)
    return {rank: recipe(planned(operation, pattern.text, (rank, *others), given, reduction)) for rank in ranks}
