"""The exceptions that plait raises, the stable code of each mistake, and the functions that make their messages.

    PlaitError (ValueError, RuntimeError)
    ├── PatternSyntaxError   PLT1xx   the text of a pattern
    ├── AxisError            PLT2xx   a rule of the operation about its axes
    ├── SizeError            PLT3xx   ranks and sizes
    ├── CopyRequiredError    PLT4xx   a view was requested, and only a copy can have that shape
    └── BackendError         PLT5xx   the framework of the tensor

    AxisWarning (UserWarning)   PLT6xx   an einsum that may not compute what is meant

Every error has a stable code and a message, and, if the mistake is in a pattern, the ranges of characters to underline.
plait raises one with ``raise make_error("PLT302", "...", text, spans, facts)``, where the code determines the class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeVar

    AnyError = TypeVar("AnyError", bound=Exception)

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

Span = tuple[int, int]
"""A range of characters in a pattern, as a half-open pair ``(start, stop)``."""

_MAX_SHOWN_PATTERN_LENGTH = 100
"""An error shows at most this many characters of a pattern, around its first span."""


class PlaitError(ValueError, RuntimeError):
    """The base class of the errors that plait raises for a mistake in a call.

    It is a `ValueError` and a `RuntimeError`, so that ``except`` clauses written for either, or for einops, catch it.

    Attributes:
        code: The stable code, such as ``"PLT302"``, or ``""`` for an error that plait did not create.
        message: One sentence that says what is wrong and, where plait can tell, how to correct it.
        pattern: The text of the pattern, or ``None`` if the mistake is not in a pattern.
        spans: Ranges of characters in ``pattern`` that the carets underline, as half-open pairs ``(start, stop)``.
        facts: The shapes and sizes that are printed below the pattern, by label, such as ``{"input": "2 8 6 3"}``.

    Examples:
        >>> import numpy as np
        >>> import plait
        >>> try:
        ...     plait.rearrange(np.zeros((2, 8)), "b (h p) -> b h p", p=3)
        ... except plait.PlaitError as error:
        ...     print(error.code, error.spans, error.facts)
        PLT302 ((2, 7),) {'input': '2 8', 'given': 'p=3'}
    """

    ag_pass_through = True  # otherwise TensorFlow's AutoGraph replaces this error by one of its own with the same text
    _keras_call_info_injected = True  # otherwise Keras makes a new error of this class that lacks code, spans and facts

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
        self.spans: tuple[Span, ...] = tuple(spans)
        self.facts: dict[str, str] = dict(facts or {})

    def __str__(self) -> str:
        lines = [f"[{self.code}] {self.message}" if self.code else self.message]
        if self.pattern is not None:
            lines += ["  " + line for line in _underline_pattern(self.pattern, self.spans)]
        if self.facts:
            lines.append("  " + "   ".join(f"{label}: {text}" for label, text in self.facts.items()))
        return "\n".join(lines)


class PatternSyntaxError(PlaitError):
    """The text of a pattern does not follow the grammar of the notation (PLT1xx).

    Examples:
        >>> import plait
        >>> try:
        ...     plait.compile("h (w -> w h")
        ... except plait.PatternSyntaxError as error:
        ...     print(error.code)
        PLT104
    """


class AxisError(PlaitError):
    """The pattern breaks a rule of the operation; for example, only ``reduce`` may drop an axis (PLT2xx).

    Examples:
        >>> import numpy as np
        >>> import plait
        >>> try:
        ...     plait.rearrange(np.zeros((2, 3)), "h w -> h")
        ... except plait.AxisError as error:
        ...     print(error.code)
        PLT204
    """


class SizeError(PlaitError):
    """The rank or the shape of a tensor, or a given size, does not fit the pattern (PLT3xx).

    Examples:
        >>> import numpy as np
        >>> import plait
        >>> try:
        ...     plait.rearrange(np.zeros((2, 3)), "h -> h")
        ... except plait.SizeError as error:
        ...     print(error.code)
        PLT304
    """


class CopyRequiredError(PlaitError):
    """``view`` was called for a result that cannot share memory with its input (PLT4xx).

    Examples:
        >>> import numpy as np
        >>> import plait
        >>> try:
        ...     plait.view(np.zeros((2, 3)), "h w -> (w h)")
        ... except plait.CopyRequiredError as error:
        ...     print(error.code)
        PLT401
    """


class BackendError(PlaitError):
    """The framework of the tensor is unknown, cannot be imported, or does not support the operation (PLT5xx).

    Examples:
        >>> import plait
        >>> try:
        ...     plait.rearrange("not a tensor", "a -> a")
        ... except plait.BackendError as error:
        ...     print(error.code)
        PLT501
    """


class AxisWarning(UserWarning):
    """Warns of an einsum that may not compute what is meant (PLT6xx).

    It sums over an axis whose name is nearly that of another axis, and so may be misspelt; or its equation has a word
    that looks like the name of one axis, although each letter is an axis.

    Attributes:
        code: The stable code, such as ``"PLT601"``.

    Examples:
        >>> import warnings
        >>> import numpy as np
        >>> import plait
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     result = plait.einsum(np.zeros((2, 3)), np.zeros((4, 3)), "h channel, w chanel -> h w")
        >>> caught[0].category.__name__, caught[0].message.code
        ('AxisWarning', 'PLT601')
    """

    def __init__(self, message: str = "", *, code: str = "") -> None:
        super().__init__(f"[{code}] {message}" if code else message)
        self.code = code


_ERROR_CODES: dict[str, tuple[type[PlaitError], str]] = {
    "PLT101": (PatternSyntaxError, "the pattern is not text"),
    "PLT102": (PatternSyntaxError, "a character that is not part of the notation"),
    "PLT103": (PatternSyntaxError, "a word that is not an axis name"),
    "PLT104": (PatternSyntaxError, "a parenthesis or bracket without its partner"),
    "PLT105": (PatternSyntaxError, "no arrow, or more than one"),
    "PLT106": (PatternSyntaxError, "more than one ellipsis in one tensor"),
    "PLT107": (PatternSyntaxError, "a number too large to be a length"),
    "PLT108": (PatternSyntaxError, "groups nested too deep"),
    "PLT109": (PatternSyntaxError, "a `+` outside of a group, or with nothing beside it"),
    "PLT110": (PatternSyntaxError, "an equation of the classical einsum that cannot be read"),
    "PLT201": (AxisError, "notation that this operation does not support"),
    "PLT202": (AxisError, "the number of tensors differs from the number in the pattern"),
    "PLT203": (AxisError, "a size that is not an axis of the pattern"),
    "PLT204": (AxisError, "an axis that appears only on the left"),
    "PLT205": (AxisError, "an axis that appears only on the right"),
    "PLT206": (AxisError, "an axis that appears twice on one side"),
    "PLT207": (AxisError, "an axis without a name where the operation needs one"),
    "PLT208": (AxisError, "an ellipsis where the operation does not support one"),
    "PLT209": (AxisError, "a reduction or an operation that plait does not know"),
    "PLT210": (AxisError, "a packing pattern without exactly one `*`"),
    "PLT211": (AxisError, "a pattern that has no inverse"),
    "PLT212": (AxisError, "an axis of a layer's weight or bias that is not in its pattern"),
    "PLT213": (AxisError, "an axis that has the name of an argument of the layer"),
    "PLT214": (AxisError, "a contraction path that does not fit, or an unknown method to find one"),
    "PLT215": (AxisError, "patterns that cannot be combined into one function"),
    "PLT216": (AxisError, "a contraction plan that was made for another call"),
    "PLT217": (AxisError, "text or arguments that are not a contraction plan"),
    "PLT218": (AxisError, "a constant for an operand that the pattern does not have"),
    "PLT301": (SizeError, "a size that is not an integer"),
    "PLT302": (SizeError, "a size that does not divide the dimension"),
    "PLT303": (SizeError, "a size that cannot be inferred"),
    "PLT304": (SizeError, "a tensor whose rank differs from that of the pattern"),
    "PLT305": (SizeError, "two lengths for the same axis"),
    "PLT306": (SizeError, "a negative size, or a zero from which another size cannot be inferred"),
    "PLT307": (SizeError, "a minimum or maximum over no elements"),
    "PLT308": (SizeError, "a list of tensors that cannot be stacked"),
    "PLT309": (SizeError, "packed shapes that do not fit the tensor"),
    "PLT310": (SizeError, "a reduction that returned a tensor of another shape"),
    "PLT311": (SizeError, "a size that is given twice"),
    "PLT312": (SizeError, "an `out` of another shape than the result"),
    "PLT313": (SizeError, "a limit of memory that cannot be kept"),
    "PLT314": (SizeError, "a tensor above the highest rank that the options allow"),
    "PLT401": (CopyRequiredError, "a group that cannot be formed without a copy"),
    "PLT501": (BackendError, "a tensor or a framework that plait does not know"),
    "PLT502": (BackendError, "a backend that does not load"),
    "PLT503": (BackendError, "an element type or a class of arrays on which the operation is not defined"),
    "PLT504": (BackendError, "tensors of different frameworks in one call"),
    "PLT505": (BackendError, "a rank that the framework does not know"),
    "PLT506": (BackendError, "more axes than the framework's einsum can name"),
    "PLT507": (BackendError, "a framework that cannot promise a view"),
    "PLT508": (BackendError, "a tensor whose elements NumPy cannot read"),
    "PLT509": (BackendError, "a sharding that a tensor cannot have, or that the caller must choose"),
    "PLT510": (BackendError, "a function that the framework cannot compile"),
    "PLT511": (BackendError, "a package for contraction paths that is not installed"),
    "PLT512": (BackendError, "an argument of einsum that the framework does not have"),
    "PLT513": (BackendError, "a call that the framework itself refuses"),
    "PLT514": (BackendError, "an operation that a framework does not have for this kind of tensor"),
    "PLT515": (BackendError, "coordinates of one axis that differ from tensor to tensor"),
    "PLT516": (BackendError, "an argument of NumPy's einsum with a value that it cannot have"),
    "PLT517": (BackendError, "a tensor that was written while its intermediate results are shared"),
}

CODES: dict[str, tuple[type[PlaitError | AxisWarning], str]] = {
    **_ERROR_CODES,
    "PLT601": (AxisWarning, "an axis that einsum sums, and whose name looks misspelt"),
    "PLT602": (AxisWarning, "a word in a classical equation that looks like the name of one axis"),
}
"""The class and a short description of each code."""


def make_error(
    code: str,
    message: str,
    pattern: str | None = None,
    spans: Iterable[Span] = (),
    facts: Mapping[str, str] | None = None,
) -> PlaitError:
    r"""Return, without raising it, the error for a code; the code determines its class.

    >>> str(make_error("PLT303", "h and p cannot both be inferred", "b (h p) -> b h p", [(2, 7)]))
    '[PLT303] h and p cannot both be inferred\n  b (h p) -> b h p\n    ^^^^^'
    """
    return _ERROR_CODES[code][0](message, code=code, pattern=pattern, spans=spans, facts=facts)


def mark_as_unchanged(error: Exception) -> None:
    """Mark an error that leaves plait as it is, because no framework raised it: the caller's own function, or plait."""
    with suppress(AttributeError):  # a class with slots, which no framework raises
        error._plait_leaves_unchanged = True  # type: ignore[attr-defined]


