"""The cold half of what a caller may ask of contractions: the options checked, and lonely axes looked at."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from operator import index
from typing import Any, NamedTuple

from plait._executor.caches import FORGET
from plait._notation.tree import Name, Number, leaves
from plait._operations.einsum import lonely, lower
from plait._plan.contraction.paths import How, check_name, checked_path
from plait._plan.graph import Plan
from plait._shapes.sizes import exact
from plait._shapes.solver import SolvedPattern
from plait.errors import (
    AxisWarning,
    Span,
    fail,
    short,
)


class Asked(NamedTuple):
    """What is asked of a contraction; ``wishes`` are pairs of a name and what is wished of the product itself."""

    contract: How = "auto"
    memory_limit: int | None = None
    strict: bool = False
    wishes: tuple[tuple[str, Any], ...] = ()


NOTHING = Asked()


def checked_options(given: dict[str, Any]) -> dict[str, Any]:
    """The options in the form in which they are kept.

    Raises:
        AxisError: PLT214.
        SizeError: PLT301 or PLT306.
    """
    checked = dict(given)
    if "contract" in given:
        checked["contract"] = _contract(given["contract"])
    if given.get("memory_limit") is not None:
        checked["memory_limit"] = exact("memory_limit", given["memory_limit"])
    if "strict" in given:
        checked["strict"] = bool(given["strict"])
    return checked


def _contract(contract: Any) -> Any:
    if isinstance(contract, str):
        check_name(contract)
        return contract
    if callable(contract):
        return contract
    try:
        path = [places for places in contract if places != "einsum_path"]  # with which NumPy's begin
        return tuple([tuple([index(place) for place in places]) for places in path])
    except TypeError:
        message = f"contract is a name, a path such as [(0, 1), (0, 1)], or a function, and this is {short(contract)}"
        raise fail("PLT214", message) from None


def as_asked(plan: Plan, asked: Asked | None) -> Plan:
    """The plan of an einsum of unknown sizes, as far as it can be what the caller asks: along a path that is given.

    Raises:
        AxisError: PLT204 or PLT214.
        BackendError: PLT506.
    """
    look_at_lonely(plan.solved, asked)
    if asked is None or not isinstance(asked.contract, tuple):
        return plan
    return lower(plan.solved, path=checked_path(asked.contract, len(plan.solved.ranks)))


def look_at_lonely(solved: SolvedPattern, asked: Asked | None) -> None:
    """Refuse axes that einsum sums over alone, where the caller is strict; warn where one looks misspelt.

    Raises:
        AxisError: PLT204, `plait.options` says ``strict=True``.
    """
    alone = lonely(solved)
    if not alone:
        return
    labels = list(dict.fromkeys([solved.labels[axis] for axis in alone]))
    if asked is not None and asked.strict:
        spans = _spans(solved, labels)
        stands = f"{labels[0]} stands" if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]} stand"
        message = f"{stands} once, on the left only, and would be summed, which strict=True does not allow"
        raise fail("PLT204", message, solved.tree.text, spans)
    if not solved.classical:
        for label in labels:
            near = next((other for other in dict.fromkeys(solved.labels) if is_near_miss(label, other)), None)
            if near is not None:
                _warn(solved.text, label, near)
                return


def _spans(solved: SolvedPattern, labels: Sequence[str]) -> list[Span]:
    """Where these axes stand on the left."""
    found = [leaf for expr in solved.tree.left for item in expr.items for leaf in leaves(item)]
    wanted = {*labels}
    text = {
        leaf: leaf.text if isinstance(leaf, Name) else str(leaf.value)
        for leaf in found
        if isinstance(leaf, (Name, Number))
    }
    return [(leaf.start, leaf.stop) for leaf in text if text[leaf] in wanted]


def is_near_miss(one: str, other: str) -> bool:
    """Whether one name may be another misspelt: ``d`` and ``dd``, ``head`` and ``heads``, ``chanel`` and ``channel``.

    Names that differ in digits are told apart on purpose, and so are two different letters.

    >>> is_near_miss("head", "heads"), is_near_miss("d", "dd"), is_near_miss("i", "j"), is_near_miss("h1", "h2")
    (True, True, False, False)
    """
    if one == other or not (one.isidentifier() and other.isidentifier()):
        return False
    short_one, long_one = sorted((one, other), key=len)
    if any(char.isdigit() for char in one + other):
        return False
    if long_one.startswith(short_one):
        return long_one[len(short_one) :] in ("s", "es", short_one[-1])
    if len(short_one) < 3:
        return False
    if one.casefold() == other.casefold():
        return True
    return len(long_one) - len(short_one) <= 1 and SequenceMatcher(None, one, other).ratio() >= 0.8


@lru_cache(maxsize=1024)
def _warn(text: str, label: str, near: str) -> None:
    """Warn once, where the caller's own code called."""
    message = f"{label} stands once, on the left only of '{text}', and is summed; did you mean {near}?"
    level, frame = 1, sys._getframe()
    while str(frame.f_globals.get("__name__", "")).partition(".")[0] == "plait" and frame.f_back:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, AxisWarning, stacklevel=level)


FORGET += [_warn.cache_clear, lonely.cache_clear]
