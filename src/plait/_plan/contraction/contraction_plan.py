"""The plan of a contraction as the user saves it: the pattern, the shapes and the contraction path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plait._notation.parser import parse
from plait._plan.contraction.paths import Path, normalize_path
from plait._shapes.sizes import format_shape, to_exact_size
from plait._shapes.solver import ELLIPSIS_LABEL, SolvedPattern
from plait.errors import PlaitError, make_error, short_repr

FORMAT_NAME = "plait.ContractionPlan"
"""The first entry of a saved plan, which says what the text is."""

VERSION = 1
"""The version of the saved form; it increases when an entry is added or changes its meaning."""

_ENTRIES = ("format", "version", "pattern", "shapes", "sizes", "path")
"""The entries of a saved plan."""


class ContractionPlan:
    """How an `einsum` of tensors of given shapes is contracted. It is immutable, hashable and picklable.

    `explain` makes one, and ``plait.options(contract=plan)`` uses it, so that the path is not searched for again. A
    call with another pattern, or with tensors of other shapes, is an error then.

    Args:
        pattern: The pattern, with a part for each tensor; that of an equation has blanks between its letters.
        shapes: The shape of each tensor, in elements.
        path: The contraction path, in the form of ``numpy.einsum_path`` and opt_einsum.
        sizes: The lengths of axes with names, in elements; of those in groups, the shapes do not tell them.

    Attributes:
        pattern: The pattern in canonical form.
        shapes: The shape of each tensor, in elements.
        path: The contraction path as a tuple of tuples.

    Raises:
        AxisError: PLT214, the path does not fit the number of tensors; PLT217, another argument is not what it must be.

    Examples:
        >>> import numpy as np, plait
        >>> a, b, c = np.ones((100, 300)), np.ones((300, 200)), np.ones((200, 5))
        >>> plan = plait.explain("i j, j k, k l -> i l", a, b, c).plan
        >>> plan.path
        ((1, 2), (0, 1))
        >>> plan = plait.ContractionPlan.from_json(plan.to_json())
        >>> with plait.options(contract=plan):
        ...     plait.einsum(a, b, c, "i j, j k, k l -> i l").shape
        (100, 5)
    """

    __slots__ = ("_sizes", "path", "pattern", "shapes")

    pattern: str
    shapes: tuple[tuple[int, ...], ...]
    path: tuple[tuple[int, ...], ...]
    _sizes: tuple[tuple[str, int], ...]

    def __init__(
        self,
        pattern: str,
        shapes: Iterable[Iterable[int]],
        path: Iterable[Iterable[int]],
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        tree = parse(pattern)
        try:
            checked_shapes = tuple([tuple([to_exact_size("of a shape", size) for size in shape]) for shape in shapes])
            pairs = tuple([(str(name), to_exact_size(str(name), size)) for name, size in dict(sizes or {}).items()])
        except (PlaitError, TypeError, ValueError) as error:
            reason = error.message if isinstance(error, PlaitError) else str(error)
            raise make_error(
                "PLT217", f"the shapes and the sizes of a plan are integers: {reason}", str(tree)
            ) from None
        if tree.right is None or len(tree.left) != len(checked_shapes):
            message = f"the pattern of a plan needs an arrow, and one tensor for each of {len(checked_shapes)} shapes"
            raise make_error("PLT217", message, tree.text)
        for name, value in (
            ("pattern", str(tree)),
            ("shapes", checked_shapes),
            ("path", normalize_path(path, len(checked_shapes))),
            ("_sizes", tuple(sorted(pairs))),
        ):
            object.__setattr__(self, name, value)

    @property
    def sizes(self) -> dict[str, int]:
        """The lengths of axes with names, in elements; each access returns a new dictionary."""
        return dict(self._sizes)

    def to_json(self) -> str:
        """Return the plan as JSON, which `from_json` reads.

        Examples:
            >>> import json, plait
            >>> saved = plait.explain("i j, j k -> i k", (2, 3), (3, 4)).plan.to_json()
            >>> [*json.loads(saved)]
            ['format', 'version', 'pattern', 'shapes', 'sizes', 'path']
        """
        import json  # imported here because few programs save plans

        values = (FORMAT_NAME, VERSION, self.pattern, self.shapes, self.sizes, self.path)
        return json.dumps(dict(zip(_ENTRIES, values, strict=True)))

    @classmethod
    def from_json(cls, text: str | bytes) -> ContractionPlan:
        """Return the plan that `to_json` has written.

        Args:
            text: The JSON. Whatever it contains, nothing of it is executed.

        Raises:
            PlaitError: The text is not a plan: PLT217, or the error of its pattern or path.

        Examples:
            >>> import plait
            >>> plait.ContractionPlan.from_json("[]")
            Traceback (most recent call last):
                ...
            plait.AxisError: [PLT217] this is not a saved contraction plan: it is not a JSON object
        """
        import json

        try:
            found = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise _unreadable(f"it is not JSON ({short_repr(error)})") from None
        if not isinstance(found, dict):
            raise _unreadable("it is not a JSON object")
        if found.get("format") != FORMAT_NAME:
            raise _unreadable(f'it lacks the entry "format": "{FORMAT_NAME}"')
        version = found.get("version")
        if type(version) is not int or version < 1:
            raise _unreadable("its version is not a number from 1 on")
        if version > VERSION:
            raise _unreadable(f"it has version {version}, and this release of plait reads versions up to {VERSION}")
        different = sorted(set(found).symmetric_difference(_ENTRIES))
        if different:
            raise _unreadable(f"these entries are missing, or unknown: {', '.join(map(short_repr, different))}")
        _, _, pattern, shapes, sizes, path = [found[entry] for entry in _ENTRIES]
        if not isinstance(pattern, str):
            raise _unreadable("its pattern is not text")
        if not isinstance(sizes, dict) or not all(type(size) is int for size in sizes.values()):
            raise _unreadable("its sizes are not integers by name")
        if not _is_list_of_lists_of_ints(shapes) or not _is_list_of_lists_of_ints(path):
            raise _unreadable("its shapes and its path are not lists of lists of integers")
        return cls(pattern, shapes, path, sizes)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, ContractionPlan) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        """Return all that a plan consists of."""
        return self.pattern, self.shapes, self.path, self._sizes

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a ContractionPlan is immutable; {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a ContractionPlan is immutable; {name} cannot be deleted")

    def __reduce__(self) -> tuple[Any, ...]:
        return ContractionPlan, (self.pattern, self.shapes, self.path, self.sizes)

    def __repr__(self) -> str:
        return f"plait.ContractionPlan({self.pattern!r}, {self.shapes}, {self.path}, {self.sizes})"


ContractionPlan.__module__ = "plait"  # so that tracebacks and pickles refer to the public name


def _unreadable(reason: str) -> PlaitError:
    """Return the error for text that is not a saved plan."""
    return make_error("PLT217", f"this is not a saved contraction plan: {reason}")


def _is_list_of_lists_of_ints(value: Any) -> bool:
    """Whether a value from JSON is a list of lists of integers; ``true`` is not an integer."""
    return isinstance(value, list) and all(
        isinstance(items, list) and all(type(item) is int for item in items) for items in value
    )


def named_lengths(solved: SolvedPattern, slots: Sequence[Any]) -> dict[str, int]:
    """Return the lengths of the axes with names; ``slots`` are all sizes of the solved pattern, evaluated."""
    return {
        label: slots[slot]
        for label, slot in zip(solved.labels, solved.slots, strict=True)
        if label != ELLIPSIS_LABEL and not label.isdigit()
    }


def path_of_plan(plan: ContractionPlan, solved: SolvedPattern, slots: Sequence[Any] | None) -> Path:
    """Return the path of a plan for the call that it was made for.

    Args:
        plan: The plan.
        solved: The solved pattern of the call.
        slots: Its sizes, evaluated; ``None`` if they are unknown, in which case only the pattern is compared.

    Raises:
        AxisError: PLT216, the plan is for another pattern, or for other shapes or sizes.
    """
    tree = solved.tree
    if str(tree) != plan.pattern:
        raise make_error("PLT216", f"the contraction plan is for another pattern: {plan.pattern}", tree.text)
    if slots is None:
        return plan.path
    lengths = iter(slots)
    for number, (expr, rank, planned) in enumerate(zip(tree.left, solved.ranks, plan.shapes, strict=True)):
        shape = tuple([next(lengths) for _ in range(rank)])
        if shape != planned:
            message = (
                f"the contraction plan is for other shapes: tensor {number} has shape {format_shape(planned)} there"
            )
            raise make_error("PLT216", f"{message}, and {format_shape(shape)} here", tree.text, [expr.span])
    actual = named_lengths(solved, slots)
    differing = [f"{name}={size}" for name, size in plan.sizes.items() if actual.get(name) != size]
    if differing:
        raise make_error("PLT216", f"the contraction plan is for other sizes: {', '.join(differing)}", tree.text)
    return plan.path
