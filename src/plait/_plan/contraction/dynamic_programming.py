"""The best contraction of a few tensors by dynamic programming over groups of them.

A group of tensors is an int in which bit ``i`` is tensor ``i``. The best contraction of a group consists of the best
contractions of two disjoint groups and of their product, so groups are made of smaller ones, by ascending number of
tensors. Without outer products only connected groups arise, which are few in chains, rings and trees. Groups that cost
as much as a known path are dropped. Source: R. N. C. Pfeifer, J. Haegeman and F. Verstraete, Faster identification of
optimal contraction sequences for tensor networks, Physical Review E 90, 033315 (2014).

For few tensors a simpler loop over all groups is faster, since it needs neither sets nor dictionaries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import inf
from typing import Any, NamedTuple, TypeAlias

from plait._plan.contraction.paths import Step
from plait._plan.contraction.tensor_graph import AxisSetSizes, axes_of_set

MAX_FEW_TENSORS = 6
"""For up to this many tensors the simpler loop over all groups is faster."""

MAX_UNINDEXED_GROUPS = 48
"""More groups with the same number of tensors are looked up by their axes, instead of one after the other."""

Group: TypeAlias = "tuple[int, int, int, int]"
"""The members of a group, the axes and the number of elements of its result, and the cost of its best contraction."""


class BestContractions(NamedTuple):
    """The best contraction of each group that was found.

    Attributes:
        groups: the groups by their members; that of all tensors is missing if no contraction costs little enough.
        parts: for each group of several tensors the members of the two groups that are contracted last.
        work: how many pairs of groups were compared.
        is_complete: whether all groups were found; otherwise the search ended at the greatest work.
    """

    groups: dict[int, Group]
    parts: dict[int, tuple[int, int]]
    work: int
    is_complete: bool


def _list_splits_by_group(count: int) -> list[tuple[int, list[tuple[int, int]]]]:
    """Return each group of several of ``count`` tensors, and the pairs of groups that it may be divided into.

    The groups are in ascending order, so that those of fewer tensors are the beginning of the list.
    """
    found = []
    for group in range(3, 1 << count):
        splits = []
        part = (group - 1) & group
        while part > group ^ part:
            splits.append((part, group ^ part))
            part = (part - 1) & group
        if splits:
            found.append((group, splits))
    return found


_SPLITS_BY_GROUP = _list_splits_by_group(MAX_FEW_TENSORS)


def find_best_contractions(  # noqa: PLR0915  # one loop nest: a function call for each pair would take too long
    terms: Sequence[int],
    output: int,
    size_of: AxisSetSizes,
    *,
    linking_axes: int | None = None,
    max_cost: float = inf,
    max_work: float = inf,
    max_size: float = inf,
) -> BestContractions:
    """Return the best contractions of groups of tensors, up to the group of all.

    Args:
        terms: The axes of each tensor.
        output: The axes that the result of all keeps.
        size_of: For each set of axes the product of their lengths.
        linking_axes: The axes of which two groups must share one to be contracted; ``None`` allows outer products.
        max_cost: Only contractions that cost less are found.
        max_work: The search ends when so many pairs of groups have been compared.
        max_size: The largest number of elements of a result, except that of all tensors.
    """
    level: list[Group] = [(1 << number, axes, size_of[axes], 0) for number, axes in enumerate(terms)]
    groups = {group[0]: group for group in level}
    parts: dict[int, tuple[int, int]] = {}
    levels = [level]  # the groups of one tensor, of two, and so on
    all_tensors = (1 << len(terms)) - 1
    members_by_bit = _members_by_bit_of_hyperedge(terms, output)
    hyperedges = sum(members_by_bit)
    work = 0
    for count in range(2, len(terms) + 1):
        found: dict[int, Group] = {}
        for smaller_count in range(1, count // 2 + 1):
            smaller, larger = levels[smaller_count - 1], levels[count - smaller_count - 1]
            index = None
            if linking_axes is not None and len(larger) > MAX_UNINDEXED_GROUPS:
                index = _index_by_bit_of_axis(larger, linking_axes)
            for position, (members, axes, size, cost) in enumerate(smaller):
                if index is not None:
                    partners = _groups_sharing_axis(index, axes & (linking_axes or 0))
                else:
                    partners = larger[position + 1 :] if smaller is larger else larger  # each pair once
                for other_members, other_axes, other_size, other_cost in partners:
                    if members & other_members:
                        continue
                    shared = axes & other_axes
                    if linking_axes is not None and not shared & linking_axes:
                        continue
                    work += 1
                    total = cost + other_cost
                    union = members | other_members
                    known = found.get(union)
                    if total >= (max_cost if known is None else known[3]):
                        continue
                    products = size * other_size // size_of[shared]
                    if known is not None:
                        total += products if known[1] == axes | other_axes else 2 * products
                        if total <= known[3]:  # of equal paths, one from left to right
                            found[union] = (union, known[1], known[2], total)
                            parts[union] = members, other_members
                        continue
                    summed = shared & ~output
                    if summed & hyperedges:
                        for axis in axes_of_set(summed & hyperedges):
                            if members_by_bit[1 << axis] & ~union:
                                summed ^= 1 << axis
                    total += 2 * products if summed else products
                    result_size = products // size_of[summed]
                    # a later step multiplies each element of the result at least once
                    if union == all_tensors:
                        is_good = total < max_cost
                    else:
                        is_good = total + result_size < max_cost and result_size <= max_size
                    if is_good:
                        found[union] = (union, (axes | other_axes) ^ summed, result_size, total)
                        parts[union] = members, other_members
                work += len(partners) // 8  # those that are not disjoint take time too
                if work > max_work:
                    return BestContractions(groups, parts, work, is_complete=False)
        groups.update(found)
        levels.append([*found.values()])
    return BestContractions(groups, parts, work, is_complete=True)


def find_best_contractions_of_few(
    terms: Sequence[int],
    output: int,
    size_of: AxisSetSizes,
    max_cost: float,
    max_size: float = inf,
    *,
    with_outer_products: bool = False,
) -> BestContractions:
    """Return the best contractions of groups of few tensors.

    The arguments are those of `find_best_contractions`.
    """
    group_count = 1 << len(terms)
    all_tensors = group_count - 1
    axes, sizes = [0] * group_count, [0] * group_count
    costs: list[Any] = [max_cost] * group_count  # ints, but for groups without a contraction
    united = [0]  # for each group the axes of all its tensors
    for number, term in enumerate(terms):
        axes[1 << number], sizes[1 << number], costs[1 << number] = term, size_of[term], 0
        united += [others | term for others in united]
    parts: dict[int, tuple[int, int]] = {}
    work = 0
    for group, splits in _SPLITS_BY_GROUP[: group_count - len(terms) - 1]:
        best = max_cost
        result_axes = -1  # unknown yet
        result_size = best_one = best_other = 0
        for one, other in splits:
            cost = costs[one] + costs[other]
            if cost < best:
                shared = axes[one] & axes[other]
                if shared or with_outer_products:
                    work += 1
                    products = sizes[one] * sizes[other] // size_of[shared]
                    both = axes[one] | axes[other]
                    if result_axes < 0:
                        result_axes = united[group] & (united[all_tensors ^ group] | output)
                        result_size = products // size_of[both ^ result_axes]
                    cost += products if both == result_axes else 2 * products
                    if cost < best:
                        best, best_one, best_other = cost, one, other
        # a later step multiplies each element of the result at least once
        is_last = group == all_tensors
        if best < max_cost and (is_last or (best + result_size < max_cost and result_size <= max_size)):
            axes[group], sizes[group], costs[group] = result_axes, result_size, best
            parts[group] = (best_one, best_other)
    groups: dict[int, Group] = {}
    if all_tensors in parts:
        groups = {members: (members, axes[members], sizes[members], costs[members]) for members in range(group_count)}
    return BestContractions(groups, parts, work, is_complete=True)


def steps_of_group(best: BestContractions, group: int, numbers: Sequence[int], next_number: int) -> list[Step]:
    """Return the steps of the best contraction of a group of several tensors.

    Args:
        best: The best contractions.
        group: The members of the group.
        numbers: The number of each tensor in the steps.
        next_number: The number of the result of the first step.
    """
    order = [group]  # each group before the parts of it
    for members in order:
        order += [part for part in best.parts[members] if part in best.parts]
    number_of = {1 << index: number for index, number in enumerate(numbers)}
    steps: list[Step] = []
    for members in reversed(order):
        one, other = best.parts[members]
        steps.append((number_of[one], number_of[other]))
        number_of[members] = next_number
        next_number += 1
    return steps


def _members_by_bit_of_hyperedge(terms: Sequence[int], output: int) -> dict[int, int]:
    """Return the members that have an axis, by the bit of the axis, for axes of three or more that are summed."""
    seen = twice = more = 0
    for axes in terms:
        more |= twice & axes
        twice |= seen & axes
        seen |= axes
    more &= ~output
    return {
        1 << axis: sum([1 << number for number, axes in enumerate(terms) if axes >> axis & 1])
        for axis in axes_of_set(more)
    }


def _index_by_bit_of_axis(groups: Sequence[Group], linking_axes: int) -> dict[int, list[Group]]:
    """Return for the bit of each axis the groups that have it."""
    index: dict[int, list[Group]] = defaultdict(list)
    for group in groups:
        for axis in axes_of_set(group[1] & linking_axes):
            index[1 << axis].append(group)
    return index


def _groups_sharing_axis(index: dict[int, list[Group]], axes: int) -> list[Group]:
    """Return the groups that have one of these axes, each once."""
    partners = []
    for axis in axes_of_set(axes):
        bit = 1 << axis
        partners += [group for group in index.get(bit, ()) if not group[1] & axes & (bit - 1)]
    return partners
