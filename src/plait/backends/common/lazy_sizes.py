"""Symbolic sizes for frameworks whose shapes have ``None`` or -1 for an unknown length.

They become tensors of the graph when they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod
from operator import add, floordiv, getitem, mul, sub
from typing import Any

from plait.backends.interface import Backend, Size, Tensor

SIZE_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {"[]": getitem, "*": mul, "//": floordiv, "+": add, "-": sub}
"""The operators of a `LazySize`: a dimension of a `LazyShape`, and arithmetic."""

_NEUTRAL_OPERANDS = (("*", 1), ("//", 1), ("+", 0), ("-", 0))
"""Operators, each with the right operand that changes nothing; for ``*`` and ``+`` it may also be the left operand."""


class LazyShape:
    """The unknown shape of a tensor; ``materialized`` is the tensor of its lengths, once it is in the graph."""

    def __init__(self, source_tensor: Tensor) -> None:
        self.source_tensor = source_tensor
        self.materialized: Any = None

    def __getitem__(self, dimension: int) -> LazySize:
        return LazySize("[]", self, dimension)


def _operator_methods(name: str) -> Any:
    """Return the method of a binary operator, and its reflected method."""
    return lambda self, other: _apply_operator(name, self, other), lambda self, other: _apply_operator(
        name, other, self
    )


class LazySize:
    """An unknown length of a tensor, or the result of arithmetic with unknown lengths.

    A size that is ``from_user``, that is computed from one that the caller gave, is compared with the tensor when the
    graph runs; a reshape must not replace it by -1, for which the framework would accept any length.
    """

    def __init__(self, name: str, first: Any, second: Any, *, from_user: bool = False) -> None:
        self.parts = name, first, second
        self.from_user: bool = from_user or any(
            isinstance(part, LazySize) and part.from_user for part in (first, second)
        )
        self.materialized: Any = None

    def __repr__(self) -> str:
        return "_"

    @property
    def source_tensor(self) -> Tensor:
        """A tensor from whose shape the size is computed."""
        return next(part.source_tensor for part in self.parts if isinstance(part, (LazyShape, LazySize)))

    __mul__, __rmul__ = _operator_methods("*")
    __floordiv__, __rfloordiv__ = _operator_methods("//")
    __add__, __radd__ = _operator_methods("+")
    __sub__, __rsub__ = _operator_methods("-")


def _apply_operator(name: str, left: Any, right: Any) -> Any:
    """Return the size that an operator gives for two sizes, simplified where one operand changes nothing."""
    if not (isinstance(left, (int, LazySize)) and isinstance(right, (int, LazySize))):
        return NotImplemented
    if (name, right) in _NEUTRAL_OPERANDS:
        return left
    return right if name in "*+" and (name, left) in _NEUTRAL_OPERANDS else LazySize(name, left, right)


class LazySizeBackend(Backend):
    """A backend whose tensors may have lengths that are known only when the graph runs."""

    static_sizes: Callable[[Tensor], Sequence[int | None] | None]
    """``f(tensor)`` returns the shape with ``None`` for each unknown length; ``None`` if the rank is unknown."""
    shape_tensor: Callable[[Tensor], Tensor]
    """``f(tensor)`` returns the shape as a tensor of the graph."""

    def shape(self, tensor: Tensor) -> Any:
        sizes = self.static_sizes(tensor)
        if sizes is None:
            return LazyShape(tensor)
        if None not in sizes:
            return tuple(sizes)
        lazy = LazyShape(tensor)  # a list, since a tuple means that all lengths are known
        return [lazy[dimension] if size is None else size for dimension, size in enumerate(sizes)]

    def rank(self, tensor: Tensor) -> int | None:
        sizes = self.static_sizes(tensor)
        return None if sizes is None else len(sizes)

    def static_shape(self, tensor: Tensor, rank: int) -> Sequence[int | None]:
        return self.static_sizes(tensor) or (None,) * rank

    def can_compare_sizes(self, tensors: Sequence[Tensor]) -> bool:
        return False

    def is_symbolic_size(self, size: Any) -> bool:
        return isinstance(size, LazySize)

    def size_from_user(self, size: Any) -> Any:
        return LazySize("[]", (size,), 0, from_user=True)

    def size_to_user(self, size: Any) -> Any:
        return self.materialize(size)

    def slice(self, tensor: Tensor, axis: int, start: Size, stop: Size) -> Tensor:
        return super().slice(tensor, axis, self.materialize(start), self.materialize(stop))

    def materialize(self, size: Any) -> Any:
        """Return an int unchanged, and a lazy size as a tensor of the graph, which is created once."""
        if not isinstance(size, (LazyShape, LazySize)):
            return size
        if size.materialized is None:
            if isinstance(size, LazyShape):
                size.materialized = self.shape_tensor(size.source_tensor)
            else:
                name, first, second = size.parts
                size.materialized = SIZE_OPERATORS[name](self.materialize(first), self.materialize(second))
        return size.materialized

    def materialize_all(self, sizes: Iterable[Any]) -> list[Any]:
        """Return the sizes of a shape with each lazy size as a tensor, for functions that infer no size."""
        return [self.materialize(size) for size in sizes]

    def infer_one_size(self, tensor: Tensor, shape: Sequence[Size]) -> Sequence[Size]:
        """Return the shape with -1 for its only unknown size, if the tensor has only one unknown length too.

        The framework infers that size from the number of elements; plait has compared the other sizes already.
        """
        ints = [size for size in shape if type(size) is int]
        unknown = [size for size in shape if isinstance(size, LazySize) and not size.from_user]
        if len(unknown) != 1 or len(ints) != len(shape) - 1 or not prod(ints):
            return shape
        if [*(self.static_sizes(tensor) or ())].count(None) != 1:
            return shape
        return [size if type(size) is int else -1 for size in shape]
