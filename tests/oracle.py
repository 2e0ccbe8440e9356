"""What a pattern means, straight from the definition and with Python loops.

Shares nothing with plait: it reads its own patterns, knows no plan, and takes elements one by one. Slow on purpose.
"""

from __future__ import annotations

import cmath
import itertools
import math
from collections import defaultdict

Dims = list[list[str]]


def read(side: str, marker: str) -> Dims:
    """Each dimension of one tensor as the axes in it. Numbers get a name of their own, ``marker`` and length."""
    dims: Dims = []
    depth = 0
    for number, word in enumerate(side.replace("(", " ( ").replace(")", " ) ").split()):
        if word == "(":
            if depth == 0:
                dims.append([])
            depth += 1
        elif word == ")":
            depth -= 1
        else:
            name = f"{marker}{number}:{word}" if word.isdigit() else word
            if depth:
                dims[-1].append("(...)" if name == "..." else name)
            else:
                dims.append([name])
    return dims


def spread(dims: Dims, count: int) -> Dims:
    """Give every axis of the ellipsis a name, counted from the right."""
    result: Dims = []
    for dim in dims:
        names = [f"...{place}" for place in reversed(range(count))]
        if dim == ["..."]:
            result += [[name] for name in names]
        else:
            result.append([name for axis in dim for name in (names if axis == "(...)" else [axis])])
    return result


def solve(lefts: list[Dims], shapes: list[tuple[int, ...]], given: dict[str, int]) -> dict[str, int]:
    """The size of every axis."""
    sizes = dict(given)
    for dims in lefts:
        for dim in dims:
            sizes.update({axis: int(axis.partition(":")[2]) for axis in dim if ":" in axis})
    for _ in range(3):
        for dims, shape in zip(lefts, shapes, strict=True):
            for dim, length in zip(dims, shape, strict=True):
                unknown = [axis for axis in dim if axis not in sizes]
                if len(unknown) == 1:
                    sizes[unknown[0]] = length // math.prod(sizes[axis] for axis in dim if axis in sizes)
    return sizes


def index(dims: Dims, at: dict[str, int], sizes: dict[str, int]) -> tuple[int, ...]:
    """Where an element stands: row-major within each dimension."""
    result = []
    for dim in dims:
        place = 0
        for axis in dim:
            place = place * sizes[axis] + at[axis]
        result.append(place)
    return tuple(result)


class Meaning:
    """Which elements of the inputs make which element of the output."""

    def __init__(self, pattern: str, shapes: list[tuple[int, ...]], given: dict[str, int]) -> None:
        left, _, right = pattern.partition("->")
        lefts = [read(text, f"<{number}.") for number, text in enumerate(left.split(","))]
        counts = [len(shape) - len(dims) + 1 for dims, shape in zip(lefts, shapes, strict=True) if ["..."] in dims]
        lefts = [spread(dims, len(shape) - len(dims) + 1) for dims, shape in zip(lefts, shapes, strict=True)]
        output = spread(read(right, ">"), max(counts, default=0))
        sizes = solve(lefts, shapes, given)
        sizes.update({axis: int(axis.partition(":")[2]) for dim in output for axis in dim if ":" in axis})
        self.shape = tuple(math.prod(sizes[axis] for axis in dim) for dim in output)
        axes = list(dict.fromkeys(axis for dims in (*lefts, output) for dim in dims for axis in dim))
        self.sources: dict[tuple[int, ...], list[tuple[tuple[int, ...], ...]]] = {
            place: [] for place in itertools.product(*map(range, self.shape))
        }
        found = defaultdict(list)
        for values in itertools.product(*(range(sizes[axis]) for axis in axes)):
            at = dict(zip(axes, values, strict=True))
            found[index(output, at, sizes)].append(tuple(index(dims, at, sizes) for dims in lefts))
        self.sources.update(found)


def move(pattern: str, tensor, given: dict[str, int]) -> dict[tuple[int, ...], object]:
    """``rearrange`` and ``repeat``: every element of the output is one of the input."""
    meaning = Meaning(pattern, [tensor.shape], given)
    result = {}
    for place, sources in meaning.sources.items():
        ((source,),) = sources
        result[place] = tensor[source]
    return meaning.shape, result


def reduce(pattern: str, tensor, reduction: str, given: dict[str, int]) -> dict[tuple[int, ...], object]:
    """``reduce``: every element of the output is made of a set of the input's."""
    meaning = Meaning(pattern, [tensor.shape], given)
    combine = REDUCTIONS[reduction]
    return meaning.shape, {
        place: combine([tensor[source].item() for (source,) in sources]) for place, sources in meaning.sources.items()
    }


def einsum(pattern: str, tensors, given: dict[str, int]) -> dict[tuple[int, ...], object]:
    """``einsum``: every element of the output is a sum of products."""
    meaning = Meaning(pattern, [tensor.shape for tensor in tensors], given)
    return meaning.shape, {
        place: sum(
            math.prod(tensor[at].item() for tensor, at in zip(tensors, source, strict=True)) for source in sources
        )
        for place, sources in meaning.sources.items()
    }


def _has_nan(values) -> bool:
    return any(value != value for value in values)


def _extreme(choose):
    return lambda values: math.nan if _has_nan(values) else choose(values)


def _total(values):
    if any(isinstance(value, complex) for value in values):
        return complex(math.fsum(value.real for value in values), math.fsum(value.imag for value in values))
    return math.fsum(values) if any(isinstance(value, float) for value in values) else sum(values)


def _mean(values):
    return _total(values) / len(values) if values else math.nan


def _var(values):
    centre = _mean(values)
    return _total([abs(value - centre) ** 2 for value in values]) / len(values) if values else math.nan


def _logsumexp(values):
    if _has_nan(values):
        return math.nan
    peak = max(values, default=-math.inf)
    if math.isinf(peak):
        return peak
    return peak + math.log(math.fsum(math.exp(value - peak) for value in values))


def _std(values):
    var = _var(values)
    return cmath.sqrt(var).real if var == var else math.nan


REDUCTIONS = {
    "min": _extreme(min),
    "max": _extreme(max),
    "sum": _total,
    "mean": _mean,
    "prod": math.prod,
    "any": lambda values: any(bool(value) for value in values),
    "all": lambda values: all(bool(value) for value in values),
    "var": _var,
    "std": _std,
    "logsumexp": _logsumexp,
}
