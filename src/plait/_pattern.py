"""Patterns that are read once, and pipelines of them: to the functions of plait what ``re.compile`` is to ``re``."""

from __future__ import annotations

from functools import partial

from plait._caches import clearable_lru_cache
from plait._executor.cache import lookup, lookup_arguments, types_shapes_and_dtypes
from plait._executor.dispatch import call_uncached
from plait._executor.dynamo import call_under_dynamo, stage_operations_under_dynamo
from plait._executor.options import CURRENT_OPTIONS, with_backend_kwargs, without_out_sharding
from plait._executor.tracer_hooks import do_not_convert, dynamo_substitute
from plait.errors import PlaitError

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import plait`
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from plait._executor.einsum_options import EinsumOptions
    from plait._executor.pipeline import PatternStage, StageOperation
    from plait._explain.explanation import Explanation

    Size = TypeVar("Size", int, int | None)

CALLS = 256
"""How many callables one pattern keeps: operations, each with a shape and a type."""


class PatternMethods:
    """The operations as methods of a pattern or of a pipeline. Immutable."""

    __slots__ = ("__weakref__", "_calls", "_stages")

    _calls: dict[Any, Callable[..., Any]]
    _stages: tuple[PatternStage, ...]

    @dynamo_substitute(lambda self, tensor: self._traced("rearrange", (tensor,)))
    def rearrange(self, tensor: Any) -> Any:
        """`plait.rearrange` with this pattern."""
        try:
            call = self._calls["rearrange", tensor.__class__, tensor.shape]
        except (KeyError, TypeError, AttributeError):
            call = None
        return self._first("rearrange", (tensor,)) if call is None else call(tensor)

    @dynamo_substitute(lambda self, tensor: self._traced("view", (tensor,)))
    def view(self, tensor: Any) -> Any:
        """`plait.view` with this pattern."""
        return self._first("view", (tensor,))

    @dynamo_substitute(lambda self, tensor, reduction: self._traced("reduce", (tensor,), reduction))
    def reduce(self, tensor: Any, reduction: Any) -> Any:
        """`plait.reduce` with this pattern."""
        try:
            call = self._calls["reduce", tensor.__class__, tensor.shape, reduction, tensor.dtype]
        except (KeyError, TypeError, AttributeError):
            call = None
        return self._first("reduce", (tensor,), reduction) if call is None else call(tensor)

    @dynamo_substitute(lambda self, tensor: self._traced("repeat", (tensor,)))
    def repeat(self, tensor: Any) -> Any:
        """`plait.repeat` with this pattern."""
        try:
            call = self._calls["repeat", tensor.__class__, tensor.shape]
        except (KeyError, TypeError, AttributeError):
            call = None
        return self._first("repeat", (tensor,)) if call is None else call(tensor)

    @dynamo_substitute(
        lambda self, *tensors, **kwargs: self._traced("einsum", tensors, options=with_backend_kwargs(None, **kwargs))
    )
    def einsum(
        self, *tensors: Any, out_sharding: Any = None, precision: Any = None, preferred_element_type: Any = None
    ) -> Any:
        """`plait.einsum` with this pattern, in the named form."""
        options = CURRENT_OPTIONS.get()
        if not (out_sharding is precision is preferred_element_type is None):
            options = with_backend_kwargs(
                options, out_sharding=out_sharding, precision=precision, preferred_element_type=preferred_element_type
            )
        try:
            classes, shapes, dtypes = types_shapes_and_dtypes(tensors)
            call = self._calls["einsum", classes, shapes, dtypes, options]
        except (KeyError, TypeError, AttributeError):
            call = None
        return self._first("einsum", tensors, options=options) if call is None else call(*tensors)

    def __rshift__(self, other: PatternMethods) -> PatternPipeline:
        """First this pattern, then the other, as one."""
        if not isinstance(other, PatternMethods):
            return NotImplemented
        parts: list[Any] = [part.patterns if isinstance(part, PatternPipeline) else (part,) for part in (self, other)]
        return PatternPipeline((*parts[0], *parts[1]))

    @do_not_convert
    def output_shape(self, *shapes: Sequence[Size]) -> tuple[Size, ...]:
        """The shape of the result for tensors of these shapes, in elements; ``None`` is a size that is not known.

        Raises:
            SizeError: a rank or a size does not fit, or cannot be inferred.

        Examples:
            >>> import plait
            >>> halves = plait.compile("b (h p) -> b h p", p=2)
            >>> halves.output_shape((None, 6))
            (None, 3, 2)
            >>> (halves >> plait.compile("b h p -> h (p b)")).output_shape((None, 6))
            (3, None)
        """
        from plait._executor.pipeline import output_shape

        found: Any = output_shape(self._stages, shapes)
        return found

    def _first(self, operation: str, tensors: tuple[Any, ...], reduction: Any = "", options: Any = None) -> Any:
        """A call that has not been made, or cannot be kept, by the one pattern; a pipeline overrides it."""
        return self._call_stage(self._stages[0], operation, tensors, reduction, options)

    def _traced(self, operation: str, tensors: tuple[Any, ...], reduction: Any = "", options: Any = None) -> Any:
        """A call that Dynamo follows; a pipeline overrides it."""
        text, sizes = self._stages[0]
        return call_under_dynamo(operation, tensors, text, dict(sizes), reduction, options, is_method=True)

    def _call_stage(
        self, stage: PatternStage, operation: str, tensors: tuple[Any, ...], reduction: Any, options: Any
    ) -> Any:
        """A call by one pattern, which is kept if it can be."""
        text, sizes = stage[0], dict(stage[1])
        key = _key(operation, tensors, reduction, options)
        try:
            entry = None if key is None else lookup(operation, text, *key[1:], **sizes)
        except TypeError:  # the arguments make no key
            entry = None
        if entry is None:
            return call_uncached(operation, tensors, text, sizes, reduction, options)
        call = entry.build()
        self._keep(key, call)
        return call(*tensors)

    def _keep(self, key: Any, call: Callable[..., Any]) -> None:
        if len(self._calls) >= CALLS:
            self._calls.clear()
        self._calls[key] = call

    def __eq__(self, other: object) -> bool:
        return self._value() == other._value() if isinstance(other, PatternMethods) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._value())

    def _value(self) -> tuple[Any, ...]:
        """What makes two equal: the order of sizes does not."""
        return type(self), *[(text, frozenset(sizes)) for text, sizes in self._stages]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a {type(self).__name__} is immutable; {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a {type(self).__name__} is immutable; {name} cannot be deleted")


def _key(operation: str, tensors: Any, reduction: Any, options: Any) -> tuple[Any, ...] | None:
    """Under what a method looks its call up; the cache of all calls has the pattern behind the operation."""
    if operation == "view":
        return None
    try:
        key = (operation, *lookup_arguments(operation, *types_shapes_and_dtypes(tensors), reduction, options))
        hash(key)
    except (TypeError, AttributeError):
        return None
    return key


@do_not_convert
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
        >>> import numpy as np, plait
        >>> heads = plait.compile("b t (h d) -> b h t d", h=8)
        >>> heads.rearrange(np.zeros((2, 5, 64))).shape
        (2, 8, 5, 8)
    """
    return Pattern(pattern, sizes)


class Pattern(PatternMethods):
    """A pattern with the sizes of some of its axes. Immutable, hashable, picklable; made by `compile`.

    A call looks in a dictionary of this pattern, which is faster than the cache of all calls.

    Attributes:
        text: the pattern, in canonical form.

    Examples:
        >>> import numpy as np, plait
        >>> patches = plait.compile("(h p) (w q) c -> (h w) (p q c)", p=16, q=16)
        >>> patches.output_shape((64, 96, 3))
        (24, 768)
    """

    __slots__ = ("text",)

    text: str

    def __init__(self, pattern: str, sizes: dict[str, Any]) -> None:
        from plait._executor.compile import normalize_pattern

        text, checked = normalize_pattern(pattern, sizes)
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "_stages", ((text, tuple(checked.items())),))
        object.__setattr__(self, "_calls", {})

    @property
    def sizes(self) -> dict[str, int]:
        """The given sizes, by name, in elements; a copy."""
        return dict(self._stages[0][1])

    @do_not_convert
    def inverse(self, /, **sizes: Any) -> Pattern:
        """The pattern that leads back.

        Args:
            sizes: sizes, in elements, that the way back cannot infer: of a merged dimension all but one.

        Raises:
            AxisError: several tensors went in, or a size names no axis.

        Examples:
            >>> import plait
            >>> plait.compile("b c h w -> b (h w c)", c=3).inverse(h=4)
            plait.compile('b (h w c) -> b c h w', c=3, h=4)
        """
        from plait._executor.pipeline import invert_pattern

        return Pattern(*invert_pattern(self.text, self.sizes, sizes))

    @do_not_convert
    def explain(self, *shapes: Sequence[int]) -> Explanation:
        """`plait.explain` with this pattern."""
        from plait._explain.explanation import explain

        return explain(self.text, *shapes, **self.sizes)

    @do_not_convert
    def source(self, framework: str, *ranks: int, operation: str | None = None, reduction: str | None = None) -> str:
        '''The pattern as a function in plain framework code, for tensors of any sizes, which needs plait no more.

        It checks that the sizes fit, as plait does. Those of this pattern are defaults of its keyword arguments; what
        else cannot be inferred are keyword arguments that must be given. Of other elements than floats of 32 bits and
        more it makes what the framework's own functions make of them.

        Args:
            framework: its name, such as ``torch``, ``jax`` or ``array_api``; it need not be installed.
            ranks: the rank of each tensor.
            operation: the name of the method; by default what `plait.explain` reads off the pattern.
            reduction: of a ``reduce``, its name.

        Returns:
            Import lines, if the framework needs any, and one function.

        Raises:
            PlaitError: a name is not known, or the pattern does not fit the operation or the ranks.

        Examples:
            >>> import plait
            >>> print(plait.compile("b (h 2) c -> b h c").source("numpy", 3, reduction="max"))
            import numpy as np
            <BLANKLINE>
            <BLANKLINE>
            def reduce(tensor):
                """b (h 2) c -> b h c"""
                b, d1, c = tensor.shape
                if d1 % 2:
                    raise ValueError(f"d1 is {d1}, which 2 does not divide")
                h = d1 // 2
                tensor = np.reshape(tensor, (b, h, 2, c))
                return np.max(tensor, axis=2)
            <BLANKLINE>
        '''
        from plait._executor.source import generate_source

        return generate_source(framework, self.text, ranks, self.sizes, operation, reduction)

    def __reduce__(self) -> tuple[Any, ...]:
        return Pattern, (self.text, self.sizes)

    def __repr__(self) -> str:
        sizes = "".join(f", {name}={size}" for name, size in self.sizes.items())
        return f"plait.compile({self.text!r}{sizes})"


class PatternPipeline(PatternMethods):
    """Patterns one after the other. Immutable, hashable, picklable; made by ``>>``.

    For every new shape the patterns become one, in terms of the factors that the axes of both are made of, and what is
    between them is never written. Where there are no such factors, or sizes are not known, they run in turn.

    The method that is called says what the whole is: each pattern of a `rearrange` rearranges; of a `repeat` some add
    axes; of a `reduce` some lose axes, all by the same reduction. In an `einsum` the result of a pattern is the first
    tensor of the next, which takes its others from the arguments that are left.

    Attributes:
        patterns: the patterns, from the first to the last.

    Raises:
        SizeError: a pattern does not fit what the one before it gives.

    Examples:
        >>> import numpy as np, plait
        >>> image = plait.compile("b (h w) c -> b c h w", h=8)
        >>> pooled = image >> plait.compile("b c (h 2) (w 2) -> b c (h w)")
        >>> pooled.reduce(np.ones((5, 96, 3)), "max").shape
        (5, 3, 24)
        >>> (image >> image.inverse(w=12)).explain((5, 96, 3))
        plait.compile('b (h w) c -> b c h w', h=8) >> plait.compile('b c h w -> b (h w) c', h=8, w=12)
        rearrange  b h_w c -> b h_w c
          input    5 96 3   b h_w c
          output   5 96 3   b h_w c
    """

    __slots__ = ("patterns",)

    patterns: tuple[Pattern, ...]

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        from plait._executor.pipeline import check_stages

        stages = tuple([stage for pattern in patterns for stage in pattern._stages])
        check_stages(stages)
        object.__setattr__(self, "patterns", tuple(patterns))
        object.__setattr__(self, "_stages", stages)
        object.__setattr__(self, "_calls", {})

    @do_not_convert
    def inverse(self, /, **sizes: Any) -> PatternPipeline:
        """The patterns that lead back, from the last to the first.

        Args:
            sizes: sizes, in elements, that the way back cannot infer; each for every pattern that has the name.

        Raises:
            AxisError: several tensors went in, or a size names no axis.
            SizeError: a size is missing.

        Examples:
            >>> import plait
            >>> (plait.compile("b h w -> b (h w)") >> plait.compile("b n -> n b")).inverse(w=3)
            plait.compile('n b -> b n') >> plait.compile('b (h w) -> b h w', w=3)
        """
        from plait._executor.pipeline import distribute_sizes_to_stages

        more = distribute_sizes_to_stages(self._stages, sizes)
        back = [pattern.inverse(**more[place]) for place, pattern in enumerate(self.patterns)]
        return PatternPipeline(back[::-1])

    @do_not_convert
    def explain(self, *shapes: Sequence[int]) -> Explanation:
        """The one plan; or the plan of each pattern, and why they are not one."""
        from plait._explain.explanation import explain_pipeline

        return explain_pipeline(repr(self), self._stages, shapes)

    def _first(self, operation: str, tensors: tuple[Any, ...], reduction: Any = "", options: Any = None) -> Any:
        from plait._executor.pipeline import fuse_stages, stage_operations
        from plait._executor.tensors import stack_lists_of_tensors

        steps = stage_operations(operation, tuple([text for text, _ in self._stages]))
        if operation == "view" and isinstance(tensors[0], (list, tuple)):
            return self.patterns[0].view(*tensors)  # which says that stacking copies
        tensors = tuple(stack_lists_of_tensors(tensors))
        found = fuse_stages(operation, self._stages, tensors, reduction)
        segments = () if found is None else found.segments
        if len(segments) == 1 and segments[0].step.operation == operation:
            try:
                return self._call_stage(segments[0].stage, operation, tensors, reduction, options)
            except PlaitError:
                if operation == "view":  # of the whole: the patterns need not be views themselves
                    raise
                segments = ()
        # without segments sizes are not known, or there is a mistake: each pattern says it in the caller's own words
        call = in_turn(segments or list(zip(steps, self._stages, strict=True)), reduction, options)
        result = call(*tensors)
        key = _key(operation, tensors, reduction, options) if segments else None
        if key is not None and not callable(reduction):  # a callable must not be kept with all that it holds
            self._keep(key, call)
        return result

    def _traced(self, operation: str, tensors: tuple[Any, ...], reduction: Any = "", options: Any = None) -> Any:
        from plait._executor.pipeline import run_stages

        steps = stage_operations_under_dynamo(operation, tuple([pattern.text for pattern in self.patterns]))

        def run(number: int, tensors: tuple[Any, ...]) -> Any:
            return self.patterns[number]._traced(steps[number][0], tensors, reduction, options)

        return run_stages([count for _, count in steps], tensors, run)

    def __reduce__(self) -> tuple[Any, ...]:
        return PatternPipeline, (self.patterns,)

    def __repr__(self) -> str:
        return " >> ".join([repr(pattern) for pattern in self.patterns])


@clearable_lru_cache(maxsize=256)
def _pattern(stage: PatternStage) -> Pattern:
    """A pattern that is called with others in turn."""
    text, sizes = stage
    return Pattern(text, dict(sizes))


def in_turn(
    parts: Sequence[tuple[StageOperation, PatternStage]], reduction: Any, options: EinsumOptions | None
) -> Callable[..., Any]:
    """A function that calls one pattern after the other, each on what the one before gave."""
    kwargs = dict(options.backend_kwargs) if options else {}
    calls = []
    for number, ((operation, count), stage) in enumerate(parts, 1):
        method = getattr(_pattern(stage), operation)
        if operation == "reduce":
            method = partial(method, reduction=reduction)
        elif kwargs:
            method = partial(method, **(kwargs if number == len(parts) else without_out_sharding(kwargs)))
        calls.append((method, count))
    *before, (last, _) = calls

    def run(*tensors: Any) -> Any:
        for method, count in before:
            tensors = (method(*tensors[:count]), *tensors[count:])
        return last(*tensors)

    return run
