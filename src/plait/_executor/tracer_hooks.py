"""Decorators that set attributes by which TorchDynamo, AutoGraph and Paddle treat a function specially."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plait.errors import PlaitError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

DYNAMO_INLINE = (
    "_torchdynamo_inline"  # Dynamo follows the function under this attribute in place of the one that has it
)
DYNAMO_CONSTANT = "_dynamo_marked_constant"  # Dynamo runs the function while it traces, and its result is a constant
AUTOGRAPH_DO_NOT_CONVERT = "autograph_info__"  # TensorFlow's AutoGraph does not rewrite the function, nor what it calls
PADDLE_OPTIONS = "___jit_transform_options___"  # the same for Paddle; `paddle.jit.marker.unified` would set it
PADDLE_GRAPH_BREAK = "__SOT_EXTRA_INFO__"  # Paddle leaves a call that raises an error with this attribute to Python

FUNCTIONS_WITH_SUBSTITUTE: list[Callable[..., Any]] = []
"""The functions that `dynamo_substitute` decorates."""


class _PaddleDoNotConvert:
    """The options by which Paddle leaves a function unconverted."""

    @staticmethod
    def need_transform(_: object) -> bool:
        """Whether Paddle rewrites the function."""
        return False

    @staticmethod
    def need_capture_control_flow() -> bool:
        """Whether Paddle turns the function's branches and loops into graph operations."""
        return False


class _PaddleGraphBreak:
    """The mark by which Paddle leaves a call that raises an error to Python."""

    need_breakgraph = True


def dynamo_substitute(substitute: Callable[..., Any]) -> Callable[[F], F]:
    """Decorate a function with another one that Dynamo traces in its place."""

    def decorate(function: F) -> F:
        setattr(function, DYNAMO_INLINE, substitute)
        FUNCTIONS_WITH_SUBSTITUTE.append(function)
        return do_not_convert(function)

    return decorate


def do_not_convert(function: F) -> F:
    """Decorate a function so that AutoGraph and Paddle rewrite neither it nor the functions that it calls."""
    setattr(function, AUTOGRAPH_DO_NOT_CONVERT, {})
    setattr(function, PADDLE_OPTIONS, _PaddleDoNotConvert)
    return function


def assume_constant(function: F) -> F:
    """Decorate a function that Dynamo runs while it traces; its result is a constant of the trace."""
    setattr(function, DYNAMO_CONSTANT, True)
    return function


def assume_constant_or_error(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate as `assume_constant` does; the function returns ``(result, None)``, or ``(None, message)`` on error."""

    @assume_constant
    def run(*arguments: Any) -> Any:
        try:
            return _to_plain_tuples(function(*arguments)), None
        except PlaitError as error:
            return None, str(error)

    return run


def _to_plain_tuples(value: Any) -> Any:
    """Return a value with each named tuple in it replaced by a plain tuple."""
    return tuple([_to_plain_tuples(each) for each in value]) if isinstance(value, tuple) else value


def mark_exception_as_graph_break(error: BaseException | type[BaseException]) -> None:
    """Let Paddle leave a call that raises this error to Python, so that the caller can catch it."""
    setattr(error, PADDLE_GRAPH_BREAK, _PaddleGraphBreak)


mark_exception_as_graph_break(PlaitError)
