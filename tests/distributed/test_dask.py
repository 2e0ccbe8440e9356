"""Dask: calls compute nothing, chunks follow their axes, and a cluster reduces more than one worker can hold."""

from __future__ import annotations

import doctest
import importlib.util
import io
import json
import math
import re
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import plait

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _synchronous_scheduler():
    with dask.config.set(scheduler="synchronous"):
        yield


class ComputedError(Exception):
    """Raised if a task is computed."""


def _raise_computed_error(*_):
    raise ComputedError


def array_that_raises_when_computed(shape, chunks, dtype="float64"):
    """An array whose chunks raise `ComputedError` when they are computed."""
    shaped = da.from_array(np.zeros(shape, dtype), chunks=chunks)
    return da.map_blocks(_raise_computed_error, shaped, dtype=dtype, meta=np.empty((0,) * len(shape), dtype))


def numpy_and_dask_arrays(shape, chunks):
    array = np.arange(math.prod(shape), dtype="float64").reshape(shape)
    return array, da.from_array(array, chunks=chunks)


def source_chunks_of_each_chunk(result, source):
    """By chunk of the result, the chunks of the source from which it is computed."""
    graph = result.__dask_graph__()
    found = {}
    for key in product([result.name], *map(range, result.numblocks)):
        needed = graph.cull({key}).to_dict()
        found[key[1:]] = sorted(name[1:] for name in needed if isinstance(name, tuple) and name[0] == source.name)
    return found


def assert_chunks_map_one_to_one(result, source):
    """Assert that each chunk of the result is computed from one chunk of the source, and each of those is used once."""
    found = source_chunks_of_each_chunk(result, source)
    assert all(len(chunks) == 1 for chunks in found.values())
    assert sorted(chunks[0] for chunks in found.values()) == sorted(np.ndindex(source.numblocks))


def max_dependencies(result):
    """The largest number of tasks on which one task depends."""
    return max(len(names) for names in result.__dask_graph__().get_all_dependencies().values())


def largest_chunk_bytes(array):
    """The size of the largest chunk in bytes."""
    return math.prod(map(max, array.chunks)) * array.dtype.itemsize


def count_tasks(array):
    return len(array.__dask_graph__())


# Lazy in, lazy out.

