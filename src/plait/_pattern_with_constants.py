"""Patterns of which some operands are constant, so that what is constant is contracted once."""

from __future__ import annotations

import weakref
from _thread import allocate_lock
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from plait._api import import_type
from plait._caches import register_clear_function
from plait._executor.cache import types_shapes_and_dtypes
from plait._executor.constants import build_call_with_constants, check_constants, version_functions
from plait._executor.dynamo import call_under_dynamo
from plait._executor.einsum_forms import CLASSICAL_EINSUM
from plait._executor.options import CURRENT_OPTIONS, options_with_backend_kwargs
from plait._executor.tensors import shape_of_tensor
from plait._executor.tracer_hooks import do_not_convert, dynamo_method_substitute
from plait._executor.uncached_dispatch import convert_error_for_caller
from plait._shapes.sizes import format_shape
from plait.errors import PlaitError, make_error, shorten_traceback

if TYPE_CHECKING:
    from typing import overload

    from plait._explain.explanation import Explanation
    from plait._types import JaxArray, Reshapable, Result
else:  # as in `plait._api`
    from plait._api import overload

    Explanation = f"{import_type.__name__}('Explanation')"

MAX_CALLS_PER_PATTERN = 64
"""The largest number of calls that one pattern with constants keeps, each with what is contracted for it."""


class _CallWithVersions(NamedTuple):
    """A function of the operands that are not constant, and the versions of the constants when they were contracted.

    Without versions nothing of the constants is kept.
    """

    call: Callable[..., Any]
    versions: tuple[int | None, ...] | None


class _KeptCalls:
    """The calls of one pattern with constants, and what they have contracted once.

    Attributes:
        calls: the calls by types, shapes and element types of the other operands.
        results: the results of constants, which several calls may use, as `build_call_with_constants` keeps them.
        versions: the version of each constant of which there are results, by its place.
    """

    __slots__ = ("__weakref__", "calls", "results", "versions")

    def __init__(self) -> None:
        self.calls: dict[Any, _CallWithVersions] = {}
        self.results: dict[Any, Any] = {}
        self.versions: dict[int, int] = {}

    def clear(self) -> None:
        """Forget everything."""
        self.calls.clear()
        self.results.clear()
        self.versions.clear()

    def update_versions(self, versions: Sequence[int | None]) -> None:
        """Forget everything if a constant was written; without a version, nothing is kept of it."""
        known = {place: version for place, version in enumerate(versions) if version is not None}
        if any(self.versions.get(place, version) != version for place, version in known.items()):
            self.clear()
        self.versions.update(known)


_ALL_KEPT_CALLS: weakref.WeakSet[_KeptCalls] = weakref.WeakSet()
"""The calls of all patterns with constants, which `plait.cache_clear` empties."""

_ALL_KEPT_CALLS_LOCK = allocate_lock()
"""Held while the set changes or is copied, which must not happen at the same time."""


@register_clear_function
def _clear_all_kept_calls() -> None:
    """Forget what all patterns with constants have contracted."""
    with _ALL_KEPT_CALLS_LOCK:
        all_kept = [*_ALL_KEPT_CALLS]
    for kept in all_kept:
        kept.clear()


