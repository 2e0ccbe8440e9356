"""What weft asks of a framework. A backend is one subclass, in one file, and one row of the registry.

Most methods are the framework's own functions, assigned as they are: nothing then stands between a plan and the
framework.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

Tensor = Any
Size = Any
"""An int, or the framework's symbol for one."""

_KINDS = (("bool", "bool"), ("complex", "complex"), ("float", "floating"), ("int", "integer"))


class Backend:
    """A framework, as plans see it. ``Backend()`` is made once for a type of tensor."""

    name: ClassVar[str]
    takes: ClassVar[frozenset[str]] = frozenset()
    """Other frameworks whose tensors this one's functions accept beside their own, as JAX accepts NumPy's."""

    # What a plan calls: a tensor and one constant.
    reshape: Callable[[Tensor, Sequence[Size]], Tensor]
    """The elements in row-major order in another shape; a view where there can be one."""
    view: Callable[[Tensor, Sequence[Size]], Tensor]
    """The same, but an error of the framework's where it would copy."""
    permute: Callable[[Tensor, Sequence[int]], Tensor]
    """Dimension ``i`` of the result is dimension ``order[i]`` of the tensor."""
    expand: Callable[[Tensor, Sequence[Size]], Tensor]
    """Broadcast to a shape, right-aligned."""
    concat: Callable[[Sequence[Tensor], int], Tensor]
    """Tensors one behind the other along a dimension that they have."""
    stack: Callable[[Sequence[Tensor]], Tensor]
    """Tensors along a new first dimension."""
    einsum: Callable[..., Tensor]
    """``einsum(equation, *tensors)`` in the classical form, with an arrow."""
    to_numpy: Callable[[Tensor], Any]
    """A NumPy array of the same elements, from any device."""

    def __init__(self, kind: type) -> None:
        """Serve tensors of this type."""

    def prepare(self, functions: Sequence[Callable[..., Any]]) -> None:
        """Called with weft's public functions before the framework's first call; does nothing a second time."""

    def reduction(self, name: str, dtype: Any) -> Callable[[Tensor, tuple[int, ...]], Tensor]:
        """The reduction of that name as ``f(tensor, axes)``, for elements of that type (``None``: unknown)."""
        raise NotImplementedError

    def any_type(self) -> Backend:
        """This backend for tensors of any type of its framework, such as what a reduction or an einsum returns."""
        return self

    def kind(self, dtype: Any) -> str:
        """``bool``, ``integer``, ``floating``, ``complex``, or ``other`` where weft cannot judge."""
        name = str(dtype)
        return next((kind for word, kind in _KINDS if word in name), "other")

    def strides(self, tensor: Tensor) -> tuple[int, ...] | None:
        """How far apart neighbours are in memory, in any unit; ``None`` where the framework does not say."""
        return None

    def slice(self, tensor: Tensor, axis: int, start: Size, stop: Size) -> Tensor:
        """The part from ``start`` up to ``stop`` of one dimension."""
        part = (*((slice(None),) * axis), slice(start, stop), ...)
        return tensor[part]

    # What makes tracers work: sizes that are no ints.

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

    def comparable(self, tensors: Sequence[Tensor]) -> bool:
        """Whether the sizes of these tensors may be compared; where not, only those that are `known` are checked."""
        return True