CALLS = {
    "permute": lambda x: plait.rearrange(x, "a b c -> c a b"),
    "merge": lambda x: plait.rearrange(x, "a b c -> (c a) b"),
    "split": lambda x: plait.rearrange(x, "a (b d) c -> d a b c", d=2),
    "across": lambda x: plait.rearrange(x, "a (b d) c -> (a b) (d c)", d=2),
    "reduce": lambda x: plait.reduce(x, "a (b 2) c -> c b", "max"),
    "logsumexp": lambda x: plait.reduce(x, "a b c -> b", "logsumexp"),
    "std": lambda x: plait.reduce(x, "a b c -> 1 1", "std"),
    "any": lambda x: plait.reduce(x, "a b c -> a", "any"),
    "repeat": lambda x: plait.repeat(x, "a b c -> a (b r) c", r=3),
    "einsum": lambda x: plait.einsum(x, x, x, "a b c, a d c, e d c -> b e"),
    "classical": lambda x: plait.einsum("...c,...c", x, x),
    "stack": lambda x: plait.rearrange([x, x + 1], "n a b c -> a (n b) c"),
    "pack": lambda x: plait.pack([x, x[0]], "* c")[0],
    "unpack": lambda x: plait.unpack(x, [(2,), (2,)], "a * c")[1],
    "compiled": lambda x: plait.compile("a (b d) c -> d (a b c)", d=2).rearrange(x),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_nothing_is_computed_while_planning(call):
    result = call(array_that_raises_when_computed((4, 4, 6), (2, 3, 4)))
    expected = call(np.ones((4, 4, 6)))
    assert type(result) is da.Array
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    assert result._meta.dtype == expected.dtype
    with pytest.raises(ComputedError):
        result.compute()


def test_shapes_are_read_without_computing():
    assert plait.parse_shape(array_that_raises_when_computed((4, 6), (3, 4)), "a b") == {"a": 4, "b": 6}


# Chunks follow the axes.


def test_a_permutation_permutes_the_chunks():
    array, x = numpy_and_dask_arrays((5, 6, 7), (2, 4, 3))
    result = plait.rearrange(x, "a b c -> c a b")
    assert result.chunks == (x.chunks[2], x.chunks[0], x.chunks[1])
    assert_chunks_map_one_to_one(result, x)
    assert (result.compute() == array.transpose(2, 0, 1)).all()


CASES_WITHOUT_MOVES = [
    # pattern, sizes, shape, chunks, the chunks of the result
    ("(a b) c -> a b c", {"b": 3}, (12, 2), ((3, 6, 3), (1, 1)), ((1, 2, 1), (3,), (1, 1))),
    ("(a b) c -> a b c", {"b": 4}, (8, 2), ((3, 1, 3, 1), (2,)), ((1, 1), (3, 1), (2,))),
    ("(a b c) -> a b c", {"a": 2, "b": 2}, (12,), ((3, 3, 3, 3),), ((1, 1), (1, 1), (3,))),
    ("a b c -> (a b) c", {}, (4, 3, 5), ((3, 1), (3,), (2, 3)), ((9, 3), (2, 3))),
    ("a b c -> (a b) c", {}, (2, 5, 3), ((1, 1), (2, 3), (3,)), ((2, 3, 2, 3), (3,))),
    ("a b c -> a (b c)", {}, (4, 3, 5), ((2, 2), (1, 2), (5,)), ((2, 2), (5, 10))),
    ("a b c -> (a b c)", {}, (4, 3, 5), ((3, 1), (3,), (5,)), ((45, 15),)),
    ("a b c -> (a b c)", {}, (2, 2, 5), ((1, 1), (1, 1), (4, 1)), ((4, 1, 4, 1, 4, 1, 4, 1),)),
    ("(a b) c -> a (b c)", {"b": 2}, (8, 3), ((4, 2, 2), (3,)), ((2, 1, 1), (6,))),
    ("(a b) c d -> a b (c d)", {"b": 2}, (4, 3, 5), ((2, 2), (2, 1), (5,)), ((1, 1), (2,), (10, 5))),
    ("a b -> 1 a () b 1", {}, (5, 3), ((3, 2), (1, 2)), ((1,), (3, 2), (1,), (1, 2), (1,))),
    ("1 a 1 b -> a b", {}, (1, 5, 1, 3), ((1,), (3, 2), (1,), (1, 2)), ((3, 2), (1, 2))),
    ("a b 1 -> 1 (a b) 1", {}, (2, 4, 1), ((1, 1), (4,), (1,)), ((1,), (4, 4), (1,))),
    (
        "b c (h p) (w q) -> b (h w) (p q c)",
        {"p": 2, "q": 2},
        (5, 3, 8, 4),
        ((2, 2, 1), (3,), (4, 2, 2), (4,)),
        ((2, 2, 1), (4, 2, 2), (12,)),
    ),
]


@pytest.mark.parametrize(("pattern", "sizes", "shape", "chunks", "expected"), CASES_WITHOUT_MOVES)
def test_reshapes_along_chunk_boundaries_move_no_data(pattern, sizes, shape, chunks, expected):
    array, x = numpy_and_dask_arrays(shape, chunks)
    result = plait.rearrange(x, pattern, **sizes)
    assert result.chunks == expected
    assert_chunks_map_one_to_one(result, x)
    assert (result.compute() == plait.rearrange(array, pattern, **sizes)).all()


CASES_WITH_MOVES = [
    ("h w -> (h w)", {}, (60, 60), (10, 10)),
    ("h w -> (w h)", {}, (60, 60), (10, 10)),
    ("a h w -> (a h w)", {}, (8, 8, 8), (4, 4, 4)),
    ("a h w -> a (h w)", {}, (8, 8, 9), (4, 4, 4)),
    ("(h w) -> h w", {"h": 10}, (1000,), (30,)),
    ("(a b) c -> a (b c)", {"b": 6}, (24, 6), (4, 3)),
    ("a b -> 1 (a b) 1", {}, (20, 30), (10, 10)),
    ("1 a b 1 -> (a b) 1", {}, (1, 20, 30, 1), (1, 10, 10, 1)),
]


@pytest.mark.parametrize(("pattern", "sizes", "shape", "chunks"), CASES_WITH_MOVES)
def test_reshapes_across_chunk_boundaries_keep_chunks_small(pattern, sizes, shape, chunks):
    array, x = numpy_and_dask_arrays(shape, chunks)
    result = plait.rearrange(x, pattern, **sizes)
    assert largest_chunk_bytes(result) <= 1.5 * largest_chunk_bytes(x)
    assert result.npartitions >= x.npartitions / 2
    assert (result.compute() == plait.rearrange(array, pattern, **sizes)).all()


def test_groups_along_chunk_boundaries_keep_their_chunks():
    array, x = numpy_and_dask_arrays((6, 3, 8, 8), ((4, 2), (3,), (4, 4), (4, 4)))
    result = plait.rearrange(x, "a b h w -> (a b) (h w)")
    assert result.chunks[0] == (12, 6)
    for place, found in source_chunks_of_each_chunk(result, x).items():
        assert {chunk[0] for chunk in found} == {place[0]}
    assert (result.compute() == array.reshape(18, 64)).all()


def test_chunks_with_new_axes_stay_within_the_configured_size():
    with dask.config.set({"array.chunk-size": "1KiB"}):
        array, x = numpy_and_dask_arrays((16, 16), (8, 8))
        for pattern in ("a b -> r a b", "a b -> a r b", "a b -> a b r"):
            result = plait.repeat(x, pattern, r=100)
            assert largest_chunk_bytes(result) <= 1024
            assert (result.compute() == plait.repeat(array, pattern, r=100)).all()


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_arrays_without_elements(shape):
    x = da.zeros(shape, chunks=(2, 2), dtype="float32")
    result = plait.rearrange(x, "a (b c) -> b (a c)", c=2)
    assert result.compute().shape == plait.rearrange(np.zeros(shape), "a (b c) -> b (a c)", c=2).shape
    assert result.dtype == np.float32


# Reductions and products.

REDUCTIONS = "min max sum mean prod any all std var logsumexp".split()


@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_reduction_is_a_tree_over_the_chunks(name):
    array = np.random.default_rng(0).normal(size=(64, 6))
    x = da.from_array(array, chunks=(1, 3))
    result = plait.reduce(x, "n c -> c", name)
    by_hand = da.max(x, axis=0) if name == "logsumexp" else getattr(da, name)(x, axis=0)
    assert max_dependencies(result) <= 4  # Dask's split_every
    assert count_tasks(result) <= count_tasks(by_hand)
    assert result.chunks == by_hand.chunks
    np.testing.assert_allclose(result.compute(), plait.reduce(array, "n c -> c", name), rtol=1e-12)


@pytest.mark.parametrize(
    "values",
    [
        [1000.0, 1000.0, -1000.0, 999.0],
        [-np.inf, -np.inf, -np.inf, 0.0],
        [-np.inf] * 4,
        [np.inf, 0.0, -np.inf, 1.0],
        [np.nan, 0.0, -np.inf, 1.0],
        [-1e300, -1e300, -1e300, -1e300],
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logsumexp_is_stable_across_chunks(values, dtype):
    array = np.array(values * 5).astype("float32" if dtype == "float32" and max(values) > -1e30 else "float64")
    x = da.from_array(array, chunks=1)
    result = plait.reduce(x, "n ->", "logsumexp")
    assert result.dtype == array.dtype
    np.testing.assert_allclose(result.compute(), plait.reduce(array, "n ->", "logsumexp"), rtol=1e-6)


def test_einsum_works_chunk_by_chunk():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(24, 40)), rng.normal(size=(40, 24))
    x, y = da.from_array(a, chunks=(4, 4)), da.from_array(b, chunks=(4, 4))
    result = plait.einsum(x, y, "i k, k j -> i j")
    assert result.chunks == (x.chunks[0], y.chunks[1])
    assert max_dependencies(result) <= 4
    assert count_tasks(result) <= count_tasks(da.einsum("ik,kj->ij", x, y))
    np.testing.assert_allclose(result.compute(), a @ b)


@pytest.mark.filterwarnings("ignore:Increasing number of chunks")  # by Dask alone, for comparison
def test_einsum_of_many_operands_contracts_pairwise():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(12, 12)) for _ in range(4)]
    tensors = [da.from_array(array, chunks=(3, 3)) for array in arrays]
    result = plait.einsum(*tensors, "a b, b c, c d, d e -> a e")
    assert max_dependencies(result) <= 4
    assert count_tasks(result) < count_tasks(da.einsum("ab,bc,cd,de->ae", *tensors)) / 3
    assert largest_chunk_bytes(result) <= largest_chunk_bytes(tensors[0])
    np.testing.assert_allclose(result.compute(), np.linalg.multi_dot(arrays))


