"""Contractions of which some tensors are constant: what is contracted once, and the path of what every call contracts.

A group of constants that is contracted once, or *hoisted* out of the calls, costs nothing per call. Candidates are the
groups of constants that lie below one node of a path, and the connected groups of all constants. The candidate with the
lowest estimated time per call wins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import chain, permutations
from math import inf, prod
from typing import NamedTuple

from plait._plan.contraction.dynamic_programming import BestContractions, steps_of_group
from plait._plan.contraction.network import TensorNetwork
from plait._plan.contraction.paths import (
    Path,
    PathOrAlgorithm,
    Step,
    normalize_path,
    numbered_steps,
    path_from_numbered_steps,
)
from plait._plan.contraction.search import find_path_if_needed, search_contraction
from plait._plan.contraction.tensor_graph import TensorGraph
from plait._shapes.solver import Axes
from plait.backends.costs import ContractionCosts

MAX_TENSORS_FOR_EXACT_SEARCH = 8
"""Up to this many tensors, all paths are compared by their cost per call."""

MAX_HOISTED_RATIO = 4
MIN_HOISTED_ELEMENTS = 1 << 16
"""Hoisted results have at most so many times the elements of all operands and of the result, or this many in all."""

MAX_OPERANDS_WITH_ORDERED_AXES = 8
MAX_ORDERED_AXES = 4
"""In calls of at most so many operands, all orders of the axes of hoisted results that have at most so many of them are
compared."""


class HoistedGroup(NamedTuple):
    """Constants that are contracted once, by their numbers, and the axes of their result in memory order."""

    members: tuple[int, ...]
    axes: Axes


class Hoisting(NamedTuple):
    """What is contracted once, and how a call goes on.

    The operands of a call are numbered anew: `operands` has for each of them the number of a tensor, or a group.
    ``path`` is their contraction path; ``None`` if it is found as that of any other contraction.
    """

    operands: tuple[int | HoistedGroup, ...]
    path: Path | None
    cost: float  # of a call, in nanoseconds, as estimated


def choose_hoisting(
    network: TensorNetwork,
    constants: Collection[int],
    costs: ContractionCosts,
    optimize: PathOrAlgorithm,
    *,
    can_sum_alone: bool,
) -> Hoisting:
    """Return the way to contract a network with the lowest estimated time per call.

    Args:
        network: The tensors; its axes must not be coalesced.
        constants: The numbers of the constant tensors.
        costs: The costs of the framework.
        optimize: The path or the algorithm, as for `plait._plan.contraction.path_search.find_path`.
        can_sum_alone: Whether a constant alone may be summed over axes that it alone has.
    """
    alone = _groups_of_single_constants(network, constants) if can_sum_alone else ()
    if isinstance(optimize, tuple):
        path = normalize_path(optimize, len(network.terms))
        return _cheapest(network, [_hoisting_along_path(network, constants, alone, path, costs)])
    usual, path = _search_with_groups(network, alone, costs, optimize)
    candidates, paths = [usual], [path]
    connected = _connected_groups(network, constants, alone)
    if [*connected] != [*alone]:
        candidates.append(_search_with_groups(network, connected, costs, optimize)[0])
    if 2 < len(network.terms) <= MAX_TENSORS_FOR_EXACT_SEARCH and not callable(optimize):
        paths.append(_find_path_with_free_constants(network, constants))
    candidates += [_hoisting_along_path(network, constants, alone, path, costs) for path in paths]
    best = _cheapest(network, candidates)
    if costs.has_only_einsum or len(best.operands) > MAX_OPERANDS_WITH_ORDERED_AXES:
        return best
    return _with_best_orders(network, best, costs, optimize)


def contracted_network(network: TensorNetwork, operands: Sequence[int | HoistedGroup]) -> TensorNetwork:
    """Return the network of the operands of a call, whose axes are numbered anew."""
    terms = [network.terms[each] if isinstance(each, int) else each.axes for each in operands]
    axes = [*dict.fromkeys(chain(*terms))]
    number_of = {axis: number for number, axis in enumerate(axes)}
    shapes = [
        network.shapes[each] if isinstance(each, int) else tuple([network.sizes[axis] for axis in each.axes])
        for each in operands
    ]
    return TensorNetwork(
        terms=tuple([tuple([number_of[axis] for axis in term]) for term in terms]),
        output=tuple([number_of[axis] for axis in network.output]),
        labels=tuple([network.labels[axis] for axis in axes]),
        sizes=tuple([network.sizes[axis] for axis in axes]),
        shapes=tuple(shapes),
        result_shape=network.result_shape,
    )


def _cheapest(network: TensorNetwork, candidates: Iterable[Hoisting]) -> Hoisting:
    """Return the candidate with the lowest cost whose hoisted results are not too large; the first of equal ones."""
    allowed = [candidate for candidate in candidates if _fits(network, candidate)]
    return min(allowed, key=lambda candidate: candidate.cost) if allowed else _without_groups(network)


def _without_groups(network: TensorNetwork) -> Hoisting:
    """Return the way in which nothing is contracted once."""
    return Hoisting(tuple(range(len(network.terms))), None, inf)


def _max_hoisted_elements(network: TensorNetwork) -> int:
    """Return the most elements that hoisted results may have together."""
    operands = sum([prod(shape) for shape in (*network.shapes, network.result_shape)])
    return max(MAX_HOISTED_RATIO * operands, MIN_HOISTED_ELEMENTS)


def _fits(network: TensorNetwork, hoisting: Hoisting) -> bool:
    """Whether the hoisted results are not too large."""
    elements = sum([_size(network, each) for each in hoisting.operands if not isinstance(each, int)])
    return elements <= _max_hoisted_elements(network)


def _size(network: TensorNetwork, group: HoistedGroup) -> int:
    """Return the number of elements of the result of a group."""
    return prod([network.sizes[axis] for axis in group.axes])


def _count_uses(network: TensorNetwork) -> Counter[int]:
    """Return for each axis the number of tensors that have it, and one more if the result has it."""
    return Counter(chain(network.output, *map(frozenset, network.terms)))


def _group(network: TensorNetwork, members: Sequence[int], use_counts: Counter[int]) -> HoistedGroup:
    """Return a group of constants; the axes that other tensors or the result need are kept."""
    own_counts = Counter(chain(*[frozenset(network.terms[number]) for number in members]))
    axes = dict.fromkeys(chain(*[network.terms[number] for number in members]))
    return HoistedGroup(tuple(members), tuple([axis for axis in axes if use_counts[axis] > own_counts[axis]]))


def _groups_of_single_constants(network: TensorNetwork, constants: Collection[int]) -> tuple[HoistedGroup, ...]:
    """Return the constants that are summed, or whose diagonal is taken, before anything else is contracted."""
    use_counts = _count_uses(network)
    return tuple(
        [
            _group(network, (number,), use_counts)
            for number in sorted(constants)
            if any(use_counts[axis] == 1 for axis in network.terms[number])
            or len({*network.terms[number]}) < len(network.terms[number])
        ]
    )


def _connected_groups(
    network: TensorNetwork, constants: Collection[int], alone: Sequence[HoistedGroup]
) -> list[HoistedGroup]:
    """Return the constants in groups that are connected by axes; of the groups of one, only those in ``alone``."""
    parts: list[tuple[set[int], set[int]]] = []  # the members of each part, and their axes
    for number in sorted(constants):
        members, axes = {number}, {*network.terms[number]}
        apart = []
        for part in parts:
            if part[1].isdisjoint(axes):
                apart.append(part)
            else:
                members |= part[0]
                axes |= part[1]
        parts = [*apart, (members, axes)]
    use_counts, max_size = _count_uses(network), _max_hoisted_elements(network)
    groups = [_group(network, sorted(members), use_counts) for members, _ in parts if len(members) > 1]
    groups = [group for group in groups if _size(network, group) <= max_size]
    grouped = {*chain(*[group.members for group in groups])}
    return [*groups, *[group for group in alone if group.members[0] not in grouped]]


def _operands_with_groups(network: TensorNetwork, groups: Sequence[HoistedGroup]) -> tuple[int | HoistedGroup, ...]:
    """Return the operands of a call, each group in the place of the first of its members."""
    place = {group.members[0]: group for group in groups}
    hidden = {*chain(*[group.members for group in groups])} - place.keys()
    return tuple([place.get(number, number) for number in range(len(network.terms)) if number not in hidden])


def _search_with_groups(
    network: TensorNetwork, groups: Sequence[HoistedGroup], costs: ContractionCosts, optimize: PathOrAlgorithm
) -> tuple[Hoisting, Path]:
    """Return the way in which these groups are contracted once, and the path of the rest, which is searched for."""
    operands = _operands_with_groups(network, groups)
    rest = contracted_network(network, operands)
    contraction = search_contraction(rest, costs, optimize)
    if contraction is None:
        return Hoisting(operands, None, inf), find_path_if_needed(rest, optimize, None, costs)
    return Hoisting(operands, None, contraction.cost), contraction.path


def _hoisting_along_path(
    network: TensorNetwork,
    constants: Collection[int],
    alone: Sequence[HoistedGroup],
    path: Path,
    costs: ContractionCosts,
) -> Hoisting:
    """Return the way in which the steps of a path that need constants alone are taken once."""
    count = len(network.terms)
    members: dict[int, tuple[int, ...]] = {number: (number,) for number in constants}  # of each constant result
    remaining_steps = []
    use_counts, max_size = _count_uses(network), _max_hoisted_elements(network)
    for result, step in enumerate(numbered_steps(path, count), count):
        if all(number in members for number in step):
            group = _group(network, sorted(chain(*[members[number] for number in step])), use_counts)
            if _size(network, group) <= max_size:
                for number in step:
                    del members[number]
                members[result] = group.members
                continue
        remaining_steps.append((result, step))
    groups = [_group(network, numbers, use_counts) for numbers in members.values() if len(numbers) > 1]
    grouped = {*chain(*[group.members for group in groups])}
    groups += [group for group in alone if group.members[0] not in grouped]
    operands = _operands_with_groups(network, groups)
    new_number = {(each if isinstance(each, int) else each.members[0]): number for number, each in enumerate(operands)}
    new_number.update({result: new_number[numbers[0]] for result, numbers in members.items()})
    steps: list[Step] = []
    for result, step in remaining_steps:
        steps.append(tuple([new_number[number] for number in step]))
        new_number[result] = len(operands) + len(steps) - 1
    if len(operands) == 1:
        steps = [(0,)]
    new_path = path_from_numbered_steps(steps, len(operands))
    contraction = search_contraction(contracted_network(network, operands), costs, new_path)
    return Hoisting(operands, new_path, inf if contraction is None else contraction.cost)


def _find_path_with_free_constants(network: TensorNetwork, constants: Collection[int]) -> Path:
    """Return the path with the fewest operations per call, and among these one with the fewest in all.

    Source: the dynamic programming of `plait._plan.contraction.dynamic_programming`, over all groups of tensors.
    """
    graph = TensorGraph.from_network(network)
    count = len(graph.terms)
    all_tensors = (1 << count) - 1
    constant_members = sum([1 << number for number in constants])
    max_size = _max_hoisted_elements(network)
    united = [0]  # for each group the axes of all its tensors
    for term in graph.terms:
        united += [others | term for others in united]
    axes = [axes & (united[all_tensors ^ group] | graph.output) for group, axes in enumerate(united)]
    costs: list[tuple[float, float]] = [(0, 0)] * (all_tensors + 1)  # of a call, and once
    parts: dict[int, tuple[int, int]] = {}
    for group in range(3, all_tensors + 1):
        part = (group - 1) & group
        if not part:
            continue  # a single tensor
        is_constant = group & constant_members == group
        is_too_large = is_constant and graph.size_of[axes[group]] > max_size
        best: tuple[float, float] = (inf, inf)
        while part > group ^ part:
            other = group ^ part
            products = graph.size_of[axes[part] | axes[other]]
            if axes[part] | axes[other] != axes[group]:
                products *= 2
            per_call, once = [one + two for one, two in zip(costs[part], costs[other], strict=True)]
            if is_too_large:
                per_call = inf
            cost = (per_call, once + products) if is_constant else (per_call + products, once)
            if cost < best or group not in parts:
                best, parts[group] = min(cost, best), (part, other)
            part = (part - 1) & group
        costs[group] = best
    found = BestContractions({}, parts, 0, is_complete=True)
    return path_from_numbered_steps(steps_of_group(found, all_tensors, range(count), count), count)


def _with_best_orders(
    network: TensorNetwork, hoisting: Hoisting, costs: ContractionCosts, optimize: PathOrAlgorithm
) -> Hoisting:
    """Return a way with the orders of the axes of hoisted results that make the calls cheapest."""
    best, path = hoisting, hoisting.path
    if path is None:
        path = find_path_if_needed(contracted_network(network, hoisting.operands), optimize, None, costs)
    for place, each in enumerate(hoisting.operands):
        if isinstance(each, int) or not 1 < len(each.axes) <= MAX_ORDERED_AXES:
            continue
        for axes in permutations(each.axes):
            operands = (*best.operands[:place], each._replace(axes=axes), *best.operands[place + 1 :])
            contraction = search_contraction(contracted_network(network, operands), costs, path)
            if contraction is not None and contraction.cost < best.cost:
                best = Hoisting(operands, best.path, contraction.cost)
    return best
