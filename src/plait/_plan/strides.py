"""Strided memory: which shapes the same memory can show, and with which strides."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def contiguous(shape: Sequence[int], unit: int = 1) -> tuple[int, ...]:
    """The strides of a row-major tensor, in elements; or in bytes, where ``unit`` is the size of an element.

    >>> contiguous((2, 3, 4))
    (12, 4, 1)
    """
    strides: list[int] = []
    for size in reversed(shape):
        strides.append(unit)
        unit *= max(size, 1)
    return tuple(reversed(strides))


def memory_order(strides: Sequence[int]) -> tuple[int, ...]:
    """The dimensions from the longest stride to the shortest.

    >>> memory_order((4, -48, 8))
    (1, 2, 0)
    """
    lengths = list(map(abs, strides))
    return tuple(sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True))


def reshape_strides(shape: Sequence[int], strides: Sequence[int], target: Sequence[int]) -> tuple[int, ...] | int:
    """The strides of a reshape that copies nothing, or the first dimension of the target that needs a copy.

    >>> reshape_strides((4, 6), (6, 1), (2, 2, 6))
    (12, 6, 1)
    >>> reshape_strides((6, 4), (1, 6), (24,))
    0
    """
    if 0 in target:
        return contiguous(target)
    old = [(size, stride) for size, stride in zip(shape, strides, strict=True) if size != 1]
    result = [0] * len(target)
    start = first = 0
    while start < len(old) or first < len(target):
        stop, last = start, first
        whole = part = 1
        while True:  # the shortest runs of both shapes with the same number of elements
            if part < whole or (part == whole and stop == start and stop == len(old) and last < len(target)):
                part *= target[last]
                last += 1
            elif whole < part or stop == start:
                whole *= old[stop][0]
                stop += 1
            if whole == part and (stop > start or stop == len(old)):
                break
        for (_, outer), (size, inner) in pairwise(old[start:stop]):
            if outer != size * inner:
                return first
        stride = old[stop - 1][1] if stop > start else 1
        for place in range(last - 1, first - 1, -1):
            result[place] = stride
            stride *= target[place]
        start, first = stop, last
    return tuple(result)


class StridedView:
    """The shape and strides of a tensor, as the nodes of a plan change them (`Node.apply`)."""

    __slots__ = ("shape", "strides")

    def __init__(self, shape: Sequence[int], strides: Sequence[int] | None = None) -> None:
        self.shape = tuple(shape)
        self.strides = contiguous(shape) if strides is None else tuple(strides)