def test_einsum_uses_a_cheap_contraction_path():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in ((60, 3), (3, 60), (60, 3))]
    x, y, z = (da.from_array(array, chunks=(3, 3)) for array in arrays)
    result = plait.einsum(x, y, z, "a b, b c, c d -> a d")
    assert count_tasks(result) <= count_tasks(da.einsum("ab,bd->ad", x, da.einsum("bc,cd->bd", y, z)))
    np.testing.assert_allclose(result.compute(), np.linalg.multi_dot(arrays))


@pytest.mark.filterwarnings("ignore:Increasing number of chunks")  # as above
def test_axes_of_one_operand_are_summed_first():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(12, 30)), rng.normal(size=(12, 30))
    x, y = da.from_array(a, chunks=(3, 3)), da.from_array(b, chunks=(3, 3))
    result = plait.einsum(x, y, "i k, i j -> i")
    assert count_tasks(result) < count_tasks(da.einsum("ik,ij->i", x, y))
    np.testing.assert_allclose(result.compute(), a.sum(1) * b.sum(1))


@pytest.mark.parametrize("equation", ["ii->i", "ii->", "iij->j", "iji->j", "jii->ij", "iii->i"])
def test_diagonals_of_dimensions_with_different_chunks(equation):
    array = np.random.default_rng(0).normal(size=(5,) * len(equation.split("->")[0]))
    x = da.from_array(array, chunks=((2, 3), (1, 1, 3), (4, 1))[: array.ndim])
    np.testing.assert_allclose(plait.einsum(equation, x).compute(), np.einsum(equation, array))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16", "float32", "complex64"])
