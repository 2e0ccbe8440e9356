"""How tracers that read Python are told which way to take: attributes of functions, inert everywhere else.

TorchDynamo has two, TensorFlow's AutoGraph one, and Paddle one for its two tracers, and one of errors.
"""

from __future__ import annotations

from plait.errors import PlaitError

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import plait`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

INLINE = "_torchdynamo_inline"
"""Dynamo follows the function under this attribute of a function in its place."""

SUBSTITUTED: list[Callable[..., Any]] = []
"""The functions that have a substitute."""

AUTOGRAPH = "autograph_info__"
"""AutoGraph calls a function with this attribute as it is, where it would rewrite it and all that it calls."""

PADDLE_OPTIONS = "___jit_transform_options___"
"""The same for Paddle, whose own `paddle.jit.marker.unified` would set it: the value answers what is asked of it."""

GRAPH_BREAK = "__SOT_EXTRA_INFO__"
"""Paddle leaves a call to Python that raises an error with this attribute, so that the caller can catch it."""

CONSTANT = "_dynamo_marked_constant"
"""Dynamo runs a function with this attribute while it traces, and takes the result for a constant."""


def dynamo_substitute(substitute: Callable[..., Any]) -> Callable[[F], F]:
    """Decorate a function with the one that Dynamo follows in its place."""

    def decorate(function: F) -> F:
        setattr(function, INLINE, substitute)
        SUBSTITUTED.append(function)
        return do_not_convert(function)

    return decorate


def do_not_convert(function: F) -> F:
    """Decorate a function that no tracer needs to look into."""
    setattr(function, AUTOGRAPH, {})
    setattr(function, PADDLE_OPTIONS, _PaddleOptions)
    return function


class _PaddleOptions:
    """It makes the same calls for tensors and for the values of a static program."""

    @staticmethod
    def need_transform(_: object) -> bool:
        return False

    @staticmethod
    def need_capture_control_flow() -> bool:
        return False


class _GraphBreak:
    need_breakgraph = True


def exception_graph_breaks(error: BaseException | type[BaseException]) -> None:
    """Let a tracer leave the call that raises this error to Python."""
    setattr(error, GRAPH_BREAK, _GraphBreak)


exception_graph_breaks(PlaitError)


def assume_constant(function: F) -> F:
    """Decorate a function whose result is a constant of every trace."""
    setattr(function, CONSTANT, True)
    return function
