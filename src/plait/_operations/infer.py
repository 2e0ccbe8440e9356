"""Which operation the two sides of a pattern describe."""

from __future__ import annotations

from plait._notation.tree import Expr, Name, Number, Tree, all_leaves, names


def infer_operation(tree: Tree) -> str:
    """The public function that carries a pattern out.

    Several tensors, or a diagonal, make an einsum; a dropped axis makes a reduction, a new one a repetition.
    """
    if len(tree.left) > 1:
        return "einsum"
    right = tree.right or ()
    before, after = names(tree.left), names(right)
    if sum(isinstance(leaf, Name) for leaf in all_leaves(tree.left)) > len(before):
        return "einsum"  # a diagonal
    if before.keys() - after.keys() or _has_lengths(tree.left):
        return "reduce"
    return "repeat" if after.keys() - before.keys() or _has_lengths(right) else "rearrange"


def _has_lengths(side: tuple[Expr, ...]) -> bool:
    """Whether there is an axis without a name, other than a unit axis."""
    return any(isinstance(leaf, Number) and leaf.value != 1 for leaf in all_leaves(side))