def test_einsum_keeps_the_dtype(dtype):
    array = (np.arange(36).reshape(6, 6) % 3).astype(dtype)
    x = da.from_array(array, chunks=2)
    result = plait.einsum(x, x, "i k, k j -> i j")
    assert result.dtype == result.compute().dtype == array.dtype
    assert (result.compute() == np.einsum("ik,kj->ij", array, array)).all()


def test_ellipsis_broadcasts_over_chunks():
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(5, 1, 4, 6)), rng.normal(size=(3, 6, 2)), rng.normal(size=(2,))
    tensors = [da.from_array(array, chunks=2) for array in (a, b, c)]
    result = plait.einsum("...ik,...kj,...j->i...", *tensors)
    np.testing.assert_allclose(result.compute(), np.einsum("...ik,...kj,...j->i...", a, b, c))


# Tasks: no more than by hand.

HAND_WRITTEN_CASES = {
    "patches": (
        lambda x: plait.rearrange(x, "b c (h p) w -> b h (p c w)", p=2),
        lambda x: x.reshape(6, 4, 4, 2, 6).transpose(0, 2, 3, 1, 4).reshape(6, 4, 48),
    ),
    "merge": (lambda x: plait.rearrange(x, "b c h w -> (b c) h w"), lambda x: x.reshape(24, 8, 6)),
    "move and merge": (
        lambda x: plait.rearrange(x, "b c h w -> h (b c w)"),
        lambda x: x.transpose(2, 0, 1, 3).reshape(8, 144),
    ),
    "pool": (
        lambda x: plait.reduce(x, "b c (h 2) (w 2) -> b c h w", "mean"),
        lambda x: x.reshape(6, 4, 4, 2, 3, 2).mean(axis=(3, 5)),
    ),
    "var": (lambda x: plait.reduce(x, "b c h w -> c", "var"), lambda x: x.var(axis=(0, 2, 3))),
    "repeat": (lambda x: plait.repeat(x, "b c h w -> r b c h w", r=3), lambda x: da.broadcast_to(x, (3, 6, 4, 8, 6))),
    "product": (
        lambda x: plait.einsum(x, x, "b c h w, d c h w -> b d"),
        lambda x: da.einsum("bchw,dchw->bd", x, x, optimize=True),
    ),
    "sum": (lambda x: plait.einsum(x, "b c h w -> w b"), lambda x: da.sum(x, (1, 2)).T),
}


