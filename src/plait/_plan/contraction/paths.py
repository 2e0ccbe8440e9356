"""The order in which many tensors are contracted: the path, in the form that NumPy and opt_einsum have for it.

Each entry names the positions of the tensors that are contracted next, among those that are left; they are removed, and
the result is appended. Of up to four tensors all paths are compared here. For more, `opt_einsum` is used where it is
installed, whose paths are the better the more tensors there are; without it a greedy search finds one.
Source: D. G. A. Smith and J. Gray, opt_einsum, Journal of Open Source Software 3(26), 753 (2018).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import combinations
from math import inf, prod
from typing import TYPE_CHECKING, Any, TypeAlias

from plait.errors import did_you_mean, make_error

if TYPE_CHECKING:
    from plait._plan.contraction.network import Network

Path: TypeAlias = tuple[tuple[int, ...], ...]

Optimize: TypeAlias = "str | Path | Callable[..., Any]"
"""``"auto"``, ``"greedy"``, ``"optimal"`` or another name that opt_einsum has, a path, or a function that finds one."""

FEW = 4
"""Up to this many tensors all paths are compared: it takes less than to call another library."""

MANY = 10
"""The most tensors for which `optimal` is found without opt_einsum."""

OWN = ("auto", "greedy", "optimal")
FOREIGN = ("auto-hq", "branch-1", "branch-2", "branch-all", "cotengra", "dp", "random-greedy", "random-greedy-128")


def find_path(network: Network, optimize: Optimize, memory_limit: int | None) -> Path:
    """The path of a contraction, or PLT214 or PLT511 where it does not fit, or another package would be needed.

    Where no path keeps every intermediate result within ``memory_limit`` elements, what is left is contracted at once.
    """
    count = len(network.terms)
    if isinstance(optimize, tuple):
        return check_path(optimize, count)
    if count <= 2:
        return (tuple(range(count)),)
    if callable(optimize):
        *inputs, output = [{_symbol(axis) for axis in term} for term in (*network.terms, network.output)]
        sizes = {_symbol(axis): size for axis, size in enumerate(network.sizes)}
        return check_path(optimize(inputs, output, sizes, memory_limit), count)
    if optimize == "cotengra":
        return _by_cotengra(network)
    if optimize == "greedy" or (optimize == "auto" and count > FEW and not _is_installed()):
        return greedy(network, memory_limit)
    if (optimize == "optimal" and count <= MANY) or (optimize == "auto" and count <= FEW):
        return optimal(network, memory_limit)
    return _by_opt_einsum(network, optimize, memory_limit)


def walk_path(path: Path, count: int) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    """The numbers of the tensors that are contracted at each step, and of those that are left beside them.

    The tensors are numbered first, then the results.

    >>> list(walk_path(((0, 2), (0, 1)), 3))
    [((0, 2), [1]), ((1, 3), [])]
    """
    left = list(range(count))
    for result, positions in enumerate(path, count):
        operands = tuple(map(left.__getitem__, positions))
        left = [number for number in left if number not in operands]
        yield operands, left
        left = [*left, result]


def to_path(steps: Iterable[Iterable[int]], count: int) -> Path:
    """The path of steps given by numbers, the inverse of `walk_path`.

    >>> to_path([(0, 2), (1, 3)], 3)
    ((0, 2), (0, 1))
    """
    path = []
    left = list(range(count))
    for result, operands in enumerate(steps, count):
        path.append(tuple(sorted(map(left.index, operands))))
        left = [number for number in left if number not in operands]
        left.append(result)
    return tuple(path)


def check_path(found: Iterable[Iterable[int]], count: int) -> Path:
    """A path as tuples, with what it leaves over contracted at the end; or PLT214, if there is no such tensor."""
    path = tuple(map(tuple, found))
    left = count
    for positions in path:
        if not positions or len(set(positions)) < len(positions) or not all(0 <= place < left for place in positions):
            shown = path_text((positions,))
            message = f"the path has {shown} where the places 0 to {left - 1} are at hand"
            raise make_error("PLT214", message, facts={"path": path_text(path)})
        left -= len(positions) - 1
    return path if left == 1 and path else (*path, tuple(range(left)))


def path_text(path: Path) -> str:
    """The path as text.

    >>> path_text(((0, 1), (0,)))
    '(0, 1), (0)'
    """
    return ", ".join([f"({', '.join(map(str, positions))})" for positions in path])


def check_name(name: str) -> None:
    """Raise PLT214 where nothing finds paths under that name; those registered with opt_einsum count too."""
    if name in OWN or name in FOREIGN or (_is_installed() and name in _registered()):
        return
    message = f"{name!r} is no way to find a path{did_you_mean(name, (*OWN, *FOREIGN))}"
    raise make_error("PLT214", message, facts={"known": ", ".join((*OWN, *FOREIGN))})


def _is_installed() -> bool:
    try:
        import opt_einsum  # noqa: F401  # whether there is one
    except ImportError:
        return False
    return True


def _registered() -> Iterable[str]:
    from opt_einsum import paths

    return getattr(paths, "_PATH_OPTIONS", ())


def _symbol(axis: int) -> str:
    """A character for an axis, whatever its number."""
    return chr(ord("a") + axis) if axis < 26 else chr(0x100 + axis)


def _by_opt_einsum(network: Network, optimize: Any, memory_limit: int | None) -> Path:
    try:
        import opt_einsum
    except ImportError as error:
        message = (
            f"contract={optimize!r} for {len(network.terms)} tensors needs opt_einsum: pip install 'plait[einsum]'"
        )
        raise make_error("PLT511", message) from error
    texts = ["".join(map(_symbol, term)) for term in (*network.terms, network.output)]
    shapes = [tuple([network.sizes[axis] for axis in term]) for term in network.terms]
    equation = f"{','.join(texts[:-1])}->{texts[-1]}"
    found, _ = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize=optimize, memory_limit=memory_limit)
    return check_path(found, len(shapes))


def _by_cotengra(network: Network) -> Path:
    try:
        import cotengra
    except ImportError as error:
        raise make_error("PLT511", "contract='cotengra' needs cotengra: pip install cotengra") from error
    sizes = dict(enumerate(network.sizes))
    found = cotengra.array_contract_path(list(network.terms), network.output, size_dict=sizes, optimize="auto-hq")
    return check_path(found, len(network.terms))


def optimal(network: Network, memory_limit: int | None) -> Path:
    """The path of the fewest operations, then the smallest intermediate results, among all; for a few tensors."""
    count, size = len(network.terms), network.sizes.__getitem__
    everything = (1 << count) - 1
    users = [0] * len(network.sizes)  # of each axis, the tensors that have it, as bits; the result is one more
    for number, term in enumerate((*network.terms, network.output)):
        for axis in term:
            users[axis] |= 1 << number
    kept = {}  # the axes of what groups of tensors make
    for group in range(1, everything + 1):
        is_one = not group & (group - 1)
        kept[group] = {axis for axis, used in enumerate(users) if used & group and (is_one or used & ~group)}
    best: dict[int, tuple[float, float, int]] = {1 << number: (0, 0, 0) for number in range(count)}
    for group in sorted(kept, key=int.bit_count):
        made = prod(map(size, kept[group]))
        if group in best or (memory_limit is not None and made > memory_limit and group != everything):
            continue
        part = (group - 1) & group
        while part > group ^ part:  # each pair once
            one, other = best.get(part), best.get(group ^ part)
            if one and other:
                axes = kept[part] | kept[group ^ part]
                flops = prod(map(size, axes)) * (1 + (axes > kept[group]))  # counted as opt_einsum does
                work = flops + one[0] + other[0]
                found = (work, max(made, one[1], other[1]), part)
                best[group] = min(best.get(group, (inf, inf, 0)), found)
            part = (part - 1) & group
    if everything not in best:
        return greedy(network, memory_limit)
    steps: list[tuple[int, int]] = []
    _collect(everything, best, steps, count)
    return to_path(steps, count)


def _collect(group: int, best: dict[int, tuple[float, float, int]], steps: list[tuple[int, int]], count: int) -> int:
    """Append the steps that contract a group, and return the number of its result."""
    part = best[group][2]
    if not part:
        return group.bit_length() - 1
    steps.append((_collect(part, best, steps, count), _collect(group ^ part, best, steps, count)))
    return count + len(steps) - 1


def greedy(network: Network, memory_limit: int | None) -> Path:
    """Contract those two next whose result takes the least memory beyond their own; without common axes at the end."""
    count, size = len(network.terms), network.sizes.__getitem__
    terms: dict[int, Collection[int]] = dict(enumerate(network.terms))
    users = Counter(axis for term in (*network.terms, network.output) for axis in set(term))

    def contracted(one: int, other: int) -> set[int]:
        left, right = set(terms[one]), set(terms[other])
        return {axis for axis in left | right if users[axis] > (axis in left) + (axis in right)}

    def scored(one: int, other: int) -> tuple[bool, float, tuple[int, int]]:
        made = prod(map(size, contracted(one, other)))
        is_too_large = memory_limit is not None and made > memory_limit and len(terms) > 2
        grown = inf if is_too_large else made - prod(map(size, terms[one])) - prod(map(size, terms[other]))
        return set(terms[one]).isdisjoint(terms[other]), grown, (one, other)

    pairs = [scored(*pair) for pair in combinations(terms, 2)]
    steps: list[tuple[int, ...]] = []
    while len(terms) > 1:
        _, grown, (one, other) = min(pairs)
        if grown == inf:
            steps.append(tuple(terms))
            break
        made = contracted(one, other)
        users.subtract([*set(terms.pop(one)), *set(terms.pop(other))])
        users.update(made)
        result = count + len(steps)
        steps.append((one, other))
        pairs = [pair for pair in pairs if not {one, other}.intersection(pair[2])]
        left = list(terms)
        terms[result] = made
        pairs += [scored(number, result) for number in left]
    return to_path(steps, count)
