"""The errors of plait, their codes, and the one renderer of carets.

    PlaitError (ValueError, RuntimeError)
    ├── PatternSyntaxError   PLT1xx   the text of a pattern
    ├── AxisError            PLT2xx   a rule of the operation
    ├── SizeError            PLT3xx   ranks and sizes
    ├── CopyRequiredError    PLT4xx   a view was asked for and none exists
    └── BackendError         PLT5xx   the framework behind the tensor

    AxisWarning (UserWarning)       an axis that looks misspelt

Every error has a stable code, a message, and, where the mistake is in a pattern, its places there. Inside plait one is
raised with ``raise fail("PLT302", "...", text, spans, facts)``: the code decides the class.
"""

from __future__ import annotations

__all__ = [
    "CODES",
    "AxisError",
    "AxisWarning",
    "BackendError",
    "CopyRequiredError",
    "PatternSyntaxError",
    "PlaitError",
    "SizeError",
]

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import plait`
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Span = tuple[int, int]
"""A place in a pattern: the first character, and one past the last."""

_WIDEST = 100
"""Patterns longer than this many characters are shown in part."""


class PlaitError(ValueError, RuntimeError):
    """Any mistake that plait finds in what a caller wrote.

    Attributes:
        code: the stable code, such as ``"PLT302"``; empty for an error made by hand.
        message: one sentence that says what is wrong and, where plait can tell, how to mend it.
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


class PatternSyntaxError(PlaitError):
    """The text is not a pattern (PLT1xx)."""


class AxisError(PlaitError):
    """The pattern breaks a rule of the operation, such as an axis that only ``reduce`` may drop (PLT2xx)."""


class SizeError(PlaitError):
    """The rank or the sizes of a tensor do not fit the pattern (PLT3xx)."""


class CopyRequiredError(PlaitError):
    """``view`` was asked for a tensor that the same memory cannot show (PLT4xx)."""


class BackendError(PlaitError):
    """The framework behind the tensor is unknown, broken, or cannot do this (PLT5xx)."""


class AxisWarning(UserWarning):
    """An axis that einsum sums, as the notation says, but whose name is nearly that of another."""


CODES: dict[str, tuple[type[PlaitError], str]] = {
    "PLT101": (PatternSyntaxError, "the pattern is not text"),
    "PLT102": (PatternSyntaxError, "a character that is not part of the notation"),
    "PLT103": (PatternSyntaxError, "a word that is no axis name"),
    "PLT104": (PatternSyntaxError, "a parenthesis or bracket without its partner"),
    "PLT105": (PatternSyntaxError, "no arrow, or more than one"),
    "PLT106": (PatternSyntaxError, "more than one ellipsis in one tensor"),
    "PLT107": (PatternSyntaxError, "a number too large to be a length"),
    "PLT108": (PatternSyntaxError, "groups nested too deep"),
    "PLT109": (PatternSyntaxError, "a `+` outside of a group, or with nothing beside it"),
    "PLT110": (PatternSyntaxError, "an equation of the classical einsum that cannot be read"),
    "PLT201": (AxisError, "notation that this operation does not take"),
    "PLT202": (AxisError, "the number of tensors differs from the number in the pattern"),
    "PLT203": (AxisError, "a size that names no axis of the pattern"),
    "PLT204": (AxisError, "an axis that stands on the left only"),
    "PLT205": (AxisError, "an axis that stands on the right only"),
    "PLT206": (AxisError, "an axis that stands twice on one side"),
    "PLT207": (AxisError, "an axis without a name, where the operation needs one"),
    "PLT208": (AxisError, "an ellipsis where the operation does not take one"),
    "PLT209": (AxisError, "a reduction or an operation that plait does not know"),
    "PLT210": (AxisError, "a packing pattern without exactly one `*`"),
    "PLT211": (AxisError, "a pattern that has no inverse"),
    "PLT212": (AxisError, "an axis of a layer's weight or bias that its pattern lacks"),
    "PLT213": (AxisError, "an axis with a size that is called as an argument of the layer"),
    "PLT214": (AxisError, "a path of a contraction that does not fit, or a way to find one that nobody knows"),
    "PLT215": (AxisError, "source of patterns that do not become one plan"),
    "PLT301": (SizeError, "a size that is not an exact integer"),
    "PLT302": (SizeError, "a size that does not divide the dimension"),
    "PLT303": (SizeError, "a size that cannot be inferred"),
    "PLT304": (SizeError, "a tensor of another rank than the pattern's"),
    "PLT305": (SizeError, "two lengths for the same axis"),
    "PLT306": (SizeError, "a negative size, or a zero that leaves another size open"),
    "PLT307": (SizeError, "a minimum or maximum of nothing"),
    "PLT308": (SizeError, "a list of tensors that cannot be stacked"),
    "PLT309": (SizeError, "packed shapes that do not fit the tensor"),
    "PLT310": (SizeError, "a reduction that returned a tensor of another shape"),
    "PLT311": (SizeError, "one size given twice"),
    "PLT401": (CopyRequiredError, "a group that cannot be formed without a copy"),
    "PLT501": (BackendError, "a tensor or a framework that plait does not know"),
    "PLT502": (BackendError, "a backend that does not load"),
    "PLT503": (BackendError, "an element type on which the reduction is not defined"),
    "PLT504": (BackendError, "tensors of different frameworks in one call"),
    "PLT505": (BackendError, "a rank that the framework does not reveal"),
    "PLT506": (BackendError, "more axes than the framework's einsum can name"),
    "PLT507": (BackendError, "a framework that cannot promise a view"),
    "PLT508": (BackendError, "a tensor without elements to be read, or out of NumPy's reach"),
    "PLT509": (BackendError, "a sharding that a tensor cannot have, or that is for the caller to choose"),
    "PLT510": (BackendError, "a callable that the framework cannot compile"),
    "PLT511": (BackendError, "a package that finds paths, and is not installed"),
    "PLT512": (BackendError, "a wish about a product that the framework cannot fulfil"),
}
"""Every code, with its class and its meaning."""


def fail(
    code: str,
    message: str,
    pattern: str | None = None,
    spans: Iterable[Span] = (),
    facts: Mapping[str, str] | None = None,
) -> PlaitError:
    r"""The error of that code, ready to be raised.

    >>> str(fail("PLT303", "h and p cannot both be inferred", "b (h p) -> b h p", [(2, 7)]))
    '[PLT303] h and p cannot both be inferred\n  b (h p) -> b h p\n    ^^^^^'
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


def _draw(pattern: str, spans: tuple[Span, ...]) -> list[str]:
    """The pattern and, where there are places to show, a line of carets below it."""
    start, stop = 0, len(pattern)
    if stop > _WIDEST:
        first = spans[0][0] if spans else 0
        start = max(0, min(first - _WIDEST // 2, stop - _WIDEST))
        stop = start + _WIDEST
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


def _columns(char: str) -> int:
    """How many columns of a terminal a character fills."""
    import unicodedata  # only a mistake needs it

    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
