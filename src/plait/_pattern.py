"""Patterns that are parsed once, and pipelines of them, as ``re.compile`` parses a regular expression once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, SupportsIndex

from plait._api import import_type
from plait._caches import clearable_lru_cache, register_callables
from plait._executor.cache import lookup, lookup_arguments, types_shapes_and_dtypes
from plait._executor.dynamo import call_pattern, call_under_dynamo, operations_by_stage_under_dynamo
from plait._executor.einsum_forms import CLASSICAL_EINSUM
from plait._executor.options import (
    CURRENT_OPTIONS,
    kwargs_without_out_sharding,
    options_with_backend_kwargs,
    ranks_may_be_limited,
)
from plait._executor.options import options as set_options
from plait._executor.tracer_hooks import do_not_convert, dynamo_method_substitute
from plait._executor.uncached_dispatch import call_uncached, convert_error_for_caller
from plait.errors import PlaitError, shorten_traceback

if TYPE_CHECKING:
    from typing import overload

    from plait._executor.einsum_options import OptionValues
    from plait._executor.pipeline import OperationAndOperandCount, PatternAndSizes
    from plait._explain.explanation import Explanation
    from plait._pattern_with_constants import PatternWithConstants
    from plait._types import JaxArray, OneOrSeveral, OtherResult, Reduction, Reshapable, Result, Tensor
else:  # as in `plait._api`
    from plait._api import overload

    Explanation = f"{import_type.__name__}('Explanation')"
    PatternWithConstants = "import_pattern_with_constants()"
    Reduction = f"{import_type.__name__}('Reduction')"
    PatternAndSizes = tuple

MAX_CALLABLES_PER_PATTERN = 256
"""The largest number of callables that one pattern keeps, each for an operation, shapes and types of tensors."""


def import_pattern_with_constants() -> Any:
    """Return the class `PatternWithConstants`; the annotation of the method that makes one calls it when evaluated."""
    from plait._pattern_with_constants import PatternWithConstants

    return PatternWithConstants


class PatternMethods:
    """The operations as methods of a pattern or of a pipeline. Immutable."""

    # without `__slots__`, which the Dynamo of some releases before torch 2.8 does not read
    _callables: dict[Any, Callable[..., Any]]
    _stages: tuple[PatternAndSizes, ...]

    @overload
    def rearrange(self, tensor: OneOrSeveral[Result]) -> Result: ...
    @overload
    def rearrange(self, tensor: Sequence[Tensor]) -> Tensor: ...
    @overload
    def rearrange(self, tensor: Tensor) -> Tensor: ...
    @dynamo_method_substitute(lambda self, tensor: call_pattern("rearrange", self, tensor))
    def rearrange(self, tensor: Any) -> Any:
        """Apply `plait.rearrange` with this pattern and its sizes.

        Args:
            tensor: A tensor of any framework, or a list or tuple of tensors of one shape.

        Returns:
            A tensor with a dimension for each item on the right side.

        Raises:
            PlaitError: As `plait.rearrange` does.

        Examples:
            >>> import numpy as np, plait
            >>> plait.compile("b (h p) -> h (b p)", p=2).rearrange(np.zeros((3, 8))).shape
            (4, 6)
        """
        try:
            call = self._callables["rearrange", tensor.__class__, tensor.shape]
        except Exception:  # not called with these yet, or they make no key
            call = None
        try:
            return self._call_on_cache_miss("rearrange", (tensor,)) if call is None else call(tensor)
        except Exception as error:
            error = convert_error_for_caller(error, "rearrange", (tensor,), *self._text_and_sizes())
            if not isinstance(error, PlaitError):
                raise
            raise error from error.__cause__

    @overload
    def view(self, tensor: Reshapable[Result]) -> Result: ...
    @overload
    def view(self, tensor: Tensor) -> Tensor: ...
    @dynamo_method_substitute(lambda self, tensor: call_pattern("view", self, tensor))
    def view(self, tensor: Any) -> Any:
        """Apply `plait.view` with this pattern and its sizes.

        Args:
            tensor: A tensor of a framework that has views, such as NumPy or PyTorch.

        Returns:
            A tensor with a dimension for each item on the right side, which shares the memory of the input.

        Raises:
            PlaitError: As `plait.view` does.

        Examples:
            >>> import numpy as np, plait
            >>> x = np.zeros((3, 8))
            >>> plait.compile("b (h p) -> p h b", p=2).view(x).base is x
            True
        """
        try:
            return self._call_on_cache_miss("view", (tensor,))
        except Exception as error:
            error = convert_error_for_caller(error, "view", (tensor,), *self._text_and_sizes())
            if not isinstance(error, PlaitError):
                raise
            raise error from error.__cause__

    @overload
    def reduce(self, tensor: OneOrSeveral[Result], reduction: Reduction) -> Result: ...
    @overload
    def reduce(self, tensor: Sequence[Tensor], reduction: Reduction) -> Tensor: ...
    @overload
    def reduce(self, tensor: Tensor, reduction: Reduction) -> Tensor: ...
    @dynamo_method_substitute(lambda self, tensor, reduction: self._call_under_dynamo("reduce", (tensor,), reduction))
    def reduce(self, tensor: Any, reduction: Reduction) -> Any:
        """Apply `plait.reduce` with this pattern and its sizes.

        Args:
            tensor: A tensor of any framework, or a list or tuple of tensors of one shape.
            reduction: A name such as ``"mean"``, or a function ``f(tensor, axes)``, as for `plait.reduce`.

        Returns:
            A tensor with a dimension for each item on the right side.

        Raises:
            PlaitError: As `plait.reduce` does.

        Examples:
            >>> import numpy as np, plait
            >>> plait.compile("b (h p) -> b h", p=2).reduce(np.ones((3, 8)), "sum").shape
            (3, 4)
        """
        try:
            call = self._callables["reduce", tensor.__class__, tensor.shape, reduction, tensor.dtype]
        except Exception:  # not called with these yet, or they make no key
            call = None
        try:
            return self._call_on_cache_miss("reduce", (tensor,), reduction) if call is None else call(tensor)
        except Exception as error:
            error = convert_error_for_caller(error, "reduce", (tensor,), *self._text_and_sizes())
            if not isinstance(error, PlaitError):
                raise
            raise error from error.__cause__

    @overload
    def repeat(self, tensor: OneOrSeveral[Result]) -> Result: ...
    @overload
    def repeat(self, tensor: Sequence[Tensor]) -> Tensor: ...
    @overload
    def repeat(self, tensor: Tensor) -> Tensor: ...
    @dynamo_method_substitute(lambda self, tensor: call_pattern("repeat", self, tensor))
    def repeat(self, tensor: Any) -> Any:
        """Apply `plait.repeat` with this pattern and its sizes.

        Args:
            tensor: A tensor of any framework, or a list or tuple of tensors of one shape.

        Returns:
            A tensor with a dimension for each item on the right side.

        Raises:
            PlaitError: As `plait.repeat` does.

        Examples:
            >>> import numpy as np, plait
            >>> plait.compile("h w -> h w c", c=3).repeat(np.zeros((2, 4))).shape
            (2, 4, 3)
        """
        try:
            call = self._callables["repeat", tensor.__class__, tensor.shape]
        except Exception:  # not called with these yet, or they make no key
            call = None
        try:
            return self._call_on_cache_miss("repeat", (tensor,)) if call is None else call(tensor)
        except Exception as error:
            error = convert_error_for_caller(error, "repeat", (tensor,), *self._text_and_sizes())
            if not isinstance(error, PlaitError):
                raise
            raise error from error.__cause__

    @overload
    def einsum(self, first: Reshapable[Result], second: Reshapable[OtherResult], /) -> Result | OtherResult: ...
    @overload
    def einsum(self, tensor: Reshapable[Result], /, *tensors: Reshapable[Result]) -> Result: ...
    @overload
    def einsum(
        self,
        tensor: JaxArray[Result],
        /,
        *tensors: JaxArray[Result],
        out_sharding: Any = ...,
        precision: Any = ...,
        preferred_element_type: Any = ...,
    ) -> Result: ...
    @overload
    def einsum(self, first: Result, second: OtherResult, /) -> Result | OtherResult: ...
    @overload
    def einsum(self, tensor: Any, /, *tensors: Any) -> Any: ...
    @dynamo_method_substitute(
        lambda self, *tensors, **kwargs: self._call_under_dynamo(
            "einsum", tensors, options=options_with_backend_kwargs(None, **kwargs)
        )
    )
    def einsum(
        self, *tensors: Any, out_sharding: Any = None, precision: Any = None, preferred_element_type: Any = None
    ) -> Any:
        """Apply `plait.einsum` with this pattern and its sizes, in the named form.

        Args:
            tensors: A tensor for each part of the left side, all of one framework.
            out_sharding: For JAX only, the sharding of the result, as for `plait.einsum`.
            precision: For JAX only, the ``precision`` of `jax.numpy.einsum`.
            preferred_element_type: For JAX only, the element type in which products are summed.

        Returns:
            A tensor with a dimension for each item on the right side.

        Raises:
            PlaitError: As `plait.einsum` does.

        Examples:
            >>> import numpy as np, plait
            >>> plait.compile("i k, k j -> i j").einsum(np.ones((2, 3)), np.ones((3, 4))).shape
            (2, 4)
        """
        options = CURRENT_OPTIONS.get()
        if not (out_sharding is precision is preferred_element_type is None):
            options = options_with_backend_kwargs(
                options, out_sharding=out_sharding, precision=precision, preferred_element_type=preferred_element_type
            )
        try:
            classes, shapes, dtypes = types_shapes_and_dtypes(tensors)
            call = self._callables["einsum", classes, shapes, dtypes, options]
        except Exception:  # not called with these yet, or they make no key
            call = None
        try:
            return self._call_on_cache_miss("einsum", tensors, options=options) if call is None else call(*tensors)
        except Exception as error:
            error = convert_error_for_caller(error, "einsum", tensors, *self._text_and_sizes())
            if not isinstance(error, PlaitError):
                raise
            raise error from error.__cause__

    def __rshift__(self, other: PatternMethods) -> PatternPipeline:
        """Return a pipeline that applies this pattern first, and then the other.

        Args:
            other: A pattern or a pipeline.

        Returns:
            A pipeline, whose methods apply both in one step if they can be composed.

        Raises:
            SizeError: If the other pattern cannot be applied to the result of this one.

        Examples:
            >>> import plait
            >>> plait.compile("a b -> b a") >> plait.compile("b a -> (b a)")
            plait.compile('a b -> b a') >> plait.compile('b a -> (b a)')
        """
        if not isinstance(other, PatternMethods):
            return NotImplemented
        parts: list[Any] = [part.patterns if isinstance(part, PatternPipeline) else (part,) for part in (self, other)]
        return PatternPipeline((*parts[0], *parts[1]))

    @overload
    def output_shape(self, *shapes: Sequence[int]) -> tuple[int, ...]: ...
    @overload
    def output_shape(self, *shapes: Sequence[int | None]) -> tuple[int | None, ...]: ...
    @do_not_convert
    def output_shape(self, *shapes: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the shape of the result for tensors of these shapes; no tensor is needed.

        Args:
            shapes: For each tensor its shape, in elements, with ``None`` for each length that is not known.

        Returns:
            The shape of the result, in elements, with ``None`` for each length that cannot be computed.

        Raises:
            SizeError: If a rank or a length does not match the pattern.
            AxisError: If the pattern is for another number of tensors.

        Examples:
            >>> import plait
            >>> halves = plait.compile("b (h p) -> b h p", p=2)
            >>> halves.output_shape((None, 6))
            (None, 3, 2)
            >>> (halves >> plait.compile("b h p -> h (p b)")).output_shape((None, 6))
            (3, None)
        """
        try:
            found: Any = self._output_shape(shapes)
        except PlaitError as error:
            raise shorten_traceback(error) from error.__cause__
        return found

    def _output_shape(self, shapes: tuple[Any, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result for tensors of these shapes."""
        from plait._executor.pipeline import output_shape

        return output_shape(self._stages, shapes)

    def _call_on_cache_miss(
        self, operation: str, tensors: tuple[Any, ...], reduction: Any = "", options: Any = None
    ) -> Any:
        """Make a call whose callable is not in the pattern's dictionary; both kinds of patterns define this method."""
        raise NotImplementedError

    def _call_under_dynamo(
        self, operation: str, tensors: tuple[Any, ...], reduction: Any = "", options: Any = None
    ) -> Any:
        """Make a call while Dynamo traces; both kinds of patterns define this method."""
        raise NotImplementedError

    def _call_and_cache(
        self,
        stage: PatternAndSizes,
        operation: str,
        tensors: tuple[Any, ...],
        reduction: Any,
        options: Any,
        form: str | None = None,
    ) -> Any:
        """Make a call by the pattern of one stage, and cache its callable if the arguments can be a key.

        ``form`` is the operation if it is another than the one of the key: the classical form of an einsum.
        """
        text, sizes, form = stage[0], dict(stage[1]), form or operation
        key = _callable_key(operation, tensors, reduction, options)
        try:
            entry = None if key is None else lookup(form, text, *key[1:], **sizes)
        except TypeError:  # the arguments cannot be a key of the cache
            entry = None
        if entry is None:
            return call_uncached(form, tensors, text, sizes, reduction, options)
        could_be_limited = ranks_may_be_limited()
        call = entry.build()
        self._cache_callable(key, call)
        if could_be_limited != ranks_may_be_limited():  # another thread has used ``max_rank`` for the first time
            self._callables.clear()
        return call(*tensors)

    def _text_and_sizes(self) -> tuple[str, dict[str, int]]:
        """Return the text and the sizes, of all stages, for an error."""
        texts, sizes = zip(*self._stages, strict=True)
        return " >> ".join(texts), {name: size for stage_sizes in sizes for name, size in stage_sizes}

    def _cache_callable(self, key: Any, call: Callable[..., Any]) -> None:
        """Add a callable to the dictionary of the pattern, which is emptied first if it is full.

        No lock is needed: each operation on a dictionary is atomic, and several threads exceed the limit by a few at
        most.
        """
        if not self._callables:
            register_callables(self, self._callables)
        elif len(self._callables) >= MAX_CALLABLES_PER_PATTERN:
            self._callables.clear()
        self._callables[key] = call

    def __eq__(self, other: object) -> bool:
        return self._equality_key() == other._equality_key() if isinstance(other, PatternMethods) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._equality_key())

    def _equality_key(self) -> tuple[Any, ...]:
        """Return the key by which patterns are compared; it does not depend on the order of the sizes."""
        return type(self), *[(text, frozenset(sizes)) for text, sizes in self._stages]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a {type(self).__name__} is immutable; {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a {type(self).__name__} is immutable; {name} cannot be deleted")


def _callable_key(operation: str, tensors: Any, reduction: Any, options: Any) -> tuple[Any, ...] | None:
    """Return the key of a call in the dictionary of a pattern, or ``None`` if the call cannot be cached.

    `lookup` takes the same arguments, with the pattern after the operation.
    """
    if operation == "view":
        return None
    try:
        key = (operation, *lookup_arguments(operation, *types_shapes_and_dtypes(tensors), reduction, options))
        hash(key)
    except Exception:  # the call itself reports what is wrong
        return None
    return key


@do_not_convert
def compile(pattern: str, /, **sizes: SupportsIndex) -> Pattern:
    """Parse a pattern once, for many calls.

    Args:
        pattern: A pattern with an arrow, of any operation; or a classical equation of several tensors, such as
            ``"ij,jk->ik"``, whose `einsum` stretches length 1 of a letter. In a sequence it is the pattern that says
            the same, which stretches nothing.
        sizes: The lengths of some of its axes, in elements.

    Returns:
        A pattern that has the operations as methods.

    Raises:
        PatternSyntaxError: If the pattern cannot be parsed or has no arrow.
        AxisError: If a size has the name of no axis.
        SizeError: If a size is not an exact integer.

    Examples:
        >>> import numpy as np, plait
        >>> heads = plait.compile("b t (h d) -> b h t d", h=8)
        >>> heads.rearrange(np.zeros((2, 5, 64))).shape
        (2, 8, 5, 8)
    """
    try:
        return Pattern(pattern, sizes)
    except PlaitError as error:
        raise shorten_traceback(error) from error.__cause__


class Pattern(PatternMethods):
    """A pattern, and the lengths of some of its axes. It is immutable, hashable and picklable; `compile` makes one.

    Each pattern keeps its calls in a dictionary of its own, which is faster than the cache of `plait.rearrange` and
    the other functions.

    Args:
        pattern: A pattern with an arrow, of any operation; or a classical equation of several tensors, such as
            ``"ij,jk->ik"``, whose `einsum` stretches length 1 of a letter. In a sequence it is the pattern that says
            the same, which stretches nothing.
        sizes: The lengths of some of its axes, in elements, by name.

    Attributes:
        text: The pattern in canonical form, with one blank between items; for an equation the one that says the same.

    Raises:
        PlaitError: As `compile` does.

    Examples:
        >>> import numpy as np, plait
        >>> patches = plait.compile("(h p) (w q) c -> (h w) (p q c)", p=16, q=16)
        >>> patches.output_shape((64, 96, 3))
        (24, 768)
    """

    _equation: str | None
    _max_rank: int | None  # of a layer, in place of the one of the options
    text: str

    def __init__(self, pattern: str, sizes: Mapping[str, SupportsIndex]) -> None:
        from plait._executor.compile import normalize_pattern_and_sizes

        text, checked, equation = normalize_pattern_and_sizes(pattern, sizes)
        object.__setattr__(self, "_equation", equation)
        object.__setattr__(self, "_max_rank", None)
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "_stages", ((text, tuple(checked.items())),))
        object.__setattr__(self, "_callables", {})

    @property
    def sizes(self) -> dict[str, int]:
        """The lengths that were given for axes, in elements, by name; each access returns a new dictionary."""
        return dict(self._stages[0][1])

    @do_not_convert
    def inverse(self, /, **sizes: SupportsIndex) -> Pattern:
        """Return the pattern whose `rearrange` undoes the `rearrange` of this one.

        Args:
            sizes: The lengths of axes, in elements, that the inverse cannot compute: for each dimension that this
                pattern merges, all but one.

        Returns:
            A pattern with the two sides exchanged and the sizes that it needs.

        Raises:
            AxisError: If the pattern takes several tensors, or a size has the name of no axis.

        Examples:
            >>> import plait
            >>> plait.compile("b c h w -> b (h w c)", c=3).inverse(h=4)
            plait.compile('b (h w c) -> b c h w', c=3, h=4)
        """
        from plait._executor.pipeline import invert_pattern_and_merge_sizes

        try:
            return Pattern(*invert_pattern_and_merge_sizes(self.text, self.sizes, sizes))
        except PlaitError as error:
            raise shorten_traceback(error) from error.__cause__

    @do_not_convert
    def with_constants(self, constants: Mapping[int, Any]) -> PatternWithConstants:
        """Return this pattern with some operands of its `einsum` fixed, so that what is constant is contracted once.

        Args:
            constants: The constant tensors by number of the operand, counted from 0. Nothing may write into them.

        Returns:
            A pattern whose `einsum` takes the remaining tensors.

        Raises:
            AxisError: PLT218, the pattern has no operand of that number.
            SizeError: If the rank or a length of a constant does not match the pattern.
            BackendError: If plait does not know the framework of a constant.

        Examples:
            >>> import numpy as np, plait
            >>> u, v = np.ones((300, 40)), np.ones((40, 20))
            >>> product = plait.compile("b i, i r, r j -> b j").with_constants({1: u, 2: v})
            >>> product.einsum(np.ones((5, 300))).shape
            (5, 20)
        """
        try:
            pattern: PatternWithConstants = import_pattern_with_constants()(self, constants)
        except PlaitError as error:
            raise shorten_traceback(error) from error.__cause__
        return pattern

    @do_not_convert
    def explain(self, *shapes: Any) -> Explanation:
        """Apply `plait.explain` to this pattern and its sizes.

        Args:
            shapes: For each tensor its shape, in elements, or the tensor itself.

        Returns:
            An object that prints the steps.

        Raises:
            PlaitError: As `plait.explain` does.

        Examples:
            >>> import plait
            >>> plait.compile("a b -> b a").explain((2, 3))
            rearrange  a b -> b a
              input     2 3   a b
              permute   3 2   b a   view
              output    3 2   b a
        """
        from plait._explain.explanation import explain, explain_equation

        if self._max_rank is not None:
            with set_options(max_rank=self._max_rank):
                return pattern_within_rank(self.text, self.sizes, None).explain(*shapes)
        try:
            if self._equation is not None:
                return explain_equation(self._equation, shapes)
            return explain(self.text, *shapes, **self.sizes)
        except PlaitError as error:
            raise shorten_traceback(error) from error.__cause__

    @do_not_convert
    def source(self, framework: str, *ranks: int, operation: str | None = None, reduction: str | None = None) -> str:
        '''Return the source of a function that computes this pattern with the framework alone, without plait.

        The function works for tensors of any lengths and checks that they match, as plait does. Its keyword arguments
        are the sizes: those of this pattern have them as defaults, others that cannot be computed must be given. For
        element types narrower than 32 bits, integers and booleans, its results are those of the framework's functions.

        Args:
            framework: The name of a framework, such as ``"torch"``, ``"jax"`` or ``"array_api"``; it need not be
                installed.
            ranks: The rank of each tensor.
            operation: The name of the method to write; by default the operation that `plait.explain` finds.
            reduction: The name of the reduction, for ``"reduce"`` only.

        Returns:
            Import statements, if the framework needs any, and one function.

        Raises:
            BackendError: If there is no framework of that name, or it has no such operation.
            AxisError: If there is no operation or reduction of that name, or the pattern is not one of the operation.
            SizeError: If a rank does not match the pattern.

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
                    raise ValueError(f"2 does not divide d1 = {d1}")
                h = d1 // 2
                tensor = np.reshape(tensor, (b, h, 2, c))
                return np.max(tensor, axis=2)
            <BLANKLINE>
        '''
        from plait._executor.rank_limit import max_rank_of
        from plait._executor.standalone_source import generate_source

        try:
            max_rank = self._max_rank or max_rank_of(None)
            return generate_source(framework, self.text, ranks, self.sizes, operation, reduction, max_rank)
        except PlaitError as error:
            raise shorten_traceback(error) from error.__cause__

    def _call_on_cache_miss(
        self, operation: str, tensors: tuple[Any, ...], reduction: Any = "", options: Any = None
    ) -> Any:
        """Make a call whose callable is not in the pattern's dictionary."""
        if self._max_rank is not None:
            return self._call_within_own_rank(operation, tensors, reduction, options, self._max_rank)
        if self._equation is not None and operation == "einsum":
            return self._call_and_cache(
                (self._equation, ()), operation, tensors, reduction, options, form=CLASSICAL_EINSUM
            )
        return self._call_and_cache(self._stages[0], operation, tensors, reduction, options)

    def _call_within_own_rank(
        self, operation: str, tensors: tuple[Any, ...], reduction: Any, options: Any, max_rank: int
    ) -> Any:
        """Make a call of a layer that has a ``max_rank``, and cache its callable if the arguments can be a key."""
        from plait._executor.compile import build_callable_within_rank
        from plait._executor.einsum_options import options_with_max_rank

        own_options = options_with_max_rank(options, max_rank)
        key = _callable_key(operation, tensors, reduction, options)
        try:
            arguments = None if key is None else (*key[1:-1], own_options) if operation == "einsum" else key[1:]
            if arguments is not None:
                lookup(operation, self.text, *arguments, **self.sizes)  # raises for a call not to be cached
        except TypeError:
            arguments = None
        if arguments is None:
            return call_uncached(operation, tensors, self.text, self.sizes, reduction, own_options)
        tensor_type, shape, *extra_key = arguments
        call = build_callable_within_rank(
            operation, self.text, tensor_type, shape, tuple(extra_key), self.sizes, max_rank
        )
        self._cache_callable(key, call)
        return call(*tensors)

    def _call_under_dynamo(
        self, operation: str, tensors: tuple[Any, ...], reduction: Any = "", options: Any = None
    ) -> Any:
        """Make a call while Dynamo traces."""
        text, sizes = self._stages[0]
        if self._equation is not None and operation == "einsum":
            operation, text = CLASSICAL_EINSUM, self._equation
        return call_under_dynamo(
            operation, tensors, text, dict(sizes), reduction, options, is_method=True, max_rank=self._max_rank
        )

    def _output_shape(self, shapes: tuple[Any, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result for tensors of these shapes."""
        from plait._executor.pipeline import output_shape

        return output_shape(self._stages, shapes, self._equation)

    def _equality_key(self) -> tuple[Any, ...]:
        """Return the key by which patterns are compared; an equation is not the pattern that says the same."""
        return (*super()._equality_key(), self._equation, self._max_rank)

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = self._equation or self.text, self.sizes
        return (Pattern, arguments) if self._max_rank is None else (pattern_within_rank, (*arguments, self._max_rank))

    def __repr__(self) -> str:
        sizes = "".join(f", {name}={size}" for name, size in self.sizes.items())
        limit = "" if self._max_rank is None else f" with max_rank={self._max_rank}"
        return f"plait.compile({self._equation or self.text!r}{sizes}){limit}"


def pattern_within_rank(pattern: str, sizes: Mapping[str, SupportsIndex], max_rank: int | None) -> Pattern:
    """Return a pattern, as of a layer, whose operations plan no tensor above a rank, whatever the options are."""
    limited = Pattern(pattern, sizes)
    object.__setattr__(limited, "_max_rank", max_rank)
    return limited


class PatternPipeline(PatternMethods):
    """Patterns that are applied one after the other. It is immutable, hashable and picklable; ``>>`` makes one.

    For each new shape plait composes the patterns into one, so that no intermediate result is computed. Patterns that
    cannot be composed, because they split an axis in different ways or a length is not known, are applied in turn.

    The method decides what each pattern does. In `rearrange` all of them rearrange; in `repeat` some add axes; in
    `reduce` some drop axes, all with the same reduction. In `einsum` the result of a pattern is the first tensor of
    the next, which takes its other tensors from the remaining arguments.

    Args:
        patterns: The patterns, the one that is applied first in front.

    Attributes:
        patterns: The patterns, the one that is applied first in front.

    Raises:
        SizeError: If a pattern cannot be applied to the result of the one before it.

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

    patterns: tuple[Pattern, ...]

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        from plait._executor.pipeline import check_stages

        stages = tuple([stage for pattern in patterns for stage in pattern._stages])
        check_stages(stages)
        object.__setattr__(self, "patterns", tuple(patterns))
        object.__setattr__(self, "_stages", stages)
        object.__setattr__(self, "_callables", {})

    @do_not_convert
    def inverse(self, /, **sizes: SupportsIndex) -> PatternPipeline:
        """Return the pipeline of the inverse patterns, in the opposite order.

        Args:
            sizes: The lengths of axes, in elements, that the inverse cannot compute; each goes to every pattern that
                has an axis of that name.

        Returns:
            A pipeline whose `rearrange` undoes the `rearrange` of this one.

        Raises:
            AxisError: If a pattern takes several tensors, or a size has the name of no axis.
            SizeError: If a size that is needed is missing.

        Examples:
            >>> import plait
            >>> (plait.compile("b h w -> b (h w)") >> plait.compile("b n -> n b")).inverse(w=3)
            plait.compile('n b -> b n') >> plait.compile('b (h w) -> b h w', w=3)
        """
        from plait._executor.pipeline import distribute_sizes_to_stages

        try:
            more = distribute_sizes_to_stages(self._stages, sizes)
            back = [pattern.inverse(**more[place]) for place, pattern in enumerate(self.patterns)]
        except PlaitError as error:
            raise shorten_traceback(error) from error.__cause__
        return PatternPipeline(back[::-1])

    @do_not_convert
    def explain(self, *shapes: Any) -> Explanation:
        """Return the steps of the composed pattern; or the steps of each, and why they cannot be composed.

        Args:
            shapes: For each tensor its shape, in elements, or the tensor itself.

        Returns:
            An object that prints the steps.

        Raises:
            PlaitError: If the operation itself would raise one for tensors of these shapes.

        Examples:
            >>> import plait
            >>> (plait.compile("a b -> b a") >> plait.compile("b a -> (b a)")).explain((2, 3))
            plait.compile('a b -> b a') >> plait.compile('b a -> (b a)')
            rearrange  a b -> (b a)
              input     2 3   a b
              permute   3 2   b a     view
              reshape   6     (b a)   copies 6 elements
              output    6     (b a)
        """
        from plait._explain.explanation import explain_pipeline

        try:
            return explain_pipeline(repr(self), self._stages, shapes)
        except PlaitError as error:
            raise shorten_traceback(error) from error.__cause__

    def _call_on_cache_miss(
        self, operation: str, tensors: tuple[Any, ...], reduction: Any = "", options: Any = None
    ) -> Any:
        """Make a call by the fused stages, and cache its callable; if a size is unknown, run each stage in turn."""
        from plait._executor.pipeline import fuse_stages, operations_by_stage
        from plait._executor.tensors import check_there_are_tensors, stack_lists_of_tensors

        check_there_are_tensors(tensors, operation)
        steps = operations_by_stage(operation, tuple([text for text, _ in self._stages]))
        if operation == "view" and isinstance(tensors[0], (list, tuple)):
            return self.patterns[0].view(*tensors)  # raises an error, since stacking copies
        tensors = tuple(stack_lists_of_tensors(tensors))
        found = fuse_stages(operation, self._stages, tensors, reduction)
        fused_stages = () if found is None else found.fused_stages
        if len(fused_stages) == 1 and fused_stages[0].stage_operation.operation == operation:
            try:
                return self._call_and_cache(fused_stages[0].stage, operation, tensors, reduction, options)
            except PlaitError:
                if operation == "view":  # only the composed pattern tells whether a view is possible
                    raise
                fused_stages = ()
        # if sizes are unknown or there is a mistake, no stages are fused, and an error shows the caller's own pattern
        call = chain_pattern_calls(fused_stages or list(zip(steps, self._stages, strict=True)), reduction, options)
        result = call(*tensors)
        key = _callable_key(operation, tensors, reduction, options) if fused_stages else None
        if key is not None and not callable(reduction):  # caching a function keeps alive all objects it refers to
            self._cache_callable(key, call)
        return result

    def _call_under_dynamo(
        self, operation: str, tensors: tuple[Any, ...], reduction: Any = "", options: Any = None
    ) -> Any:
        """Make a call while Dynamo traces, one pattern after the other."""
        from plait._executor.pipeline import run_stages

        steps = operations_by_stage_under_dynamo(operation, tuple([pattern.text for pattern in self.patterns]))

        def run(number: int, tensors: tuple[Any, ...]) -> Any:
            return self.patterns[number]._call_under_dynamo(steps[number][0], tensors, reduction, options)

        return run_stages([count for _, count in steps], tensors, run)

    def __reduce__(self) -> tuple[Any, ...]:
        return PatternPipeline, (self.patterns,)

    def __repr__(self) -> str:
        return " >> ".join([repr(pattern) for pattern in self.patterns])


@clearable_lru_cache(maxsize=256)
def _pattern_of_stage(stage: PatternAndSizes) -> Pattern:
    """Return the pattern of a stage of a pipeline."""
    text, sizes = stage
    return Pattern(text, dict(sizes))


def chain_pattern_calls(
    parts: Sequence[tuple[OperationAndOperandCount, PatternAndSizes]], reduction: Any, options: OptionValues | None
) -> Callable[..., Any]:
    """Return a function that calls the patterns in order, each with the result of the previous one as first tensor."""
    kwargs = dict(options.backend_kwargs) if options else {}
    calls = []
    for number, ((operation, count), stage) in enumerate(parts, 1):
        method = getattr(_pattern_of_stage(stage), operation)
        if operation == "reduce":
            method = partial(method, reduction=reduction)
        elif kwargs:
            method = partial(method, **(kwargs if number == len(parts) else kwargs_without_out_sharding(kwargs)))
        calls.append((method, count))
    *before, (last, _) = calls

    def run(*tensors: Any) -> Any:
        for method, count in before:
            tensors = (method(*tensors[:count]), *tensors[count:])
        return last(*tensors)

    return run
