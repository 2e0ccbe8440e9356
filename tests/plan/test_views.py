"""Which steps are views, against what NumPy itself does with the same strides."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from plait._notation.parser import parse
from plait._plan.lowering import lower_movement
from plait._plan.nodes import Permute
from plait._plan.strides import StridedView
from plait._shapes.sizes import evaluate_size_ops
from plait._shapes.solver import solve_pattern
from strategies import transforms

np = pytest.importorskip("numpy")


@given(transforms("rearrange"))
@settings(max_examples=200)
def test_memory_agrees_with_numpy(drawn):
    """Whether a step is a view, against what NumPy itself does with the same strides."""
    solved = solve_pattern(parse(drawn.pattern), (len(drawn.shape),), tuple(drawn.sizes))
    plan = lower_movement(solved)
    slots = [*drawn.shape, *drawn.sizes.values(), *solved.constants]
    evaluate_size_ops(slots, plan.size_ops, lambda slots, *row: AssertionError(row))
    array = np.zeros(drawn.shape, np.int8)
    memory = StridedView(array.shape, array.strides)
    held = tuple(range(len(drawn.shape)))
    for step, _ in plan.steps:
        held = step.output_shape(held)
        sizes = tuple(slots[slot] for slot in held)
        before = array
        array = array.transpose(step.order) if isinstance(step, Permute) else array.reshape(sizes)
        copying = step.update_view(memory, sizes)
        assert memory.shape == array.shape
        if array.size:
            assert (copying is None) == np.shares_memory(before, array)
            assert [s for s, n in zip(memory.strides, sizes, strict=True) if n > 1] == [
                s for s, n in zip(array.strides, sizes, strict=True) if n > 1
            ]
