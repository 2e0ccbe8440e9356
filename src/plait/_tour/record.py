"""What a step of the tour is: data, from which the tour both runs the code and shows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_AXIS = re.compile(r"[^\W\d_]\w*")


class Part(NamedTuple):
    """A piece of a line of code, and what it is: ``"plain"``, ``"function"``, ``"text"`` or an axis, ``"axis 2"``."""

    kind: str
    text: str


@dataclass(frozen=True)
class Call:
    """One line of code: ``makes = function(*operands, pattern, reduction, **sizes)``.

    Attributes:
        makes: the name of the result; several with commas between them; empty for a call that returns nothing.
        function: what is called, as it is written: ``"plait.rearrange"``, ``"cut.inverse"``, ``"np.copy"``.
        operands: names of earlier results; a tuple of names is a list of them.
        pattern: the pattern, where the function takes one.
        reduction: the reduction, where the function takes one.
        sizes: the sizes of axes, in elements.
        refused: whether plait must refuse this call: its error is then the result.
    """

    makes: str
    function: str
    operands: tuple[str | tuple[str, ...], ...] = ()
    pattern: str = ""
    reduction: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    refused: bool = False

    @property
    def code(self) -> str:
        """The line, as a person would write it.

        >>> Call("tall", "plait.rearrange", ("photo",), "(h p) w -> h (p w)", sizes={"p": 2}).code
        'tall = plait.rearrange(photo, "(h p) w -> h (p w)", p=2)'
        """
        return "".join(part.text for part in self.parts())

    def parts(self) -> list[Part]:
        """The line in pieces: an axis is of the same kind wherever it stands."""
        axes = {name: f"axis {index}" for index, name in enumerate(dict.fromkeys(_AXIS.findall(self.pattern)))}
        arguments = [[Part("plain", _operand(operand))] for operand in self.operands]
        if self.pattern:
            arguments.append(_quoted(self.pattern, axes))
        if self.reduction:
            arguments.append([Part("text", f'"{self.reduction}"')])
        for name, size in self.sizes.items():
            arguments.append([Part(axes.get(name, "plain"), name), Part("plain", f"={size}")])
        opening = [Part("plain", f"{self.makes} = ")] if self.makes else []
        line = [*opening, Part("function", self.function), Part("plain", "(")]
        for index, argument in enumerate(arguments):
            line += [Part("plain", ", "), *argument] if index else argument
        return [*line, Part("plain", ")")]


@dataclass(frozen=True)
class Picture:
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


@dataclass(frozen=True)
class Step:
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


def _operand(operand: str | tuple[str, ...]) -> str:
    return operand if isinstance(operand, str) else f"[{', '.join(operand)}]"


def _quoted(pattern: str, axes: Mapping[str, str]) -> list[Part]:
    parts = [Part("text", '"')]
    end = 0
    for found in _AXIS.finditer(pattern):
        parts += [Part("text", pattern[end : found.start()]), Part(axes[found[0]], found[0])]
        end = found.end()
    parts.append(Part("text", pattern[end:] + '"'))
    return [part for part in parts if part.text]
