"""Attributes by which tracers that read Python treat a function in another way; nothing else looks at them."""

from __future__ import annotations

from plait.errors import PlaitError

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import plait`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

INLINE = "_torchdynamo_inline"  # Dynamo follows the function under this attribute in place of the one that has it
CONSTANT = "_dynamo_marked_constant"  # Dynamo runs the function while it traces, and its result is a constant
AUTOGRAPH = "autograph_info__"  # TensorFlow's AutoGraph does not rewrite the function, nor what it calls
PADDLE_OPTIONS = "___jit_transform_options___"  # the same for Paddle; `paddle.jit.marker.unified` would set it
GRAPH_BREAK = "__SOT_EXTRA_INFO__"  # Paddle leaves a call that raises an error with this attribute to Python

SUBSTITUTED: list[Callable[..., Any]] = []
"""The functions that have a substitute."""


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


def dynamo_substitute(substitute: Callable[..., Any]) -> Callable[[F], F]:
    """Decorate a function with the one that Dynamo follows in its place."""

    def decorate(function: F) -> F:
        setattr(function, INLINE, substitute)
        SUBSTITUTED.append(function)
        return do_not_convert(function)

    return decorate


def do_not_convert(function: F) -> F:
    """Decorate a function that neither TensorFlow's AutoGraph nor Paddle need to rewrite with all that it calls."""
    setattr(function, AUTOGRAPH, {})
    setattr(function, PADDLE_OPTIONS, _PaddleOptions)
    return function


def assume_constant(function: F) -> F:
    """Decorate a function that Dynamo runs while it traces; the result is a constant of the trace."""
    setattr(function, CONSTANT, True)
    return function


def while_tracing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function as `assume_constant` does; it gives its result as plain tuples, or ``None`` and a mistake."""

    @assume_constant
    def run(*arguments: Any) -> Any:
        try:
            return _plain(function(*arguments)), None
        except PlaitError as error:
            return None, str(error)

    return run


def _plain(value: Any) -> Any:
    return tuple([_plain(each) for each in value]) if isinstance(value, tuple) else value


def exception_graph_breaks(error: BaseException | type[BaseException]) -> None:
    """Let Paddle leave the call that raises this error to Python, so that the caller can catch it."""
    setattr(error, GRAPH_BREAK, _GraphBreak)


exception_graph_breaks(PlaitError)
