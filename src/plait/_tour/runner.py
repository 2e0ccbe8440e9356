"""Runs the steps: calls what the records say, and measures it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

import plait
from plait._tour.helpers import HELPERS
from plait._tour.photographs import Array
from plait._tour.pictures import png
from plait._tour.record import Call, Step

RUNS = 5
BUDGET = 0.1
"""A call is measured again at most `RUNS` times, and for about this many seconds."""

_BY_NAME = {helper.__name__: helper for helper in HELPERS}


@dataclass(frozen=True)
class Ran:
    """What became of a call.

    Attributes:
        call: the record.
        inputs: the shapes that went in, as text; empty for a call without tensors.
        output: the shape that came out, or the value where it is none.
        first: the time of the first call in seconds: reading the pattern, planning, computing.
        again: the least time of further calls in seconds; ``None`` where a second call would not be the same.
        plan: what `plait.explain` says; empty where there is no pattern with an arrow.
        error: what plait said, where it refused.
        source: the source of a helper; empty for plait's and NumPy's functions.
    """

    call: Call
    inputs: str
    output: str
    first: float
    again: float | None
    plan: str
    error: str
    source: str


@dataclass(frozen=True)
class Drawn:
    """A picture as a file, and its size in pixels."""

    file: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Done:
    """A step that has run, its pictures by name, and the results that it left, by name."""

    step: Step
    ran: tuple[Ran, ...]
    drawn: Mapping[str, Drawn]
    made: Mapping[str, Any]


def run(steps: Sequence[Step], photographs: Mapping[str, Array]) -> Iterator[Done]:
    """Run the steps one after the other; each sees the results of those before it.

    Args:
        steps: the records.
        photographs: ``float32`` from 0 to 1, of shape ``h w 3``; height and width are multiples of 32 pixels.

    Raises:
        AssertionError: a step did not prove what it promises, or plait did not refuse what it must.
    """
    plait.asnumpy(next(iter(photographs.values())))  # loads the backend, which is no part of any step's time
    names: dict[str, Any] = {"plait": plait, "np": np, **_BY_NAME, **photographs}
    for step in steps:
        known = set(names)
        ran = tuple(_call(call, names) for call in step.calls)
        for proof in step.proves:
            if names[proof] is not True:
                raise AssertionError(f"{step.title}: {proof} is {names[proof]!r}")
        drawn = {picture.name: _draw(picture.draw(*(names[name] for name in picture.of))) for picture in step.after}
        yield Done(step, ran, drawn, {name: value for name, value in names.items() if name not in known})


def _draw(image: Array) -> Drawn:
    return Drawn(png(image), image.shape[1], image.shape[0])


def _call(call: Call, names: dict[str, Any]) -> Ran:
    owner, function = _resolve(call.function, names)
    operands = [_operand(operand, names) for operand in call.operands]
    extra = [text for text in (call.pattern, call.reduction) if text]
    inputs = ", ".join(text for text in map(_shape, operands) if text)
    source = inspect.getsource(function) if call.function in _BY_NAME else ""
    start = perf_counter()
    try:
        result = function(*operands, *extra, **call.sizes)
    except plait.PlaitError as error:
        if not call.refused:
            raise
        taken = perf_counter() - start
        text = str(error).removeprefix(f"[{error.code}] ")
        return Ran(call, inputs, "", taken, None, "", f"plait.{type(error).__name__} [{error.code}]: {text}", source)
    first = perf_counter() - start
    if call.refused:
        raise AssertionError(f"plait did not refuse {call.code}")
    _name(call.makes, result, names)
    again = None
    if not source:  # a helper may change what it is given
        again = _again(lambda: function(*operands, *extra, **call.sizes))
    return Ran(call, inputs, _shape(result), first, again, _plan(call, owner, operands), "", source)


def _resolve(path: str, names: Mapping[str, Any]) -> tuple[Any, Any]:
    """The function that a dotted name means, and what it belongs to."""
    first, *rest = path.split(".")
    owner, found = None, names[first]
    for attribute in rest:
        owner, found = found, getattr(found, attribute)
    return owner, found


def _operand(operand: str | tuple[str, ...], names: Mapping[str, Any]) -> Any:
    return names[operand] if isinstance(operand, str) else [names[name] for name in operand]


def _name(makes: str, result: Any, names: dict[str, Any]) -> None:
    parts = makes.split(", ")
    if len(parts) > 1:
        names.update(zip(parts, result, strict=True))
    elif makes:
        names[makes] = result


def _again(call: Any) -> float:
    """The least time of some calls, in seconds."""
    times: list[float] = []
    while not times or (len(times) < RUNS and sum(times) < BUDGET):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return min(times)


def _plan(call: Call, owner: Any, operands: Sequence[Any]) -> str:
    if not operands or not (isinstance(owner, plait.Pattern) or (owner is plait and "->" in call.pattern)):
        return ""
    shapes = [(len(each), *each[0].shape) if isinstance(each, list) else each.shape for each in operands]
    explained = owner.explain(*shapes) if call.pattern == "" else plait.explain(call.pattern, *shapes, **call.sizes)
    return str(explained)


def _shape(value: Any) -> str:
    """The shape of a tensor or of each of several, the size of a mapping, or a plain value, as text."""
    if isinstance(value, np.ndarray):
        return str(value.shape)
    if isinstance(value, (list, tuple)):
        return ", ".join(_shape(part) for part in value if isinstance(part, np.ndarray))
    return "" if value is None else repr(value)
