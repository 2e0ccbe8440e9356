"""The data types of the tour, and the functions that run its steps: each line of code runs as shown, and is timed."""

from __future__ import annotations

import ast
import inspect
import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from time import perf_counter
from timeit import repeat
from typing import Any, NamedTuple

import numpy as np

import plait
from plait._tour.helpers import HELPER_FUNCTIONS
from plait._tour.pictures import Array

REPETITIONS_PER_TIMING = 3
"""How often a call is repeated to time it."""

_AXIS_REGEX = re.compile(r"[^\W\d_]\w*")
"""Matches the name of an axis."""
_TOKEN_REGEX = re.compile(r'"[^"]*"|[\w.]+=?|[^\w."]+')
"""Matches a token of a line of code: a string, a name with dots, or anything between them."""


class CodePart(NamedTuple):
    """A part of a line of code; its kind is ``"plain"``, ``"function"``, ``"text"``, or for an axis ``"axis-2"``."""

    kind: str
    text: str


class Call(NamedTuple):
    """One line of code: ``result_names = function(*tensors, pattern, reduction, **sizes)``."""

    code: str
    result_names: tuple[str, ...]  # empty for a call that returns nothing
    function: str  # such as "plait.rearrange", "cut.inverse", "np.copy"
    pattern: str  # empty if the function takes no pattern
    sizes: Mapping[str, int]
    is_refused: bool  # whether plait must raise an error for this call, which is then shown

    def parts(self) -> list[CodePart]:
        """Split the line into parts; the same axis has the same kind everywhere in the line."""
        axes = {name: f"axis-{index}" for index, name in enumerate(dict.fromkeys(_AXIS_REGEX.findall(self.pattern)))}
        parts = []
        for token in _TOKEN_REGEX.findall(self.code):
            if token == f'"{self.pattern}"':
                pieces = re.split(f"({_AXIS_REGEX.pattern})", token)
                parts += [CodePart(axes.get(piece, "text"), piece) for piece in pieces if piece]
            elif token[-1] == "=" and token[:-1] in self.sizes:
                parts += [CodePart(axes.get(token[:-1], "plain"), token[:-1]), CodePart("plain", "=")]
            else:
                kind = "function" if token == self.function else "text" if token[0] == '"' else "plain"
                parts.append(CodePart(kind, token))
        return parts


class Picture(NamedTuple):
    """An image on the page of the tour, drawn from results of a step."""

    name: str  # of the file, without its extension
    result_names: tuple[str, ...]  # the results that it shows
    draw: Callable[..., Any]  # takes the results, and returns uint8 of shape "h w" or "h w channel"
    caption: str
    alt: str  # the text alternative of the image


class Step(NamedTuple):
    """One step of the tour: a title, lines of code, and pictures before and after."""

    chapter: str
    title: str
    sentence: str
    calls: tuple[Call, ...]
    before: tuple[str, ...]  # the names of pictures of earlier steps, shown for comparison
    after: tuple[Picture, ...]
    true_results: tuple[str, ...] = ()  # the names of results that must be True


class CallResult(NamedTuple):
    """The result of running a `Call`: shapes, times, plan and error, as the page shows them."""

    call: Call
    inputs: str  # the shapes of the tensors; empty for a call without tensors
    source: str  # the source code of a helper function; empty for functions of plait and NumPy
    first_seconds: float  # the time of the first call: parsing the pattern, planning, computing
    output: str = ""  # the shape of the result, or its value if it is not a tensor
    repeated_seconds: float | None = None  # the shortest time of a repeated call; None if it cannot be repeated
    plan: str = ""  # the text of `plait.explain`; empty for a call without an arrow in its pattern
    error: str = ""  # the text of the error that plait raised


class StepResult(NamedTuple):
    """The results of running a `Step`: one for each call, and its images by name."""

    step: Step
    call_results: tuple[CallResult, ...]
    images: Mapping[str, Array]


def parse_call(line: str) -> Call:
    """Parse a line of code into a `Call`; ``# refused`` at its end means that plait must raise an error.

    >>> parse_call('tall = plait.rearrange(photo, "(h p) w -> h (p w)", p=2)').pattern
    '(h p) w -> h (p w)'
    """
    code, _, remark = line.partition("  # ")
    call = _find_call(code)
    names = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)]
    texts = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    return Call(
        code,
        tuple([name.id for name in names if isinstance(name.ctx, ast.Store)]),
        ast.unparse(call.func),
        str(texts[0]) if texts else "",
        {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords},
        remark == "refused",
    )


