"""A contraction as lines: how the tensors are brought together, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from plait._plan.contraction.network import Axes, Dims, Network
from plait._plan.contraction.pairwise import (
    EINSUM,
    MATMUL,
    MULTIPLY,
    NOTHING,
    VECDOT,
    Meeting,
)
from plait._plan.contraction.paths import Path, flops
from plait._plan.contraction.search import Contraction
from plait._plan.nodes import (
    Add,
    Copy,
    Diagonal,
    Permute,
    Reshape,
    Step,
)
from plait._plan.strides import Memory, contiguous


class Shown(NamedTuple):
    """One line: a step, the shape that it leaves, the axes of that shape, and what it costs."""

    step: str
    shape: tuple[int, ...]
    axes: str
    cost: str


class Costs(NamedTuple):
    """What a contraction costs.

    Attributes:
        path: the places of the tensors that meet, among those at hand, meeting by meeting.
        flops: multiplications and additions, counted as opt_einsum counts them.
        largest: the elements of the largest intermediate result; 0 where there is none.
        read: the elements that products, sums and copies read.
        written: the elements that they write.
    """

    path: Path
    flops: int
    largest: int
    read: int
    written: int


class _Held(NamedTuple):
    """A tensor at hand: what it is called, and its dimensions as axes."""

    name: str
    text: str
    dims: Dims
    memory: Memory


class Story:
    """Follows a contraction meeting by meeting."""

    def __init__(self, contraction: Contraction, texts: Sequence[str]) -> None:
        """``texts`` are the tensors as the pattern has them."""
        self.network: Network = contraction.network
        self.lines: list[Shown] = []
        self.flops = self.largest = self.read = self.written = 0
        tensors = zip(texts, self.network.shapes, self.network.terms, strict=True)
        hand = [
            _Held(f"tensor {number}", text, self._dims(term, shape), Memory(shape, contiguous(shape)))
            for number, (text, shape, term) in enumerate(tensors)
        ]
        for number, meeting in enumerate(contraction.meetings, 1):
            met = [hand[place] for place in meeting.places]
            hand = [held for place, held in enumerate(hand) if place not in meeting.places]
            needed = {a for held in hand for dim in held.dims for a in dim}.union(self.network.output)
            result = self._meet(meeting, met, needed, f"result {number}")
            if hand:
                self.largest = max(self.largest, prod(result.memory.shape))
            hand.append(result)
        self.costs = Costs(contraction.path, self.flops, self.largest, self.read, self.written)

    def _dims(self, axes: Axes, shape: Sequence[int]) -> Dims:
        """Which axes are in which dimension."""
        rest = list(axes)
        dims: list[Axes] = []
        for size in shape:
            held: list[int] = []
            while rest and prod([self.network.sizes[axis] for axis in held]) < size:
                held.append(rest.pop(0))
            dims.append(tuple(held))
        return tuple(dims)

    def _text(self, dims: Dims) -> str:
        labels = [" ".join([self.network.labels[axis] for axis in dim]) for dim in dims]
        return " ".join([f"({label})" if " " in label else label or "1" for label in labels])

    def _size(self, dims: Dims) -> int:
        return prod([self.network.sizes[axis] for dim in dims for axis in dim])

    def _meet(self, meeting: Meeting, met: Sequence[_Held], needed: set[int], name: str) -> _Held:
        sides = []
        for held, steps in zip(met, meeting.sides, strict=True):
            if len(met) > 1 or held.name == "tensor 0":
                self.lines.append(Shown(held.name, held.memory.shape, held.text, ""))
            sides.append(self._walk(held, steps))
        if meeting.how == NOTHING:
            return sides[0]._replace(name=name)
        axes = dict.fromkeys([axis for side in sides for dim in side.dims for axis in dim])
        kept = axes if meeting.how == MULTIPLY else needed  # what it sums, it sums after it
        work = flops(axes, kept, len(sides), self.network.sizes)
        self.flops += work
        self.read += sum(self._size(side.dims) for side in sides)
        product = self._product(meeting, sides, name)
        self.written += self._size(product.dims)
        how = f"einsum {meeting.equation}" if meeting.how == EINSUM else meeting.how
        self.lines.append(Shown(how, product.memory.shape, product.text, f"{work:,} FLOPs"))
        return self._walk(product, meeting.after)

    def _product(self, meeting: Meeting, sides: Sequence[_Held], name: str) -> _Held:
        dims: Dims
        if meeting.how == EINSUM:
            letters: dict[str, Axes] = {}
            left, output = meeting.equation.split("->")
            for term, side in zip(left.split(","), sides, strict=True):
                letters.update(zip(term, [dim for dim in side.dims if dim], strict=False))
            dims = tuple([letters[letter] for letter in output])
        else:
            one, other = (side.dims for side in sides)
            dims = _PRODUCTS[meeting.how](one, other)
        if meeting.buffer is not None:  # it fills memory that lies in another order
            dims = tuple([dims[meeting.buffer.order.index(place)] for place in range(len(dims))])
        shape = tuple([prod([self.network.sizes[axis] for axis in dim]) for dim in dims])
        return _Held(name, self._text(dims), dims, Memory(shape, contiguous(shape)))

    def _walk(self, held: _Held, steps: Sequence[Step]) -> _Held:
        for step in steps:
            held = self._step(held, step)
        return held

    def _step(self, held: _Held, step: Step) -> _Held:
        name, _, dims, memory = held
        before = prod(memory.shape)
        shape = step.output(memory.shape)
        if isinstance(step, Permute):
            dims = tuple([dims[place] for place in step.order])
        elif isinstance(step, Diagonal):
            dims = (*[dim for place, dim in enumerate(dims) if place not in step.axes], dims[step.axes[0]])
            strides = [stride for place, stride in enumerate(memory.strides) if place not in step.axes]
            memory = Memory(shape, (*strides, sum(memory.strides[place] for place in step.axes)))
        elif isinstance(step, Add):
            dims = tuple([dim for place, dim in enumerate(dims) if place not in step.axes])
            memory = Memory(shape, contiguous(shape))
        elif isinstance(step, Reshape):
            dims = self._dims(tuple([axis for dim in dims for axis in dim]), step.shape)
        copying = memory.apply(step, shape) if isinstance(step, (Permute, Reshape)) else None
        cost = "view"
        if isinstance(step, Copy):
            memory, copying = Memory(shape, contiguous(shape)), 0
        if isinstance(step, Add):
            cost = f"{before:,} FLOPs"
            self.flops, self.read, self.written = self.flops + before, self.read + before, self.written + prod(shape)
        elif copying is not None:
            cost = f"copies {prod(shape):,} elements"
            self.read, self.written = self.read + before, self.written + before
        text = self._text(dims) if self._fits(dims, shape) else ""
        self.lines.append(Shown(_NAMES[type(step)], shape, text, cost))
        return _Held(name, text, dims, memory)

    def _fits(self, dims: Dims, shape: Sequence[int]) -> bool:
        """Whether these axes have these lengths: not where one is taken apart again."""
        return all(prod([self.network.sizes[a] for a in dim]) == size for dim, size in zip(dims, shape, strict=True))


_NAMES: dict[type, str] = {Reshape: "reshape", Permute: "permute", Diagonal: "diagonal", Add: "add", Copy: "copy"}


def _broadcast(one: Dims, other: Dims) -> Dims:
    """The dimensions of two tensors that are stretched, aligned at the right."""
    count = max(len(one), len(other))
    padded = [(*((),) * (count - len(dims)), *dims) for dims in (one, other)]
    return tuple([axes or others for axes, others in zip(*padded, strict=True)])


def _matmul(one: Dims, other: Dims) -> Dims:
    return (*_broadcast(one[:-2], other[:-2]), *one[-2:-1], *(other[-1:] if len(other) > 1 else ()))


def _vecdot(one: Dims, other: Dims) -> Dims:
    return _broadcast(one[:-1], other[:-1])


_PRODUCTS = {MATMUL: _matmul, VECDOT: _vecdot, MULTIPLY: _broadcast}
"""The dimensions of a product, by the rules of these functions."""


def lines_of(contraction: Contraction, texts: Sequence[str]) -> tuple[list[Shown], Costs]:
    """The lines of a contraction, and what it costs.

    Args:
        contraction: the contraction.
        texts: the tensors as the pattern has them.
    """
    story = Story(contraction, texts)
    return story.lines, story.costs
