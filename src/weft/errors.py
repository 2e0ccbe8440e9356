"""The errors of weft and the one place where they are drawn.

    WeftError (ValueError)
    ├── PatternSyntaxError   W1xx   the text of a pattern
    ├── AxisError            W2xx   a rule of the operation
    ├── SizeError            W3xx   ranks and sizes
    ├── CopyNeeded           W4xx   a view was asked for and none exists
    └── BackendError         W5xx   the framework behind the tensor

    AxisWarning (UserWarning)       an axis that looks misspelt

Every error carries a stable code, a message, and, where a pattern is to blame, the places in it.
Raise one with ``raise fail("W302", "...", text, spans, facts)``: the code decides the class.
"""

from __future__ import annotations

import unicodedata

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import weft`
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

Span = tuple[int, int]
"""Where something stands in a pattern: first character, and one past the last."""

_WIDEST = 100
"""Patterns longer than this many characters are shown in part."""


class WeftError(ValueError):
    """Any mistake that weft finds in what a caller wrote.

    Attributes:
        code: the stable code, such as ``"W302"``; empty for an error made by hand.
        message: one sentence that says what is wrong and, where weft can tell, how to mend it.
        pattern: the text that the places refer to, or ``None``.
        spans: the places in ``pattern``, as pairs of first and one-past-last character.
        facts: what was seen, as label and text, such as ``{"input": "2 8 6 3"}``.
    """

    ag_pass_through = True  # TensorFlow's AutoGraph would raise an error of its own with the text of this one
    _keras_call_info_injected = True  # Keras would raise one of this class without the code, the places and the facts

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        pattern: str | None = None,
        spans: Iterable[Span] = (),
        facts: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.pattern = pattern
        self.spans = tuple(spans)
        self.facts = dict(facts or {})

    def __str__(self) -> str:
        lines = [f"[{self.code}] {self.message}" if self.code else self.message]
        if self.pattern is not None:
            lines += ["  " + line for line in _draw(self.pattern, self.spans)]
        if self.facts:
            lines.append("  " + "   ".join(f"{label}: {text}" for label, text in self.facts.items()))
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.message, self.code, self.pattern, self.spans, self.facts)


class PatternSyntaxError(WeftError):
    """The text is not a pattern (W1xx)."""


class AxisError(WeftError):
    """The pattern breaks a rule of the operation, such as an axis that only ``reduce`` may drop (W2xx)."""


class SizeError(WeftError):
    """The rank or the sizes of a tensor do not fit the pattern (W3xx)."""


class CopyNeeded(WeftError):  # noqa: N818  # the public name says what is needed
    """``view`` was asked for a tensor that the same memory cannot show (W4xx)."""


class BackendError(WeftError):
    """The framework behind the tensor is unknown, broken, or cannot do this (W5xx)."""


class AxisWarning(UserWarning):
    """An axis that einsum sums, as the notation says, but whose name is nearly that of another."""


CODES: dict[str, tuple[type[WeftError], str]] = {
    "W101": (PatternSyntaxError, "the pattern is not text"),
    "W102": (PatternSyntaxError, "a character that is not part of the notation"),
    "W103": (PatternSyntaxError, "a word that is no axis name"),
    "W104": (PatternSyntaxError, "a parenthesis or bracket without its partner"),
    "W105": (PatternSyntaxError, "no arrow, or more than one"),
    "W106": (PatternSyntaxError, "more than one ellipsis in one tensor"),
    "W107": (PatternSyntaxError, "a number too large to be a length"),
    "W108": (PatternSyntaxError, "groups nested too deep"),
    "W109": (PatternSyntaxError, "a `+` outside of a group, or with nothing beside it"),
    "W110": (PatternSyntaxError, "an equation of the classical einsum that cannot be read"),
    "W201": (AxisError, "notation that this operation does not take"),
    "W202": (AxisError, "the number of tensors differs from the number in the pattern"),
    "W203": (AxisError, "a size that names no axis of the pattern"),
    "W204": (AxisError, "an axis that stands on the left only"),
    "W205": (AxisError, "an axis that stands on the right only"),
    "W206": (AxisError, "an axis that stands twice on one side"),
    "W207": (AxisError, "an axis without a name, where the operation needs one"),
    "W208": (AxisError, "an ellipsis where the operation does not take one"),
    "W209": (AxisError, "a reduction that weft does not know"),
    "W210": (AxisError, "a packing pattern without exactly one `*`"),
    "W211": (AxisError, "a pattern that has no inverse"),
    "W212": (AxisError, "an axis of a layer's weight or bias that its pattern lacks"),
    "W213": (AxisError, "an axis with a size that is called as an argument of the layer"),
    "W214": (AxisError, "a path of a contraction that does not fit, or a way to find one that nobody knows"),
    "W301": (SizeError, "a size that is not an exact integer"),
    "W302": (SizeError, "a size that does not divide the dimension"),
    "W303": (SizeError, "a size that cannot be inferred"),
    "W304": (SizeError, "a tensor of another rank than the pattern's"),
    "W305": (SizeError, "two lengths for the same axis"),
    "W306": (SizeError, "a negative size, or a zero that leaves another size open"),
    "W307": (SizeError, "a minimum or maximum of nothing"),
    "W308": (SizeError, "a list of tensors that cannot be stacked"),
    "W309": (SizeError, "packed shapes that do not fit the tensor"),
    "W310": (SizeError, "a reduction that returned a tensor of another shape"),
    "W311": (SizeError, "one size given twice"),
    "W401": (CopyNeeded, "a group that cannot be formed without a copy"),
    "W501": (BackendError, "an object that is no tensor weft knows"),
    "W502": (BackendError, "a backend that does not load"),
    "W503": (BackendError, "an element type on which the reduction is not defined"),
    "W504": (BackendError, "tensors of different frameworks in one call"),
    "W505": (BackendError, "a rank that the framework does not reveal"),
    "W506": (BackendError, "more axes than the framework's einsum can name"),
    "W507": (BackendError, "a framework that cannot promise a view"),
    "W508": (BackendError, "a tensor without elements to be read, or out of NumPy's reach"),
    "W509": (BackendError, "a sharding that a tensor cannot have, or that is for the caller to choose"),
    "W510": (BackendError, "a callable that the framework cannot compile"),
    "W511": (BackendError, "a package that finds paths, and is not installed"),
    "W512": (BackendError, "a wish about a product that the framework cannot fulfil"),
}
"""Every code, the class that it belongs to, and what it stands for."""

for _class in (AxisWarning, WeftError, PatternSyntaxError, AxisError, SizeError, CopyNeeded, BackendError):
    _class.__module__ = "weft"  # tracebacks then read "weft.SizeError: [W302] ..."


def fail(
    code: str,
    message: str,
    pattern: str | None = None,
    spans: Iterable[Span] = (),
    facts: Mapping[str, str] | None = None,
) -> WeftError:
    r"""The error of that code, ready to be raised.

    >>> str(fail("W303", "h and p cannot both be inferred", "b (h p) -> b h p", [(2, 7)]))
    '[W303] h and p cannot both be inferred\n  b (h p) -> b h p\n    ^^^^^'
    """
    return CODES[code][0](message, code=code, pattern=pattern, spans=spans, facts=facts)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A clause that proposes the nearest of the known words, or nothing.

    >>> did_you_mean("heigth", ["height", "width"])
    '; did you mean height?'
    """
    from difflib import get_close_matches  # only a mistake needs it

    known = list(known)
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    if not near:  # too short to be measured, as p is for ph
        near = [name for name in known if name.startswith(word) or word.startswith(name)]
        near += [name for name in known if name.casefold() == word.casefold()]
    return f"; did you mean {near[0]}?" if near else ""


def short(value: object) -> str:
    """The representation of a stranger's value, at most a line of it."""
    try:
        shown = " ".join(repr(value).split())
    except Exception:  # a stranger's repr may do anything
        shown = f"<{type(value).__name__}>"
    return shown if len(shown) <= 60 else shown[:60] + "…"


def _restore(kind: type[WeftError], message: str, code: str, pattern: str | None, spans: Any, facts: Any) -> WeftError:
    return kind(message, code=code, pattern=pattern, spans=spans, facts=facts)


def _draw(pattern: str, spans: tuple[Span, ...]) -> list[str]:
    """The pattern and, where there are places to show, a line of carets below it."""
    start, stop = _window(pattern, spans)
    shown = [char if char.isprintable() else " " for char in pattern[start:stop]]
    line = "".join(shown)
    before, after = ("… " if start else ""), (" …" if stop < len(pattern) else "")
    marks = [" "] * (len(shown) + 1)  # one more: a place may be the end of the text
    for first, last in spans:
        for index in range(max(first, start), min(max(last, first + 1), stop + 1)):
            marks[index - start] = "^"
    carets = "".join(mark * _columns(char) for mark, char in zip(marks, [*shown, " "], strict=True)).rstrip()
    drawn = [before + line + after]
    if carets:
        drawn.append(" " * len(before) + carets)
    return drawn


def _window(pattern: str, spans: tuple[Span, ...]) -> Span:
    if len(pattern) <= _WIDEST:
        return 0, len(pattern)
    centre = spans[0][0] if spans else 0
    start = max(0, min(centre - _WIDEST // 2, len(pattern) - _WIDEST))
    return start, start + _WIDEST


def _columns(char: str) -> int:
    """How many columns of a terminal a character fills."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
