"""The parser of patterns: one loop over the tokens with an explicit stack, in linear time and without recursion."""

from __future__ import annotations

import re
from typing import TypeAlias

from plait._notation.tree import Bracket, Ellipsis, Group, Item, Name, Number, TensorExpr, Tree, Wildcard
from plait.errors import Span, make_error, short_repr

MAX_GROUP_DEPTH = 32
"""How deep groups may nest."""

_TOKEN_REGEX = re.compile(r"([^\s()\[\]+,*.…>\-]+)|->|\.\.\.|\S|\Z")
"""With ``finditer``: matches each token of a pattern, a word or a symbol, and at the end the empty string."""

_MAX_NUMBER_DIGITS = 18
"""The most digits of a number: a longer one does not fit the 64-bit sizes of any framework."""

_OpenGroup: TypeAlias = "tuple[str, int, list[Item], list[tuple[Item, ...]]]"
"""A group not closed yet: its opening bracket, the index of that in the text, the items before the group, and its parts
that a ``+`` has ended."""

_new_node = tuple.__new__
"""Constructs a node faster than its class does, since it skips the Python-level ``__new__``."""


def parse(text: str) -> Tree:  # noqa: PLR0915  # one loop, with a branch for each kind of token
    """Return the syntax tree of a pattern such as ``"b (h p) c -> b h (p c)"``; each node has its range in the text.

    >>> parse("a -> a").left[0].items
    (Name(text='a', start=0, stop=1),)
    """
    if not isinstance(text, str):
        raise make_error("PLT101", f"the pattern must be a string, not {type(text).__name__}: {short_repr(text)}")
    left: tuple[TensorExpr, ...] | None = None
    exprs: list[TensorExpr] = []
    expr_start = 0
    items: list[Item] = []
    ellipsis_spans: list[Span] = []
    open_groups: list[_OpenGroup] = []
    is_plain = True
    for match in _TOKEN_REGEX.finditer(text):
        symbol = match[0]
        start, stop = match.span()
        if symbol.isascii() and (symbol.isalpha() or (symbol.isidentifier() and symbol[0] != "_" != symbol[-1])):
            # a fast path for most names; `_parse_word` handles the others
            items.append(_new_node(Name, (symbol, start, stop)))
        elif symbol in ("(", "["):
            if len(open_groups) == MAX_GROUP_DEPTH:
                raise make_error(
                    "PLT108", f"groups can be nested at most {MAX_GROUP_DEPTH} deep", text, [(start, stop)]
                )
            open_groups.append((symbol, start, items, []))
            items = []
        elif symbol in (")", "]"):
            if not open_groups:
                raise make_error("PLT104", f"'{symbol}' closes no group", text, [(start, stop)])
            opening, first, outer, parts = open_groups.pop()
            if opening + symbol not in ("()", "[]"):
                raise make_error(
                    "PLT104", f"'{opening}' is closed by '{symbol}'", text, [(first, first + 1), (start, stop)]
                )
            if parts and not items:
                raise make_error("PLT109", "an axis is missing after '+'", text, [(start, stop)])
            if symbol == ")":
                outer.append(_new_node(Group, ((*parts, tuple(items)), first, stop)))
            else:
                is_plain = False
                outer.append(Bracket(tuple(items), first, stop))
            items = outer
        elif symbol in ("->", ",", ""):
            if open_groups:
                opening, first, _, _ = open_groups[-1]
                before = f" before '{symbol}'" if symbol else ""
                raise make_error("PLT104", f"'{opening}' is never closed{before}", text, [(first, first + 1)])
            if len(ellipsis_spans) > 1:
                raise make_error("PLT106", "an ellipsis can appear only once in a tensor", text, ellipsis_spans)
            exprs.append(TensorExpr(tuple(items), expr_start, start))
            items, ellipsis_spans, expr_start = [], [], stop
            if symbol == ",":
                is_plain = False
            elif symbol:
                if left is not None:
                    raise make_error("PLT105", "a pattern has only one arrow", text, [(start, stop)])
                left, exprs = tuple(exprs), []
        elif match.lastindex and symbol != "_":
            items.append(_parse_word(text, symbol, start, stop))
        else:
            is_plain = False
            if symbol == "+":
                if not open_groups or open_groups[-1][0] != "(":
                    raise make_error(
                        "PLT109", "'+' can appear only inside a group, as in (a + b)", text, [(start, stop)]
                    )
                if not items:
                    raise make_error("PLT109", "an axis is missing before '+'", text, [(start, stop)])
                open_groups[-1][3].append(tuple(items))
                items = []
            elif symbol in ("...", "…"):
                name = None
                if items and isinstance(previous := items[-1], Name) and previous.stop == start:
                    name, start = previous.text, previous.start
                    items.pop()
                items.append(Ellipsis(name, start, stop))
                ellipsis_spans.append((start, stop))
            elif symbol in ("*", "_"):
                items.append(Wildcard(symbol, start, stop))
            else:
                raise _invalid_word_error(text, symbol, start)
    if left is None:
        return Tree(text, tuple(exprs), None)
    return Tree(text, left, tuple(exprs), is_plain)


def normalize_name(name: str) -> str:
    """Return the name in the Unicode form NFKC, to which Python normalizes every identifier.

    >>> normalize_name("ℎ")
    'h'
    """
    if name.isascii():
        return name
    import unicodedata

    return unicodedata.normalize("NFKC", name)


def _parse_word(text: str, word: str, start: int, stop: int) -> Name | Number:
    """Return the node of a number, or of a name that the fast path of `parse` does not handle."""
    if word.isascii() and word.isdigit():
        digits = word.lstrip("0")
        if len(digits) > _MAX_NUMBER_DIGITS:
            raise make_error("PLT107", "this number is too large for the length of an axis", text, [(start, stop)])
        return Number(int(digits or "0"), start, stop)
    name = normalize_name(word)
    if name.isidentifier() and name[0] != "_" != name[-1]:
        return Name(name, start, stop)
    raise _invalid_word_error(text, word, start)


MISTYPED_ARROW_CHARACTERS = "→⟶➔➜➝⇒⟹−–—"
"""Characters that are often typed instead of the arrow ``->`` or a part of it."""


def _invalid_word_error(text: str, word: str, start: int) -> Exception:
    """Return the error PLT102 or PLT103 for a word or symbol that is not part of the notation."""
    at = [(start, start + len(word))]
    if normalize_name(word).isidentifier():
        return make_error("PLT103", "an axis name cannot begin or end with an underscore", text, at)
    if word == ".":
        return make_error("PLT102", "unexpected '.'; write an ellipsis as '...'", text, at)
    if word in "->":
        return make_error("PLT102", f"unexpected '{word}'; write the arrow as '->'", text, at)
    if word.isdigit():
        from unicodedata import digit

        meant = "".join([str(digit(char)) for char in word[:20]])
        return make_error("PLT102", f"write numbers with the digits 0 to 9, here {meant}", text, at)
    if word[0] in "0123456789":
        return make_error("PLT103", "an axis name cannot begin with a digit", text, at)
    for place, char in enumerate(word, start):
        if not ("a" + normalize_name(char)).isidentifier():
            arrow = "; write the arrow as '->'" if char in MISTYPED_ARROW_CHARACTERS else ""
            message = f"unexpected character {char!r}{arrow}"
            return make_error("PLT102", message, text, [(place, place + 1)])
    return make_error("PLT103", "this is not an axis name; a name must be a Python identifier", text, at)
