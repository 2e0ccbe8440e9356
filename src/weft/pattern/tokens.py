"""From characters to tokens. One pass, one regular expression, no backtracking."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from weft.errors import PatternSyntaxError, fail

NAME, NUMBER, ELLIPSIS, MARK = "name", "number", "...", "mark"
"""The kinds of token that carry a text; every other token is its own kind."""

Token = tuple[str, str, int, int]
"""Kind, text (normalised), start, stop."""

_TOKEN = re.compile(r"[^\s()\[\]+,*.…>\-]+|->|\.\.\.|\S")
_SIGNS = {
    "(": "(",
    ")": ")",
    "[": "[",
    "]": "]",
    "+": "+",
    ",": ",",
    "->": "->",
    "...": ELLIPSIS,
    "…": ELLIPSIS,
    "*": MARK,
    "_": MARK,
}
_LONGEST_NUMBER = 18
"""Digits; what has more does not fit the 64-bit sizes of any framework."""


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a pattern, in order.

    Raises:
        PatternSyntaxError: W102, W103 or W107, pointing at the first character that cannot stand.
    """
    for match in _TOKEN.finditer(text):
        word = match.group()
        start, stop = match.span()
        kind = _SIGNS.get(word)
        if kind is None:
            kind, word = _word(text, word, start, stop)
        yield kind, word, start, stop


def normalise(name: str) -> str:
    """The name as Python itself spells it: NFKC, as for every identifier.

    >>> normalise("ℎ")
    'h'
    """
    return name if name.isascii() else unicodedata.normalize("NFKC", name)


def _word(text: str, word: str, start: int, stop: int) -> tuple[str, str]:
    name = normalise(word)
    if name.isidentifier() and not (name[0] == "_" or name[-1] == "_"):
        return NAME, name
    if word.isascii() and word.isdigit():
        if len(word.lstrip("0")) > _LONGEST_NUMBER:
            raise fail("W107", "this number is too large to be a length", text, [(start, stop)])
        return NUMBER, word.lstrip("0") or "0"
    raise _bad_word(text, word, name, start, stop)


def _bad_word(text: str, word: str, name: str, start: int, stop: int) -> PatternSyntaxError | Exception:
    if name.isidentifier():
        return fail("W103", "an axis name neither begins nor ends with an underscore", text, [(start, stop)])
    if word == ".":
        return fail("W102", "a single '.' means nothing; an ellipsis is written '...'", text, [(start, stop)])
    if word in "->":
        return fail("W102", f"a single '{word}' means nothing; the arrow is written '->'", text, [(start, stop)])
    if word.isdigit() or word.isdecimal():
        return fail("W102", f"numbers are written with the digits 0 to 9: {int_or(word)}", text, [(start, stop)])
    if word[0] in "0123456789":
        return fail("W103", "an axis name does not begin with a digit", text, [(start, stop)])
    for index, char in enumerate(word):
        if not ("a" + normalise(char)).isidentifier():
            at = start + index
            return fail("W102", f"the character {char!r} is not part of the notation", text, [(at, at + 1)])
    return fail("W103", "this is no axis name: a name is a Python identifier", text, [(start, stop)])


def int_or(word: str) -> str:
    """What the caller may have meant by digits of another script."""
    digits = "".join(str(unicodedata.digit(char)) for char in word[:20])
    return f"write {digits}"
