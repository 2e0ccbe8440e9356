"""The operations as methods, each with a dictionary of its own for the callables of the shapes it has met."""

from __future__ import annotations

from weft.run.cache import compiled, general, keys, listed
from weft.run.follow import followed_as
from weft.run.options import CURRENT, asking

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import weft`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from weft.compiled.composed import Composed
    from weft.compiled.pattern import Pattern
    from weft.run.asking import Asked

CALLS = 256
"""How many callables one pattern keeps: operations, each with a shape and a type."""


def _traced_rearrange(self: Calls, tensor: Any) -> Any:
    return self._traced("rearrange", (tensor,))


def _traced_view(self: Calls, tensor: Any) -> Any:
    return self._traced("view", (tensor,))


def _traced_reduce(self: Calls, tensor: Any, reduction: Any) -> Any:
    return self._traced("reduce", (tensor,), reduction)


def _traced_repeat(self: Calls, tensor: Any) -> Any:
    return self._traced("repeat", (tensor,))


def _traced_einsum(self: Calls, *tensors: Any, **wishes: Any) -> Any:
    return self._traced("einsum", tensors, asked=asking(None, **wishes))


class Calls:
    """What a pattern and a composition of patterns share. Immutable."""

    __slots__ = ("__weakref__", "_calls")

    _calls: dict[Any, Callable[..., Any]]

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
        return self._first("view", (tensor,))

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

    def __rshift__(self, other: Calls) -> Composed:
        """First this pattern, then the other, as one."""
        from weft.compiled.composed import Composed

        if not isinstance(other, Calls):
            return NotImplemented
        return Composed((*self._in_order(), *other._in_order()))

    def _in_order(self) -> tuple[Pattern, ...]:
        """The patterns that this is made of."""
        raise NotImplementedError

    def _first(self, operation: str, tensors: tuple[Any, ...], reduction: Any = "", asked: Asked | None = None) -> Any:
        """A call that has not been made, or cannot be kept."""
        raise NotImplementedError

    def _traced(self, operation: str, tensors: tuple[Any, ...], reduction: Any = "", asked: Asked | None = None) -> Any:
        """A call that Dynamo follows."""
        raise NotImplementedError

    def _called(
        self,
        operation: str,
        tensors: tuple[Any, ...],
        text: str,
        sizes: dict[str, int],
        reduction: Any,
        asked: Asked | None,
    ) -> Any:
        """A call by a pattern that has not made it, or cannot keep it."""
        call: Any = listed(operation, tensors, text, sizes, reduction, asked)
        if call is not None:
            return call(*tensors)
        key: Any = None
        try:
            key, known = key_of(operation, tensors, reduction, asked)
            call = compiled(operation, text, *known, **sizes)
        except (TypeError, AttributeError):
            pass
        if call is None:
            return general(operation, tensors, text, sizes, reduction, asked)
        self._keep(key, call)
        return call(*tensors)

    def _keep(self, key: Any, call: Callable[..., Any]) -> None:
        if len(self._calls) >= CALLS:
            self._calls.clear()
        self._calls[key] = call

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a {type(self).__name__} is immutable; {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a {type(self).__name__} is immutable; {name} cannot be deleted")


def key_of(operation: str, tensors: Any, reduction: Any, asked: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Under what a method looks its call up, and what the cache of all calls is asked with."""
    if operation == "einsum":
        known = keys(tensors)
        return (known, asked), (*known, asked)
    (tensor,) = tensors
    if operation == "reduce":
        key = (reduction, tensor.shape, tensor.__class__, tensor.dtype)
        return key, (type(tensor), tensor.shape, reduction, tensor.dtype)
    return (operation, tensor.shape, tensor.__class__), (type(tensor), tensor.shape)
