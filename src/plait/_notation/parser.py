"""From tokens to a tree. One loop with its own stack: linear in the text, and never recursive."""

from __future__ import annotations

from plait._notation.tokens import (
    PLAIN,
    TOKEN,
    WORD,
    word,
)
from plait._notation.tree import (
    Bracket,
    Ellipsis,
    Expr,
    Group,
    Item,
    Mark,
    Name,
    Number,
    Tree,
    leaves,
)
from plait.errors import fail, short

DEEPEST = 32
"""How far groups may nest; arrays themselves end at 64 dimensions."""

_CLOSES = {"(": ")", "[": "]"}

_node = tuple.__new__
"""Makes a node as its class does, but without a frame of Python: most of a pattern is names."""


class _Reader:
    """The state of the loop: what is complete, and what is being read."""

    __slots__ = ("expr_start", "exprs", "items", "opened", "plain", "sides", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.sides: list[tuple[Expr, ...]] = []
        self.exprs: list[Expr] = []
        self.items: list[Item] = []
        self.opened: list[tuple[str, int, list[Item], list[tuple[Item, ...]]]] = []
        self.expr_start = 0
        self.plain = True

    def read(self) -> Tree:
        text, items, opened = self.text, self.items, self.opened
        for match in TOKEN.finditer(text):
            start, stop = match.span()
            group = match.lastindex
            sign = match[0]
            if group == PLAIN:
                items.append(_node(Name, (sign, start, stop)))
            elif group == WORD:
                found = word(text, sign, start)
                items.append(Number(found, start, stop) if isinstance(found, int) else Name(found, start, stop))
            elif sign == "(" and len(opened) < DEEPEST:  # what follows an opening sign interrupts what was read
                opened.append((sign, start, items, []))
                items = []
            elif sign == ")" and opened and opened[-1][0] == "(" and not opened[-1][3]:
                _, first, outer, _ = opened.pop()
                outer.append(_node(Group, ((tuple(items),), first, stop)))
                items = outer
            else:
                self.items = items
                self._sign(sign, start, stop)
                items = self.items
        self.items = items
        self._end_side("", len(text))
        if len(self.sides) == 1:
            return Tree(text, self.sides[0], None)
        return Tree(text, self.sides[0], self.sides[1], self.plain)

    def _sign(self, sign: str, start: int, stop: int) -> None:
        """The signs that are rarer than a parenthesis, and the parentheses that are wrong."""
        self.plain &= sign == "->"
        if sign in "([":
            self._open(sign, start)
        elif sign in ")]":
            self._close(sign, start, stop)
        elif sign == "->":
            self._end_side(" before '->'", start)
            self.expr_start = stop
            if len(self.sides) == 2:
                raise fail("PLT105", "a pattern has one arrow", self.text, [(start, stop)])
        elif sign == ",":
            self._end_expr(" before ','", start)
            self.expr_start = stop
        elif sign == "+":
            self._plus(start, stop)
        elif sign in ("...", "…"):
            self._ellipsis(start, stop)
        else:
            self.items.append(Mark(sign, start, stop))

    def _open(self, sign: str, start: int) -> None:
        if len(self.opened) == DEEPEST:
            raise fail("PLT108", f"groups nest at most {DEEPEST} deep", self.text, [(start, start + 1)])
        self.opened.append((sign, start, self.items, []))
        self.items = []

    def _close(self, sign: str, start: int, stop: int) -> None:
        if not self.opened:
            raise fail("PLT104", f"'{sign}' closes nothing", self.text, [(start, stop)])
        opening, first, outer, parts = self.opened.pop()
        if _CLOSES[opening] != sign:
            spans = [(first, first + 1), (start, stop)]
            raise fail("PLT104", f"'{opening}' is closed by '{sign}'", self.text, spans)
        if parts and not self.items:
            raise fail("PLT109", "nothing stands after this '+'", self.text, [(start, stop)])
        inside, self.items = tuple(self.items), outer
        outer.append(Bracket(inside, first, stop) if sign == "]" else Group((*parts, inside), first, stop))

    def _plus(self, start: int, stop: int) -> None:
        if not self.opened or self.opened[-1][0] != "(":
            raise fail("PLT109", "'+' concatenates inside a group, as in (a + b)", self.text, [(start, stop)])
        if not self.items:
            raise fail("PLT109", "nothing stands before this '+'", self.text, [(start, stop)])
        self.opened[-1][3].append(tuple(self.items))
        self.items = []

    def _ellipsis(self, start: int, stop: int) -> None:
        name = None
        if self.items and isinstance(before := self.items[-1], Name) and before.stop == start:
            self.items.pop()
            name, start = before.text, before.start
        self.items.append(Ellipsis(name, start, stop))

    def _end_side(self, where: str, stop: int) -> None:
        self._end_expr(where, stop)
        self.sides.append(tuple(self.exprs))
        self.exprs = []

    def _end_expr(self, where: str, stop: int) -> None:
        if self.opened:
            sign, start, _, _ = self.opened[-1]
            raise fail("PLT104", f"'{sign}' is never closed{where}", self.text, [(start, start + 1)])
        if "." in self.text or "…" in self.text:
            self._one_ellipsis()
        self.exprs.append(Expr(tuple(self.items), self.expr_start, stop))
        self.items = []

    def _one_ellipsis(self) -> None:
        dots = [leaf for item in self.items for leaf in leaves(item) if isinstance(leaf, Ellipsis)]
        if len(dots) > 1:
            spans = [(leaf.start, leaf.stop) for leaf in dots]
            raise fail("PLT106", "an ellipsis may stand once in a tensor", self.text, spans)


def parse(text: str) -> Tree:
    """The tree of a pattern.

    Args:
        text: a pattern, such as ``"b (h p) c -> b h (p c)"``.

    Returns:
        The tree, each node with its place in the text.

    Raises:
        PatternSyntaxError: PLT101 to PLT109, with carets.

    >>> parse("a -> a").left[0].items
    (Name(text='a', start=0, stop=1),)
    """
    if not isinstance(text, str):
        raise fail("PLT101", f"the pattern must be text, and this is {type(text).__name__}: {short(text)}")
    return _Reader(text).read()
