"""Dask: nothing is computed, chunks follow their axes, and a cluster takes what no worker could."""

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
def _in_this_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


class ComputedError(Exception):
    """A task has run."""


def _explode(*_):
    raise ComputedError


def bomb(shape, chunks, dtype="float64"):
    """An array whose chunks cannot be had."""
    shaped = da.from_array(np.zeros(shape, dtype), chunks=chunks)
    return da.map_blocks(_explode, shaped, dtype=dtype, meta=np.empty((0,) * len(shape), dtype))


def cut(shape, chunks):
    array = np.arange(math.prod(shape), dtype="float64").reshape(shape)
    return array, da.from_array(array, chunks=chunks)


def origins(result, source):
    """For each chunk of the result, the chunks of the source that it is made of."""
    graph = result.__dask_graph__()
    found = {}
    for key in product([result.name], *map(range, result.numblocks)):
        needed = graph.cull({key}).to_dict()
        found[key[1:]] = sorted(name[1:] for name in needed if isinstance(name, tuple) and name[0] == source.name)
    return found


def assert_nothing_moves(result, source):
    """Each chunk of the result is one of the source, and each of the source is in one."""
    found = origins(result, source)
    assert all(len(chunks) == 1 for chunks in found.values())
    assert sorted(chunks[0] for chunks in found.values()) == sorted(np.ndindex(source.numblocks))


def widest(result):
    """The most tasks that one task waits for."""
    return max(len(names) for names in result.__dask_graph__().get_all_dependencies().values())


def largest(array):
    """Bytes of the largest chunk."""
    return math.prod(map(max, array.chunks)) * array.dtype.itemsize


def count(array):
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
    result = call(bomb((4, 4, 6), (2, 3, 4)))
    expected = call(np.ones((4, 4, 6)))
    assert type(result) is da.Array
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    assert result._meta.dtype == expected.dtype
    with pytest.raises(ComputedError):
        result.compute()


def test_shapes_are_read_without_computing():
    assert plait.parse_shape(bomb((4, 6), (3, 4)), "a b") == {"a": 4, "b": 6}


# Chunks follow the axes.


def test_a_permutation_permutes_the_chunks():
    array, x = cut((5, 6, 7), (2, 4, 3))
    result = plait.rearrange(x, "a b c -> c a b")
    assert result.chunks == (x.chunks[2], x.chunks[0], x.chunks[1])
    assert_nothing_moves(result, x)
    assert (result.compute() == array.transpose(2, 0, 1)).all()


ALONG_BORDERS = [
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
    (
        "b c (h p) (w q) -> b (h w) (p q c)",
        {"p": 2, "q": 2},
        (5, 3, 8, 4),
        ((2, 2, 1), (3,), (4, 2, 2), (4,)),
        ((2, 2, 1), (4, 2, 2), (12,)),
    ),
]


@pytest.mark.parametrize(("pattern", "sizes", "shape", "chunks", "expected"), ALONG_BORDERS)
def test_no_data_moves_along_the_borders_of_chunks(pattern, sizes, shape, chunks, expected):
    array, x = cut(shape, chunks)
    result = plait.rearrange(x, pattern, **sizes)
    assert result.chunks == expected
    assert_nothing_moves(result, x)
    assert (result.compute() == plait.rearrange(array, pattern, **sizes)).all()


ACROSS_BORDERS = [
    ("h w -> (h w)", {}, (60, 60), (10, 10)),
    ("h w -> (w h)", {}, (60, 60), (10, 10)),
    ("a h w -> (a h w)", {}, (8, 8, 8), (4, 4, 4)),
    ("a h w -> a (h w)", {}, (8, 8, 9), (4, 4, 4)),
    ("(h w) -> h w", {"h": 10}, (1000,), (30,)),
    ("(a b) c -> a (b c)", {"b": 6}, (24, 6), (4, 3)),
]


