"""The plans of a layer as plain tuples of numbers and words, for a framework that compiles no Python of weft's."""

from __future__ import annotations

from weft.compiled import Pattern
from weft.pattern import Ellipsis, parse
from weft.run.build import planned
from weft.run.program import Recipe, recipe

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
