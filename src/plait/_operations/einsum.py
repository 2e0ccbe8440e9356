"""The operation ``einsum``: it multiplies tensors, and sums over the axes that are not on the right.

Both forms of the pattern, with named axes and the classical one of single letters, are checked and lowered here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, chain, compress, count
from string import ascii_letters

from plait._notation.tree import Tree
from plait._operations import rules
from plait._operations.reduce import lower_unary
from plait._plan.contraction.paths import Path, left_to_right_path, numbered_steps
from plait._plan.graph import NodeWithOperands, Plan, SizeOpBuilder
from plait._plan.nodes import Contract, Reshape
from plait._shapes.coalesce import group_adjacent_axes
from plait._shapes.solver import ELLIPSIS_LABEL, Axes, SolvedPattern
from plait.errors import make_error


def check_pattern(tree: Tree) -> None:
    """Raise if the right side has an axis that no tensor has, or the same axis twice.

    In the classical form ``...`` may be on one side only: the dimensions that it represents are summed, or none.
    """
    left, right = rules.require_one_output(tree, "einsum")
    left_axes = rules.TensorAxes({}, [], [])
    sides = [rules.collect_axes(expr, tree, "einsum", repeats=True) for expr in left]
    right_axes = rules.collect_axes(right, tree, "einsum")
    for expr, side in zip(left, sides, strict=True):
        rules.forbid_grouped_ellipsis(expr, side, tree)
        left_axes.names.update(side.names)
        left_axes.ellipses.extend(side.ellipses)
    rules.forbid_new_axes(left_axes, right_axes, tree, "einsum")
    if tree.is_classical:
        return
    rules.forbid_new_ellipsis(left_axes, right_axes, tree)
    if left_axes.ellipses and not right_axes.ellipses:
        message = "'...' does not appear on the right; add it there, or name the axes to be summed"
        raise make_error("PLT208", message, *rules.text_and_spans(tree, left_axes.ellipses))


def lower_einsum(solved: SolvedPattern, reduction: str = "", max_rank: int | None = None) -> Plan:
    """Return the plan of an einsum; that of one tensor is a sum as `reduce` computes it, or another reduction.

    In the classical form without a reduction, that of one tensor is a sum in its own element type.
    """
    if len(solved.inputs) == 1 and (reduction or not solved.is_classical or not _has_sum(solved)):
        return lower_unary(solved, reduction or "sum", max_rank)
    return lower_to_framework_einsum(solved, max_rank=max_rank)


def _has_sum(solved: SolvedPattern) -> bool:
    """Whether the result lacks an axis of the tensors."""
    return not {*chain(*chain(*solved.inputs))} <= {*chain(*solved.output)}


def lower_to_framework_einsum(solved: SolvedPattern, path: Path = (), max_rank: int | None = None) -> Plan:
    """Return the plan that splits the groups of each tensor, calls the framework's einsum, and merges groups again.

    It is used if sizes are unknown, and for frameworks whose own einsum is fastest. Without a path, one einsum takes
    all tensors. `plait._plan.contraction` makes other plans if the sizes are known. If a step would exceed
    ``max_rank``, two tensors at a time are multiplied as matrices.
    """
    plan = _lower_to_einsums_of_any_rank(solved, path)
    if max_rank is None:
        return plan
    from plait._plan.bounded_contraction import (  # imported here because few calls have a limit
        contraction_exceeds_rank,
        lower_to_matrix_products,
    )

    if not contraction_exceeds_rank(plan, max_rank):
        return plan
    if len(solved.inputs) == 1:
        return lower_unary(solved, "", max_rank)
    return lower_to_matrix_products(solved, path or (tuple(range(len(solved.inputs))),), max_rank)


def _lower_to_einsums_of_any_rank(solved: SolvedPattern, path: Path) -> Plan:
    """Return the plan of `lower_to_framework_einsum` without a limit of the rank."""
    sizes = SizeOpBuilder(solved)
    groups = group_adjacent_axes((*solved.inputs, solved.output))
    start = {group[0]: group for group in groups}
    steps: list[NodeWithOperands] = []
    operands: list[tuple[int, list[Axes]]] = []
    count = len(solved.inputs)
    first = 0  # the slot of the first dimension of the tensor
    for number, dims in enumerate(solved.inputs):
        term = [start[axis] for axis in chain(*dims) if axis in start]
        operands.append((number, term))
        if list(dims) != term:
            # a group that is one dimension keeps the length of the dimension, which may be 1 if it is broadcast
            slots = {axes: slot for slot, axes in enumerate(dims, first)}
            shape = tuple([slots[group] if group in slots else sizes.shape_slots([group])[0] for group in term])
            steps.append((Reshape(shape), (number,)))
            operands[-1] = (count + len(steps) - 1, term)
        first += len(dims)
    output = [start[axis] for axis in chain(*solved.output) if axis in start]
    use_counts = Counter(chain(output, *[frozenset(term) for _, term in operands]))
    numbered = numbered_steps(path or _single_step_or_left_to_right_path(solved, groups), count)
    for step, numbers in enumerate(numbered, 1):
        chosen = [operands[number] for number in numbers]
        for _, term in chosen:
            use_counts.subtract(frozenset(term))
        if step < len(numbered):
            kept = [group for group in dict.fromkeys(chain(*[term for _, term in chosen])) if use_counts[group]]
            # the axes of the ellipsis come first, side by side: a term of an equation may contain "..." only once
            kept.sort(key=lambda group: not _is_from_ellipsis(solved, group))
            use_counts.update(kept)
        else:
            kept = output
        equation = _build_equation(solved, [*[term for _, term in chosen], kept])
        steps.append((Contract("einsum", sizes.shape_slots(kept), equation), tuple([number for number, _ in chosen])))
        operands.append((count + len(steps) - 1, kept))
    if list(solved.output) != output:
        steps.append((Reshape(sizes.shape_slots(solved.output)), (operands[-1][0],)))
    return Plan(solved, sizes.size_ops, tuple(steps), (count + len(steps) - 1,))


def _single_step_or_left_to_right_path(solved: SolvedPattern, groups: Sequence[Axes]) -> Path:
    """Return the path that contracts all tensors at once, or from left to right if there are not enough letters."""
    count = len(solved.inputs)
    named = [group for group in groups if not _is_from_ellipsis(solved, group)]
    if len(named) <= len(ascii_letters) or count < 3:
        return (tuple(range(count)),)
    return left_to_right_path(count)


def _is_from_ellipsis(solved: SolvedPattern, group: Axes) -> bool:
    """Whether a group of coalesced axes belongs to an ellipsis that the result has too; otherwise it gets a letter."""
    return solved.labels[group[0]] == ELLIPSIS_LABEL and any(group[0] in axes for axes in solved.output)


def _build_equation(solved: SolvedPattern, terms: list[list[Axes]]) -> str:
    """Return a classical equation: one letter for each group of axes, and ``...`` for those of an ellipsis."""
    groups = dict.fromkeys([group for term in terms for group in term if not _is_from_ellipsis(solved, group)])
    if len(groups) > len(ascii_letters):
        message = f"einsum supports {len(ascii_letters)} different axes, but these tensors have more"
        raise make_error("PLT506", message, solved.text)
    letter = dict(zip(groups, ascii_letters, strict=False))
    texts = []
    for term in terms:
        text = "".join([letter.get(group, ".") for group in term])
        texts.append(re.sub(r"\.+", "...", text))
    return f"{','.join(texts[:-1])}->{texts[-1]}"


def drop_stretched_dimensions(solved: SolvedPattern, slots: Sequence[int]) -> tuple[str, list[tuple[bool, ...]]] | None:
    """Return a classical equation without the dimensions of length 1 that are stretched; ``None`` if there are none.

    Only few frameworks stretch the dimensions of a letter. The dimensions of an ellipsis that the result has are left
    to the framework, those of another ellipsis get letters.

    Returns:
        The equation, and for each tensor which of its dimensions remain.
    """
    if not solved.is_classical or 1 not in slots[: sum(solved.ranks)]:
        return None
    remaining: list[tuple[bool, ...]] = []
    for dims, end in zip(solved.inputs, accumulate(solved.ranks), strict=True):
        lengths = slots[end - len(dims) : end]
        remaining.append(
            tuple(
                [
                    length != 1 or slots[solved.slots[axis]] == 1 or _is_from_ellipsis(solved, (axis,))
                    for length, (axis,) in zip(lengths, dims, strict=True)
                ]
            )
        )
    if all(map(all, remaining)):
        return None
    unused = (chr(code) for code in count(ord("一")) if chr(code) not in solved.text)  # ideographs, which are letters
    labels = [
        next(unused) if label == ELLIPSIS_LABEL and not _is_from_ellipsis(solved, (axis,)) else label
        for axis, label in enumerate(solved.labels)
    ]
    terms = [
        [labels[axis] for (axis,) in compress(dims, kept)] for dims, kept in zip(solved.inputs, remaining, strict=True)
    ]
    terms.append([labels[axis] for (axis,) in solved.output])
    *left, right = [re.sub(r"\.+", ELLIPSIS_LABEL, "".join(term)) for term in terms]
    return f"{','.join(left)}->{right}", remaining


def implicitly_summed_axes(solved: SolvedPattern) -> tuple[int, ...]:
    """Return the axes that appear once on the left and not on the right, over which einsum sums."""
    counts = [0] * len(solved.labels)
    for axes in chain(*solved.inputs):
        for axis in axes:
            counts[axis] += 1
    for axes in solved.output:
        for axis in axes:
            counts[axis] = 0
    return tuple([axis for axis, count in enumerate(counts) if count == 1])