def _find_call(code: str) -> ast.Call:
    """Return the syntax node of the outermost call in a line of code."""
    return next(node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call))


def run_steps(steps: Sequence[Step], results: dict[str, Any]) -> Iterator[StepResult]:
    """Run the steps in order, and yield the results of each.

    ``results`` has the photographs by name; each step adds its results, which the later steps can use. Raise an
    `AssertionError` if one of a step's ``true_results`` is not True.
    """
    plait.asnumpy(next(iter(results.values())))  # loads the backend, so that no step's time includes it
    names = ChainMap(results, {"plait": plait, "np": np, **HELPER_FUNCTIONS})
    for step in steps:
        call_results = tuple([_run_call(call, names) for call in step.calls])
        for name in step.true_results:
            if names[name] is not True:
                raise AssertionError(f"{step.title}: {name} is {names[name]!r}")
        images = {picture.name: picture.draw(*[names[name] for name in picture.result_names]) for picture in step.after}
        yield StepResult(step, call_results, images)


def _run_call(call: Call, names: ChainMap[str, Any]) -> CallResult:
    """Run a line of code, add its results to ``names``, and return the result for the page."""
    execute = _evaluate_without_calling(_find_call(call.code), names)
    tensors = [argument for argument in execute.args if not isinstance(argument, str)]
    inputs = ", ".join([text for text in map(_format_value, tensors) if text])
    source = inspect.getsource(HELPER_FUNCTIONS[call.function]) if call.function in HELPER_FUNCTIONS else ""
    start = perf_counter()
    try:
        result = execute()
    except plait.PlaitError as error:
        if not call.is_refused:
            raise
        first_seconds = perf_counter() - start
        text = str(error).removeprefix(f"[{error.code}] ")
        return CallResult(
            call, inputs, source, first_seconds, error=f"plait.{type(error).__name__} [{error.code}]: {text}"
        )
    first_seconds = perf_counter() - start
    if call.is_refused:
        raise AssertionError(f"plait did not refuse {call.code}")
    if call.result_names:
        names.update(zip(call.result_names, result if len(call.result_names) > 1 else [result], strict=True))
    # a helper may modify its argument, so it is not repeated
    repeated_seconds = None if source else min(repeat(execute, number=1, repeat=REPETITIONS_PER_TIMING))
    return CallResult(
        call,
        inputs,
        source,
        first_seconds,
        _format_value(result),
        repeated_seconds,
        _explain_call(call, names, tensors),
    )


def _evaluate_without_calling(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """Return the value of a name, an attribute, a constant or a list; for a call, a function that makes it."""
    match node:
        case ast.Name(name):
            return names[name]
        case ast.Attribute(owner, name):
            return getattr(_evaluate_without_calling(owner, names), name)
        case ast.List(parts):
            return [_evaluate_without_calling(part, names) for part in parts]
        case ast.Constant(value):
            return value
        case ast.Call(function, arguments, sizes):
            named = {str(size.arg): _evaluate_without_calling(size.value, names) for size in sizes}
            return partial(
                _evaluate_without_calling(function, names),
                *[_evaluate_without_calling(argument, names) for argument in arguments],
                **named,
            )
    raise TypeError(ast.dump(node))


def _explain_call(call: Call, names: Mapping[str, Any], tensors: Sequence[Any]) -> str:
    """Return the plan of a call as text, or ``""`` for a call without one."""
    owner = names[call.function.partition(".")[0]]
    if tensors and isinstance(owner, plait.Pattern):
        return str(owner.explain(*map(np.shape, tensors)))
    if tensors and owner is plait and "->" in call.pattern:
        return str(plait.explain(call.pattern, *map(np.shape, tensors), **call.sizes))
    return ""


def _format_value(value: Any) -> str:
    """Return the shape of an array, or the shapes of several, as text; for any other value its ``repr``."""
    if isinstance(value, np.ndarray):
        return str(value.shape)
    if isinstance(value, (list, tuple)):
        return ", ".join([_format_value(part) for part in value if isinstance(part, np.ndarray)])
    return "" if value is None else repr(value)
