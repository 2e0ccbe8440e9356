"""A framework as small as can be: lists of numbers with a shape. It knows nothing of plait."""

from __future__ import annotations

import itertools
import math


class Tensor:
    """Numbers in row-major order."""

    dtype = "float64"

    def __init__(self, numbers, shape):
        self.numbers, self.shape = list(numbers), tuple(shape)

    def at(self, index):
        place = 0
        for size, here in zip(self.shape, index, strict=True):
            place = place * size + here
        return self.numbers[place]


def indices(shape):
    return itertools.product(*map(range, shape))


def reshape(tensor, shape):
    assert math.prod(shape) == len(tensor.numbers)
    return Tensor(tensor.numbers, shape)


def permute(tensor, order):
    shape = [tensor.shape[place] for place in order]
    back = sorted(range(len(order)), key=order.__getitem__)
    return Tensor([tensor.at([index[place] for place in back]) for index in indices(shape)], shape)


def expand(tensor, shape):
    tensor = reshape(tensor, (1,) * (len(shape) - len(tensor.shape)) + tensor.shape)
    numbers = [
        tensor.at([here if size > 1 else 0 for here, size in zip(index, tensor.shape, strict=True)])
        for index in indices(shape)
    ]
    return Tensor(numbers, shape)


def fold(combine, tensor, axes):
    kept = [place for place in range(len(tensor.shape)) if place not in axes]
    first = permute(tensor, [*kept, *axes])
    shape = [tensor.shape[place] for place in kept]
    rest = [tensor.shape[place] for place in axes]
    return Tensor(
        [combine([first.at((*index, *inner)) for inner in indices(rest)]) for index in indices(shape)],
        shape,
    )
