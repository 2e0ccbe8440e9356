"""From calls to one callable, with nothing between the calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

Call: TypeAlias = tuple[Callable[[Any, Any], Any], Any]
"""A function of a tensor and a constant, and the constant."""


def compose(calls: Sequence[Call]) -> Callable[[Any], Any]:
    """One function of a tensor that makes the calls in order, each on what the one before gave.

    Up to four calls, as most patterns need, share a single frame of Python.
    """
    count = len(calls)
    if count == 1:
        ((f, a),) = calls
        return lambda tensor: f(tensor, a)
    if count == 2:
        (f, a), (g, b) = calls
        return lambda tensor: g(f(tensor, a), b)
    if count == 3:
        (f, a), (g, b), (h, c) = calls
        return lambda tensor: h(g(f(tensor, a), b), c)
    if count == 4:
        (f, a), (g, b), (h, c), (i, d) = calls
        return lambda tensor: i(h(g(f(tensor, a), b), c), d)
    if count == 0:
        return _identity
    first, rest = compose(calls[:4]), compose(calls[4:])
    return lambda tensor: rest(first(tensor))


def meet(hand: Sequence[Any], places: Sequence[int], call: Callable[..., Any], *first: Any) -> list[Any]:
    """The tensors at hand after a call that takes those at these places, and gives one, which becomes the last."""
    result = call(*first, *[hand[place] for place in places])
    return [*[hand[place] for place in range(len(hand)) if place not in places], result]


def along(calls: Sequence[tuple[Sequence[int], Callable[..., Any]]]) -> Callable[..., Any]:
    """One function of several tensors that makes them one, call by call; each call has the places of its tensors.

    An intermediate result is let go as soon as it is used.
    """
    ((places, call), *later) = calls
    if not later and tuple(places) == tuple(range(len(places))):
        return call
    if not later and len(places) == 2:
        return lambda one, other: call(other, one)
    count = 1 + sum([len(places) - 1 for places, _ in calls])
    steps, hand = [], list(range(count))
    for number, (places, call) in enumerate(calls):
        met = [hand[place] for place in places]
        hand = [*[slot for place, slot in enumerate(hand) if place not in places], count + number]
        steps.append((call, met, [slot for slot in met if slot >= count]))

    def run(*tensors: Any) -> Any:
        slots = list(tensors)
        for call, met, used in steps:
            slots.append(call(*[slots[slot] for slot in met]))
            for slot in used:
                slots[slot] = None
        return slots[-1]

    def run_pairs(*tensors: Any) -> Any:
        slots = list(tensors)
        for call, (one, other), used in steps:
            slots.append(call(slots[one], slots[other]))
            for slot in used:
                slots[slot] = None
        return slots[-1]

    return run_pairs if all(len(met) == 2 for _, met, _ in steps) else run


def _identity(tensor: Any) -> Any:
    return tensor
