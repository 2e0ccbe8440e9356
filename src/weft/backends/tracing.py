"""What tracers need of a backend: ranks, element types and sizes that are not known before something runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Tensor = Any
Size = Any
"""An int, or the framework's symbol for one."""


class Tracing:
    """The answers of a framework that knows every size; those of one that does not differ."""

    lists: bool = False
    """Whether every tensor of the type has a list of ints for its shape."""
    reshape: Callable[[Tensor, Sequence[Size]], Tensor]

    def rank(self, tensor: Tensor) -> int | None:
        """The rank, or ``None`` where the framework does not reveal it."""
        return len(tensor.shape)

    def dtype(self, tensor: Tensor) -> Any:
        """The type of the elements, or ``None`` where the framework does not reveal it."""
        return tensor.dtype

    def shape(self, tensor: Tensor) -> Sequence[Size]:
        """The shape: a tuple of ints; or of symbols, where the framework is tracing, taken apart only by index."""
        shape: Sequence[Size] = tensor.shape
        return shape

    def dimensions(self, shape: Any) -> tuple[int, ...] | None:
        """What a tensor has for its shape as a tuple, where it is none but can be a key; ``None``: it is not known."""
        return None

    def known(self, tensor: Tensor, rank: int) -> Sequence[int | None]:
        """Where sizes may not be compared, those that may be nevertheless, since they are ints before anything runs."""
        return (None,) * rank

    def symbolic(self, size: Any) -> bool:
        """Whether a size is a symbol of this framework's, to be computed with and never looked into."""
        return False

    def inward(self, size: Any) -> Any:
        """A symbol that the caller gave for a size, as sizes of this framework are computed with."""
        return size

    def outward(self, size: Any) -> Any:
        """A size as `parse_shape` and `pack` give it to the caller, who may look into it or compute with it."""
        return size

    def comparable(self, tensors: Sequence[Tensor]) -> bool:
        """Whether the sizes of these tensors may be compared; where not, only those that are `known` are checked."""
        return True

    def regroup(self, tensor: Tensor, shape: Sequence[Size], sizes: Sequence[Size], axes: Any) -> Tensor:
        """`reshape` while a tracer watches, for frameworks that must be told which dimensions become which.

        Args:
            tensor: the tensor.
            shape: the shape that it is to have.
            sizes: the sizes of all axes, by number.
            axes: before and after, for each dimension the numbers of the axes in it.
        """
        return self.reshape(tensor, shape)
