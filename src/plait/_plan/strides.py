"""The strides of tensors in memory, and how a reshape changes them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def contiguous_strides(shape: Sequence[int], innermost: int = 1) -> tuple[int, ...]:
    """Return the strides of a row-major tensor whose innermost dimension has the stride ``innermost``.

    They count elements, or bytes if ``innermost`` is the size of an element.

    >>> contiguous_strides((2, 3, 4))
    (12, 4, 1)
    """
    strides: list[int] = []
    for size in reversed(shape):
        strides.append(innermost)
        innermost *= max(size, 1)
    return tuple(reversed(strides))


def dims_by_stride(strides: Sequence[int]) -> tuple[int, ...]:
    """Return the dimensions sorted by the absolute value of their strides, the largest first.

    >>> dims_by_stride((4, -48, 8))
    (1, 2, 0)
    """
    distances = list(map(abs, strides))
    return tuple(sorted(range(len(distances)), key=distances.__getitem__, reverse=True))


def reshaped_strides_or_copied_dim(
    shape: Sequence[int], strides: Sequence[int], new_shape: Sequence[int]
) -> tuple[int, ...] | int:
    """Return the strides of a reshaped view, or the first dimension of the new shape that forces a copy.

    >>> reshaped_strides_or_copied_dim((4, 6), (6, 1), (2, 2, 6))
    (12, 6, 1)
    >>> reshaped_strides_or_copied_dim((6, 4), (1, 6), (24,))
    0
    """
    if 0 in new_shape:
        return contiguous_strides(new_shape)
    old_dims = [(size, stride) for size, stride in zip(shape, strides, strict=True) if size != 1]
    new_strides = [0] * len(new_shape)
    old_start = new_start = 0
    while old_start < len(old_dims) or new_start < len(new_shape):
        old_stop, new_stop = old_start, new_start
        old_count = new_count = 1
        while True:  # find the smallest groups of old and of new dimensions with the same number of elements
            if new_count < old_count or (
                new_count == old_count
                and old_stop == old_start
                and old_stop == len(old_dims)
                and new_stop < len(new_shape)
            ):
                new_count *= new_shape[new_stop]
                new_stop += 1
            elif old_count < new_count or old_stop == old_start:
                old_count *= old_dims[old_stop][0]
                old_stop += 1
            if old_count == new_count and (old_stop > old_start or old_stop == len(old_dims)):
                break
        for (_, outer), (size, inner) in pairwise(old_dims[old_start:old_stop]):
            if outer != size * inner:
                return new_start
        stride = old_dims[old_stop - 1][1] if old_stop > old_start else 1
        for dim in range(new_stop - 1, new_start - 1, -1):
            new_strides[dim] = stride
            stride *= new_shape[dim]
        old_start, new_start = old_stop, new_stop
    return tuple(new_strides)


class StridedView:
    """The shape and strides of a tensor, which `Node.update_view_and_find_copy` changes to those of its result."""

    __slots__ = ("shape", "strides")

    def __init__(self, shape: Sequence[int], strides: Sequence[int] | None = None) -> None:
        self.shape = tuple(shape)
        self.strides = contiguous_strides(shape) if strides is None else tuple(strides)
