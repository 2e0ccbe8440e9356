"""A pattern, read once: to the functions of weft what ``re.compile`` is to those of ``re``."""

from __future__ import annotations

from weft.run.cache import cold, compiled, general, keys, listed
from weft.run.follow import as_it_is, followed_as
from weft.run.options import CURRENT, asking
from weft.run.traced import traced

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import weft`
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from weft.explanation import Explanation
    from weft.run.asking import Asked

    Size = TypeVar("Size", int, int | None)

CALLS = 256
"""How many callables one pattern keeps: operations, each with a shape and a type."""


@as_it_is
def compile(pattern: str, /, **sizes: Any) -> Pattern:
    """Read a pattern once, for many calls.

    Args:
        pattern: a pattern of any operation with an arrow.
        sizes: the sizes of some of its axes, in elements.

    Returns:
        A pattern, with the operations as methods.

    Raises:
        PatternSyntaxError: the pattern cannot be read, or has no arrow.
        AxisError: a size names no axis.
        SizeError: a size is no exact integer.

    Examples:
        >>> import numpy as np, weft
        >>> heads = weft.compile("b t (h d) -> b h t d", h=8)
        >>> heads.rearrange(np.zeros((2, 5, 64))).shape
        (2, 8, 5, 8)
    """
    return Pattern(pattern, sizes)


def _traced_rearrange(self: Pattern, tensor: Any) -> Any:
    return traced("rearrange", (tensor,), self.text, self._sizes, method=True)


def _traced_view(self: Pattern, tensor: Any) -> Any:
    return traced("view", (tensor,), self.text, self._sizes, method=True)


def _traced_reduce(self: Pattern, tensor: Any, reduction: Any) -> Any:
    return traced("reduce", (tensor,), self.text, self._sizes, reduction, method=True)


def _traced_repeat(self: Pattern, tensor: Any) -> Any:
    return traced("repeat", (tensor,), self.text, self._sizes, method=True)


def _traced_einsum(self: Pattern, *tensors: Any, **wishes: Any) -> Any:
    return traced("einsum", tensors, self.text, self._sizes, "", asking(None, **wishes), method=True)


class Pattern:
    """A pattern with the sizes of some of its axes. Immutable, hashable, picklable; made by `compile`.

    A call asks this pattern's own dictionary for the callable, which is faster than asking the cache of all calls.

    Attributes:
        text: the pattern, in canonical form.

    Examples:
        >>> import numpy as np, weft
        >>> patches = weft.compile("(h p) (w q) c -> (h w) (p q c)", p=16, q=16)
        >>> patches.output_shape((64, 96, 3))
        (24, 768)
    """

    __slots__ = ("__weakref__", "_calls", "_sizes", "text")

    text: str
    _sizes: dict[str, int]
    _calls: dict[Any, Callable[..., Any]]

    def __init__(self, pattern: str, sizes: dict[str, Any]) -> None:
        text, checked = cold.read_pattern(pattern, sizes)
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "_sizes", checked)
        object.__setattr__(self, "_calls", {})

    @property
    def sizes(self) -> dict[str, int]:
        """The given sizes, by name, in elements; a copy."""
        return dict(self._sizes)

    @followed_as(_traced_rearrange)
    def rearrange(self, tensor: Any) -> Any:
        """`weft.rearrange` with this pattern."""
        try:
            call = self._calls["rearrange", tensor.shape, tensor.__class__]
        except (KeyError, TypeError, AttributeError):
            call = None
        return self._first("rearrange", (tensor,)) if call is None else call(tensor)

    @followed_as(_traced_view)
    def view(self, tensor: Any) -> Any:
        """`weft.view` with this pattern."""
        return general("view", (tensor,), self.text, self._sizes)

    @followed_as(_traced_reduce)
    def reduce(self, tensor: Any, reduction: Any) -> Any:
        """`weft.reduce` with this pattern."""
        try:
            call = self._calls[reduction, tensor.shape, tensor.__class__, tensor.dtype]
        except (KeyError, TypeError, AttributeError):
            call = None
        return self._first("reduce", (tensor,), reduction) if call is None else call(tensor)

    @followed_as(_traced_repeat)
    def repeat(self, tensor: Any) -> Any:
        """`weft.repeat` with this pattern."""
        try:
            call = self._calls["repeat", tensor.shape, tensor.__class__]
        except (KeyError, TypeError, AttributeError):
            call = None
        return self._first("repeat", (tensor,)) if call is None else call(tensor)

    @followed_as(_traced_einsum)
    def einsum(
        self, *tensors: Any, out_sharding: Any = None, precision: Any = None, preferred_element_type: Any = None
    ) -> Any:
        """`weft.einsum` with this pattern, in the named form."""
        asked = CURRENT.get()
        if not (out_sharding is precision is preferred_element_type is None):
            asked = asking(
                asked, out_sharding=out_sharding, precision=precision, preferred_element_type=preferred_element_type
            )
        try:
            call = self._calls[keys(tensors), asked]
        except (KeyError, TypeError, AttributeError):
            call = None
        return self._first("einsum", tensors, asked=asked) if call is None else call(*tensors)

    @as_it_is
    def inverse(self, /, **sizes: Any) -> Pattern:
        """The pattern that leads back.

        Args:
            sizes: sizes, in elements, that the way back cannot infer: of a merged dimension all but one.

        Raises:
            AxisError: several tensors went in, or a size names no axis.

        Examples:
            >>> import weft
            >>> weft.compile("b c h w -> b (h w c)", c=3).inverse(h=4)
            weft.compile('b (h w c) -> b c h w', c=3, h=4)
        """
        return Pattern(*cold.inverse(self.text, self._sizes, sizes))

    @as_it_is
    def output_shape(self, *shapes: Sequence[Size]) -> tuple[Size, ...]:
        """The shape of the result for tensors of these shapes, in elements; ``None`` is a size that is not known.

        Raises:
            SizeError: a rank or a size does not fit, or cannot be inferred.

        Examples:
            >>> import weft
            >>> weft.compile("b (h p) c -> b h (p c)", p=2).output_shape((None, 6, 3))
            (None, 3, 6)
        """
        found: tuple[Size, ...] = cold.output_shape(self.text, shapes, self._sizes)
        return found

    @as_it_is
    def explain(self, *shapes: Sequence[int]) -> Explanation:
        """`weft.explain` with this pattern."""
        from weft.explanation import explain

        return explain(self.text, *shapes, **self._sizes)

    def _first(self, operation: str, tensors: tuple[Any, ...], reduction: Any = "", asked: Asked | None = None) -> Any:
        """A call that this pattern has not made, or cannot keep."""
        call: Any = listed(operation, tensors, self.text, self._sizes, reduction, asked)
        if call is not None:
            return call(*tensors)
        key: Any = None
        known: tuple[Any, ...]
        try:
            if operation == "einsum":
                known = keys(tensors)
                key = (known, asked)
                known = (*known, asked)
            elif operation == "reduce":
                known = (type(tensors[0]), tensors[0].shape, reduction, tensors[0].dtype)
                key = (reduction, tensors[0].shape, tensors[0].__class__, tensors[0].dtype)
            else:
                known = (type(tensors[0]), tensors[0].shape)
                key = (operation, tensors[0].shape, tensors[0].__class__)
            call = compiled(operation, self.text, *known, **self._sizes)
        except (TypeError, AttributeError):
            pass
        if call is None:
            return general(operation, tensors, self.text, self._sizes, reduction, asked)
        if len(self._calls) >= CALLS:
            self._calls.clear()
        self._calls[key] = call
        return call(*tensors)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Pattern is immutable; {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Pattern is immutable; {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pattern):
            return NotImplemented
        return self.text == other.text and self._sizes == other._sizes

    def __hash__(self) -> int:
        return hash((self.text, frozenset(self._sizes.items())))

    def __reduce__(self) -> tuple[Any, ...]:
        return Pattern, (self.text, self._sizes)

    def __repr__(self) -> str:
        sizes = "".join(f", {name}={size}" for name, size in self._sizes.items())
        return f"weft.compile({self.text!r}{sizes})"
