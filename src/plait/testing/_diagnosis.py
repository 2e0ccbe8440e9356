"""Finds the functions of a backend that are wrong: calls each alone on a small tensor, and compares it with NumPy's.

A test of the suite calls several functions of the backend, in the order of a plan. When a test fails, its message names
the functions that do not do what `plait.backends.interface.Backend` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plait.backends.interface import Backend
from plait.backends.registry import backend_for_type
from plait.testing import _oracle as oracle
from plait.testing._arrays import arange_array, describe_difference
from plait.testing._framework import Framework

ARRAY_X = arange_array((2, 3, 4))
MATRIX_Y = arange_array((4, 2))
TEST_ARRAY_Z = arange_array((3, 1))
ARRAYS_DESCRIPTION = "x, y and z are 0, 1, 2, ... in the shapes (2, 3, 4), (4, 2) and (3, 1)"


class FunctionCheck(NamedTuple):
    """A function of a backend, its arguments, and the result that it should return, as a NumPy array."""

    text: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    expected: NDArray[Any]


def _function_checks(framework: Framework, backend: Backend) -> Iterator[FunctionCheck]:
    x, negative, y, z = map(framework.make, (ARRAY_X, -ARRAY_X, MATRIX_Y, TEST_ARRAY_Z))
    yield FunctionCheck("reshape(x, (4, 6))", backend.reshape, (x, (4, 6)), ARRAY_X.reshape(4, 6))
    yield FunctionCheck("permute(x, (2, 0, 1))", backend.permute, (x, (2, 0, 1)), ARRAY_X.transpose(2, 0, 1))
    yield FunctionCheck(
        "expand(z, (2, 3, 4))", backend.expand, (z, (2, 3, 4)), np.broadcast_to(TEST_ARRAY_Z, (2, 3, 4))
    )
    yield FunctionCheck(
        "concat([x, -x], 1)", backend.concat, ([x, negative], 1), np.concatenate([ARRAY_X, -ARRAY_X], 1)
    )
    yield FunctionCheck("stack([x, -x])", backend.stack, ([x, negative],), np.stack([ARRAY_X, -ARRAY_X]))
    yield FunctionCheck("slice(x, 1, 1, 3)", backend.slice, (x, 1, 1, 3), ARRAY_X[:, 1:3])
    for equation in ("abc,cd->abd", "abc,cd->bd", "...c,cd->...d"):
        expected = np.einsum(equation, ARRAY_X, MATRIX_Y)
        yield FunctionCheck(f'einsum("{equation}", x, y)', backend.einsum, (equation, x, y), expected)


def _reduction_checks(framework: Framework, backend: Backend, name: str) -> Iterator[FunctionCheck]:
    x = framework.make(ARRAY_X)
    reduce = backend.reduction(name, backend.dtype(x))
    for axes, pattern in (((1,), "a b c -> a c"), ((0, 2), "a b c -> b"), ((0, 1, 2), "a b c ->")):
        yield FunctionCheck(
            f'reduction("{name}", dtype)(x, {axes})', reduce, (x, axes), oracle.reduce(pattern, ARRAY_X, name, {})
        )


def _describe_failure(check: FunctionCheck, backend: Backend) -> str | None:
    """Describe the wrong result of a function, or its exception; return ``None`` if the result is right."""
    try:
        with np.errstate(all="ignore"):
            result = np.asarray(backend.to_numpy(check.function(*check.arguments)))
        return describe_difference(result, check.expected, "float64")
    except Exception as error:  # any exception is described in the result
        return f"it raises {type(error).__name__}: {error}"


def _describe_failures(framework: Framework, backend: Backend, reduction: str | None) -> list[str]:
    name = type(backend).__name__
    x = framework.make(ARRAY_X)
    conversion = FunctionCheck("", lambda tensor: tensor, (x,), ARRAY_X)
    if problem := _describe_failure(conversion, backend):  # all other checks need the conversion
        return [f"  wrong function of the backend: {name}.to_numpy(x)", f"    {problem}"]
    checks = [*_function_checks(framework, backend)]
    if reduction is not None:
        checks += _reduction_checks(framework, backend, reduction)
    lines = []
    for check in checks:
        if problem := _describe_failure(check, backend):
            lines += [f"  wrong function of the backend: {name}.{check.text}", f"    {problem}"]
    return lines


def describe_wrong_functions(framework: Framework, reduction: str | None) -> list[str]:
    """Return lines of text that name the functions of the backend that are wrong, or say that none is.

    Args:
        framework: the framework that makes the tensors.
        reduction: the reduction to be checked besides the other functions.

    Returns:
        The lines; an empty list if no tensor can be made, or if it has no backend.
    """
    try:
        cls: Any = type(framework.make(ARRAY_X))
        backend: Backend = backend_for_type(cls)
        lines = _describe_failures(framework, backend, reduction)
    except Exception:  # the lines are only an addition to a message about another mistake
        return []
    if lines:
        return [*lines, f"  ({ARRAYS_DESCRIPTION})"]
    return [f"  {type(backend).__name__}: every function that was called by itself on a small tensor is right"]
