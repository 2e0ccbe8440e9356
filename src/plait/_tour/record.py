"""What a step of the tour is: lines of code, which the tour both runs and shows, and pictures of what they gave."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_AXIS = re.compile(r"[^\W\d_]\w*")
_TOKEN = re.compile(r'"[^"]*"|[\w.]+=?|[^\w."]+')


class Part(NamedTuple):
    """A piece of a line of code, and what it is: ``"plain"``, ``"function"``, ``"text"`` or an axis, ``"axis 2"``."""

    kind: str
    text: str


class Call(NamedTuple):
    """One line of code: ``makes = function(*operands, pattern, reduction, **sizes)``.

    Attributes:
        code: the line.
        makes: the names of the results; none for a call that returns nothing.
        expression: the line without the names of the results.
        function: what is called: ``"plait.rearrange"``, ``"cut.inverse"``, ``"np.copy"``.
        operands: the expressions of the tensors: names of earlier results, or lists of them.
        pattern: the pattern; empty if the function takes none.
        sizes: the sizes of axes, in elements.
        refused: whether plait must refuse this call: its error is then the result.
    """

    code: str
    makes: tuple[str, ...]
    expression: str
    function: str
    operands: tuple[str, ...]
    pattern: str
    sizes: Mapping[str, int]
    refused: bool

    def parts(self) -> list[Part]:
        """The line in pieces: an axis is of the same kind wherever it appears."""
        axes = {name: f"axis {index}" for index, name in enumerate(dict.fromkeys(_AXIS.findall(self.pattern)))}
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


def read(line: str) -> Call:
    """A line of code as a call; ``# refused`` behind it says that plait must refuse it.

    >>> read('tall = plait.rearrange(photo, "(h p) w -> h (p w)", p=2)').operands
    ('photo',)
    """
    code, _, remark = line.partition("  # ")
    (statement,) = ast.parse(code).body
    assert isinstance(statement, (ast.Assign, ast.Expr))  # noqa: S101  # for mypy
    call = statement.value
    assert isinstance(call, ast.Call)  # noqa: S101  # for mypy
    targets = [] if isinstance(statement, ast.Expr) else ast.unparse(statement.targets[0]).strip("()").split(", ")
    texts = [str(argument.value) for argument in call.args if isinstance(argument, ast.Constant)]
    return Call(
        code,
        tuple(targets),
        ast.unparse(call),
        ast.unparse(call.func),
        tuple([ast.unparse(argument) for argument in call.args if not isinstance(argument, ast.Constant)]),
        texts[0] if texts else "",
        {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords},
        remark == "refused",
    )


class Picture(NamedTuple):
    """An array to look at.

    Attributes:
        name: the name of the file, without its ending.
        of: the names of the results that it shows.
        draw: from those to elements of type ``uint8``, of shape ``h w`` or ``h w channel``.
        caption: what it is, in a few words.
        alt: what is to be seen, for those who cannot see it.
    """

    name: str
    of: tuple[str, ...]
    draw: Callable[..., Any]
    caption: str
    alt: str


class Step(NamedTuple):
    """One stop of the tour.

    Attributes:
        chapter: the heading that it belongs under.
        title: its own heading.
        sentence: what it shows.
        calls: the lines of code, in order.
        before: the names of pictures of earlier steps, to compare with.
        after: the pictures of what came out.
        proves: names of results that must be ``True``.
    """

    chapter: str
    title: str
    sentence: str
    calls: tuple[Call, ...]
    before: tuple[str, ...]
    after: tuple[Picture, ...]
    proves: tuple[str, ...] = ()


class Ran(NamedTuple):
    """What became of a call.

    Attributes:
        call: the line of code.
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


class Drawn(NamedTuple):
    """A picture as a file, and its size in pixels."""

    file: bytes
    width: int
    height: int


class Done(NamedTuple):
    """A step that has run, its pictures by name, and the results that it left, by name."""

    step: Step
    ran: tuple[Ran, ...]
    drawn: Mapping[str, Drawn]
    made: Mapping[str, Any]
