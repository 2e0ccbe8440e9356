"""What makes plait serve the tensors: this class, and the entry point that names it."""

from __future__ import annotations

import math
from functools import partial

import tinytensors
from plait.backends.common.equation import replace_ellipsis
from plait.backends.interface import Backend


def extreme(choose, numbers):
    return math.nan if any(map(math.isnan, numbers)) else choose(numbers)


def mean(numbers):
    return sum(numbers) / len(numbers) if numbers else math.nan


def var(numbers):
    center = mean(numbers)
    return mean([(number - center) ** 2 for number in numbers])


def logsumexp(numbers):
    largest = extreme(partial(max, default=-math.inf), numbers)
    if not math.isfinite(largest):
        return largest
    return largest + math.log(sum(math.exp(number - largest) for number in numbers))


REDUCTIONS = {
    "min": partial(extreme, min),
    "max": partial(extreme, max),
    "sum": sum,
    "prod": math.prod,
    "any": any,
    "all": all,
    "mean": mean,
    "var": var,
    "std": lambda numbers: math.sqrt(var(numbers)),
    "logsumexp": logsumexp,
}


class TinyBackend(Backend):
    """The functions that every backend has, and `slice`, since these tensors have no ``[]``."""

    name = "tinytensors"
    reshape = staticmethod(tinytensors.reshape)
    permute = staticmethod(tinytensors.permute)
    expand = staticmethod(tinytensors.expand)
    concat = staticmethod(tinytensors.concat)
    stack = staticmethod(tinytensors.stack)
    slice = staticmethod(tinytensors.part)

    @staticmethod
    def einsum(equation, *tensors):
        terms, output = replace_ellipsis(equation, [len(tensor.shape) for tensor in tensors])  # letters for the "..."
        return tinytensors.einsum(f"{','.join(terms)}->{output}", *tensors)

    def reduction(self, name, dtype):
        return partial(tinytensors.reduce, REDUCTIONS[name])

    @staticmethod
    def to_numpy(tensor):
        import numpy as np

        return np.array(tensor.numbers, tensor.dtype).reshape(tensor.shape)
