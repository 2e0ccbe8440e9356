"""The loops of kernels, run in Python without a compiler, visit every element exactly once."""

from __future__ import annotations

from itertools import product

import pytest

pytest.importorskip("numpy")

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernels.array_layouts import array_with_layout, layouts
from plait.backends.kernels.copying import ALONG_A, ALONG_B, BLOCKS, DEAL, ROWS, WEAVE, copy_plan
from plait.backends.kernels.reducing import FOLDED, INNER, OUTER, reduce_plan


def visited_offsets(loops, offset_count):
    """Yield the offsets of each iteration, one per column of strides; a loop is its length followed by its strides."""
    for turns in product(*(range(loop[0]) for loop in loops)):
        yield [
            sum(turn * loop[1 + axis] for turn, loop in zip(turns, loops, strict=True)) for axis in range(offset_count)
        ]


def memory_address(array):
    """Return the address of the first element."""
    return array.__array_interface__["data"][0]


@given(layout=layouts(5), order=st.randoms())
@settings(max_examples=30)
def test_copy_loops_visit_every_element_once(layout, order):
    source = array_with_layout(np.arange(4000, dtype="i4"), layout)
    axes = [*range(source.ndim)]
    order.shuffle(axes)
    out = np.zeros([source.shape[axis] for axis in axes], "i4").transpose(np.argsort(axes))
    plan = copy_plan(source.shape, source.strides, out.strides, 4)
    seen = []
    for here, there, *at in visited_offsets(plan.loops, 6):
        have = [range(min(axis[3], axis[0] - begun)) for axis, begun in zip(plan.axes, at, strict=True)]
        for turns in product(*have, range(plan.head[0])):
            steps = [*plan.axes, (0, 4, 4, 0)]
            seen.append(
                (
                    there + plan.out + sum(turn * axis[2] for turn, axis in zip(turns, steps, strict=True)),
                    here + plan.source + sum(turn * axis[1] for turn, axis in zip(turns, steps, strict=True)),
                )
            )
    wanted = [
        tuple(int(np.dot(index, strides)) for strides in (out.strides, source.strides))
        for index in np.ndindex(*source.shape)
    ]
    assert sorted(seen) == sorted(wanted)
    assert len(list(visited_offsets(plan.loops, 6))) == plan.tasks


@given(layout=layouts(5), reduced_ndim=st.integers(1, 6), room=st.sampled_from([2, 7, 64, 2048]))
# in the plan of this example seven rows, each with three lanes of an inner kept axis, are stacked
@example(layout=([7, 2, 3], [0, 2, 1], [1, 2, 1], [0, 0, 0]), reduced_ndim=1, room=64)
@settings(max_examples=100)
def test_reduction_loops_visit_every_element_once(layout, reduced_ndim, room):
    source = array_with_layout(np.arange(4000, dtype="i4"), layout)
    kept = max(source.ndim - reduced_ndim, 0)
    out = np.zeros(source.shape[:kept], "i4")
    plan = reduce_plan(source.shape, source.strides, out.strides, 4, room)
    sizes, step, steps = plan.head[:3], plan.head[3], {OUTER: plan.head[4], FOLDED: 0, INNER: plan.head[5]}
    whole, block, each, place = plan.head[6:10]
    tall, deep, pitch = plan.head[10:13]
    assert deep * np.prod(sizes) <= room
    seen = []
    for here, there, at, below in visited_offsets(plan.outer, 4):
        for further, also in visited_offsets(plan.inner, 2):
            have = list(sizes)
            have[place] = min(block, whole - at - also)
            assert np.prod(have) == each * have[place]
            for level in range(min(deep, tall - below)):
                for lane, turns in enumerate(product(*map(range, have))):
                    to = there + sum(turn * steps[axis] for axis, turn in enumerate(turns))
                    to += level * have[OUTER] * steps[OUTER]  # they are folded as one
                    seen.append((to + plan.out, here + further + level * pitch + lane * step + plan.source))
    wanted = [
        (int(np.dot(index[:kept], out.strides)), int(np.dot(index, source.strides)))
        for index in np.ndindex(*source.shape)
    ]
    assert sorted(seen) == sorted(wanted)


def test_copy_plan_chooses_how_a_tile_is_copied():
    def how(source, axes):
        turned = source.transpose(axes)
        return copy_plan(
            turned.shape, turned.strides, np.empty(turned.shape, source.dtype).strides, source.itemsize
        ).head[1]

    assert how(np.empty((60, 70), "f4"), (1, 0)) == BLOCKS
    assert how(np.empty((3, 70, 70), "f4"), (1, 2, 0)) == WEAVE
    assert how(np.empty((70, 70, 3), "u1"), (2, 0, 1)) == DEAL
    assert how(np.empty((15, 70, 70), "u1"), (1, 2, 0)) == WEAVE
    assert how(np.empty((5, 70, 70), "c16"), (1, 2, 0)) == ALONG_B
    assert how(np.empty((5, 30, 70), "u1"), (2, 1, 0)) == ALONG_A
    assert how(np.empty((5, 6, 70), "f4"), (1, 0, 2)) == ROWS
