"""Contraction paths: in which order the tensors of an einsum are contracted, in the form of NumPy and opt_einsum.

Each entry of a path, one step, has the positions of tensors in the list of remaining tensors; these are contracted and
removed from the list, and the result is appended to it. Inside plait, a step has the numbers of its tensors instead:
the inputs are numbered first, then the results.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from operator import index
from typing import Any, TypeAlias

from plait.errors import did_you_mean, make_error, short_repr

Path: TypeAlias = tuple[tuple[int, ...], ...]

Step: TypeAlias = tuple[int, ...]
"""The numbers of the tensors that one step contracts: the inputs come first, then the results of the steps."""

PathOrAlgorithm: TypeAlias = "str | float | Path | Callable[..., Any]"
"""The name of an algorithm, how many seconds to search, a path, or a function that finds one."""

BUILTIN_ALGORITHMS = ("auto", "greedy", "optimal", "dp", "random-greedy")
"""The algorithms that need no other package."""

PATH_ALGORITHMS = (
    *BUILTIN_ALGORITHMS,
    *("auto-hq", "branch-1", "branch-2", "branch-all", "cotengra", "random-greedy-128"),
)
"""The algorithms of plait, and those of opt_einsum and cotengra that are known without importing these."""


def numbered_steps(path: Path, count: int) -> list[Step]:
    """Return the steps of a path with the numbers of their tensors; there are ``count`` inputs.

    >>> numbered_steps(((0, 2), (0, 1)), 3)
    [(0, 2), (1, 3)]
    """
    steps = []
    remaining = list(range(count))
    for result, positions in enumerate(path, count):
        steps.append(tuple([remaining[position] for position in positions]))
        for position in sorted(positions, reverse=True):
            del remaining[position]
        remaining.append(result)
    return steps


def left_to_right_path(count: int) -> Path:
    """Return the path that contracts two tensors or more, each with the product of all before it.

    >>> left_to_right_path(4)
    ((0, 1), (0, 2), (0, 1))
    """
    return ((0, 1), *[(0, count - 2 - done) for done in range(count - 2)])


def path_from_numbered_steps(steps: Iterable[Sequence[int]], count: int) -> Path:
    """Return the path of steps that have the numbers of their tensors; the inverse of `numbered_steps`.

    >>> path_from_numbered_steps([(0, 2), (1, 3)], 3)
    ((0, 2), (0, 1))
    """
    path = []
    remaining = list(range(count))  # always in ascending order
    for result, numbers in enumerate(steps, count):
        positions = sorted([bisect_left(remaining, number) for number in numbers])
        for position in reversed(positions):
            del remaining[position]
        remaining.append(result)
        path.append(tuple(positions))
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
    if name in PATH_ALGORITHMS or name in _algorithms_of_opt_einsum():
        return
    message = f"unknown method for the contraction path: {name!r}{did_you_mean(name, PATH_ALGORITHMS)}"
    raise make_error("PLT214", message, facts={"known": ", ".join(PATH_ALGORITHMS)})


def _algorithms_of_opt_einsum() -> Iterable[str]:
    """Return the names of the algorithms of opt_einsum, those that the user has registered included."""
    try:
        from opt_einsum import paths
    except ImportError:
        return ()
    return getattr(paths, "_PATH_OPTIONS", ())