class PatternWithConstants:
    """A pattern of which some operands of `einsum` are constant; `Pattern.with_constants` makes one.

    What depends on constants alone is contracted once, and kept until `plait.cache_clear` is called or the pattern is
    deleted. The contraction path is the one with the lowest estimated time per call; it is chosen for the shapes and
    element types of the other operands. A pattern with constants is immutable, hashable and picklable; two are equal if
    their patterns are equal and their constants are the same objects.

    The elements of a constant must not be written. PyTorch counts writes, and what depends on a tensor is contracted
    anew after it was written; other frameworks cannot tell. A constant that a gradient or a trace follows is an
    operand of each call like any other: a tensor of PyTorch that requires a gradient (unless gradients are disabled), a
    tracer of JAX, a variable of TensorFlow or a tensor that a tape watches. So are all constants where plait cannot
    find out, as on Dask, MLX and frameworks that follow the array API standard.

    Args:
        pattern: The pattern, as `compile` returns it.
        constants: The constant tensors by number of the operand, counted from 0.

    Attributes:
        pattern: The pattern of all operands.

    Raises:
        PlaitError: As `Pattern.with_constants` does.

    Examples:
        >>> import numpy as np, plait
        >>> u, v = np.ones((300, 40)), np.ones((40, 20))
        >>> product = plait.compile("b i, i r, r j -> b j").with_constants({1: u, 2: v})
        >>> product.einsum(np.ones((5, 300))).shape
        (5, 20)
    """

    __slots__ = ("__weakref__", "_constants", "_kept", "_version_functions", "pattern")
    __module__ = "plait"  # so that tracebacks and pickles refer to the public name

    if TYPE_CHECKING:
        pattern: Any
        _constants: tuple[tuple[int, Any], ...]
        _version_functions: tuple[tuple[Callable[[Any], int | None], Any], ...]
        _kept: _KeptCalls

    def __init__(self, pattern: Any, constants: Mapping[int, Any]) -> None:
        checked = check_constants(pattern.text, pattern._equation, pattern.sizes, constants)
        for name, value in (
            ("pattern", pattern),
            ("_constants", tuple(checked.items())),
            ("_version_functions", tuple(version_functions([*checked.values()]))),
            ("_kept", _KeptCalls()),
        ):
            object.__setattr__(self, name, value)
        with _ALL_KEPT_CALLS_LOCK:
            _ALL_KEPT_CALLS.add(self._kept)

    @property
    def constants(self) -> dict[int, Any]:
        """The constant tensors by number of the operand; each access returns a new dictionary."""
        return dict(self._constants)

    @overload
    def einsum(
        self,
        *tensors: JaxArray[Result],
        out_sharding: Any = ...,
        precision: Any = ...,
        preferred_element_type: Any = ...,
    ) -> Result: ...
    @overload
    def einsum(self, *tensors: Reshapable[Result]) -> Result: ...
    @overload
    def einsum(self, *tensors: Any) -> Any: ...
    @dynamo_method_substitute(lambda self, *tensors, **kwargs: self._call_under_dynamo(tensors, kwargs))
    def einsum(
        self, *tensors: Any, out_sharding: Any = None, precision: Any = None, preferred_element_type: Any = None
    ) -> Any:
        """Apply `plait.einsum` to the constants and the remaining tensors.

        Args:
            tensors: The tensors that are not constant, in the order of the pattern.
            out_sharding: For JAX only, the sharding of the result, as for `plait.einsum`.
            precision: For JAX only, the ``precision`` of `jax.numpy.einsum`. With one of these three arguments, all
                operands are contracted at each call.
            preferred_element_type: For JAX only, the element type in which products are summed.

        Returns:
            A tensor with a dimension for each item on the right side. The caller may write into it.

        Raises:
            AxisError: PLT202, the number of tensors is not the number of operands that are not constant.
            PlaitError: As `plait.einsum` does.

        Examples:
            >>> import numpy as np, plait
            >>> scale = plait.compile("i, i j -> i j").with_constants({0: np.array([1, 10])})
            >>> scale.einsum(np.array([[1, 2], [3, 4]]))
            array([[ 1,  2],
                   [30, 40]])
        """
        options = CURRENT_OPTIONS.get()
        if not (out_sharding is precision is preferred_element_type is None):
            options = options_with_backend_kwargs(
                options, out_sharding=out_sharding, precision=precision, preferred_element_type=preferred_element_type
            )
        key: Any = None
        call: Any = None
        try:
            versions = tuple([version(constant) for version, constant in self._version_functions])
            key = (*(types_shapes_and_dtypes(tensors) if tensors else ()), options, _which_are_none(versions))
            found = self._kept.calls.get(key)
            if found is not None and (found.versions is None or found.versions == versions):
                call = found.call
        except Exception:  # these make no key
            key = None
        try:
            return self._call_on_cache_miss(tensors, options, key) if call is None else call(*tensors)
        except Exception as error:
            error = convert_error_for_caller(error, "einsum", tensors, self.pattern.text, self.pattern.sizes)
            if not isinstance(error, PlaitError):
                raise
            raise error from error.__cause__

    def _call_on_cache_miss(self, tensors: tuple[Any, ...], options: Any, key: Any) -> Any:
        """Make a call, and keep its function if there can be a key."""
        operands = self._merge(tensors)
        built = None if key is None else self._build_call(operands, options)
        if built is None:
            return self._call_plainly(options, *tensors)
        if len(self._kept.calls) >= MAX_CALLS_PER_PATTERN:
            self._kept.clear()
        self._kept.calls[key] = built
        return built.call(*tensors)

    def _build_call(self, operands: list[Any], options: Any) -> _CallWithVersions | None:
        """Return the function of a call; ``None`` if the plain call must tell what is wrong."""
        versions = tuple([version(constant) for version, constant in self._version_functions])
        self._kept.update_versions(versions)
        pairs = zip(self._constants, versions, strict=True)
        kept = tuple([number for (number, _), version in pairs if version is not None])
        try:
            call = build_call_with_constants(
                *self._form_and_text(), self.pattern.sizes, operands, kept, options, self._kept.results
            )
        except (PlaitError, TypeError):  # no operands of this pattern, or no key of a cache
            return None
        if call is None:
            return _CallWithVersions(lambda *tensors: self._call_plainly(options, *tensors), None)
        if len(kept) == len(self._constants):
            return _CallWithVersions(call, versions)
        others = [number for number in range(len(operands)) if number not in kept]

        def call_with_other_constants(*tensors: Any) -> Any:
            merged = self._merge(tensors)
            return call(*[merged[number] for number in others])

        return _CallWithVersions(call_with_other_constants, versions)

    def _form_and_text(self) -> tuple[str, str]:
        """Return the form of the einsum, and its pattern or equation."""
        equation = self.pattern._equation
        return ("einsum", self.pattern.text) if equation is None else (CLASSICAL_EINSUM, equation)

    def _call_plainly(self, options: Any, *tensors: Any) -> Any:
        """Make a call in which all operands are contracted."""
        kwargs = {} if options is None else dict(options.backend_kwargs)
        return self.pattern.einsum(*self._merge(tensors), **kwargs)

    def _call_under_dynamo(self, tensors: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a call while Dynamo traces: the constants are operands like all others."""
        form, text = self._form_and_text()
        options = options_with_backend_kwargs(None, **kwargs)
        return call_under_dynamo(form, self._merge(tensors), text, self.pattern.sizes, options=options, is_method=True)

    def _merge(self, given: Sequence[Any]) -> list[Any]:
        """Return one item for each operand: of the constants themselves, of the other operands what is given."""
        merged = [*given]
        for number, constant in self._constants:  # in ascending order
            merged.insert(number, constant)
        count = self.pattern.text.partition("->")[0].count(",") + 1
        if len(merged) != count:
            left = count - len(self._constants)
            fixed = ", ".join([str(number) for number, _ in self._constants]) or "none"
            message = (
                f"the pattern has {count} tensor{'s' * (count != 1)}, of which {left} {'is' if left == 1 else 'are'} "
                f"not constant, but einsum was given {len(given)}"
            )
            raise make_error("PLT202", message, self.pattern.text, facts={"constant": fixed})
        return merged

    @do_not_convert
    def output_shape(self, *shapes: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the shape of the result for tensors of these shapes; no tensor is needed.

        Args:
            shapes: For each operand that is not constant its shape, in elements, with ``None`` for each length that is
                not known.

        Returns:
            The shape of the result, in elements, with ``None`` for each length that cannot be computed.

        Raises:
            PlaitError: As `Pattern.output_shape` does.

        Examples:
            >>> import numpy as np, plait
            >>> plait.compile("b i, i j -> b j").with_constants({1: np.ones((3, 4))}).output_shape((None, 3))
            (None, 4)
        """
        constants = dict(self._constants)
        try:
            merged = [
                tuple(shape_of_tensor(shape)) if number in constants else shape
                for number, shape in enumerate(self._merge(shapes))
            ]
        except PlaitError as error:
            raise shorten_traceback(error) from error.__cause__
        found: tuple[int | None, ...] = self.pattern.output_shape(*merged)
        return found

    @do_not_convert
    def explain(self, *shapes: Any) -> Explanation:
        """Return the steps that are taken once, and those that each call takes.

        Args:
            shapes: For each operand that is not constant its shape, in elements, or the tensor itself.

        Returns:
            An object that prints the steps; its ``costs`` are those of a call.

        Raises:
            PlaitError: As `plait.explain` does.

        Examples:
            >>> import numpy as np, plait
            >>> u, v = np.ones((30, 20)), np.ones((20, 3))
            >>> plait.compile("b i, i r, r j -> b j").with_constants({1: u, 2: v}).explain((50, 30))
            einsum  b i, i r, r j -> b j   constant: tensors 1, 2
            once:
            einsum  i r, r j -> i j
              tensor 0   30 20   i r
              tensor 1   20 3    r j
              matmul     30 3    i j   3,600 FLOPs
              output     30 3    i j
              path (0, 1)   3,600 FLOPs   reads 2,640 bytes, writes 360 (float32)   about 1.1 µs
            each call:
            einsum  b i, i j -> b j
              tensor 0   50 30   b i
              tensor 1   30 3    i j
              matmul     50 3    b j   9,000 FLOPs
              output     50 3    b j
              path (0, 1)   9,000 FLOPs   reads 6,360 bytes, writes 600 (float32)   about 1.5 µs
        """
        from plait._explain.explanation import explain_with_constants

        pattern = self.pattern
        try:
            return explain_with_constants(
                pattern.text, pattern._equation, pattern.sizes, self._merge(shapes), dict(self._constants)
            )
        except PlaitError as error:
            raise shorten_traceback(error) from error.__cause__

    def __rshift__(self, other: object) -> Any:
        return _refuse_sequence(self)

    def __rrshift__(self, other: object) -> Any:
        return _refuse_sequence(self)

    def __eq__(self, other: object) -> bool:
        return (
            self._equality_key() == other._equality_key() if isinstance(other, PatternWithConstants) else NotImplemented
        )

    def __hash__(self) -> int:
        return hash(self._equality_key())

    def _equality_key(self) -> tuple[Any, ...]:
        """Return the pattern, and the identities of the constants by number."""
        return self.pattern, tuple([(number, id(constant)) for number, constant in self._constants])

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a PatternWithConstants is immutable; {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a PatternWithConstants is immutable; {name} cannot be deleted")

    def __reduce__(self) -> tuple[Any, ...]:
        return PatternWithConstants, (self.pattern, self.constants)

    def __repr__(self) -> str:
        texts = [
            f"{number}: <{type(constant).__name__} {format_shape(shape_of_tensor(constant))}>"
            for number, constant in self._constants
        ]
        return f"{self.pattern!r}.with_constants({{{', '.join(texts)}}})"


def _which_are_none(versions: tuple[int | None, ...]) -> Any:
    """Return which constants cannot be kept now; ``None`` if all can."""
    return tuple([version is None for version in versions]) if None in versions else None


def _refuse_sequence(pattern: PatternWithConstants) -> Any:
    """Raise the error for a pattern with constants in a sequence of patterns."""
    message = "a pattern with constants cannot be in a sequence; call its einsum, and pass on the result"
    raise make_error("PLT215", message, pattern.pattern.text)
