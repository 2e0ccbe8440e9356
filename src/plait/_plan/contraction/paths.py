"""Contraction paths: in which order the tensors of an einsum are contracted, in the form of NumPy and opt_einsum.

Each entry of a path, one step, has the positions of tensors in the list of remaining tensors; these are contracted and
removed from the list, and the result is appended to it. For up to four tensors all paths are compared here. For more,
opt_einsum is used where it is installed, because it finds better paths; without it a greedy search finds one. Source:
D. G. A. Smith and J. Gray, opt_einsum, Journal of Open Source Software 3(26), 753 (2018).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import combinations
from math import inf, prod
from operator import index
from typing import TYPE_CHECKING, Any, TypeAlias

from plait.errors import did_you_mean, make_error, short_repr

if TYPE_CHECKING:
    from plait._plan.contraction.network import TensorNetwork

Path: TypeAlias = tuple[tuple[int, ...], ...]

PathOrAlgorithm: TypeAlias = "str | Path | Callable[..., Any]"
"""``"auto"``, ``"greedy"``, ``"optimal"`` or another algorithm of opt_einsum, a path, or a function that finds one."""

AUTO_MAX_TENSORS_FOR_OPTIMAL = 4
"""Up to this many tensors ``"auto"`` compares all paths, which takes less time than a call of opt_einsum."""

MAX_TENSORS_FOR_BUILTIN_OPTIMAL = 10
"""Up to this many tensors ``"optimal"`` compares all paths; for more it needs opt_einsum."""

PATH_ALGORITHMS = (
    *("auto", "greedy", "optimal", "auto-hq", "branch-1", "branch-2", "branch-all", "cotengra", "dp", "random-greedy"),
    "random-greedy-128",
)


def find_path(network: TensorNetwork, optimize: PathOrAlgorithm, memory_limit: int | None) -> Path:
    """Return the path of a contraction: ``optimize`` is that path, or the function or algorithm that finds one.

    If no path keeps every intermediate result within ``memory_limit`` elements, the remaining tensors are contracted at
    once. Raise PLT214 for a path that does not fit, and PLT511 if a package is missing.
    """
    count = len(network.terms)
    if isinstance(optimize, tuple):
        return normalize_path(optimize, count)
    if count <= 2:
        return (tuple(range(count)),)
    if callable(optimize):
        *inputs, output = [{_axis_character(axis) for axis in term} for term in (*network.terms, network.output)]
        sizes = {_axis_character(axis): size for axis, size in enumerate(network.sizes)}
        return normalize_path(optimize(inputs, output, sizes, memory_limit), count)
    if optimize == "cotengra":
        return _find_with_cotengra(network)
    if optimize == "greedy" or (optimize == "auto" and count > AUTO_MAX_TENSORS_FOR_OPTIMAL and not _has_opt_einsum()):
        return find_greedy_path(network, memory_limit)
    if (optimize == "optimal" and count <= MAX_TENSORS_FOR_BUILTIN_OPTIMAL) or (
        optimize == "auto" and count <= AUTO_MAX_TENSORS_FOR_OPTIMAL
    ):
        return find_optimal_path(network, memory_limit)
    return _find_with_opt_einsum(network, optimize, memory_limit)


def operands_and_rest_by_step(path: Path, count: int) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    """Yield for each step of a path the numbers of its operands, and of the other remaining tensors.

    The input tensors, of which there are ``count``, are numbered first, then the results.

    >>> list(operands_and_rest_by_step(((0, 2), (0, 1)), 3))
    [((0, 2), [1]), ((1, 3), [])]
    """
    remaining = list(range(count))
    for result, positions in enumerate(path, count):
        operands = tuple(map(remaining.__getitem__, positions))
        remaining = [number for number in remaining if number not in operands]
        yield operands, remaining
        remaining = [*remaining, result]


def path_from_numbered_steps(steps: Iterable[Iterable[int]], count: int) -> Path:
    """Return the path whose steps have operands with these numbers; the inverse of `operands_and_rest_by_step`.

    There are ``count`` input tensors.

    >>> path_from_numbered_steps([(0, 2), (1, 3)], 3)
    ((0, 2), (0, 1))
    """
    path = []
    remaining = list(range(count))
    for result, operands in enumerate(steps, count):
        path.append(tuple(sorted(map(remaining.index, operands))))
        remaining = [number for number in remaining if number not in operands]
        remaining.append(result)
    return tuple(path)


def normalize_path(found: Iterable[Iterable[int]], count: int) -> Path:
    """Return a path for ``count`` tensors as tuples of ints.

    Raise PLT214 if an entry has a tensor that is not left, or if the path leaves several tensors.
    """
    try:
        path = tuple([tuple([index(position) for position in positions]) for positions in found])
    except TypeError:
        message = (
            f"a contraction path is a list of tuples of integers, such as [(0, 1), (0, 1)], not {short_repr(found)}"
        )
        raise make_error("PLT214", message) from None
    for positions in path:
        exist = all(0 <= position < count for position in positions)
        if not positions or len(set(positions)) < len(positions) or not exist:
            entry = format_path((positions,))
            message = f"the path has {entry}, but only operands 0 to {count - 1} are left"
            raise make_error("PLT214", message, facts={"path": format_path(path)})
        count -= len(positions) - 1
    if count > 1:
        message = f"the path leaves {count} tensors over; its last entry must contract all that are left"
        raise make_error("PLT214", message, facts={"path": format_path(path)})
    return path or ((0,),)


def format_path(path: Path) -> str:
    """Return a path as text.

    >>> format_path(((0, 1), (0,)))
    '(0, 1), (0)'
    """
    return ", ".join([f"({', '.join(map(str, positions))})" for positions in path])


def check_algorithm_name(name: str) -> None:
    """Raise PLT214 if no algorithm has this name; those that are registered with opt_einsum count too."""
    if name in PATH_ALGORITHMS or (_has_opt_einsum() and name in _registered_algorithms()):
        return
    message = f"unknown method for the contraction path: {name!r}{did_you_mean(name, PATH_ALGORITHMS)}"
    raise make_error("PLT214", message, facts={"known": ", ".join(PATH_ALGORITHMS)})


def _has_opt_einsum() -> bool:
    """Whether opt_einsum is installed."""
    try:
        import opt_einsum  # noqa: F401  # whether there is one
    except ImportError:
        return False
    return True


def _registered_algorithms() -> Iterable[str]:
    """Return the names of the algorithms of opt_einsum, those that the user has registered included."""
    from opt_einsum import paths

    return getattr(paths, "_PATH_OPTIONS", ())


def _axis_character(axis: int) -> str:
    """Return the character that represents an axis for opt_einsum; there may be more axes than letters."""
    return chr(ord("a") + axis) if axis < 26 else chr(0x100 + axis)


def _find_with_opt_einsum(network: TensorNetwork, optimize: Any, memory_limit: int | None) -> Path:
    """Return the path that opt_einsum finds; raise PLT511 if it is not installed."""
    try:
        import opt_einsum
    except ImportError as error:
        message = (
            f"contract={optimize!r} for {len(network.terms)} tensors needs opt_einsum: pip install 'plait[einsum]'"
        )
        raise make_error("PLT511", message) from error
    texts = ["".join(map(_axis_character, term)) for term in (*network.terms, network.output)]
    shapes = [tuple([network.sizes[axis] for axis in term]) for term in network.terms]
    equation = f"{','.join(texts[:-1])}->{texts[-1]}"
    if memory_limit == 0:  # no intermediate result is allowed, and opt_einsum refuses the number
        return (tuple(range(len(shapes))),)
    try:
        found, _ = opt_einsum.contract_path(
            equation, *shapes, shapes=True, optimize=optimize, memory_limit=memory_limit
        )
    except Exception as error:
        message = f"opt_einsum finds no path with contract={optimize!r}: {type(error).__name__}: {error}"
        raise make_error("PLT214", message) from error
    return normalize_path(found, len(shapes))


def _find_with_cotengra(network: TensorNetwork) -> Path:
    """Return the path that cotengra finds; raise PLT511 if it is not installed."""
    try:
        import cotengra
    except ImportError as error:
        raise make_error("PLT511", "contract='cotengra' needs cotengra: pip install cotengra") from error
    sizes = dict(enumerate(network.sizes))
    found = cotengra.array_contract_path(list(network.terms), network.output, size_dict=sizes, optimize="auto-hq")
    return normalize_path(found, len(network.terms))


def find_optimal_path(network: TensorNetwork, memory_limit: int | None) -> Path:
    """Return the path with the fewest operations, and among those with the smallest intermediate results."""
    count, size = len(network.terms), network.sizes.__getitem__
    all_tensors = (1 << count) - 1
    users_of = [0] * len(network.sizes)  # for each axis the tensors that have it, as bits; the output is the last bit
    for number, term in enumerate((*network.terms, network.output)):
        for axis in term:
            users_of[axis] |= 1 << number
    axes_of = {}  # for each group of tensors, as bits, the axes of their product
    for group in range(1, all_tensors + 1):
        is_one = not group & (group - 1)
        axes_of[group] = {axis for axis, users in enumerate(users_of) if users & group and (is_one or users & ~group)}
    # for each group its operations, the size of its largest result, and the part that is contracted with the rest of it
    best: dict[int, tuple[float, float, int]] = {1 << number: (0, 0, 0) for number in range(count)}
    for group in sorted(axes_of, key=int.bit_count):
        result_size = prod(map(size, axes_of[group]))
        if group in best or (memory_limit is not None and result_size > memory_limit and group != all_tensors):
            continue
        subset = (group - 1) & group
        while subset > group ^ subset:  # each pair once
            first, second = best.get(subset), best.get(group ^ subset)
            if first and second:
                axes = axes_of[subset] | axes_of[group ^ subset]
                flops = prod(map(size, axes)) * (1 + (axes > axes_of[group]))  # counted as opt_einsum does
                work = flops + first[0] + second[0]
                candidate = (work, max(result_size, first[1], second[1]), subset)
                best[group] = min(best.get(group, (inf, inf, 0)), candidate)
            subset = (subset - 1) & group
    if all_tensors not in best:
        return find_greedy_path(network, memory_limit)
    steps: list[tuple[int, int]] = []
    _append_steps_of_group(all_tensors, best, steps, count)
    return path_from_numbered_steps(steps, count)


def _append_steps_of_group(
    group: int, best: dict[int, tuple[float, float, int]], steps: list[tuple[int, int]], count: int
) -> int:
    """Append the steps that contract a group of tensors, and return the number of the result.

    Groups are bits, and ``best`` has for each its costs and a part of it, as in `find_optimal_path`. There are
    ``count`` input tensors.
    """
    subset = best[group][2]
    if not subset:
        return group.bit_length() - 1
    steps.append(
        (_append_steps_of_group(subset, best, steps, count), _append_steps_of_group(group ^ subset, best, steps, count))
    )
    return count + len(steps) - 1


def find_greedy_path(network: TensorNetwork, memory_limit: int | None) -> Path:
    """Return a path whose every step contracts the pair with the least size of the result minus the sizes of both.

    Pairs without common axes come last.
    """
    count, size = len(network.terms), network.sizes.__getitem__
    terms: dict[int, Collection[int]] = dict(enumerate(network.terms))
    use_counts = Counter(axis for term in (*network.terms, network.output) for axis in set(term))

    def result_axes(first: int, second: int) -> set[int]:
        left, right = set(terms[first]), set(terms[second])
        return {axis for axis in left | right if use_counts[axis] > (axis in left) + (axis in right)}

    def score_pair(first: int, second: int) -> tuple[bool, float, tuple[int, int]]:
        result_size = prod(map(size, result_axes(first, second)))
        is_too_large = memory_limit is not None and result_size > memory_limit and len(terms) > 2
        growth = inf if is_too_large else result_size - prod(map(size, terms[first])) - prod(map(size, terms[second]))
        return set(terms[first]).isdisjoint(terms[second]), growth, (first, second)

    pairs = [score_pair(*pair) for pair in combinations(terms, 2)]
    steps: list[tuple[int, ...]] = []
    while len(terms) > 1:
        _, growth, (first, second) = min(pairs)
        if growth == inf:
            steps.append(tuple(terms))
            break
        axes = result_axes(first, second)
        use_counts.subtract([*set(terms.pop(first)), *set(terms.pop(second))])
        use_counts.update(axes)
        result = count + len(steps)
        steps.append((first, second))
        pairs = [pair for pair in pairs if not {first, second}.intersection(pair[2])]
        others = list(terms)
        terms[result] = axes
        pairs += [score_pair(number, result) for number in others]
    return path_from_numbered_steps(steps, count)
