"""What a step of the tour is, and what runs it: each line of code runs just as it is shown, and is measured."""

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
from plait._tour.helpers import HELPERS
from plait._tour.pictures import Array

RUNS = 3
"""A call is measured again so many times."""

_AXIS = re.compile(r"[^\W\d_]\w*")
_TOKEN = re.compile(r'"[^"]*"|[\w.]+=?|[^\w."]+')


class Part(NamedTuple):
    """A piece of a line of code, and what it is: ``"plain"``, ``"function"``, ``"text"`` or an axis, ``"axis-2"``."""

    kind: str
    text: str


class Call(NamedTuple):
    """One line of code: ``makes = function(*tensors, pattern, reduction, **sizes)``."""

    code: str
    makes: tuple[str, ...]  # the names of the results; none for a call that returns nothing
    function: str  # what is called: "plait.rearrange", "cut.inverse", "np.copy"
    pattern: str  # empty if the function takes none
    sizes: Mapping[str, int]
    refused: bool  # whether plait must refuse this call: its error is then the result

    def parts(self) -> list[Part]:
        """The line in pieces: an axis is of the same kind wherever it appears."""
        axes = {name: f"axis-{index}" for index, name in enumerate(dict.fromkeys(_AXIS.findall(self.pattern)))}
        parts = []
        for token in _TOKEN.findall(self.code):
            if token == f'"{self.pattern}"':
                pieces = re.split(f"({_AXIS.pattern})", token)
                parts += [Part(axes.get(piece, "text"), piece) for piece in pieces if piece]
            elif token[-1] == "=" and token[:-1] in self.sizes:
                parts += [Part(axes.get(token[:-1], "plain"), token[:-1]), Part("plain", "=")]
            else:
                kind = "function" if token == self.function else "text" if token[0] == '"' else "plain"
                parts.append(Part(kind, token))
        return parts


class Picture(NamedTuple):
    """An array to look at."""

    name: str  # of the file, without its ending
    of: tuple[str, ...]  # the names of the results that it shows
    draw: Callable[..., Any]  # from those to elements of type uint8, of shape "h w" or "h w channel"
    caption: str
    alt: str  # what is to be seen, for those who cannot see it


class Step(NamedTuple):
    """One stop of the tour."""

    chapter: str
    title: str
    sentence: str
    calls: tuple[Call, ...]
    before: tuple[str, ...]  # the names of pictures of earlier steps, to compare with
    after: tuple[Picture, ...]
    proves: tuple[str, ...] = ()  # the names of results that must be True


class Ran(NamedTuple):
    """What became of a call."""

    call: Call
    inputs: str  # the shapes; empty for a call without tensors
    source: str  # of a helper; empty for plait's and NumPy's functions
    first: float  # the seconds of the first call: reading the pattern, planning, computing
    output: str = ""  # the shape, or the value where it is no tensor
    again: float | None = None  # the least of further calls; None where a second call would not be the same
    plan: str = ""  # what `plait.explain` says; empty where there is no pattern with an arrow
    error: str = ""  # what plait said, where it refused


class Done(NamedTuple):
    """A step that has run, and its pictures by name."""

    step: Step
    ran: tuple[Ran, ...]
    drawn: Mapping[str, Array]


def read(line: str) -> Call:
    """A line of code as a call; ``# refused`` behind it says that plait must refuse it.

    >>> read('tall = plait.rearrange(photo, "(h p) w -> h (p w)", p=2)').pattern
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
    """The outermost call of a line of code."""
    return next(node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call))


def run(steps: Sequence[Step], results: dict[str, Any]) -> Iterator[Done]:
    """Run the steps one after the other on what `plait._tour.pictures.photographs` gives, to which they add results.

    Each step sees the results of those before it. It is an `AssertionError` if one does not prove what it promises.
    """
    plait.asnumpy(next(iter(results.values())))  # loads the backend, which is no part of any step's time
    names = ChainMap(results, {"plait": plait, "np": np, **HELPERS})
    for step in steps:
        ran = tuple([_call(call, names) for call in step.calls])
        for proof in step.proves:
            if names[proof] is not True:
                raise AssertionError(f"{step.title}: {proof} is {names[proof]!r}")
        drawn = {picture.name: picture.draw(*[names[name] for name in picture.of]) for picture in step.after}
        yield Done(step, ran, drawn)


def _call(call: Call, names: ChainMap[str, Any]) -> Ran:
    """Run a line of code, which leaves its results among the names."""
    execute = _value(_find_call(call.code), names)
    tensors = [argument for argument in execute.args if not isinstance(argument, str)]
    inputs = ", ".join([text for text in map(_shape, tensors) if text])
    source = inspect.getsource(HELPERS[call.function]) if call.function in HELPERS else ""
    start = perf_counter()
    try:
        result = execute()
    except plait.PlaitError as error:
        if not call.refused:
            raise
        first = perf_counter() - start
        text = str(error).removeprefix(f"[{error.code}] ")
        return Ran(call, inputs, source, first, error=f"plait.{type(error).__name__} [{error.code}]: {text}")
    first = perf_counter() - start
    if call.refused:
        raise AssertionError(f"plait did not refuse {call.code}")
    if call.makes:
        names.update(zip(call.makes, result if len(call.makes) > 1 else [result], strict=True))
    again = None if source else min(repeat(execute, number=1, repeat=RUNS))  # a helper may change what it is given
    return Ran(call, inputs, source, first, _shape(result), again, _plan(call, names, tensors))


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """The value of names, attributes, constants and lists; of a call, what makes it."""
    match node:
        case ast.Name(name):
            return names[name]
        case ast.Attribute(owner, name):
            return getattr(_value(owner, names), name)
        case ast.List(parts):
            return [_value(part, names) for part in parts]
        case ast.Constant(value):
            return value
        case ast.Call(function, arguments, sizes):
            named = {str(size.arg): _value(size.value, names) for size in sizes}
            return partial(_value(function, names), *[_value(argument, names) for argument in arguments], **named)
    raise TypeError(ast.dump(node))


def _plan(call: Call, names: Mapping[str, Any], tensors: Sequence[Any]) -> str:
    owner = names[call.function.partition(".")[0]]
    if tensors and isinstance(owner, plait.Pattern):
        return str(owner.explain(*map(np.shape, tensors)))
    if tensors and owner is plait and "->" in call.pattern:
        return str(plait.explain(call.pattern, *map(np.shape, tensors), **call.sizes))
    return ""


def _shape(value: Any) -> str:
    """The shape of a tensor or of each of several, the size of a mapping, or a plain value, as text."""
    if isinstance(value, np.ndarray):
        return str(value.shape)
    if isinstance(value, (list, tuple)):
        return ", ".join([_shape(part) for part in value if isinstance(part, np.ndarray)])
    return "" if value is None else repr(value)
