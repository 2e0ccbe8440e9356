"""One reduction or copy that `benchmarks.movements` measures: a pattern, sizes, and what an expert writes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import prod

import numpy as np

LAYOUTS = {
    "contiguous": lambda random, shape: random(shape),
    "every second": lambda random, shape: random((*shape[:-1], 2 * shape[-1]))[..., ::2],
    "transposed": lambda random, shape: random((*shape[:-2], shape[-1], shape[-2])).swapaxes(-1, -2),
    "channels last": lambda random, shape: np.moveaxis(random((shape[0], *shape[2:], shape[1])), -1, 1),
    "backwards": lambda random, shape: random(shape)[..., ::-1],
    "cut out": lambda random, shape: random((*shape[:-1], shape[-1] + 3))[..., 3:],
}
"""How an array lies in memory: from how random numbers are drawn, and its shape."""

ByHand = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Movement:
    """One thing to do.

    Attributes:
        group: one of `GROUPS`.
        name: a few words for it.
        function: of plait, and of einops.
        pattern: with an arrow.
        reduction: its name, or none.
        by_hand: expressions that do it, each a way of its own, by framework.
        sizes: the length of each axis of the pattern that has a name.
        given: the axes whose lengths are told.
        dtype: of the array.
        layout: one of `LAYOUTS`.
    """

    group: str
    name: str
    function: str
    pattern: str
    reduction: str
    by_hand: ByHand
    sizes: dict[str, int]
    given: tuple[str, ...] = ()
    dtype: str = "float32"
    layout: str = "contiguous"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self._shape(self.pattern.split("->")[0])

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of the result."""
        return self._shape(self.pattern.split("->")[1])

    @property
    def elements(self) -> int:
        """How many the array has."""
        return prod(self.shape)

    @property
    def reduced(self) -> int:
        """How many elements make one element of the result."""
        return max(1, self.elements // prod(self.output_shape))

    @property
    def nbytes(self) -> int:
        """The bytes that a ``memcpy`` beside it copies: of the array, or of the result where that has more."""
        return max(self.elements, prod(self.output_shape)) * np.dtype(self.dtype).itemsize

    def written(self, framework: str) -> list[str]:
        """What is written by hand, with the lengths in place."""
        return [text.format(**self.sizes) for text in self.by_hand.get(framework, ())]

    def array(self) -> np.ndarray:
        """A new array of random numbers of which no sum cancels, and no product overflows."""
        random = np.random.default_rng(0)
        kind = np.dtype(self.dtype).kind

        def draw(shape: tuple[int, ...]) -> np.ndarray:
            if kind in "iu":
                return random.integers(0, 100, shape, self.dtype)
            if kind == "b":
                return random.random(shape, np.float32) < 0.5
            numbers = random.random(shape, np.float32) + np.float32(0.5)
            return (numbers * (1 + 1j) if kind == "c" else numbers).astype(self.dtype)

        return LAYOUTS[self.layout](draw, self.shape)

    def scaled(self, elements: int) -> Movement:
        """The same with about so many elements: more or fewer images in a batch, or smaller ones.

        What is halved is the first axis while it is longer than one, then the longest; lengths that are told stay.
        """
        sizes = dict(self.sizes)
        free = [axis for axis in sizes if axis not in self.given]
        batch, *others = free
        while (case := replace(self, sizes=sizes)).elements > elements and any(sizes[axis] > 1 for axis in free):
            longest = batch if sizes[batch] > 1 else max(others, key=sizes.__getitem__)
            sizes[longest] //= 2
        sizes[batch] *= max(1, elements // case.elements)
        return replace(self, sizes=sizes)

    def _shape(self, side: str) -> tuple[int, ...]:
        dimensions = re.findall(r"\(([^)]*)\)|(\w+)", side)
        return tuple(prod(self._length(name) for name in (group or single).split()) for group, single in dimensions)

    def _length(self, name: str) -> int:
        return int(name) if name.isdecimal() else self.sizes[name]
