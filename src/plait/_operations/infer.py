"""What a pattern is for: which operation its two sides describe."""

from __future__ import annotations

from plait._notation.tree import (
    Expr,
    Name,
    Number,
    Tree,
    leaves,
    names,
)


def operation_of(tree: Tree) -> str:
    """The function that a pattern is for: several tensors make an einsum, a lost axis a reduction, a new one a copy."""
    if len(tree.left) > 1:
        return "einsum"
    if any(len(set(found)) < len(found) for found in [_names_of(expr) for expr in tree.left]):
        return "einsum"  # a diagonal
    right = tree.right or ()
    before, after = names(tree.left), names(right)
    if before.keys() - after.keys() or _has_lengths(tree.left):
        return "reduce"
    return "repeat" if after.keys() - before.keys() or _has_lengths(right) else "rearrange"


def _names_of(expr: Expr) -> list[str]:
    return [leaf.text for item in expr.items for leaf in leaves(item) if isinstance(leaf, Name)]


def _has_lengths(side: tuple[Expr, ...]) -> bool:
    """Whether an axis without a name stands there, other than a unit."""
    found = [leaf for expr in side for item in expr.items for leaf in leaves(item)]
    return any(isinstance(leaf, Number) and leaf.value != 1 for leaf in found)