@pytest.mark.parametrize("chunks", [(2, 2, 4, 3), (6, 4, 2, 6), (1, 4, 8, 6), (4, 3, 3, 5), (6, 4, 8, 6)])
@pytest.mark.parametrize(("ours", "hand"), HAND_WRITTEN_CASES.values(), ids=HAND_WRITTEN_CASES.keys())
def test_no_more_tasks_than_by_hand(ours, hand, chunks):
    _, x = numpy_and_dask_arrays((6, 4, 8, 6), chunks)
    one, other = ours(x), hand(x)
    np.testing.assert_allclose(one.compute(), other.compute())
    assert count_tasks(one) <= count_tasks(other)
    assert count_tasks(dask.optimize(one)[0]) <= count_tasks(dask.optimize(other)[0])


# Lengths that are not known before the array is computed.


def numpy_and_unknown_length_dask_arrays():
    """Return six of ten rows, selected by a condition, as a NumPy array and as a Dask array of unknown length."""
    array = np.arange(60.0).reshape(10, 6)
    return array[array[:, 0] > 20], (x := da.from_array(array, chunks=(3, 6)))[x[:, 0] > 20]


CALLS_WITH_UNKNOWN_LENGTHS = {
    "permute": lambda x: plait.rearrange(x, "n c -> c n"),
    "split": lambda x: plait.rearrange(x, "n (a b) -> a n b", a=2),
    "units": lambda x: plait.rearrange(x, "n c -> 1 n 1 c"),
    "merge": lambda x: plait.rearrange(x, "n c -> (n c)"),
    "part of it": lambda x: plait.rearrange(x, "n (a b) -> (n a) b", a=3),
    "reduce": lambda x: plait.reduce(x, "n (a b) -> a", "mean", a=2),
    "max": lambda x: plait.reduce(x, "n c -> c", "max"),
    "logsumexp": lambda x: plait.reduce(x, "n c -> n", "logsumexp"),
    "repeat": lambda x: plait.repeat(x, "n c -> n r c", r=2),
    "repeat, merged": lambda x: plait.repeat(x, "n c -> (n r) c", r=2),
    "einsum": lambda x: plait.einsum(x, x, "n c, n d -> c d"),
    "einsum of three": lambda x: plait.einsum(x, x, x, "n c, n d, n e -> c d e"),
    "stack": lambda x: plait.rearrange([x, x + 1], "k n c -> n k c"),
    "pack": lambda x: plait.pack([x, x[:, 0]], "n *")[0],
    "pack along": lambda x: plait.pack([x, x + 1], "* c")[0],
    "its own size": lambda x: plait.rearrange(x, "n (a b) -> n a b", **{"a": 2, **plait.parse_shape(x, "n _")}),
}


@pytest.mark.parametrize("call", CALLS_WITH_UNKNOWN_LENGTHS.values(), ids=CALLS_WITH_UNKNOWN_LENGTHS.keys())
def test_calls_that_need_no_unknown_length(call):
    array, x = numpy_and_unknown_length_dask_arrays()
    result = call(x)
    assert any(math.isnan(size) for size in result.shape) or result.shape == call(array).shape
    np.testing.assert_allclose(result.compute(), call(array))


CALLS_THAT_NEED_UNKNOWN_LENGTHS = {
    "split": lambda x: plait.rearrange(x, "(n k) c -> n k c", k=2),
    "cut up": lambda x: plait.rearrange(x.rechunk({1: 3}), "n c -> (n c)"),
    "split by it": lambda x: plait.rearrange(x, "n (a b) -> n a b", a=plait.parse_shape(x, "n c")["n"]),
    "repeat by it": lambda x: plait.repeat(da.ones(3), "c -> c n", n=plait.parse_shape(x, "n c")["n"]),
    "split by nothing": lambda x: plait.rearrange(x, "(n k) c -> n k c", k=0),
    "two of them": lambda x: plait.rearrange(plait.einsum(x, x, "n c, m c -> n m"), "n m -> (n m)"),
    "unpack": lambda x: plait.unpack(x, [(2,), (-1,)], "* c"),
}


