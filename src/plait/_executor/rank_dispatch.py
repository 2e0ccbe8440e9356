"""Callables that choose by ``max_rank`` of the options of each call; see `plait._executor.rank_limit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plait._executor.options import CURRENT_OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from plait._executor.einsum_options import OptionValues


def max_rank_of(options: OptionValues | None) -> int | None:
    """Return ``max_rank`` of these options; ``None`` are those of the context."""
    options = CURRENT_OPTIONS.get() if options is None else options
    return None if options is None else options.max_rank


def choose_by_max_rank(build: Callable[[int | None], Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """Return a function of a tensor that makes each call by the callable for ``max_rank`` of its context.

    ``build`` makes such a callable: at once for the current context, and for another one when it is first needed.
    """
    current = max_rank_of(None)
    calls = {current: build(current)}

    def call(tensor: Any) -> Any:
        options = CURRENT_OPTIONS.get()
        max_rank = None if options is None else options.max_rank
        function = calls.get(max_rank)
        if function is None:
            function = calls[max_rank] = build(max_rank)
        return function(tensor)

    return call
