"""Patterns one after the other, as one: ``weft.compile(p) >> weft.compile(q)``."""

from __future__ import annotations

from functools import lru_cache

from weft.compiled.calls import Calls, key_of
from weft.compiled.pattern import Pattern
from weft.errors import WeftError
from weft.run.cache import cold
from weft.run.follow import as_it_is
from weft.run.forget import FORGET
from weft.run.traced import traced_steps

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import weft`
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from weft.explanation import Explanation
    from weft.run.asking import Asked
    from weft.run.fuse import Piece
    from weft.run.stages import Stage, Step

    Size = TypeVar("Size", int, int | None)


class Composed(Calls):
    """Patterns one after the other. Immutable, hashable, picklable; made by ``>>``.

    For every new shape the patterns become one, in terms of the axes that both sides of a seam are made of, and what
    lies between them is never written. Where a seam has no such axes, or sizes are not known, they run in turn.

    The method that is called says what the whole is: each pattern of a `rearrange` rearranges; of a `repeat` some add
    axes; of a `reduce` some lose axes, all by the same reduction. In an `einsum` the result of a pattern is the first
    tensor of the next, which takes its others from the arguments that are left.

    Attributes:
        patterns: the patterns, from the first to the last.

    Raises:
        SizeError: a pattern does not fit what the one before it gives.

    Examples:
        >>> import numpy as np, weft
        >>> image = weft.compile("b (h w) c -> b c h w", h=8)
        >>> pooled = image >> weft.compile("b c (h 2) (w 2) -> b c (h w)")
        >>> pooled.reduce(np.ones((5, 96, 3)), "max").shape
        (5, 3, 24)
        >>> (image >> image.inverse(w=12)).explain((5, 96, 3))
        weft.compile('b (h w) c -> b c h w', h=8) >> weft.compile('b c h w -> b (h w) c', h=8, w=12)
        rearrange  b h_w c -> b h_w c
          input    5 96 3   b h_w c
          output   5 96 3   b h_w c
    """

    __slots__ = ("_stages", "patterns")

    patterns: tuple[Pattern, ...]
    _stages: tuple[Stage, ...]

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        stages = tuple([(pattern.text, tuple(pattern._sizes.items())) for pattern in patterns])
        cold.check_seams(stages)
        object.__setattr__(self, "patterns", tuple(patterns))
        object.__setattr__(self, "_stages", stages)
        object.__setattr__(self, "_calls", {})

    @as_it_is
    def inverse(self, /, **sizes: Any) -> Composed:
        """The patterns that lead back, from the last to the first.

        Args:
            sizes: sizes, in elements, that the way back cannot infer; each for every pattern that has the name.

        Raises:
            AxisError: several tensors went in, or a size names no axis.
            SizeError: a size is missing.

        Examples:
            >>> import weft
            >>> (weft.compile("b h w -> b (h w)") >> weft.compile("b n -> n b")).inverse(w=3)
            weft.compile('n b -> b n') >> weft.compile('b (h w) -> b h w', w=3)
        """
        more = cold.sizes_for(self._stages, sizes)
        back = [pattern.inverse(**more[place]) for place, pattern in enumerate(self.patterns)]
        return Composed(back[::-1])

    @as_it_is
    def output_shape(self, *shapes: Sequence[Size]) -> tuple[Size, ...]:
        """The shape of the result for tensors of these shapes, in elements; ``None`` is a size that is not known.

        Raises:
            SizeError: a rank or a size does not fit, or cannot be inferred.

        Examples:
            >>> import weft
            >>> halves = weft.compile("b (h p) -> b h p", p=2)
            >>> (halves >> weft.compile("b h p -> h (p b)")).output_shape((None, 6))
            (3, None)
        """
        found: tuple[Size, ...] = cold.last_shape(self._stages, shapes)
        return found

    @as_it_is
    def explain(self, *shapes: Sequence[int]) -> Explanation:
        """The one plan; or the plan of each pattern, and why they are not one."""
        from weft.explanation import explain_composed

        return explain_composed(repr(self), self._stages, shapes)

    def _in_order(self) -> tuple[Pattern, ...]:
        return self.patterns

    def _first(self, operation: str, tensors: tuple[Any, ...], reduction: Any = "", asked: Asked | None = None) -> Any:
        steps = cold.steps_of(operation, tuple([text for text, _ in self._stages]))
        if any(isinstance(tensor, (list, tuple)) for tensor in tensors):
            if operation == "view":
                return self.patterns[0].view(*tensors)  # which says that stacking copies
            tensors = tuple([cold.stacked(each) if isinstance(each, (list, tuple)) else each for each in tensors])
        found = cold.fuse(operation, self._stages, tensors, reduction)
        if found is None:
            return in_turn(steps, self.patterns, reduction, asked)(*tensors)
        if len(found.pieces) > 1:
            return self._pieces(found.pieces, operation, tensors, reduction, asked)
        (piece,) = found.pieces
        text, sizes = piece.stage
        if operation == "view":
            return cold.general("view", tensors, text, dict(sizes))
        try:
            return self._called(operation, tensors, text, dict(sizes), reduction, asked)
        except WeftError:  # each pattern for itself says what is wrong in the caller's own words
            return in_turn(steps, self.patterns, reduction, asked)(*tensors)

    def _pieces(
        self,
        pieces: tuple[Piece, ...],
        operation: str,
        tensors: tuple[Any, ...],
        reduction: Any,
        asked: Asked | None,
    ) -> Any:
        """A call by several patterns, fewer than there were."""
        patterns = [
            self.patterns[piece.first] if piece.first == piece.last else _pattern(piece.stage) for piece in pieces
        ]
        call = in_turn([piece.step for piece in pieces], patterns, reduction, asked)
        result = call(*tensors)
        if operation != "view" and not callable(reduction):  # a callable must not be kept with all that it holds
            try:  # noqa: SIM105  # importing contextlib would take longer than the rest of this file
                self._keep(key_of(operation, tensors, reduction, asked)[0], call)
            except (TypeError, AttributeError):  # there is no key
                pass
        return result

    def _traced(self, operation: str, tensors: tuple[Any, ...], reduction: Any = "", asked: Asked | None = None) -> Any:
        result, rest = tensors[0], tensors[1:]
        steps = traced_steps(operation, tuple([pattern.text for pattern in self.patterns]))
        for number, pattern in enumerate(self.patterns):
            method, count = steps[number]
            taken = len(rest) if number == len(steps) - 1 else count - 1
            result = pattern._traced(method, (result, *rest[:taken]), reduction, asked)
            rest = rest[taken:]
        return result

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Composed):
            return NotImplemented
        return self.patterns == other.patterns

    def __hash__(self) -> int:
        return hash(self.patterns)

    def __reduce__(self) -> tuple[Any, ...]:
        return Composed, (self.patterns,)

    def __repr__(self) -> str:
        return " >> ".join([repr(pattern) for pattern in self.patterns])


@lru_cache(maxsize=256)
def _pattern(stage: Stage) -> Pattern:
    """A piece that is made of several patterns, and of fewer than all."""
    text, sizes = stage
    return Pattern(text, dict(sizes))


FORGET.append(_pattern.cache_clear)


def in_turn(
    steps: Sequence[Step], patterns: Sequence[Pattern], reduction: Any, asked: Asked | None
) -> Callable[..., Any]:
    """A function that calls one pattern after the other, each on what the one before gave."""
    wishes = dict(asked.wishes) if asked else {}
    inner = {name: wish for name, wish in wishes.items() if name != "out_sharding"}
    last = len(steps) - 1
    arguments: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        (
            (reduction,) if method == "reduce" else (),
            (wishes if number == last else inner) if method == "einsum" else {},
        )
        for number, (method, _) in enumerate(steps)
    ]
    calls = [
        (getattr(pattern, step.operation), step.tensors, *each)
        for pattern, step, each in zip(patterns, steps, arguments, strict=True)
    ]

    def run(*tensors: Any) -> Any:
        for number, (call, count, more, named) in enumerate(calls):
            taken = len(tensors) if number == last else count
            tensors = (call(*tensors[:taken], *more, **named), *tensors[taken:])
        return tensors[0]

    return run
