"""From characters to tokens. One regular expression, whose groups say what a token is; it never backtracks far."""

from __future__ import annotations

import re
import unicodedata

from plait.errors import PatternSyntaxError, fail

PLAIN, SIGN, WORD = 1, 2, 3
"""The groups of `TOKEN`: a name in ASCII that needs no further look, a sign, and anything else."""

_END = r"(?![^\s()\[\]+,*.…>\-])"
TOKEN = re.compile(
    rf"([A-Za-z][A-Za-z0-9_]*(?<!_){_END})"
    r"|(->|\.\.\.|[()\[\]+,*…]|_(?![^\s()\[\]+,*.…>\-]))"
    r"|([^\s()\[\]+,*.…>\-]+|\S)"
)
"""Matches one token after the other with ``finditer``; white space lies between."""

_LONGEST_NUMBER = 18
"""Digits; what has more does not fit the 64-bit sizes of any framework."""


def normalise(name: str) -> str:
    """The name as Python itself spells it: NFKC, as for every identifier.

    >>> normalise("ℎ")
    'h'
    """
    return name if name.isascii() else unicodedata.normalize("NFKC", name)


def word(text: str, found: str, start: int) -> str | int:
    """What a token of the group ``WORD`` is: a name, normalised, or a number.

    Raises:
        PatternSyntaxError: PLT102, PLT103 or PLT107, pointing at what cannot stand.
    """
    stop = start + len(found)
    if found.isascii() and found.isdigit():
        digits = found.lstrip("0")
        if len(digits) > _LONGEST_NUMBER:
            raise fail("PLT107", "this number is too large to be a length", text, [(start, stop)])
        return int(digits or "0")
    name = normalise(found)
    if name.isidentifier() and not (name[0] == "_" or name[-1] == "_"):
        return name
    raise _bad_word(text, found, name, start, stop)


def _bad_word(text: str, word: str, name: str, start: int, stop: int) -> PatternSyntaxError | Exception:
    if name.isidentifier():
        return fail("PLT103", "an axis name neither begins nor ends with an underscore", text, [(start, stop)])
    if word == ".":
        return fail("PLT102", "a single '.' means nothing; an ellipsis is written '...'", text, [(start, stop)])
    if word in "->":
        return fail("PLT102", f"a single '{word}' means nothing; the arrow is written '->'", text, [(start, stop)])
    if word.isdigit() or word.isdecimal():
        message = f"numbers are written with the digits 0 to 9: write {_ascii_digits(word)}"
        return fail("PLT102", message, text, [(start, stop)])
    if word[0] in "0123456789":
        return fail("PLT103", "an axis name does not begin with a digit", text, [(start, stop)])
    for index, char in enumerate(word):
        if not ("a" + normalise(char)).isidentifier():
            at = start + index
            return fail("PLT102", f"the character {char!r} is not part of the notation", text, [(at, at + 1)])
    return fail("PLT103", "this is no axis name: a name is a Python identifier", text, [(start, stop)])


def _ascii_digits(word: str) -> str:
    """What the caller may have meant by digits of another script."""
    return "".join(str(unicodedata.digit(char)) for char in word[:20])
