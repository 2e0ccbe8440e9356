"""Runs the steps, and measures each line of code."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

import plait
from plait._tour.helpers import HELPERS
from plait._tour.photographs import Array
from plait._tour.pictures import png
from plait._tour.record import Call, Done, Drawn, Ran, Step

RUNS = 5
BUDGET = 0.1
"""A call is measured again at most `RUNS` times, and for about this many seconds."""

_BY_NAME = {helper.__name__: helper for helper in HELPERS}


def run(steps: Sequence[Step], photographs: Mapping[str, Array]) -> Iterator[Done]:
    """Run the steps one after the other; each sees the results of those before it.

    Args:
        steps: the steps.
        photographs: ``float32`` from 0 to 1, of shape ``h w 3``; height and width are multiples of 32 pixels.

    Raises:
        AssertionError: a step did not prove what it promises, or plait did not refuse what it must.
    """
    plait.asnumpy(next(iter(photographs.values())))  # loads the backend, which is no part of any step's time
    names: dict[str, Any] = {"plait": plait, "np": np, **_BY_NAME, **photographs}
    for step in steps:
        known = set(names)
        ran = tuple([_call(call, names) for call in step.calls])
        for proof in step.proves:
            if names[proof] is not True:
                raise AssertionError(f"{step.title}: {proof} is {names[proof]!r}")
        drawn = {picture.name: _draw(picture.draw(*(names[name] for name in picture.of))) for picture in step.after}
        yield Done(step, ran, drawn, {name: value for name, value in names.items() if name not in known})


def _draw(image: Array) -> Drawn:
    return Drawn(png(image), image.shape[1], image.shape[0])


def _call(call: Call, names: dict[str, Any]) -> Ran:
    expression = ast.parse(call.expression, mode="eval").body
    assert isinstance(expression, ast.Call)  # noqa: S101  # for mypy
    arguments = [_value(argument, names) for argument in expression.args]
    evaluate = partial(_value(expression.func, names), *arguments, **call.sizes)
    operands = [value for value in arguments if not isinstance(value, str)]
    inputs = ", ".join([text for text in map(_shape, operands) if text])
    source = inspect.getsource(_BY_NAME[call.function]) if call.function in _BY_NAME else ""
    start = perf_counter()
    try:
        result = evaluate()
    except plait.PlaitError as error:
        if not call.refused:
            raise
        taken = perf_counter() - start
        text = str(error).removeprefix(f"[{error.code}] ")
        return Ran(call, inputs, "", taken, None, "", f"plait.{type(error).__name__} [{error.code}]: {text}", source)
    first = perf_counter() - start
    if call.refused:
        raise AssertionError(f"plait did not refuse {call.code}")
    if call.makes:
        names.update(zip(call.makes, result if len(call.makes) > 1 else [result], strict=True))
    again = None if source else _again(evaluate)  # a helper may change what it is given
    return Ran(call, inputs, _shape(result), first, again, _plan(call, names, operands), "", source)


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """The value of names, attributes, constants and lists of them: all that the lines of a step are made of."""
    match node:
        case ast.Name(name):
            return names[name]
        case ast.Attribute(owner, name):
            return getattr(_value(owner, names), name)
        case ast.List(parts):
            return [_value(part, names) for part in parts]
        case ast.Constant(value):
            return value
    raise TypeError(ast.dump(node))


def _again(evaluate: Callable[[], Any]) -> float:
    """The least time of some calls, in seconds."""
    times: list[float] = []
    while not times or (len(times) < RUNS and sum(times) < BUDGET):
        start = perf_counter()
        evaluate()
        times.append(perf_counter() - start)
    return min(times)


def _plan(call: Call, names: Mapping[str, Any], operands: Sequence[Any]) -> str:
    owner = names[call.function.partition(".")[0]]
    compiled = isinstance(owner, plait.Pattern)
    if not operands or not (compiled or (owner is plait and "->" in call.pattern)):
        return ""
    shapes = [(len(each), *each[0].shape) if isinstance(each, list) else each.shape for each in operands]
    return str(owner.explain(*shapes) if compiled else plait.explain(call.pattern, *shapes, **call.sizes))


def _shape(value: Any) -> str:
    """The shape of a tensor or of each of several, the size of a mapping, or a plain value, as text."""
    if isinstance(value, np.ndarray):
        return str(value.shape)
    if isinstance(value, (list, tuple)):
        return ", ".join([_shape(part) for part in value if isinstance(part, np.ndarray)])
    return "" if value is None else repr(value)
