"""Large tensors by a compiled kernel, in one pass over memory; until it is ready, by the framework's calls."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, prod
from time import perf_counter
from typing import Any, NamedTuple

from plait._executor.large.layout import scaled
from plait._executor.large.reductions import Made
from plait._plan.nodes import Reduce, Step
from plait.backends.capabilities import Calls, Passes
from plait.backends.interface import Backend

TRIALS = 3
"""How many calls each of two ways has to show how fast it is."""


class Task(NamedTuple):
    """What a kernel fills.

    Attributes:
        filler: what fills it, and says whether it can.
        order: of the tensor's dimensions, those that are reduced last.
        lengths: of new memory, in the order in which the tensor has its dimensions in memory.
        back: the order in which the result has them.
    """

    filler: Any
    order: tuple[int, ...]
    lengths: tuple[int, ...]
    back: tuple[int, ...]


def task(
    step: Step, shape: Sequence[int], strides: Sequence[int], passes: Passes, calls: Calls | None, dtype: Any
) -> Task | None:
    """The task of a reduction, or of a copy to memory in the order of the dimensions; ``None``: no kernel has it.

    Args:
        step: what is done.
        shape: of the tensor.
        strides: of the tensor, in bytes.
        passes: of the framework.
        calls: of the reduction.
        dtype: the element type of the tensor.
    """
    axes = step.axes if isinstance(step, Reduce) else ()
    kept = [place for place in range(len(shape)) if place not in axes]
    if passes.kernel is None or prod(shape) < passes.worth or not kept or (axes and calls is None):
        return None
    name, itemsize = (step.reduction, calls.itemsize) if isinstance(step, Reduce) and calls else (None, dtype.itemsize)
    laid = sorted(range(len(kept)), key=lambda place: -abs(strides[kept[place]])) if axes else [*range(len(kept))]
    lengths = tuple([shape[kept[place]] for place in laid])
    back = tuple([laid.index(place) for place in range(len(kept))])
    memory = scaled(lengths, itemsize)
    order = (*kept, *axes)
    filler = passes.kernel(
        name,
        tuple([shape[place] for place in order]),
        tuple([strides[place] for place in order]),
        len(axes),
        tuple([memory[place] for place in back]),
        dtype,
    )
    return None if filler is None else Task(filler, order, lengths, back)


def said(found: Task | None, step: Step, shape: Sequence[int], passes: Passes, dtype: Any) -> str | None:
    """What ``explain`` says of a step that a kernel does, or could do; ``None`` where there is nothing to be said."""
    if passes.kernel is None or passes.no_kernel is None or prod(shape) < passes.worth:
        return None
    if found is not None and found.filler.ready:
        return "by a compiled kernel, where the first calls show that it is faster"
    reduction = step.reduction if isinstance(step, Reduce) else None
    reason = passes.no_kernel(reduction, dtype) if found is None else found.filler.why
    return None if reason is None else f"without a kernel: {reason}"


def filled(found: Task, passes: Passes, calls: Calls | None, backend: Backend, meanwhile: Made) -> Made:
    """The function that fills new memory once the kernel is ready, if that is faster; the second call asks for it.

    Args:
        found: the task.
        passes: of the framework.
        calls: of a reduction.
        backend: of the framework.
        meanwhile: what serves until then.
    """
    filler, order, lengths, back = found
    permute, reshape = backend.permute, backend.reshape
    empty: Any = passes.empty if calls is None else calls.empty

    def fill(tensor: Any, constant: Any) -> Any:
        out = permute(empty(tensor, lengths), back)
        filler(permute(tensor, order), out)
        return out if calls is not None else reshape(out, constant)

    return _faster(meanwhile, fill, filler)


def _faster(meanwhile: Made, fill: Made, filler: Any) -> Made:
    """One of two functions: a clock decides in their first calls, once the second is ready.

    Which is faster depends on the machine and its cores more than any estimate could know.
    """
    best = [inf, inf]
    left = [TRIALS, TRIALS]
    settled: Made | None = None

    def call(tensor: Any, constant: Any) -> Any:
        nonlocal settled
        if settled is not None:
            return settled(tensor, constant)
        turn = int(left[0] <= 0 and filler.ready is not None)
        if left[0] < TRIALS and filler.ready is None:
            filler.start()
        start = perf_counter()
        result = (meanwhile, fill)[turn](tensor, constant)
        best[turn] = min(best[turn], perf_counter() - start)
        left[turn] -= 1
        if left[1] <= 0:
            settled = fill if best[1] < best[0] else meanwhile
        return result

    return call