@pytest.mark.parametrize(("pattern", "sizes", "shape", "chunks"), ACROSS_BORDERS)
def test_what_must_move_is_not_gathered(pattern, sizes, shape, chunks):
    array, x = cut(shape, chunks)
    result = plait.rearrange(x, pattern, **sizes)
    assert largest(result) <= 1.5 * largest(x)
    assert result.npartitions >= x.npartitions / 2
    assert (result.compute() == plait.rearrange(array, pattern, **sizes)).all()


def test_merging_follows_what_can_stay_where_another_group_must_move():
    array, x = cut((6, 3, 8, 8), ((4, 2), (3,), (4, 4), (4, 4)))
    result = plait.rearrange(x, "a b h w -> (a b) (h w)")
    assert result.chunks[0] == (12, 6)
    for place, found in origins(result, x).items():
        assert {chunk[0] for chunk in found} == {place[0]}
    assert (result.compute() == array.reshape(18, 64)).all()


def test_new_axes_do_not_let_a_chunk_outgrow_the_configuration():
    with dask.config.set({"array.chunk-size": "1KiB"}):
        array, x = cut((16, 16), (8, 8))
        for pattern in ("a b -> r a b", "a b -> a r b", "a b -> a b r"):
            result = plait.repeat(x, pattern, r=100)
            assert largest(result) <= 1024
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
    assert widest(result) <= 4  # Dask's split_every
    assert count(result) <= count(by_hand)
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
def test_logsumexp_is_stable_from_chunk_to_chunk(values, dtype):
    array = np.array(values * 5).astype("float32" if dtype == "float32" and max(values) > -1e30 else "float64")
    x = da.from_array(array, chunks=1)
    result = plait.reduce(x, "n ->", "logsumexp")
    assert result.dtype == array.dtype
    np.testing.assert_allclose(result.compute(), plait.reduce(array, "n ->", "logsumexp"), rtol=1e-6)


def test_a_product_is_taken_chunk_by_chunk():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(24, 40)), rng.normal(size=(40, 24))
    x, y = da.from_array(a, chunks=(4, 4)), da.from_array(b, chunks=(4, 4))
    result = plait.einsum(x, y, "i k, k j -> i j")
    assert result.chunks == (x.chunks[0], y.chunks[1])
    assert widest(result) <= 4
    assert count(result) <= count(da.einsum("ik,kj->ij", x, y))
    np.testing.assert_allclose(result.compute(), a @ b)


@pytest.mark.filterwarnings("ignore:Increasing number of chunks")  # by Dask alone, for comparison
def test_many_factors_never_meet_in_one_task():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(12, 12)) for _ in range(4)]
    tensors = [da.from_array(array, chunks=(3, 3)) for array in arrays]
    result = plait.einsum(*tensors, "a b, b c, c d, d e -> a e")
    assert widest(result) <= 4
    assert count(result) < count(da.einsum("ab,bc,cd,de->ae", *tensors)) / 3
    assert largest(result) <= largest(tensors[0])
    np.testing.assert_allclose(result.compute(), np.linalg.multi_dot(arrays))


def test_the_order_of_products_is_the_cheap_one():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in ((60, 3), (3, 60), (60, 3))]
    x, y, z = (da.from_array(array, chunks=(3, 3)) for array in arrays)
    result = plait.einsum(x, y, z, "a b, b c, c d -> a d")
    assert count(result) <= count(da.einsum("ab,bd->ad", x, da.einsum("bc,cd->bd", y, z)))
    np.testing.assert_allclose(result.compute(), np.linalg.multi_dot(arrays))


@pytest.mark.filterwarnings("ignore:Increasing number of chunks")  # as above
def test_an_axis_of_one_factor_is_summed_before_it_meets_the_others():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(12, 30)), rng.normal(size=(12, 30))
    x, y = da.from_array(a, chunks=(3, 3)), da.from_array(b, chunks=(3, 3))
    result = plait.einsum(x, y, "i k, i j -> i")
    assert count(result) < count(da.einsum("ik,ij->i", x, y))
    np.testing.assert_allclose(result.compute(), a.sum(1) * b.sum(1))


