"""The way of a call that TorchDynamo follows, as ``torch.compile`` and ``torch.export`` do.

Dynamo reads Python instead of running it, and would guard on every entry of a cache. So each public function tells
it, by an attribute, to follow another one: that one asks for the program as a constant (text, ranks and names are
constants of the trace), and then makes the framework's calls. Nothing is registered with torch, and torch is not
imported; both attributes are inert everywhere else.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import weft`
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

INLINE = "_torchdynamo_inline"
"""Dynamo follows the function under this attribute of a function in its place."""

CONSTANT = "_dynamo_marked_constant"
"""Dynamo runs a function with this attribute while it traces, and takes the result for a constant."""


def followed_as(stand_in: Callable[..., Any]) -> Callable[[F], F]:
    """Decorate a function with the one that Dynamo follows in its place."""

    def decorate(function: F) -> F:
        setattr(function, INLINE, stand_in)
        return function

    return decorate


def constant(function: F) -> F:
    """Decorate a function whose result is a constant of every trace."""
    setattr(function, CONSTANT, True)
    return function


def traced(operation: str, tensors: Sequence[Any], pattern: str, sizes: dict[str, Any], reduction: Any = "") -> Any:
    """Make one call under Dynamo.

    Raises:
        WeftError: something in the call is wrong.
    """
    if any(isinstance(tensor, (list, tuple)) for tensor in tensors):
        backend = backend_for(type(tensors[0][0]))
        tensors = [backend.stack(tensor) if isinstance(tensor, (list, tuple)) else tensor for tensor in tensors]
    for name, value in sizes.items():
        if isinstance(value, (bool, float)):
            refuse(pattern, name, value)
    classes = tuple([type(tensor) for tensor in tensors])
    ranks = tuple([len(tensor.shape) for tensor in tensors])
    dtype = tensors[0].dtype if operation == "reduce" else None
    program = program_for(operation, pattern, classes, ranks, tuple(sizes), reduction, dtype)
    return program.trace(tensors, sizes)


@constant
def program_for(operation: str, pattern: str, classes: Any, ranks: Any, given: Any, reduction: Any, dtype: Any) -> Any:
    """The program, found while Dynamo traces."""
    from weft.run.build import program

    return program(operation, pattern, classes, ranks, given, reduction, dtype)


@constant
def backend_for(cls: type) -> Any:
    """The backend, found while Dynamo traces."""
    from weft.backends.registry import backend_of

    return backend_of(cls)


@constant
def refuse(pattern: str, name: str, value: Any) -> None:
    """Raise for a size that is no exact integer."""
    from weft.run.build import concrete_sizes

    concrete_sizes(pattern, {name: value}, lambda _: False)
