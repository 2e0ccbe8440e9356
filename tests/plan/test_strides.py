"""The strides of views, against those of NumPy."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from pattern_strategies import transform_patterns

from plait._notation.parser import parse
from plait._plan.lowering import lower_movement
from plait._plan.nodes import Permute
from plait._plan.strides import StridedView
from plait._shapes.sizes import extend_slots
from plait._shapes.solver import solve_pattern

np = pytest.importorskip("numpy")


@given(transform_patterns("rearrange"))
@settings(max_examples=200)
def test_strides_and_copies_agree_with_numpy(drawn):
    """Whether each node is a view, and its strides, for random patterns."""
    solved = solve_pattern(parse(drawn.pattern), (len(drawn.shape),), tuple(drawn.sizes))
    plan = lower_movement(solved)
    slots = [*drawn.shape, *drawn.sizes.values(), *solved.constants]
    extend_slots(slots, plan.size_ops, lambda slots, *row: AssertionError(row))
    array = np.zeros(drawn.shape, np.int8)
    view = StridedView(array.shape, array.strides)
    dims = tuple(range(len(drawn.shape)))
    for step, _ in plan.steps:
        dims = step.output_shape(dims)
        sizes = tuple(slots[slot] for slot in dims)
        previous = array
        array = array.transpose(step.order) if isinstance(step, Permute) else array.reshape(sizes)
        copied_dim = step.update_view_and_find_copy(view, sizes)
        assert view.shape == array.shape
        if array.size:
            assert (copied_dim is None) == np.shares_memory(previous, array)
            assert [s for s, n in zip(view.strides, sizes, strict=True) if n > 1] == [
                s for s, n in zip(array.strides, sizes, strict=True) if n > 1
            ]