@pytest.mark.parametrize("equation", ["ii->i", "ii->", "iij->j", "iji->j", "jii->ij", "iii->i"])
def test_a_diagonal_across_chunks_of_other_borders(equation):
    array = np.random.default_rng(0).normal(size=(5,) * len(equation.split("->")[0]))
    x = da.from_array(array, chunks=((2, 3), (1, 1, 3), (4, 1))[: array.ndim])
    np.testing.assert_allclose(plait.einsum(equation, x).compute(), np.einsum(equation, array))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16", "float32", "complex64"])
def test_a_product_keeps_the_element_type(dtype):
    array = (np.arange(36).reshape(6, 6) % 3).astype(dtype)
    x = da.from_array(array, chunks=2)
    result = plait.einsum(x, x, "i k, k j -> i j")
    assert result.dtype == result.compute().dtype == array.dtype
    assert (result.compute() == np.einsum("ik,kj->ij", array, array)).all()


def test_dots_broadcast_over_chunks():
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(5, 1, 4, 6)), rng.normal(size=(3, 6, 2)), rng.normal(size=(2,))
    tensors = [da.from_array(array, chunks=2) for array in (a, b, c)]
    result = plait.einsum("...ik,...kj,...j->i...", *tensors)
    np.testing.assert_allclose(result.compute(), np.einsum("...ik,...kj,...j->i...", a, b, c))


# Tasks: no more than by hand.

HAND = {
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
    "sum": (lambda x: plait.einsum(x, "b c h w -> w b"), lambda x: da.einsum("bchw->wb", x)),
}


@pytest.mark.parametrize("chunks", [(2, 2, 4, 3), (6, 4, 2, 6), (1, 4, 8, 6), (4, 3, 3, 5), (6, 4, 8, 6)])
@pytest.mark.parametrize(("ours", "hand"), HAND.values(), ids=HAND.keys())
def test_no_more_tasks_than_by_hand(ours, hand, chunks):
    _, x = cut((6, 4, 8, 6), chunks)
    one, other = ours(x), hand(x)
    np.testing.assert_allclose(one.compute(), other.compute())
    assert count(one) <= count(other)
    assert count(dask.optimize(one)[0]) <= count(dask.optimize(other)[0])


# Lengths that are not known before the array is computed.


def unknown():
    """Ten rows, of which six are left."""
    array = np.arange(60.0).reshape(10, 6)
    return array[array[:, 0] > 20], (x := da.from_array(array, chunks=(3, 6)))[x[:, 0] > 20]


