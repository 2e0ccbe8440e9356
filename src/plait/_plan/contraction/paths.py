"""In which order many tensors are contracted: the path, in the form that NumPy and opt_einsum have for it.

Each entry names the places of the tensors that meet next, among those at hand; they are taken out, and what they make
becomes the last. Up to four tensors are searched through here. For more `opt_einsum` is asked where it is installed,
and its paths are better the more tensors there are; without it a greedy search finds one.
Source: D. G. A. Smith and J. Gray, opt_einsum, Journal of Open Source Software 3(26), 753 (2018).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from math import inf, prod
from typing import Any, TypeAlias

from plait._plan.contraction.network import Axes, Network
from plait.errors import did_you_mean, fail

Path: TypeAlias = tuple[tuple[int, ...], ...]

How: TypeAlias = "str | Path | Callable[..., Any]"
"""``"auto"``, ``"greedy"``, ``"optimal"`` or another name that opt_einsum has, a path, or a function that finds one."""

FEW = 4
"""Up to this many tensors every path is looked at: less work than to ask anybody."""

MANY = 10
"""The most tensors for which `optimal` is found without opt_einsum."""

OURS = ("auto", "greedy", "optimal")
THEIRS = ("auto-hq", "branch-1", "branch-2", "branch-all", "cotengra", "dp", "random-greedy", "random-greedy-128")


def path_of(network: Network, how: How, limit: int | None) -> Path:
    """The path of a contraction.

    Args:
        network: what is contracted.
        how: how the path is found, or the path.
        limit: the most elements that an intermediate result may have, or ``None``. Where no path keeps it, what is
            left is contracted at once.

    Raises:
        AxisError: PLT214, the path does not fit the number of tensors, or there is no such way to find one.
        BackendError: PLT511, opt_einsum or cotengra would be needed.
    """
    count = len(network.terms)
    if isinstance(how, tuple):
        return checked_path(how, count)
    if count <= 2:
        return (tuple(range(count)),)
    if callable(how):
        *inputs, output = [{_symbol(axis) for axis in term} for term in (*network.terms, network.output)]
        sizes = {_symbol(axis): size for axis, size in enumerate(network.sizes)}
        return checked_path(tuple([tuple(places) for places in how(inputs, output, sizes, limit)]), count)
    if how == "greedy":
        return greedy(network, limit)
    if how == "cotengra":
        return _cotengra(network)
    if how == "optimal" or (how == "auto" and count <= FEW):
        return optimal(network, limit) if count <= MANY else _asked(network, how, limit)
    if how == "auto" and not _is_installed():
        return greedy(network, limit)
    return _asked(network, how, limit)


def check_name(how: str) -> None:
    """Raise PLT214 where nothing finds paths under that name; what others have taught opt_einsum counts too."""
    if how in OURS or how in THEIRS or (_is_installed() and how in _registered()):
        return
    known = ", ".join((*OURS, *THEIRS))
    message = f"{how!r} is no way to find a path{did_you_mean(how, (*OURS, *THEIRS))}"
    raise fail("PLT214", message, facts={"known": known})


def checked_path(path: Path, count: int) -> Path:
    """The path, with what it leaves over contracted at the end.

    Raises:
        AxisError: PLT214, a place is not there.
    """
    left = count
    for places in path:
        if not places or len(set(places)) < len(places) or not all(0 <= place < left for place in places):
            shown = f"({', '.join(map(str, places))})"
            raise fail(
                "PLT214", f"the path has {shown} where the places 0 to {left - 1} are at hand", facts=_fact(path)
            )
        left -= len(places) - 1
    return path if left == 1 and path else (*path, tuple(range(left)))


def _fact(path: Path) -> dict[str, str]:
    return {"path": ", ".join(f"({', '.join(map(str, places))})" for places in path)}


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


def _asked(network: Network, how: Any, limit: int | None) -> Path:
    """What opt_einsum finds."""
    try:
        import opt_einsum
    except ImportError as error:
        message = f"contract={how!r} for {len(network.terms)} tensors needs opt_einsum: pip install 'plait[einsum]'"
        raise fail("PLT511", message) from error
    texts = ["".join(map(_symbol, term)) for term in (*network.terms, network.output)]
    shapes = [tuple([network.sizes[axis] for axis in term]) for term in network.terms]
    equation = f"{','.join(texts[:-1])}->{texts[-1]}"
    found, _ = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize=how, memory_limit=limit)
    return checked_path(tuple([tuple(places) for places in found]), len(shapes))


def _cotengra(network: Network) -> Path:
    """What cotengra finds."""
    try:
        import cotengra
    except ImportError as error:
        raise fail("PLT511", "contract='cotengra' needs cotengra: pip install cotengra") from error
    sizes = dict(enumerate(network.sizes))
    found = cotengra.array_contract_path(list(network.terms), network.output, size_dict=sizes, optimize="auto-hq")
    return checked_path(tuple([tuple(places) for places in found]), len(network.terms))


def flops(axes: Iterable[int], kept: Iterable[int], count: int, sizes: Sequence[int]) -> int:
    """The multiplications and additions of one meeting, counted as opt_einsum does.

    Args:
        axes: all axes of the tensors that meet.
        kept: those of the result.
        count: how many tensors meet.
        sizes: the length of each axis.

    >>> flops((0, 1, 2), (0, 2), 2, (3, 4, 5))
    120
    """
    axes = set(axes)
    return prod([sizes[axis] for axis in axes]) * (max(1, count - 1) + bool(axes - set(kept)))


def needed(terms: Sequence[Axes], output: Axes, places: Iterable[int]) -> set[int]:
    """The axes that the result or another tensor needs, when the tensors at these places meet."""
    others = [term for place, term in enumerate(terms) if place not in places]
    return set(output).union(*others)


def optimal(network: Network, limit: int | None) -> Path:
    """The path of the fewest operations, then the smallest intermediate results, among all; for a few tensors."""
    terms, output, sizes = network.terms, network.output, network.sizes
    everything = (1 << len(terms)) - 1
    axes: dict[int, set[int]] = {}
    for group in range(1, everything + 1):
        places = [place for place in range(len(terms)) if group >> place & 1]
        inside = {axis for place in places for axis in terms[place]}
        axes[group] = inside & needed(terms, output, places) if len(places) > 1 else inside
    best: dict[int, tuple[float, float, int]] = {1 << place: (0, 0, 0) for place in range(len(terms))}
    for group in sorted(axes, key=int.bit_count):
        size = prod([sizes[axis] for axis in axes[group]])
        if group in best or (limit is not None and size > limit and group != everything):
            continue
        part = (group - 1) & group
        while part > group ^ part:  # each pair once
            one, other = best.get(part), best.get(group ^ part)
            if one and other:
                work = flops(axes[part] | axes[group ^ part], axes[group], 2, sizes) + one[0] + other[0]
                found = (work, max(size, one[1], other[1]), part)
                best[group] = min(best.get(group, (inf, inf, 0)), found)
            part = (part - 1) & group
    if everything not in best:
        return greedy(network, limit)
    return _linear(_tree(everything, best))


def _tree(group: int, best: dict[int, tuple[float, float, int]]) -> list[tuple[int, int]]:
    """The pairs of groups that meet, in an order in which each is there when it is needed."""
    part = best[group][2]
    if not part:
        return []
    return [*_tree(part, best), *_tree(group ^ part, best), (group ^ part, part)]


def _linear(pairs: list[tuple[int, int]]) -> Path:
    """Groups as places among those at hand."""
    last = pairs[-1][0] | pairs[-1][1]
    hand = [1 << place for place in range(last.bit_length())]
    path = []
    for pair in pairs:
        places = tuple(sorted(hand.index(group) for group in pair))
        path.append(places)
        hand = [group for place, group in enumerate(hand) if place not in places] + [pair[0] | pair[1]]
    return tuple(path)


def greedy(network: Network, limit: int | None) -> Path:
    """Let those two meet next whose result takes the least memory beyond their own; without common axes at the end."""
    terms, sizes = dict(enumerate(network.terms)), network.sizes
    output = set(network.output)
    stands = Counter(axis for term in (*network.terms, network.output) for axis in set(term))
    scores: dict[tuple[int, int], float] = {}

    def size(axes: Iterable[int]) -> int:
        return prod([sizes[axis] for axis in axes])

    def met(one: int, other: int) -> set[int]:
        left, right = set(terms[one]), set(terms[other])
        return {axis for axis in left | right if stands[axis] > (axis in left) + (axis in right) or axis in output}

    def score(one: int, other: int) -> float:
        made = size(met(one, other))
        if limit is not None and made > limit and len(terms) > 2:
            return inf
        return made - size(terms[one]) - size(terms[other])

    for pair in combinations(terms, 2):
        scores[pair] = score(*pair)
    path: list[tuple[int, ...]] = []
    hand = list(terms)
    while len(hand) > 1:
        one, other = min(scores, key=lambda pair: (not set(terms[pair[0]]) & set(terms[pair[1]]), scores[pair], pair))
        if scores[one, other] == inf:
            path.append(tuple(range(len(hand))))
            break
        kept = met(one, other)
        path.append(tuple(sorted((hand.index(one), hand.index(other)))))
        stands.subtract([*set(terms[one]), *set(terms[other])])
        stands.update(kept)
        new = max(terms) + 1
        hand = [name for name in hand if name not in (one, other)]
        del terms[one], terms[other]
        terms[new] = tuple(kept)
        scores = {pair: known for pair, known in scores.items() if not {one, other} & {*pair}}
        scores.update({(name, new): score(name, new) for name in hand})
        hand.append(new)
    return tuple(path)
