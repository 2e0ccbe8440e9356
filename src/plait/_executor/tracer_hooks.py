"""Decorators that set attributes by which TorchDynamo, AutoGraph and Paddle treat a function specially."""

from __future__ import annotations

import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any

from plait._executor.import_hook import call_when_imported
from plait.errors import PlaitError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

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

THIS_MODULE = sys.modules[__name__]

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
    """Return a decorator that makes Dynamo trace ``substitute`` in place of the decorated function.

    Dynamo adds a guard for each global variable that the substitute reads, and none for one of its closure.
    """

    def decorate(function: DecoratedFunction) -> DecoratedFunction:
        FUNCTIONS_WITH_SUBSTITUTE.append(function)
        call_when_imported("torch._dynamo", lambda: _substitute_in_graph(function, substitute))
        return do_not_convert(function)

    return decorate


def dynamo_method_substitute(substitute: Callable[..., Any]) -> Callable[[DecoratedFunction], DecoratedFunction]:
    """Do what `dynamo_substitute` does for a method, for which ``torch.compiler.substitute_in_graph`` does nothing."""

    def decorate(function: DecoratedFunction) -> DecoratedFunction:
        FUNCTIONS_WITH_SUBSTITUTE.append(function)
        setattr(function, DYNAMO_INLINE_ATTRIBUTE, substitute)
        return do_not_convert(function)

    return decorate


def dynamo_constant_function(substitute: Callable[..., Any]) -> Callable[[DecoratedFunction], DecoratedFunction]:
    """Return a decorator that makes Dynamo run a function of constants while it traces, and go on with its result.

    The result may be a function, of which Dynamo does not add a guard. If an argument is not constant, Dynamo traces
    ``substitute``.
    """

    def decorate(function: DecoratedFunction) -> DecoratedFunction:
        call_when_imported("torch._dynamo", lambda: _substitute_in_graph(function, substitute, is_constant=True))
        return function

    return decorate


def _substitute_in_graph(
    function: Callable[..., Any], substitute: Callable[..., Any], *, is_constant: bool = False
) -> None:
    """Register a substitute with Dynamo; before torch 2.5, or if a later release refuses it, set private attributes."""
    try:
        compiler = sys.modules["torch"].compiler
        options = {"can_constant_fold_through": is_constant, "skip_signature_check": True}
        compiler.substitute_in_graph(function, **options)(substitute)
    except (AttributeError, TypeError, ValueError):
        _substitute_by_attribute(function, substitute, is_constant=is_constant)


def _substitute_by_attribute(
    function: Callable[..., Any], substitute: Callable[..., Any], *, is_constant: bool
) -> None:
    """Make Dynamo trace ``substitute`` in place of a function, or run the function itself if it is one of constants.

    Dynamo would look for the closure of the substitute in the function. So the substitute is a variable of this module.
    """
    if is_constant:
        name = _add_variable(assume_constant(lambda *arguments: _add_variable(function(*arguments))))
        code = _find_and_get_variable.__code__
    else:
        name, code = _add_variable(substitute), _call_variable.__code__
    names = tuple([name if other == "_variable" else other for other in code.co_names])
    setattr(function, DYNAMO_INLINE_ATTRIBUTE, FunctionType(code.replace(co_names=names), globals()))


def _variable(*_: Any, **__: Any) -> Any:
    """Stand for the variable of this module that a copy of one of the next two functions reads."""


def _call_variable(*arguments: Any, **sizes: Any) -> Any:
    """Call the variable."""
    return _variable(*arguments, **sizes)


def _find_and_get_variable(*arguments: Any) -> Any:
    """Return the variable of this module whose name the variable returns."""
    return getattr(THIS_MODULE, _variable(*arguments))


def _add_variable(value: Any) -> str:
    """Return the name of a new variable of this module with this value."""
    variables = globals()
    name = next((name for name, other in variables.items() if other is value), f"variable_{len(variables)}")
    variables[name] = value
    return name


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