@pytest.mark.parametrize("call", CALLS_THAT_NEED_UNKNOWN_LENGTHS.values(), ids=CALLS_THAT_NEED_UNKNOWN_LENGTHS.keys())
def test_calls_that_need_an_unknown_length_are_errors(call):
    with pytest.raises(plait.SizeError, match=r"PLT303.*compute_chunk_sizes"):
        call(numpy_and_unknown_length_dask_arrays()[1])


def test_known_lengths_are_checked_beside_unknown_ones():
    with pytest.raises(plait.SizeError, match="PLT302"):
        plait.rearrange(numpy_and_unknown_length_dask_arrays()[1], "n (a b) -> n a b", a=4)
    with pytest.raises(plait.SizeError, match="PLT305"):
        plait.reduce(numpy_and_unknown_length_dask_arrays()[1], "n 5 -> n", "sum")


# What the chunks are made of.


def test_masks_are_kept():
    array = np.ma.masked_greater(np.arange(24.0).reshape(4, 6), 17)
    x = da.from_array(array, chunks=(2, 3))
    moved = plait.rearrange(x, "a (b c) -> c (a b)", b=2).compute()
    assert (moved.mask == plait.rearrange(array, "a (b c) -> c (a b)", b=2).mask).all()
    for name in ("sum", "mean", "max", "std"):
        result = plait.reduce(x, "a b -> b", name).compute()
        np.testing.assert_allclose(result, getattr(array, name)(axis=0))
        assert (result.mask == getattr(array, name)(axis=0).mask).all()
    assert type(plait.asnumpy(x)) is np.ma.MaskedArray
    with pytest.raises(plait.BackendError, match="PLT503"):
        plait.reduce(x, "a b -> b", "logsumexp")
    for pattern in ("a b, c b -> a c", "a b, a b ->", "a b, a b -> b"):
        expected = plait.einsum(array, array, pattern)
        result = plait.einsum(x, x, pattern).compute()
        np.testing.assert_allclose(result, expected)
        assert np.array_equal(np.ma.getmaskarray(result), np.ma.getmaskarray(expected))


def test_masks_are_repeated_and_known_after_a_reduction():
    x = da.from_array(np.ma.masked_array([1.0, 2.0, 100.0], [0, 0, 1]), chunks=3)
    assert plait.repeat(x, "a -> a r", r=2).sum().compute() == 6
    hidden = np.ma.masked_array(np.ones((2, 3)), [[0, 1, 0]] * 2)
    largest = plait.reduce(da.from_array(hidden, chunks=1), "a b -> b", "max")
    assert type(largest._meta) is np.ma.MaskedArray
    assert plait.einsum(largest, np.ones(3), "b, b ->").compute() == 2  # and not 1e20, the hidden number


def test_sparse_chunks_stay_sparse():
    sparse = pytest.importorskip("sparse")
    array = np.zeros((4, 6))
    array[1, 2] = array[3, 5] = 7
    x = da.from_array(array, chunks=(2, 3)).map_blocks(sparse.COO.from_numpy)
    for call in (
        lambda x: plait.rearrange(x, "a (b c) -> c (a b)", b=2),
        lambda x: plait.reduce(x, "a b -> b", "sum"),
        lambda x: plait.reduce(x, "a b -> a", "logsumexp"),
        lambda x: plait.repeat(x, "a b -> a r b", r=2),
        lambda x: plait.einsum(x, x, "a b, c b -> a c"),
    ):
        assert type(call(x).compute()) in (sparse.COO, sparse.GCXS)
        np.testing.assert_allclose(plait.asnumpy(call(x)), call(array))