WITH_UNKNOWN = {
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


@pytest.mark.parametrize("call", WITH_UNKNOWN.values(), ids=WITH_UNKNOWN.keys())
def test_what_needs_no_unknown_length(call):
    array, x = unknown()
    result = call(x)
    assert any(math.isnan(size) for size in result.shape) or result.shape == call(array).shape
    np.testing.assert_allclose(result.compute(), call(array))


NEEDS = {
    "split": lambda x: plait.rearrange(x, "(n k) c -> n k c", k=2),
    "cut up": lambda x: plait.rearrange(x.rechunk({1: 3}), "n c -> (n c)"),
    "split by it": lambda x: plait.rearrange(x, "n (a b) -> n a b", a=plait.parse_shape(x, "n c")["n"]),
    "repeat by it": lambda x: plait.repeat(da.ones(3), "c -> c n", n=plait.parse_shape(x, "n c")["n"]),
    "split by nothing": lambda x: plait.rearrange(x, "(n k) c -> n k c", k=0),
    "two of them": lambda x: plait.rearrange(plait.einsum(x, x, "n c, m c -> n m"), "n m -> (n m)"),
    "unpack": lambda x: plait.unpack(x, [(2,), (-1,)], "* c"),
}


@pytest.mark.parametrize("call", NEEDS.values(), ids=NEEDS.keys())
def test_what_needs_an_unknown_length_says_so(call):
    with pytest.raises(plait.SizeError, match=r"PLT303.*compute_chunk_sizes"):
        call(unknown()[1])


def test_known_lengths_are_checked_beside_unknown_ones():
    with pytest.raises(plait.SizeError, match="PLT302"):
        plait.rearrange(unknown()[1], "n (a b) -> n a b", a=4)
    with pytest.raises(plait.SizeError, match="PLT305"):
        plait.reduce(unknown()[1], "n 5 -> n", "sum")


# What the chunks are made of.


def test_masks_stay():
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
    with pytest.raises(plait.BackendError, match="PLT503"):
        plait.einsum(x, x, "a b, c b -> a c")


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


def test_arrays_of_numpy_are_taken_beside_those_of_dask():
    array, x = cut((4, 6), (2, 3))
    for result in (
        plait.einsum(x, array, "a b, c b -> a c"),
        plait.einsum(array, x, "a (b c), d (b c) -> a d b", b=2),
        plait.rearrange([array, x], "n a b -> a (n b)"),
        plait.pack([array, x], "a *")[0],
    ):
        assert type(result) is da.Array
    np.testing.assert_allclose(plait.einsum(array, x, "a b, c b -> a c").compute(), array @ array.T)
    assert (plait.rearrange([array, x], "n a b -> a (n b)").compute() == np.hstack([array, array])).all()


def test_sizes_and_scalars_of_other_types():
    array, x = cut((4, 6), (2, 3))
    result = plait.rearrange(x, "a (b c) -> a b c", b=np.int64(2))
    assert (result.compute() == array.reshape(4, 2, 3)).all()
    total = plait.reduce(x, "a b ->", "sum")
    assert total.shape == ()
    assert plait.asnumpy(total) == array.sum()
    assert plait.repeat(total, "-> r", r=3).compute().tolist() == [array.sum()] * 3
    with pytest.raises(plait.SizeError, match="PLT301"):
        plait.rearrange(x, "a (b c) -> a b c", b=total)


def test_objects_and_structures():
    array = np.array([[1, "a"], [None, 2.5]], dtype=object)
    x = da.from_array(array, chunks=1)
    assert (plait.repeat(x, "a b -> b a r", r=2).compute() == plait.repeat(array, "a b -> b a r", r=2)).all()
    records = np.zeros((2, 3), dtype=[("x", "f4"), ("y", "i8")])
    moved = plait.rearrange(da.from_array(records, chunks=(1, 2)), "a b -> (b a)")
    assert moved.dtype == moved.compute().dtype == records.dtype


def test_a_reduction_of_the_callers():
    array, x = cut((4, 6), (2, 3))
    result = plait.reduce(x, "a b -> b", lambda tensor, axes: da.nansum(tensor, axis=axes))
    assert (result.compute() == array.sum(0)).all()
    with pytest.raises(plait.SizeError, match="PLT310"):
        plait.reduce(x, "a b -> b", lambda tensor, axes: tensor)


def test_what_is_of_dask_and_no_array():
    with pytest.raises(plait.BackendError, match="PLT502"):
        plait.rearrange(dask.delayed(np.ones)(3), "a -> a")


# More than one machine, and the page about all of this.


@pytest.mark.filterwarnings("ignore:Increasing number of chunks")  # by Dask alone, for comparison
def test_the_page():
    text = (ROOT / "docs" / "dask.md").read_text(encoding="utf-8")
    examples = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    report = io.StringIO()
    test = doctest.DocTestParser().get_doctest(examples, {}, "dask.md", None, 0)
    results = doctest.DocTestRunner().run(test, out=report.write)
    assert results.attempted > 20
    assert results.failed == 0, report.getvalue()


def cluster_module():
    spec = importlib.util.spec_from_file_location("dask_cluster", ROOT / "benchmarks" / "dask_cluster.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_cluster_takes_what_no_worker_could(tmp_path):
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
    cluster = cluster_module()
    rows = json.loads(figures.read_text())
    assert [row["workload"] for row in rows] == workloads
    for row in rows:
        make, variants = cluster.WORKLOADS[row["workload"]]
        by_hand = variants["by hand"](make())
        assert row["array_mib"] > 3 * cluster.WORKER_MEMORY_MIB
        assert row["peak_mib"] < cluster.WORKER_MEMORY_MIB
        assert row["restarts"] == 0
        assert row["tasks"] <= count(by_hand)
        assert row["optimised_tasks"] <= count(dask.optimize(by_hand)[0])
