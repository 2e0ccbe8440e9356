"""What weft asks of a framework: one subclass, in one file, and one row of the registry.

Most methods are the framework's own functions, so that nothing stands between a plan and the framework.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from weft.backends.passes import Passes
from weft.backends.products import Products, as_it_is, no_products
from weft.backends.tracing import Size, Tensor, Tracing
from weft.errors import fail


def no_view(tensor: Tensor, shape: Sequence[Size]) -> Tensor:  # noqa: ARG001  # a `Backend.view`
    """What a framework that hides its memory has for `Backend.view`."""
    raise fail("W507", NO_VIEWS)


NO_VIEWS = "this framework does not promise views; rearrange gives one where it can"
_KINDS = (("bool", "bool"), ("complex", "complex"), ("float", "floating"), ("int", "integer"))


class Backend(Tracing):
    """A framework, as plans see it. ``Backend()`` is made once for a type of tensor."""

    name: ClassVar[str]
    takes: ClassVar[frozenset[str]] = frozenset()
    """Other frameworks whose tensors this one's functions accept beside their own, as JAX accepts NumPy's."""

    # What a plan calls: a tensor and one constant.
    reshape: Callable[[Tensor, Sequence[Size]], Tensor]
    """The elements in row-major order in another shape; a view where there can be one."""
    view: Callable[[Tensor, Sequence[Size]], Tensor] = staticmethod(no_view)
    """The same, but an error of the framework's where it would copy; left out where memory is hidden."""
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
    orders: ClassVar[bool] = False
    """Whether ``einsum`` of three tensors and more finds a good order by itself, and is best left to it."""
    products: Callable[[tuple[Any, ...]], Products | None] = staticmethod(no_products)
    """What contractions of tensors of these element types are taken apart into; ``None``: ``einsum`` is better."""
    passes: Passes | None = None
    """How plans pass over the memory of large tensors; ``None``: one call is the best way, or memory is hidden."""
    whole: Callable[[Callable[..., Tensor]], Callable[..., Tensor]] = staticmethod(as_it_is)
    """What the cache keeps of all that a plan does, each call the framework's own: one that compiles can do so here."""

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

    def placed(self, equation: str, shape: Sequence[Size] | None, wishes: dict[str, Any]) -> Callable[..., Tensor]:
        """``einsum(equation, ...)``, and `reshape` where there is a shape, with these wishes; or W509 and W512."""
        if "out_sharding" in wishes:
            raise fail("W509", f"a result of {self.name} has no sharding to choose; out_sharding belongs to JAX")
        raise fail("W512", f"a product of {self.name} takes no {' and no '.join(wishes)}; that belongs to JAX")

    def slice(self, tensor: Tensor, axis: int, start: Size, stop: Size) -> Tensor:
        """The part from ``start`` up to ``stop`` of one dimension."""
        part = (*((slice(None),) * axis), slice(start, stop), ...)
        return tensor[part]

    def split(self, tensor: Tensor, axis: int, lengths: Sequence[Size]) -> Sequence[Tensor]:
        """The parts of these lengths, which one dimension is made of."""
        parts: list[Tensor] = []
        start = 0
        for length in lengths:
            parts.append(self.slice(tensor, axis, start, start + length))
            start = start + length
        return parts
