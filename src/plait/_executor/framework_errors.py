"""Errors of a framework become a `BackendError` with the pattern, the shapes, and the framework's message as reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from plait._executor.tensors import is_concrete_shape
from plait._shapes.sizes import error_facts
from plait.backends.interface import Backend
from plait.backends.registry import common_backend
from plait.errors import PlaitError, leaves_unchanged, make_error, shorten_traceback

_OUT_OF_MEMORY_REGEX = re.compile(
    r"RESOURCE_EXHAUSTED|\bOOM\b|out of memory|(allocate|enough) memory|[Uu]nable to allocate"
)
"""Matches the message of a framework that has no memory left: callers catch its own class, and try a smaller tensor."""

_MAX_REASON_LENGTH = 200
"""How many characters of the framework's message are shown."""


def convert_framework_error(
    error: Exception, operation: str, tensors: Sequence[Any], pattern: Any, sizes: dict[str, Any]
) -> PlaitError | None:
    """Return the `BackendError` for an error of a framework; ``None`` for one that must leave plait unchanged.

    These are signals of tracers, a lack of memory, warnings and floating-point errors that the caller turned on, and
    what `plait.errors.mark_as_unchanged` marks.
    """
    is_arithmetic = isinstance(error, ArithmeticError) and not isinstance(error, OverflowError)
    is_out_of_memory = isinstance(error, MemoryError) or _OUT_OF_MEMORY_REGEX.search(str(error))
    if leaves_unchanged(error) or is_arithmetic or is_out_of_memory or isinstance(error, Warning):
        return None
    name, backend = _framework_name_and_backend(tensors)
    if backend is not None and backend.is_signal(error):
        return None
    reason = f"{type(error).__name__}: {' '.join(str(error).strip().partition(chr(10))[0].split())}"
    if len(reason) > _MAX_REASON_LENGTH:
        reason = reason[:_MAX_REASON_LENGTH] + "…"
    facts = {**_facts_of_tensors(tensors, sizes), "reason": reason}
    message = f"{name} cannot compute this {operation}; its own message is the reason below"
    failure = make_error("PLT513", message, pattern if isinstance(pattern, str) else None, facts=facts)
    failure.__cause__ = shorten_traceback(error)
    return failure


def _flatten(tensors: Sequence[Any]) -> list[Any]:
    """Return the tensors of a call, with those of a list one by one."""
    return [
        tensor for each in tensors for tensor in (each if isinstance(each, (list, tuple)) and len(each) else (each,))
    ]


def _framework_name_and_backend(tensors: Sequence[Any]) -> tuple[str, Backend | None]:
    """Return the name of the framework of the tensors, and its backend if they have one in common.

    Numbers and lists of numbers, which a classical einsum takes too, have none.
    """
    types = tuple([type(tensor) for tensor in _flatten(tensors) if type(tensor).__module__ != "builtins"])
    if not types:
        types = (type(tensors[0]),)
    try:
        backend = common_backend(types)
    except PlaitError:
        return types[0].__module__.partition(".")[0], None
    return backend.name, backend


def _facts_of_tensors(tensors: Sequence[Any], sizes: dict[str, Any]) -> dict[str, str]:
    """Return the shapes, sizes and element types that the error prints; a symbolic size is not touched."""
    try:
        shapes = [tensor.shape for tensor in _flatten(tensors)]
        dtypes = dict.fromkeys([str(tensor.dtype).removeprefix("torch.") for tensor in _flatten(tensors)])
    except Exception:  # a tensor of a tracer may refuse
        return {}
    if not all(is_concrete_shape(shape) for shape in shapes):
        return {}
    return {**error_facts(shapes, sizes), "element type": " and ".join(dtypes)}
