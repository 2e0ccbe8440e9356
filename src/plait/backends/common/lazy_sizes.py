"""Sizes that a graph has only when it runs, for frameworks without symbols of their own: TensorFlow and Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from operator import add, floordiv, getitem, mul, sub
from typing import Any

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {"[]": getitem, "*": mul, "//": floordiv, "+": add, "-": sub}
"""What sizes are made by: a dimension of a `Shape`, and arithmetic."""

_NEUTRAL = (("*", 1), ("//", 1), ("+", 0), ("-", 0))
"""What changes nothing on the right; a product and a sum take it on the left too."""


class Shape:
    """The shape of a tensor, taken apart by index; ``made`` is for what its framework makes of it."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.made: Any = None

    def __getitem__(self, place: int) -> Unknown:
        return Unknown("[]", self, place)


def _binary(name: str) -> Any:
    """The method of an operator, and that of the same with its sides exchanged."""
    return lambda self, other: _combined(name, self, other), lambda self, other: _combined(name, other, self)


class Unknown:
    """A dimension of a tensor, or what arithmetic makes of such; the framework is asked when something needs it.

    ``parts`` are the name of an operator and what it is applied to. ``exact`` says that the size came back from the
    caller, and so is to be checked and not inferred. ``made`` is for what its framework makes of it.
    """

    def __init__(self, name: str, first: Any, second: Any, *, exact: bool = False) -> None:
        self.parts = name, first, second
        self.exact: bool = exact or any(isinstance(part, Unknown) and part.exact for part in (first, second))
        self.made: Any = None

    def __repr__(self) -> str:
        return "_"

    @property
    def source(self) -> Any:
        """A tensor that it is a size of."""
        return next(part.source for part in self.parts if isinstance(part, (Shape, Unknown)))

    __mul__, __rmul__ = _binary("*")
    __floordiv__, __rfloordiv__ = _binary("//")
    __add__, __radd__ = _binary("+")
    __sub__, __rsub__ = _binary("-")


def _combined(name: str, left: Any, right: Any) -> Any:
    """The new size; with a tensor of the caller's it is a tensor, by the arithmetic of those."""
    if not (isinstance(left, (int, Unknown)) and isinstance(right, (int, Unknown))):
        return NotImplemented
    if (name, right) in _NEUTRAL:
        return left
    return right if name in "*+" and (name, left) in _NEUTRAL else Unknown(name, left, right)


def dimensions(tensor: Any, known: Sequence[int | None]) -> list[Any]:
    """A shape with an `Unknown` where it is not known: a list, since a tuple of sizes is one that is known."""
    whole = Shape(tensor)
    return [whole[place] if size is None else size for place, size in enumerate(known)]


def inferred(shape: Sequence[Any], known: Sequence[int | None]) -> Sequence[Any]:
    """The shape that a tensor is to have, with -1 in it where the framework infers an unknown size just as well.

    That is where one size is unknown before and after: the others have been compared already, and so no mistake can
    hide behind the inference.

    Args:
        shape: the new shape.
        known: the shape of the tensor, ``None`` where it is not known.
    """
    ints = [size for size in shape if type(size) is int]
    unknown = [size for size in shape if isinstance(size, Unknown) and not size.exact]
    if len(unknown) != 1 or len(ints) != len(shape) - 1 or not prod(ints) or list(known).count(None) != 1:
        return shape
    return [size if type(size) is int else -1 for size in shape]
