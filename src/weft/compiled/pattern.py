"""A pattern, read once: to the functions of weft what ``re.compile`` is to those of ``re``."""

from __future__ import annotations

from weft.compiled.calls import Calls
from weft.run.cache import cold, general
from weft.run.follow import as_it_is
from weft.run.traced import traced

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import weft`
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeVar

    from weft.explanation import Explanation
    from weft.run.asking import Asked

    Size = TypeVar("Size", int, int | None)


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


class Pattern(Calls):
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

    __slots__ = ("_sizes", "text")

    text: str
    _sizes: dict[str, int]

    def __init__(self, pattern: str, sizes: dict[str, Any]) -> None:
        text, checked = cold.read_pattern(pattern, sizes)
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "_sizes", checked)
        object.__setattr__(self, "_calls", {})

    @property
    def sizes(self) -> dict[str, int]:
        """The given sizes, by name, in elements; a copy."""
        return dict(self._sizes)

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

    def _in_order(self) -> tuple[Pattern, ...]:
        return (self,)

    def _first(self, operation: str, tensors: tuple[Any, ...], reduction: Any = "", asked: Asked | None = None) -> Any:
        if operation == "view":
            return general("view", tensors, self.text, self._sizes)
        return self._called(operation, tensors, self.text, self._sizes, reduction, asked)

    def _traced(self, operation: str, tensors: tuple[Any, ...], reduction: Any = "", asked: Asked | None = None) -> Any:
        return traced(operation, tensors, self.text, self._sizes, reduction, asked, method=True)

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
