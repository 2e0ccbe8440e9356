"""The options of an einsum, checked; and a check of axes that it sums implicitly."""

from __future__ import annotations

import sys
import warnings
from operator import index
from typing import Any, NamedTuple

from plait._caches import clearable_lru_cache
from plait._notation.tree import collect_leaves
from plait._operations.einsum import implicitly_summed_axes, lower_einsum
from plait._operations.rules import subject_and_verb
from plait._plan.contraction.paths import Optimize, check_algorithm_name, check_path
from plait._plan.graph import Plan
from plait._shapes.sizes import to_exact_size
from plait._shapes.solver import SolvedPattern
from plait.errors import AxisWarning, make_error, short_repr


class EinsumOptions(NamedTuple):
    """How an einsum is contracted; ``backend_kwargs`` are arguments of the framework's own einsum."""

    contract: Optimize = "auto"
    memory_limit: int | None = None
    strict: bool = False
    backend_kwargs: tuple[tuple[str, Any], ...] = ()

    @property
    def requests_path(self) -> bool:
        """Whether they ask for another path than the framework's own."""
        return self.contract != "auto" or self.memory_limit is not None


DEFAULT_OPTIONS = EinsumOptions()


def check_options(given: dict[str, Any]) -> dict[str, Any]:
    """The options in the form in which they are kept."""
    checks = {"contract": _check_contract, "memory_limit": _check_memory_limit, "strict": bool}
    return {name: checks[name](value) for name, value in given.items()}


def _check_memory_limit(limit: Any) -> int | None:
    return None if limit is None else to_exact_size("memory_limit", limit)


def _check_contract(contract: Any) -> Any:
    if isinstance(contract, str):
        check_algorithm_name(contract)
        return contract
    if callable(contract):
        return contract
    try:
        path = [places for places in contract if places != "einsum_path"]  # with which NumPy's begin
        return tuple([tuple([index(place) for place in places]) for places in path])
    except TypeError:
        message = (
            f"contract is a name, a path such as [(0, 1), (0, 1)], or a function, and this is {short_repr(contract)}"
        )
        raise make_error("PLT214", message) from None


def lower_with_given_path(plan: Plan, options: EinsumOptions | None) -> Plan:
    """The plan of an einsum of unknown sizes: of the options, a path that is given can be followed."""
    check_implicit_sums(plan.solved, options)
    if options is None or not isinstance(options.contract, tuple):
        return plan
    return lower_einsum(plan.solved, path=check_path(options.contract, len(plan.solved.ranks)))


def check_implicit_sums(solved: SolvedPattern, options: EinsumOptions | None) -> None:
    """Refuse axes that einsum sums over alone if the options are strict; warn where one looks misspelt."""
    alone = implicitly_summed_axes(solved)
    if not alone:
        return
    labels = list(dict.fromkeys([solved.labels[axis] for axis in alone]))
    if options is not None and options.strict:
        spans = [(leaf.start, leaf.stop) for leaf in collect_leaves(solved.tree.left) if str(leaf) in labels]
        message = (
            f"{subject_and_verb(labels)} once, on the left only, and would be summed, which strict=True does not allow"
        )
        raise make_error("PLT204", message, solved.tree.text, spans)
    if not solved.is_classical:
        for label in labels:
            near = next((other for other in dict.fromkeys(solved.labels) if looks_like_typo(label, other)), None)
            if near is not None:
                _warn_about_typo(solved.text, label, near)
                return


def looks_like_typo(one: str, other: str) -> bool:
    """Whether one name may be another misspelt: ``d`` and ``dd``, ``head`` and ``heads``, ``chanel`` and ``channel``.

    Names that differ in digits are told apart on purpose, and so are two different letters.

    >>> [looks_like_typo(*pair) for pair in (("head", "heads"), ("d", "dd"), ("i", "j"), ("h1", "h2"))]
    [True, True, False, False]
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
    from difflib import SequenceMatcher

    if one.casefold() == other.casefold():
        return True
    return len(long_one) - len(short_one) <= 1 and SequenceMatcher(None, one, other).ratio() >= 0.8


@clearable_lru_cache(maxsize=1024)
def _warn_about_typo(text: str, label: str, near: str) -> None:
    """Warn once, where the caller's own code called."""
    message = f"{label} stands once, on the left only of '{text}', and is summed; did you mean {near}?"
    level, frame = 1, sys._getframe()
    while str(frame.f_globals.get("__name__", "")).partition(".")[0] == "plait" and frame.f_back:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, AxisWarning, stacklevel=level)
