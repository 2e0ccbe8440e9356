"""Decorators that set attributes by which TorchDynamo, AutoGraph and Paddle treat a function specially."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plait.errors import PlaitError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    DecoratedFunction = TypeVar("DecoratedFunction", bound=Callable[..., Any])

DYNAMO_INLINE_ATTRIBUTE = "_torchdynamo_inline"
"""The attribute of a function that holds another function, which Dynamo traces in its place."""
DYNAMO_CONSTANT_ATTRIBUTE = "_dynamo_marked_constant"
"""The attribute of functions that Dynamo runs instead of tracing them, and whose results it takes as constants."""
AUTOGRAPH_ATTRIBUTE = "autograph_info__"
"""The attribute of functions that TensorFlow's AutoGraph does not rewrite."""
PADDLE_OPTIONS_ATTRIBUTE = "___jit_transform_options___"
"""The attribute of functions that Paddle does not rewrite, as ``paddle.jit.marker.unified`` sets it."""
PADDLE_GRAPH_BREAK_ERROR_ATTRIBUTE = "__SOT_EXTRA_INFO__"
"""The attribute of errors after which Paddle leaves the call to Python."""

FUNCTIONS_WITH_SUBSTITUTE: list[Callable[..., Any]] = []
"""The functions that `dynamo_substitute` decorates."""


class _PaddleDoNotConvertOptions:
    """The options of a function that Paddle must not rewrite; Paddle calls these methods to find out."""

    @staticmethod
    def need_transform(_: object) -> bool:
        """Return ``False``: Paddle asks whether it may rewrite the function in this mode of conversion."""
        return False

    @staticmethod
    def need_capture_control_flow() -> bool:
        """Return ``False``: Paddle asks whether it may turn the function's branches and loops into operations."""
        return False


class _PaddleGraphBreakInfo:
    """The value of an error's attribute that makes Paddle leave the call that raised it to Python."""

    need_breakgraph = True


def dynamo_substitute(substitute: Callable[..., Any]) -> Callable[[DecoratedFunction], DecoratedFunction]:
    """Return a decorator that makes Dynamo trace ``substitute`` in place of the decorated function."""

    def decorate(function: DecoratedFunction) -> DecoratedFunction:
        setattr(function, DYNAMO_INLINE_ATTRIBUTE, substitute)
        FUNCTIONS_WITH_SUBSTITUTE.append(function)
        return do_not_convert(function)

    return decorate


def do_not_convert(function: DecoratedFunction) -> DecoratedFunction:
    """Decorate a function so that AutoGraph and Paddle rewrite neither it nor the functions that it calls."""
    setattr(function, AUTOGRAPH_ATTRIBUTE, {})
    setattr(function, PADDLE_OPTIONS_ATTRIBUTE, _PaddleDoNotConvertOptions)
    return function


def assume_constant(function: DecoratedFunction) -> DecoratedFunction:
    """Decorate a function so that Dynamo runs it instead of tracing it, and takes its result as a constant."""
    setattr(function, DYNAMO_CONSTANT_ATTRIBUTE, True)
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
    setattr(error, PADDLE_GRAPH_BREAK_ERROR_ATTRIBUTE, _PaddleGraphBreakInfo)


mark_exception_as_graph_break(PlaitError)