def test_numpy_arrays_beside_dask_arrays():
    array, x = numpy_and_dask_arrays((4, 6), (2, 3))
    for result in (
        plait.einsum(x, array, "a b, c b -> a c"),
        plait.einsum(array, x, "a (b c), d (b c) -> a d b", b=2),
        plait.rearrange([array, x], "n a b -> a (n b)"),
        plait.pack([array, x], "a *")[0],
    ):
        assert type(result) is da.Array
    np.testing.assert_allclose(plait.einsum(array, x, "a b, c b -> a c").compute(), array @ array.T)
    assert (plait.rearrange([array, x], "n a b -> a (n b)").compute() == np.hstack([array, array])).all()


def test_numpy_integers_are_sizes_and_dask_scalars_are_not():
    array, x = numpy_and_dask_arrays((4, 6), (2, 3))
    result = plait.rearrange(x, "a (b c) -> a b c", b=np.int64(2))
    assert (result.compute() == array.reshape(4, 2, 3)).all()
    total = plait.reduce(x, "a b ->", "sum")
    assert total.shape == ()
    assert plait.asnumpy(total) == array.sum()
    assert plait.repeat(total, "-> r", r=3).compute().tolist() == [array.sum()] * 3
    with pytest.raises(plait.SizeError, match="PLT301"):
        plait.rearrange(x, "a (b c) -> a b c", b=total)


def test_object_and_structured_dtypes():
    array = np.array([[1, "a"], [None, 2.5]], dtype=object)
    x = da.from_array(array, chunks=1)
    assert (plait.repeat(x, "a b -> b a r", r=2).compute() == plait.repeat(array, "a b -> b a r", r=2)).all()
    records = np.zeros((2, 3), dtype=[("x", "f4"), ("y", "i8")])
    moved = plait.rearrange(da.from_array(records, chunks=(1, 2)), "a b -> (b a)")
    assert moved.dtype == moved.compute().dtype == records.dtype


def test_callable_reductions():
    array, x = numpy_and_dask_arrays((4, 6), (2, 3))
    result = plait.reduce(x, "a b -> b", lambda tensor, axes: da.nansum(tensor, axis=axes))
    assert (result.compute() == array.sum(0)).all()
    with pytest.raises(plait.SizeError, match="PLT310"):
        plait.reduce(x, "a b -> b", lambda tensor, axes: tensor)


def test_other_dask_collections_are_refused():
    with pytest.raises(plait.BackendError, match="PLT502"):
        plait.rearrange(dask.delayed(np.ones)(3), "a -> a")


# More than one machine, and the page about all of this.


@pytest.mark.filterwarnings("ignore:Increasing number of chunks")  # by Dask alone, for comparison
def test_examples_of_the_documentation():
    text = (ROOT / "docs" / "dask.md").read_text(encoding="utf-8")
    examples = "\n".join(re.findall(r"^```pycon\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    report = io.StringIO()
    test = doctest.DocTestParser().get_doctest(examples, {}, "dask.md", None, 0)
    results = doctest.DocTestRunner().run(test, out=report.write)
    assert results.attempted > 20
    assert results.failed == 0, report.getvalue()


def load_cluster_benchmark():
    spec = importlib.util.spec_from_file_location("dask_cluster", ROOT / "benchmarks" / "dask_cluster.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_cluster_reduces_more_than_one_worker_can_hold(tmp_path):
    pytest.importorskip("distributed")
    figures = tmp_path / "figures.json"
    workloads = ["patches, mean over images", "products of columns"]
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "benchmarks.dask_cluster",
        "--only",
        "plait",
        "--json",
        str(figures),
    ]
    for workload in workloads:
        command += ["--workload", workload]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    cluster = load_cluster_benchmark()
    rows = json.loads(figures.read_text())
    assert [row["workload"] for row in rows] == workloads
    for row in rows:
        make, variants = cluster.WORKLOADS[row["workload"]]
        by_hand = variants["by hand"](make())
        assert row["array_mib"] > 3 * cluster.WORKER_MEMORY_MIB
        assert row["peak_mib"] < cluster.WORKER_MEMORY_MIB
        assert row["restarts"] == 0
        assert row["tasks"] <= count_tasks(by_hand)
        assert row["optimised_tasks"] <= count_tasks(dask.optimize(by_hand)[0])
