"""Large tensors by a compiled kernel, in one pass over memory; until it is ready, by the framework's calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple, TypeAlias

from weft.backends.base import Backend
from weft.backends.passes import Calls, Passes
from weft.plan import Reduce, Step
from weft.run.layout import scaled

Made: TypeAlias = Callable[[Any, Any], Any]
"""A function of a tensor and a constant."""


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
    """What ``explain`` says of a step that no kernel does yet; ``None`` where there is nothing to be said."""
    if passes.kernel is None or passes.no_kernel is None or prod(shape) < passes.worth:
        return None
    reduction = step.reduction if isinstance(step, Reduce) else None
    reason = passes.no_kernel(reduction, dtype) if found is None else found.filler.why
    return None if reason is None else f"without a kernel: {reason}"


def filled(found: Task, passes: Passes, calls: Calls | None, backend: Backend, meanwhile: Made) -> Made:
    """The function that fills new memory once the kernel is ready. It is asked for when there is a second call.

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
    again = False

    def fill(tensor: Any, constant: Any) -> Any:
        nonlocal again
        if filler.ready is None:
            if again:
                filler.start()
            again = True
            return meanwhile(tensor, constant)
        out = permute(empty(tensor, lengths), back)
        filler(permute(tensor, order), out)
        return out if calls is not None else reshape(out, constant)

    return fill