def leaves_unchanged(error: Exception) -> bool:
    """Whether `mark_as_unchanged` marked this error."""
    return getattr(error, "_plait_leaves_unchanged", False)


def shorten_traceback(error: AnyError) -> AnyError:
    """Return the error without the frames inside plait, so that a traceback shows the public function alone.

    With ``PLAIT_FULL_TRACEBACK=1`` in the environment the error keeps them.
    """
    import os  # imported here because only errors need it

    return error if os.environ.get("PLAIT_FULL_TRACEBACK") else error.with_traceback(None)


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return a clause that proposes the candidate most similar to a misspelt word, or ``""`` if none is similar.

    >>> did_you_mean("heigth", ["height", "width"])
    "; did you mean 'height'?"
    """
    from difflib import get_close_matches  # imported here because only errors need it

    candidates = list(candidates)
    matches = get_close_matches(word, candidates, n=1, cutoff=0.5)
    if not matches:  # difflib's similarity is too small for short words, such as p and ph
        matches = [name for name in candidates if name.startswith(word) or word.startswith(name)]
        matches += [name for name in candidates if name.casefold() == word.casefold()]
    return f"; did you mean {matches[0]!r}?" if matches else ""


def short_repr(value: object) -> str:
    """Return the ``repr`` of any object on one line, cut after 60 characters."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # the __repr__ of a foreign class may raise anything
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 60 else text[:60] + "…"


