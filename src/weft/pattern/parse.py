"""From tokens to a tree. One loop with its own stack: linear in the text, and never recursive."""

from __future__ import annotations

from weft.errors import fail, short
from weft.pattern.tokens import ELLIPSIS, MARK, NAME, NUMBER, Token, tokens
from weft.pattern.tree import Bracket, Ellipsis, Expr, Group, Item, Mark, Name, Number, Tree

DEEPEST = 32
"""How far groups may nest; arrays themselves end at 64 dimensions."""

_CLOSES = {"(": ")", "[": "]"}


class _Open:
    """A parenthesis that waits for its partner, with what it interrupted."""

    __slots__ = ("items", "parts", "sign", "start")

    def __init__(self, sign: str, start: int, items: list[Item]) -> None:
        self.sign = sign
        self.start = start
        self.items = items
        self.parts: list[tuple[Item, ...]] = []


class _Reader:
    """The state of the loop: what is complete, and what is being read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sides: list[tuple[Expr, ...]] = []
        self.exprs: list[Expr] = []
        self.items: list[Item] = []
        self.stack: list[_Open] = []
        self.expr_start = 0
        self.dots: Ellipsis | None = None

    def read(self) -> Tree:
        for token in tokens(self.text):
            kind, word, start, stop = token
            if kind is NAME:
                self.items.append(Name(word, start, stop))
            elif kind in "([":
                self._open(token)
            elif kind in ")]":
                self._close(token)
            elif kind is NUMBER:
                self.items.append(Number(int(word), start, stop))
            elif kind is ELLIPSIS:
                self._ellipsis(start, stop)
            elif kind is MARK:
                self.items.append(Mark(word, start, stop))
            elif kind == "+":
                self._plus(token)
            else:
                self._separate(token)
        self._nothing_open(None)
        self._end_expr(len(self.text))
        self.sides.append(tuple(self.exprs))
        return Tree(self.text, self.sides[0], self.sides[1] if len(self.sides) == 2 else None)

    def _open(self, token: Token) -> None:
        kind, _, start, _ = token
        if len(self.stack) == DEEPEST:
            raise fail("W108", f"groups nest at most {DEEPEST} deep", self.text, [(start, start + 1)])
        self.stack.append(_Open(kind, start, self.items))
        self.items = []

    def _close(self, token: Token) -> None:
        kind, _, start, stop = token
        if not self.stack:
            raise fail("W104", f"'{kind}' closes nothing", self.text, [(start, stop)])
        opened = self.stack.pop()
        if _CLOSES[opened.sign] != kind:
            spans = [(opened.start, opened.start + 1), (start, stop)]
            raise fail("W104", f"'{opened.sign}' is closed by '{kind}'", self.text, spans)
        inside, self.items = tuple(self.items), opened.items
        if kind == "]":
            self.items.append(Bracket(inside, opened.start, stop))
            return
        if opened.parts and not inside:
            raise fail("W109", "nothing stands after this '+'", self.text, [(start, stop)])
        self.items.append(Group((*opened.parts, inside), opened.start, stop))

    def _plus(self, token: Token) -> None:
        _, _, start, stop = token
        if not self.stack or self.stack[-1].sign != "(":
            raise fail("W109", "'+' concatenates inside a group, as in (a + b)", self.text, [(start, stop)])
        if not self.items:
            raise fail("W109", "nothing stands before this '+'", self.text, [(start, stop)])
        self.stack[-1].parts.append(tuple(self.items))
        self.items = []

    def _ellipsis(self, start: int, stop: int) -> None:
        name = None
        if self.items and isinstance(before := self.items[-1], Name) and before.stop == start:
            self.items.pop()
            name, start = before.text, before.start
        node = Ellipsis(name, start, stop)
        if self.dots is not None:
            spans = [(self.dots.start, self.dots.stop), (start, stop)]
            raise fail("W106", "an ellipsis may stand once in a tensor", self.text, spans)
        self.dots = node
        self.items.append(node)

    def _separate(self, token: Token) -> None:
        kind, _, start, stop = token
        self._nothing_open(token)
        self._end_expr(start)
        self.expr_start = stop
        if kind == "->":
            self.sides.append(tuple(self.exprs))
            self.exprs = []
            if len(self.sides) == 2:
                raise fail("W105", "a pattern has one arrow", self.text, [(start, stop)])

    def _end_expr(self, stop: int) -> None:
        self.exprs.append(Expr(tuple(self.items), self.expr_start, stop))
        self.items = []
        self.dots = None

    def _nothing_open(self, token: Token | None) -> None:
        if self.stack:
            opened = self.stack[-1]
            before = f" before '{token[0]}'" if token else ""
            raise fail(
                "W104", f"'{opened.sign}' is never closed{before}", self.text, [(opened.start, opened.start + 1)]
            )


def parse(text: str) -> Tree:
    """The tree of a pattern.

    Args:
        text: a pattern, such as ``"b (h p) c -> b h (p c)"``.

    Returns:
        The tree, each node with its place in the text.

    Raises:
        PatternSyntaxError: W101 to W109, with carets.

    >>> parse("a -> a").left[0].items
    (Name(text='a', start=0, stop=1),)
    """
    if not isinstance(text, str):
        raise fail("W101", f"the pattern must be text, and this is {type(text).__name__}: {short(text)}")
    return _Reader(text).read()
