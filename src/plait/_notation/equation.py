"""The parser of classical einsum equations such as ``"ij,jk->ik"``: every letter becomes an axis of a `Tree`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from plait._notation.parser import MISTYPED_ARROW_CHARACTERS, normalize_name, parse
from plait._notation.tree import Ellipsis, Name, TensorExpr, Tree, collect_leaves, collect_names
from plait.errors import PlaitError, make_error

PATTERN_LAST_HINT = "with the equation first each letter is an axis; for axes with names, put the pattern last"
"""The end of a message about an equation that looks like a pattern of names."""

_WORD_REGEX = re.compile(r"[^\s.,>\-]+")
"""Matches each run of letters in an equation that has nothing but letters and symbols."""

_WORD_WITH_ELLIPSIS_REGEX = re.compile(r"\.*[^\s.,>\-][^\s,>\-]*")
"""Matches each word of such an equation, with an ellipsis before, inside or after it."""

_MIN_NAME_LENGTH = 3
"""From this many letters on, a word that several terms have looks like the name of one axis."""

_TOKEN_REGEX = re.compile(r"->|\.\.\.|\S|\Z")
"""With ``finditer``: matches each token of an equation, and at the end the empty string."""

_MISTYPED_CHARACTERS = MISTYPED_ARROW_CHARACTERS + "…，"
"""Characters beyond ASCII that are no letters: they are typed instead of ``->``, ``...`` or a comma."""


def parse_equation(equation: str, tensor_count: int) -> Tree:
    """Return the tree of a classical equation for several tensors; it may have white space, and may lack an output.

    Its axes are letters of any script, not normalized. Beyond ASCII every character counts as a letter, because
    ``opt_einsum.get_symbol`` returns them all.

    >>> str(parse_equation("ij, jk", 2))
    'i j, j k -> i k'
    """
    if not isinstance(equation, str):
        raise make_error("PLT101", f"the equation must be a string, not {type(equation).__name__}")
    sides: list[tuple[TensorExpr, ...]] = []
    exprs: list[TensorExpr] = []
    items: list[Name | Ellipsis] = []
    expr_start = 0
    for match in _TOKEN_REGEX.finditer(equation):
        symbol, (start, stop) = match[0], match.span()
        if symbol in ("->", ",", ""):
            if symbol == "->" and sides:
                raise make_error("PLT105", "an equation has only one arrow", equation, [(start, stop)])
            exprs.append(TensorExpr(tuple(items), expr_start, start))
            items, expr_start = [], stop
            if symbol != ",":
                sides.append(tuple(exprs))
                exprs = []
        elif symbol == "...":
            if Ellipsis in map(type, items):
                raise make_error("PLT106", "an ellipsis can appear only once in a tensor", equation, [(start, stop)])
            items.append(Ellipsis(None, start, stop))
        elif symbol.isalpha() if symbol.isascii() else symbol not in _MISTYPED_CHARACTERS:
            items.append(Name(symbol, start, stop))
        else:
            arrow = "; write the arrow as '->'" if symbol in MISTYPED_ARROW_CHARACTERS else ""
            message = f"unexpected {symbol!r} in an equation; its axes are letters{arrow}"
            raise make_error("PLT110", message, equation, [(start, stop)])
    _forbid_words_beside_words(equation, [expr for side in sides for expr in side])
    left = sides[0]
    if len(left) != tensor_count:
        message = f"the equation has {len(left)} tensor{'s' * (len(left) != 1)}, but einsum was given {tensor_count}"
        raise make_error("PLT202", message, equation, [(expr.start, expr.stop) for expr in left])
    right = sides[1] if len(sides) == 2 else (_implicit_output(left, len(equation)),)
    if len(right) != 1:
        raise make_error(
            "PLT110", "einsum has exactly one output", equation, [(expr.start, expr.stop) for expr in right]
        )
    return Tree(equation, left, right, is_classical=True)


def _forbid_words_beside_words(equation: str, exprs: list[TensorExpr]) -> None:
    """Raise PLT110 if a term has several words, and one of them has several letters, as in ``batch i``.

    White space separates words; the letters of ``i...jk`` are one.
    """
    for expr in exprs:
        matches = [*_WORD_WITH_ELLIPSIS_REGEX.finditer(equation, expr.start, expr.stop)]
        words = [match.span() for match in matches]
        if len(words) > 1 and any(len(match[0].replace(".", "")) > 1 for match in matches):
            message = f"'{equation[expr.start : expr.stop].strip()}' has words; {PATTERN_LAST_HINT}"
            raise make_error("PLT110", message, equation, words)


def find_word_like_name(tree: Tree) -> str | None:
    """Return a word beside an ellipsis that looks like the name of one axis: several terms of the equation have it.

    Without an ellipsis the rank of the tensor says whether a word is one axis or several.

    >>> find_word_like_name(parse_equation("...vec, ...vec -> ...", 2))
    'vec'
    """
    terms = [tree.text[expr.start : expr.stop] for expr in (*tree.left, *(tree.right or ()))]
    counts = Counter(word for term in terms if "..." in term for word in {*_WORD_REGEX.findall(term)})
    return next((word for word, count in counts.items() if count > 1 and len(word) >= _MIN_NAME_LENGTH), None)


def equation_as_pattern(text: Any, ranks: Sequence[int] | None = None) -> str | None:
    """Return the pattern that says the same as a classical equation; ``None`` for a text that is a pattern itself.

    A text of one term, as ``bchw->bhwc``, may also be a pattern without its blanks: it needs the ranks of the tensors.

    >>> [equation_as_pattern(text) for text in ("ij,jk->ik", "ij,jk", "i j, j k -> i k", "bchw->bhwc")]
    ['i j, j k -> i k', 'i j, j k -> i k', None, None]
    >>> equation_as_pattern("bchw->bhwc", [4])
    'b c h w -> b h w c'
    """
    if not isinstance(text, str):
        return None
    try:
        equation = parse_equation(text, text.partition("->")[0].count(",") + 1)
        pattern = parse(text)
    except PlaitError:
        return None
    letters, names = [
        [{*collect_names(side or ())} for side in (tree.left, tree.right)] for tree in (equation, pattern)
    ]
    if any(normalize_name(letter) != letter or not letter.isidentifier() for letter in letters[0]):
        return None  # a letter that is no name, or that is another name in a pattern
    if not letters[1] <= letters[0] or any(len(collect_names((expr,))) > 1 for expr in pattern.left):
        return None  # several words are axes with names, as in "h w", which lacks its arrow
    fits_equation = ranks is not None and _fits_ranks(equation, ranks)
    is_pattern = pattern.right is not None and (
        names[1] <= names[0] or (len(pattern.left) == 1 and names[0] <= names[1])
    )
    if any(isinstance(leaf, Ellipsis) and leaf.name for leaf in collect_leaves(pattern.left)):  # as in "ij...->ji..."
        is_pattern = False
    if is_pattern:
        return str(equation) if ranks is not None and fits_equation and not _fits_ranks(pattern, ranks) else None
    return str(equation) if fits_equation or len(equation.left) > 1 else None


def format_equation(tree: Tree) -> str:
    """Return the equation of a tree of letters, without blanks and with its output.

    >>> format_equation(parse_equation("ij, jk", 2))
    'ij,jk->ik'
    """
    left, right = [",".join(["".join(map(str, expr.items)) for expr in side or ()]) for side in (tree.left, tree.right)]
    return f"{left}->{right}"


def _fits_ranks(tree: Tree, ranks: Sequence[int]) -> bool:
    """Whether the terms of a tree have as many axes as the tensors of these ranks."""
    return len(ranks) == len(tree.left) and all(
        rank >= len(expr.items) - 1 if Ellipsis in map(type, expr.items) else rank == len(expr.items)
        for expr, rank in zip(tree.left, ranks, strict=True)
    )


def _implicit_output(left: tuple[TensorExpr, ...], end: int) -> TensorExpr:
    """Return the output of an equation without an arrow: the ellipsis, then the letters that appear once, sorted."""
    inputs = [item for expr in left for item in expr.items]
    counts = Counter(item.text for item in inputs if isinstance(item, Name))
    letters = sorted(letter for letter, count in counts.items() if count == 1)
    dots = [Ellipsis(None, end, end)] if any(isinstance(item, Ellipsis) for item in inputs) else []
    return TensorExpr((*dots, *(Name(letter, end, end) for letter in letters)), end, end)