def format_bytes(count: int) -> str:
    """Return a number of bytes as text with a unit, rounded up to four digits.

    >>> format_bytes(1000), format_bytes(3 * 1024**2 + 1)
    ('1000 bytes', '3.001 MiB')
    """
    if count < 1024:
        return f"{count} byte{'s' * (count != 1)}"
    power = min((count.bit_length() - 1) // 10, 5)
    unit = 1 << 10 * power
    digits = max(0, 4 - len(str(count // unit)))
    rounded = -(-count * 10**digits // unit) / 10**digits
    return f"{rounded:.{digits}f} {'?KMGTP'[power]}iB"


def _underline_pattern(pattern: str, spans: tuple[Span, ...]) -> list[str]:
    """Return the line of the pattern and, if there are spans, a line with a caret below each of their characters."""
    start, stop = 0, len(pattern)
    if stop > _MAX_SHOWN_PATTERN_LENGTH:
        first = spans[0][0] if spans else 0
        start = max(0, min(first - _MAX_SHOWN_PATTERN_LENGTH // 2, stop - _MAX_SHOWN_PATTERN_LENGTH))
        stop = start + _MAX_SHOWN_PATTERN_LENGTH
    chars = [char if char.isprintable() else " " for char in pattern[start:stop]]
    prefix, suffix = ("… " if start else ""), (" …" if stop < len(pattern) else "")
    marks = [" "] * (len(chars) + 1)  # one more, because a span may be at the end of the text
    for first, last in spans:
        for index in range(max(first, start), min(max(last, first + 1), stop + 1)):
            marks[index - start] = "^"
    carets = "".join(mark * _display_width(char) for mark, char in zip(marks, [*chars, " "], strict=True)).rstrip()
    lines = [prefix + "".join(chars) + suffix]
    if carets:
        lines.append(" " * len(prefix) + carets)
    return lines


def _display_width(char: str) -> int:
    """Return how many columns of a terminal a character occupies: 0, 1 or 2."""
    import unicodedata  # imported here because only errors need it

    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
