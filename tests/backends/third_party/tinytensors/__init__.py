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


def stack(tensors):
    return Tensor([number for tensor in tensors for number in tensor.numbers], (len(tensors), *tensors[0].shape))


def concat(tensors, axis):
    rank = len(tensors[0].shape)
    order = [axis, *[place for place in range(rank) if place != axis]]
    first = [permute(tensor, order) for tensor in tensors]
    numbers = [number for tensor in first for number in tensor.numbers]
    joined = Tensor(numbers, (sum(tensor.shape[0] for tensor in first), *first[0].shape[1:]))
    return permute(joined, [order.index(place) for place in range(rank)])


def einsum(equation, *tensors):
    left, output = equation.split("->")
    terms = left.split(",")
    sizes = {}
    for term, tensor in zip(terms, tensors, strict=True):
        sizes.update(zip(term, tensor.shape, strict=True))
    summed = [name for name in sizes if name not in output]

    def factor(at, term, tensor):
        return tensor.at([at[name] for name in term])

    def element(index):
        total = 0
        for inner in indices([sizes[name] for name in summed]):
            at = dict(zip([*output, *summed], [*index, *inner], strict=True))
            total += math.prod(factor(at, term, tensor) for term, tensor in zip(terms, tensors, strict=True))
        return total

    shape = [sizes[name] for name in output]
    return Tensor(map(element, indices(shape)), shape)
