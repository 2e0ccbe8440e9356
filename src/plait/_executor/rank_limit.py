"""The option ``max_rank``, the highest rank of a tensor that an operation may plan.

The cache keys of operations on one tensor have no options, since reading them would make each call slower. So the first
use of ``max_rank`` in a process makes it forget all callables, and those that are built after it choose by the options
of each call. A process that never uses ``max_rank`` pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from plait._executor.options import CURRENT_OPTIONS
from plait.errors import PlaitError, Span, make_error

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


def rank_limit_error(tensor: str, rank: int, max_rank: int, text: str, *spans: Span) -> PlaitError:
    """Return the error PLT314 for a tensor of a pattern, which is the subject of its sentence."""
    return make_error("PLT314", f"{tensor} has rank {rank}, but max_rank={max_rank} allows no more", text, spans)
