"""The cost of a first call: the number of Python frames, one run of the planner, and unchanged planner errors."""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from pathlib import Path

import pytest

import plait
from plait._executor import compile as compilation
from plait._executor import contraction
from plait._plan.contraction import search

np = pytest.importorskip("numpy")

PACKAGE_PATH = str(Path(plait.__file__).parent)
FRAME_LIMIT_FACTOR = 1.1
"""The frames that are allowed depend a little on the Python version: of 3.12 on, list comprehensions have none."""


def count_frames(call) -> Counter:
    """Count how often each function of plait is entered during a call."""
    found: Counter = Counter()

    def count(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE_PATH):
            found[frame.f_code.co_filename.removeprefix(PACKAGE_PATH), frame.f_code.co_name] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(before)
    return found


IMAGES = np.zeros((2, 8, 6, 3))
LARGE_IMAGES = np.zeros((16, 32, 64, 64), "f4")
MATRIX_CHAIN = [np.ones(shape) for shape in ((20, 30), (30, 40), (40, 50))]

CALLS_WITH_FRAME_LIMITS = {
    "rearrange": (
        lambda: plait.rearrange(IMAGES, "b h w c -> b (h w) c"),
        lambda: plait.rearrange(IMAGES, "b (h p) (w q) c -> b (h w) (p q c)", p=4, q=2),
        60,
    ),
    "a large reduce": (
        lambda: plait.reduce(LARGE_IMAGES, "a b c d -> a b", "max"),
        lambda: plait.reduce(LARGE_IMAGES, "b c (h 2) (w 2) -> b c h w", "max"),
        250,
    ),
    "an einsum of three": (
        lambda: plait.einsum(*MATRIX_CHAIN, "x y, y z, z w -> x w"),
        lambda: plait.einsum(*MATRIX_CHAIN, "i j, j k, k l -> i l"),
        500,
    ),
}
"""A call that loads what is needed, the first call that is counted, and how many frames it may pass."""


@pytest.mark.usefixtures("without_kernels")
@pytest.mark.parametrize("name", CALLS_WITH_FRAME_LIMITS)
def test_first_call_enters_few_frames(name):
    load, call, most = CALLS_WITH_FRAME_LIMITS[name]
    load()
    found = count_frames(call)
    assert sum(found.values()) <= most * FRAME_LIMIT_FACTOR, found.most_common(20)


def test_second_call_enters_at_most_three_frames():
    plait.rearrange(IMAGES, "b h w c -> b (h w) c")
    found = count_frames(lambda: plait.rearrange(IMAGES, "b h w c -> b (h w) c"))
    assert sum(found.values()) <= 3, found


def test_second_call_with_a_list_of_tensors_enters_few_frames():
    calls = [
        lambda: plait.rearrange([IMAGES, IMAGES], "n b h w c -> b (n h) w c"),
        lambda: plait.reduce([IMAGES, IMAGES], "n b h w c -> b", "max"),
        lambda: plait.repeat((IMAGES, IMAGES), "n b h w c -> n b h w c 2"),
    ]
    for call in calls:
        first = call()
        found = count_frames(call)
        np.testing.assert_array_equal(call(), first)
        assert not any("uncacheable_calls" in file or "compile" in file for file, _ in found), found
        assert sum(found.values()) <= 12, found


def test_einsum_is_planned_once(monkeypatch):
    planned = []
    plan = contraction.search_contraction

    def watched(*arguments, **keywords):
        planned.append(arguments)
        return plan(*arguments, **keywords)

    monkeypatch.setattr(contraction, "search_contraction", watched)
    plait.cache_clear()
    found = count_frames(lambda: plait.einsum(*MATRIX_CHAIN, "i j, j k, k l -> i l"))
    assert len(planned) == 1
    assert not any("_operations/einsum" in file and name == "lower" for file, name in found), found


@pytest.mark.parametrize("kind", [TypeError, AttributeError, KeyError, ValueError, RecursionError])
@pytest.mark.parametrize(
    "call",
    [
        lambda: plait.rearrange(IMAGES, "b h w c -> c b h w"),
        lambda: plait.rearrange([IMAGES], "n b h w c -> c n b h w"),
        lambda: plait.reduce(IMAGES, "b h w c -> c", "sum"),
        lambda: plait.einsum(IMAGES, IMAGES, "b h w c, b h w c -> c"),
        lambda: plait.compile("b h w c -> w b h c").rearrange(IMAGES),
    ],
    ids=["rearrange", "a list", "reduce", "einsum", "a pattern"],
)
def test_planner_bug_is_raised_unchanged_after_one_attempt(monkeypatch, call, kind):
    planted = []

    def broken(*_, **__):
        planted.append(kind("planted"))
        raise planted[-1]

    monkeypatch.setattr(compilation, "solve_pattern", broken)
    with pytest.raises(kind, match="planted") as caught:
        call()
    assert len(planted) == 1
    assert caught.value is planted[0]
    assert caught.value.__context__ is None
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "broken"


@pytest.mark.parametrize(
    ("tensors", "pattern"), [(MATRIX_CHAIN, "i j, j k, k l -> i l"), (MATRIX_CHAIN[:2], "i j, j k -> i k")]
)
def test_requested_path_is_searched_once(monkeypatch, tensors, pattern):
    xp = pytest.importorskip("array_api_strict")
    searched = []
    find = search.find_path_if_needed

    def watched(*arguments):
        searched.append(arguments)
        return find(*arguments)

    for module in (contraction, search):
        monkeypatch.setattr(module, "find_path_if_needed", watched)
    plait.cache_clear()
    with plait.options(contract="greedy"):
        plait.einsum(*map(xp.asarray, tensors), pattern)
    assert len(searched) == 1
