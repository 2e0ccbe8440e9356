"""How TorchDynamo is told which way to take: two attributes of functions, inert everywhere else."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import weft`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

INLINE = "_torchdynamo_inline"
"""Dynamo follows the function under this attribute of a function in its place."""

FOLLOWED: list[Callable[..., Any]] = []
"""The functions that have a stand-in."""

CONSTANT = "_dynamo_marked_constant"
"""Dynamo runs a function with this attribute while it traces, and takes the result for a constant."""


def followed_as(stand_in: Callable[..., Any]) -> Callable[[F], F]:
    """Decorate a function with the one that Dynamo follows in its place."""

    def decorate(function: F) -> F:
        setattr(function, INLINE, stand_in)
        FOLLOWED.append(function)
        return function

    return decorate


def constant(function: F) -> F:
    """Decorate a function whose result is a constant of every trace."""
    setattr(function, CONSTANT, True)
    return function
