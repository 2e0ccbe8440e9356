"""`MemoryBoundOperation`: a reduction or a copy that `benchmarks.memory_bound` measures."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import prod

import numpy as np

ARRAY_FUNCTION_BY_LAYOUT = {
    "contiguous": lambda random, shape: random(shape),
    "every second": lambda random, shape: random((*shape[:-1], 2 * shape[-1]))[..., ::2],
    "transposed": lambda random, shape: random((*shape[:-2], shape[-1], shape[-2])).swapaxes(-1, -2),
    "channels last": lambda random, shape: np.moveaxis(random((shape[0], *shape[2:], shape[1])), -1, 1),
    "backwards": lambda random, shape: random(shape)[..., ::-1],
    "cut out": lambda random, shape: random((*shape[:-1], shape[-1] + 3))[..., 3:],
}
"""The memory layouts of arrays, by name: functions of a random generator and of the shape that return an array."""

ExpressionsByFramework = dict[str, tuple[str, ...]]
"""Alternative hand-written expressions of one operation, by framework."""


@dataclass(frozen=True)
class MemoryBoundOperation:
    """A reduction or a copy of one array.

    Attributes:
        group: one of `benchmarks.memory_bound_cases.GROUPS`.
        name: a short description, unique among the cases.
        function: the name of the function in plait and einops.
        pattern: the pattern, such as ``"b c (h 2) -> b c h"``.
        reduction: the name of the reduction, or ``""``.
        handwritten: alternative expressions, by framework; ``{h}`` is replaced by the length of the axis ``h``.
        sizes: the length of each named axis of the pattern.
        given_axes: the axes whose sizes are passed in the call.
        dtype: the element type of the array.
        layout: a key of `ARRAY_FUNCTION_BY_LAYOUT`.
    """

    group: str
    name: str
    function: str
    pattern: str
    reduction: str
    handwritten: ExpressionsByFramework
    sizes: dict[str, int]
    given_axes: tuple[str, ...] = ()
    dtype: str = "float32"
    layout: str = "contiguous"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self._side_shape(self.pattern.split("->")[0])

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        return self._side_shape(self.pattern.split("->")[1])

    @property
    def elements(self) -> int:
        """The number of elements of the array."""
        return prod(self.shape)

    @property
    def elements_per_output(self) -> int:
        """The number of elements that are reduced to one element of the result."""
        return max(1, self.elements // prod(self.output_shape))

    @property
    def memcpy_source_bytes(self) -> int:
        """The bytes that the ``memcpy`` variant copies: the size of the array, or of the result if that is larger."""
        return max(self.elements, prod(self.output_shape)) * np.dtype(self.dtype).itemsize

    def format_handwritten_templates(self, framework: str) -> list[str]:
        """Return the hand-written expressions of a framework with the lengths of the axes inserted."""
        return [text.format(**self.sizes) for text in self.handwritten.get(framework, ())]

    def make_numpy_array(self) -> np.ndarray:
        """Create an array of random numbers whose sums do not cancel and whose products do not overflow."""
        random = np.random.default_rng(0)
        kind = np.dtype(self.dtype).kind

        def draw(shape: tuple[int, ...]) -> np.ndarray:
            if kind in "iu":
                return random.integers(0, 100, shape, self.dtype)
            if kind == "b":
                return random.random(shape, np.float32) < 0.5
            numbers = random.random(shape, np.float32) + np.float32(0.5)
            return (numbers * (1 + 1j) if kind == "c" else numbers).astype(self.dtype)

        return ARRAY_FUNCTION_BY_LAYOUT[self.layout](draw, self.shape)

    def with_elements(self, elements: int) -> MemoryBoundOperation:
        """Return the operation with about this number of elements: another batch size, or smaller images.

        The first axis is halved down to 1, then the longest other axis; `given_axes` keep their lengths.
        """
        sizes = dict(self.sizes)
        scalable_axes = [axis for axis in sizes if axis not in self.given_axes]
        batch, *other_axes = scalable_axes
        while (operation := replace(self, sizes=sizes)).elements > elements and any(
            sizes[axis] > 1 for axis in scalable_axes
        ):
            longest = batch if sizes[batch] > 1 else max(other_axes, key=sizes.__getitem__)
            sizes[longest] //= 2
        sizes[batch] *= max(1, elements // operation.elements)
        return replace(self, sizes=sizes)

    def _side_shape(self, side: str) -> tuple[int, ...]:
        """Return the shape that one side of the pattern describes."""
        dimensions = re.findall(r"\(([^)]*)\)|(\w+)", side)
        return tuple(
            prod(self._axis_length(name) for name in (group or single).split()) for group, single in dimensions
        )

    def _axis_length(self, name: str) -> int:
        """Return the length of a named axis, or the value of a number."""
        return int(name) if name.isdecimal() else self.sizes[name]
