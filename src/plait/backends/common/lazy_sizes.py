"""Symbolic sizes for frameworks that say ``None`` or -1 for an unknown one: tensors of the graph, made when needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod
from operator import add, floordiv, getitem, mul, sub
from typing import Any

from plait.backends.interface import Backend, Size, Tensor

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {"[]": getitem, "*": mul, "//": floordiv, "+": add, "-": sub}
"""What sizes are made by: a dimension of a `LazyShape`, and arithmetic."""

_NEUTRAL = (("*", 1), ("//", 1), ("+", 0), ("-", 0))
"""What changes nothing on the right; a product and a sum take it on the left too."""


class LazyShape:
    """The shape of a tensor, of which a dimension is taken by its index; ``materialized`` is its tensor, once made."""

    def __init__(self, source: Tensor) -> None:
        self.source = source
        self.materialized: Any = None

    def __getitem__(self, dimension: int) -> LazySize:
        return LazySize("[]", self, dimension)


def _binary(name: str) -> Any:
    """The method of an operator, and that of the same with its operands exchanged."""
    return lambda self, other: _combined(name, self, other), lambda self, other: _combined(name, other, self)


class LazySize:
    """A dimension of a tensor, or arithmetic on such; one ``from_user`` is checked by the run, and never inferred."""

    def __init__(self, name: str, first: Any, second: Any, *, from_user: bool = False) -> None:
        self.parts = name, first, second
        self.from_user: bool = from_user or any(
            isinstance(part, LazySize) and part.from_user for part in (first, second)
        )
        self.materialized: Any = None

    def __repr__(self) -> str:
        return "_"

    @property
    def source(self) -> Tensor:
        """A tensor that it is a size of."""
        return next(part.source for part in self.parts if isinstance(part, (LazyShape, LazySize)))

    __mul__, __rmul__ = _binary("*")
    __floordiv__, __rfloordiv__ = _binary("//")
    __add__, __radd__ = _binary("+")
    __sub__, __rsub__ = _binary("-")


def _combined(name: str, left: Any, right: Any) -> Any:
    if not (isinstance(left, (int, LazySize)) and isinstance(right, (int, LazySize))):
        return NotImplemented
    if (name, right) in _NEUTRAL:
        return left
    return right if name in "*+" and (name, left) in _NEUTRAL else LazySize(name, left, right)


class LazyShapes(Backend):
    """A backend whose tensors may have sizes that only a run tells."""

    static_sizes: Callable[[Tensor], Sequence[int | None] | None]
    """The shape as far as it is known, ``None`` for each unknown size; ``None`` where not even the rank is known."""
    shape_tensor: Callable[[Tensor], Tensor]
    """The shape as a tensor of the graph."""

    def shape(self, tensor: Tensor) -> Any:
        sizes = self.static_sizes(tensor)
        if sizes is None:
            return LazyShape(tensor)
        if None not in sizes:
            return tuple(sizes)
        lazy = LazyShape(tensor)  # in a list, since a tuple of sizes is one that is known
        return [lazy[dimension] if size is None else size for dimension, size in enumerate(sizes)]

    def rank(self, tensor: Tensor) -> int | None:
        sizes = self.static_sizes(tensor)
        return None if sizes is None else len(sizes)

    def static_shape(self, tensor: Tensor, rank: int) -> Sequence[int | None]:
        return self.static_sizes(tensor) or (None,) * rank

    def comparable(self, tensors: Sequence[Tensor]) -> bool:
        return False

    def is_symbolic(self, size: Any) -> bool:
        return isinstance(size, LazySize)

    def size_from_user(self, size: Any) -> Any:
        return LazySize("[]", (size,), 0, from_user=True)

    def size_to_user(self, size: Any) -> Any:
        return self.materialize(size)

    def slice(self, tensor: Tensor, axis: int, start: Size, stop: Size) -> Tensor:
        return super().slice(tensor, axis, self.materialize(start), self.materialize(stop))

    def materialize(self, size: Any) -> Any:
        """An int as it is; a lazy size as a tensor of the graph, which is made once."""
        if not isinstance(size, (LazyShape, LazySize)):
            return size
        if size.materialized is None:
            if isinstance(size, LazyShape):
                size.materialized = self.shape_tensor(size.source)
            else:
                name, first, second = size.parts
                size.materialized = OPERATORS[name](self.materialize(first), self.materialize(second))
        return size.materialized

    def materialize_all(self, sizes: Iterable[Any]) -> list[Any]:
        """A shape to broadcast to, which leaves nothing to be inferred."""
        return [self.materialize(size) for size in sizes]

    def inferred(self, tensor: Tensor, shape: Sequence[Size]) -> Sequence[Size]:
        """The shape, with -1 where one size is unknown before and after: the others have been compared already."""
        ints = [size for size in shape if type(size) is int]
        unknown = [size for size in shape if isinstance(size, LazySize) and not size.from_user]
        if len(unknown) != 1 or len(ints) != len(shape) - 1 or not prod(ints):
            return shape
        if [*(self.static_sizes(tensor) or ())].count(None) != 1:
            return shape
        return [size if type(size) is int else -1 for size in shape]
