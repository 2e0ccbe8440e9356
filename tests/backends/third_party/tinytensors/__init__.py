"""A framework as small as can be: lists of numbers with a shape. It knows nothing of plait."""

from __future__ import annotations

import itertools
import math


class Tensor:
    """Numbers in row-major order."""

    def __init__(self, numbers, shape):
        self.numbers, self.shape = list(numbers), tuple(shape)

    @property
    def dtype(self):
        """``"bool"`` for truth values, which only a `reduce` by ``any`` or ``all`` gives; otherwise ``"float64"``."""
        return "bool" if any(isinstance(number, bool) for number in self.numbers) else "float64"

    def at(self, index):
        """The number at an index; a dimension of length 1 has the same number at every position."""
        offset = 0
        for size, position in zip(self.shape, index, strict=True):
            offset = offset * size + (position if size > 1 else 0)
        return self.numbers[offset]


def indices(shape):
    return itertools.product(*map(range, shape))


def reshape(tensor, shape):
    assert math.prod(shape) == len(tensor.numbers)
    return Tensor(tensor.numbers, shape)


def permute(tensor, order):
    shape = [tensor.shape[dimension] for dimension in order]
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return Tensor([tensor.at([index[dimension] for dimension in inverse]) for index in indices(shape)], shape)


def expand(tensor, shape):
    tensor = reshape(tensor, (1,) * (len(shape) - len(tensor.shape)) + tensor.shape)
    return Tensor(map(tensor.at, indices(shape)), shape)


def part(tensor, dimension, start, stop):
    shape = list(tensor.shape)
    shape[dimension] = stop - start
    offset = [start if number == dimension else 0 for number in range(len(shape))]
    return Tensor([tensor.at(map(sum, zip(index, offset, strict=True))) for index in indices(shape)], shape)


def stack(tensors):
    return Tensor([number for tensor in tensors for number in tensor.numbers], (len(tensors), *tensors[0].shape))


def concat(tensors, dimension):
    rank = len(tensors[0].shape)
    order = [dimension, *[number for number in range(rank) if number != dimension]]
    first = [permute(tensor, order) for tensor in tensors]
    numbers = [number for tensor in first for number in tensor.numbers]
    joined = Tensor(numbers, (sum(tensor.shape[0] for tensor in first), *first[0].shape[1:]))
    return permute(joined, [order.index(number) for number in range(rank)])


def reduce(function, tensor, dimensions):
    """Call the function with the list of the numbers along the dimensions, for each position in the others."""
    kept = [number for number in range(len(tensor.shape)) if number not in dimensions]
    last = permute(tensor, [*kept, *dimensions])
    count = math.prod(tensor.shape[number] for number in dimensions)
    shape = [tensor.shape[number] for number in kept]
    return Tensor([function(last.numbers[i * count : (i + 1) * count]) for i in range(math.prod(shape))], shape)


def einsum(equation, *tensors):
    """An equation of letters with an arrow; a dimension of length 1 is stretched."""
    left, output = equation.split("->")
    terms = left.split(",")
    sizes = {}
    for term, tensor in zip(terms, tensors, strict=True):
        sizes |= {letter: size for letter, size in zip(term, tensor.shape, strict=True) if sizes.get(letter, 1) == 1}
    summed = [letter for letter in sizes if letter not in output]

    def product(positions):
        return math.prod(
            tensor.at([positions[letter] for letter in term]) for term, tensor in zip(terms, tensors, strict=True)
        )

    def element(index):
        letters = [*output, *summed]
        return sum(
            product(dict(zip(letters, [*index, *inner], strict=True)))
            for inner in indices([sizes[letter] for letter in summed])
        )

    shape = [sizes[letter] for letter in output]
    return Tensor(map(element, indices(shape)), shape)
