"""The substitutes of functions under TorchDynamo before torch 2.6, which has no ``torch.compiler.substitute_in_graph``.

There a function has an attribute that makes Dynamo trace another one in its place, but Dynamo looks for the closure of
that one in the function itself. So the other function is a variable of this module, where Dynamo finds it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from plait._executor.tracer_hooks import DYNAMO_INLINE_ATTRIBUTE, assume_constant

THIS_MODULE = sys.modules[__name__]


def substitute_by_attribute(function: Callable[..., Any], substitute: Callable[..., Any], *, is_constant: bool) -> None:
    """Make Dynamo trace ``substitute`` in place of a function, or run the function itself if it is one of constants."""
    if is_constant:
        find_name = _add_variable(assume_constant(lambda *arguments: _add_variable(function(*arguments))))
        source = f"lambda *arguments: getattr(THIS_MODULE, {find_name}(*arguments))"
    else:
        source = f"lambda *arguments, **sizes: {_add_variable(substitute)}(*arguments, **sizes)"
    setattr(function, DYNAMO_INLINE_ATTRIBUTE, eval(source))  # noqa: S307  # the text has only names of this module


def _add_variable(value: Any) -> str:
    """Return the name of a new variable of this module with this value."""
    name = next((name for name, other in globals().items() if other is value), f"variable_{len(globals())}")
    globals()[name] = value
    return name
