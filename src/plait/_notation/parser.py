"""From text to a tree: one loop over the tokens, with its own stack; linear in the text, and never recursive."""

from __future__ import annotations

import re
from typing import TypeAlias

from plait._notation.tree import Bracket, Ellipsis, Expr, Group, Item, Mark, Name, Number, Tree
from plait.errors import Span, make_error, short_repr

DEEPEST = 32
"""How far groups may nest; arrays themselves end at 64 dimensions."""

_TOKEN = re.compile(r"([^\s()\[\]+,*.…>\-]+)|->|\.\.\.|\S|\Z")
"""Matches one token after the other with ``finditer``: a word, a sign, and in the end the empty text."""

_LONGEST_NUMBER = 18
"""Digits; what has more does not fit the 64-bit sizes of any framework."""

_Opened: TypeAlias = "tuple[str, int, list[Item], list[tuple[Item, ...]]]"
"""A group that is being read: its sign and the place of it, the items before it, and its parts before a ``+``."""

_node = tuple.__new__
"""Makes a node as its class does, but without a frame of Python: most of a pattern is names."""


def parse(text: str) -> Tree:  # noqa: PLR0915  # one loop, with a branch for each sign
    """The tree of a pattern, such as ``"b (h p) c -> b h (p c)"``, each node with its place in the text.

    >>> parse("a -> a").left[0].items
    (Name(text='a', start=0, stop=1),)
    """
    if not isinstance(text, str):
        raise make_error("PLT101", f"the pattern must be text, and this is {type(text).__name__}: {short_repr(text)}")
    left: tuple[Expr, ...] | None = None
    exprs: list[Expr] = []
    expr_start = 0
    items: list[Item] = []
    dots: list[Span] = []
    opened: list[_Opened] = []
    plain = True
    for match in _TOKEN.finditer(text):
        sign = match[0]
        start, stop = match.span()
        if sign.isalpha() and sign.isascii():  # most names; `_word` reads the others
            items.append(_node(Name, (sign, start, stop)))
        elif sign in ("(", "["):
            if len(opened) == DEEPEST:
                raise make_error("PLT108", f"groups nest at most {DEEPEST} deep", text, [(start, stop)])
            opened.append((sign, start, items, []))
            items = []
        elif sign in (")", "]"):
            if not opened:
                raise make_error("PLT104", f"'{sign}' closes nothing", text, [(start, stop)])
            opening, first, outer, parts = opened.pop()
            if opening + sign not in ("()", "[]"):
                raise make_error(
                    "PLT104", f"'{opening}' is closed by '{sign}'", text, [(first, first + 1), (start, stop)]
                )
            if parts and not items:
                raise make_error("PLT109", "nothing stands after this '+'", text, [(start, stop)])
            if sign == ")":
                outer.append(_node(Group, ((*parts, tuple(items)), first, stop)))
            else:
                plain = False
                outer.append(Bracket(tuple(items), first, stop))
            items = outer
        elif sign in ("->", ",", ""):
            if opened:
                opening, first, _, _ = opened[-1]
                before = f" before '{sign}'" if sign else ""
                raise make_error("PLT104", f"'{opening}' is never closed{before}", text, [(first, first + 1)])
            if len(dots) > 1:
                raise make_error("PLT106", "an ellipsis may stand once in a tensor", text, dots)
            exprs.append(Expr(tuple(items), expr_start, start))
            items, dots, expr_start = [], [], stop
            if sign == ",":
                plain = False
            elif sign:
                if left is not None:
                    raise make_error("PLT105", "a pattern has one arrow", text, [(start, stop)])
                left, exprs = tuple(exprs), []
        elif match.lastindex and sign != "_":
            items.append(_word(text, sign, start, stop))
        else:
            plain = False
            if sign == "+":
                if not opened or opened[-1][0] != "(":
                    raise make_error("PLT109", "'+' concatenates inside a group, as in (a + b)", text, [(start, stop)])
                if not items:
                    raise make_error("PLT109", "nothing stands before this '+'", text, [(start, stop)])
                opened[-1][3].append(tuple(items))
                items = []
            elif sign in ("...", "…"):
                name = None
                if items and isinstance(previous := items[-1], Name) and previous.stop == start:
                    name, start = previous.text, previous.start
                    items.pop()
                items.append(Ellipsis(name, start, stop))
                dots.append((start, stop))
            elif sign in ("*", "_"):
                items.append(Mark(sign, start, stop))
            else:
                raise _bad_word(text, sign, start)
    if left is None:
        return Tree(text, tuple(exprs), None)
    return Tree(text, left, tuple(exprs), plain)


def normalise(name: str) -> str:
    """The name as Python itself spells it: NFKC, as for every identifier.

    >>> normalise("ℎ")
    'h'
    """
    if name.isascii():
        return name
    import unicodedata

    return unicodedata.normalize("NFKC", name)


def _word(text: str, word: str, start: int, stop: int) -> Name | Number:
    """A number, or a name that is not ASCII."""
    if word.isascii() and word.isdigit():
        digits = word.lstrip("0")
        if len(digits) > _LONGEST_NUMBER:
            raise make_error("PLT107", "this number is too large to be a length", text, [(start, stop)])
        return Number(int(digits or "0"), start, stop)
    name = normalise(word)
    if name.isidentifier() and name[0] != "_" != name[-1]:
        return Name(name, start, stop)
    raise _bad_word(text, word, start)


def _bad_word(text: str, word: str, start: int) -> Exception:
    """PLT102 or PLT103, pointing at what is not part of the notation."""
    at = [(start, start + len(word))]
    if normalise(word).isidentifier():
        return make_error("PLT103", "an axis name neither begins nor ends with an underscore", text, at)
    if word == ".":
        return make_error("PLT102", "a single '.' means nothing; an ellipsis is written '...'", text, at)
    if word in "->":
        return make_error("PLT102", f"a single '{word}' means nothing; the arrow is written '->'", text, at)
    if word.isdigit():
        from unicodedata import digit

        meant = "".join([str(digit(char)) for char in word[:20]])
        return make_error("PLT102", f"numbers are written with the digits 0 to 9: write {meant}", text, at)
    if word[0] in "0123456789":
        return make_error("PLT103", "an axis name does not begin with a digit", text, at)
    for place, char in enumerate(word, start):
        if not ("a" + normalise(char)).isidentifier():
            message = f"the character {char!r} is not part of the notation"
            return make_error("PLT102", message, text, [(place, place + 1)])
    return make_error("PLT103", "this is no axis name: a name is a Python identifier", text, at)
