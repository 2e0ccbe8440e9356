"""Sparse, compressed, chunked and labelled arrays of other libraries: every operation gives what it gives for NumPy."""

from __future__ import annotations

import importlib
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plait


@dataclass(frozen=True)
class Library:
    """A library under test: what must be installed, how an array is made, and of which types results may be."""

    name: str
    packages: tuple[str, ...]
    make: Callable[[np.ndarray], Any]
    result_types: Callable[[], tuple[type, ...]]

    def __str__(self) -> str:
        return self.name


def scipy_sparse(array, name="coo_array"):
    from scipy import sparse

    return getattr(sparse, name if array.ndim == 2 else "coo_array")(array)


def pydata(array, name="COO"):
    import sparse

    return getattr(sparse, name).from_numpy(array)


def data_array(array, inside=lambda array: array):
    import xarray

    return xarray.DataArray(inside(array))


def dask_array(array):
    import dask.array

    return dask.array.from_array(array, chunks=2)


def cubed_array(array):
    import cubed.array_api

    return cubed.array_api.asarray(array, chunks=2)


def make_type_importer(*paths):
    """Return a function that imports types by their paths."""

    def types():
        return tuple(
            getattr(importlib.import_module(path.rpartition(".")[0]), path.rpartition(".")[2]) for path in paths
        )

    return types


import_scipy_types = make_type_importer("scipy.sparse.sparray", "numpy.generic")
LIBRARIES = [
    *[
        Library(f"scipy {name}", ("scipy",), lambda array, name=name: scipy_sparse(array, name), import_scipy_types)
        for name in ("coo_array", "csr_array", "csc_array", "dok_array", "lil_array", "dia_array", "bsr_array")
    ],
    Library("COO", ("sparse",), pydata, make_type_importer("sparse.COO")),
    Library("GCXS", ("sparse",), lambda array: pydata(array, "GCXS"), make_type_importer("sparse.GCXS", "sparse.COO")),
    Library("DOK", ("sparse",), lambda array: pydata(array, "DOK"), make_type_importer("sparse.COO", "sparse.DOK")),
    Library(
        "blosc2",
        ("blosc2",),
        lambda array: importlib.import_module("blosc2").asarray(array),
        make_type_importer("blosc2.NDArray"),
    ),
    Library(
        "blosc2 expression",
        ("blosc2",),
        lambda array: importlib.import_module("blosc2").asarray(array) + 0,
        make_type_importer("blosc2.NDArray", "blosc2.LazyArray"),
    ),
    Library("cubed", ("cubed",), cubed_array, make_type_importer("cubed.Array")),
    Library("xarray", ("xarray",), data_array, make_type_importer("xarray.DataArray")),
    Library(
        "xarray of dask",
        ("xarray", "dask"),
        lambda array: data_array(array, dask_array),
        make_type_importer("xarray.DataArray"),
    ),
    Library(
        "xarray of COO",
        ("xarray", "sparse"),
        lambda array: data_array(array, pydata),
        make_type_importer("xarray.DataArray"),
    ),
]


@pytest.fixture(params=LIBRARIES, ids=str)
def library(request):
    for package in request.param.packages:
        pytest.importorskip(package)
    return request.param


MATRIX = np.where(np.arange(24).reshape(4, 6) % 3 == 0, 0.0, np.linspace(-1.5, 2.0, 24).reshape(4, 6))
BLOCK = np.where(np.arange(24).reshape(2, 3, 4) % 5 == 0, 0.0, np.linspace(-1.0, 3.0, 24).reshape(2, 3, 4))
OTHER = np.where(np.arange(18).reshape(6, 3) % 2 == 0, 0.0, np.linspace(-2.0, 1.0, 18).reshape(6, 3))
VECTOR = np.array([0.0, 1.0, 0.0, -2.0, 3.0, 0.5])

CALLS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "transpose": (lambda x: plait.rearrange(x, "a b -> b a"), (MATRIX,)),
    "identity": (lambda x: plait.rearrange(x, "a b -> a b"), (MATRIX,)),
    "split": (lambda x: plait.rearrange(x, "a (b c) -> a b c", c=3), (MATRIX,)),
    "split a vector": (lambda x: plait.rearrange(x, "(b c) -> c b", c=3), (VECTOR,)),
    "merge": (lambda x: plait.rearrange(x, "a b c -> (a b) c"), (BLOCK,)),
    "merge all": (lambda x: plait.rearrange(x, "a b c -> (c b a)"), (BLOCK,)),
    "split and merge": (lambda x: plait.rearrange(x, "(a c) b -> a (c b)", c=2), (MATRIX,)),
    "patches": (lambda x: plait.rearrange(x, "(a p) (b q) -> (a b) (p q)", p=2, q=3), (MATRIX,)),
    "a unit axis": (lambda x: plait.rearrange(x, "a b -> a 1 b"), (MATRIX,)),
    "ellipsis": (lambda x: plait.rearrange(x, "a ... -> ... a"), (BLOCK,)),
    **{
        f"{name} of rows": (lambda x, name=name: plait.reduce(x, "a b -> a", name), (MATRIX,))
        for name in ("sum", "mean", "max", "min", "prod", "any", "all", "var", "std", "logsumexp")
    },
    "list without elements": (lambda x: plait.rearrange([x, x], "n a b -> (n a) b"), (np.zeros((3, 0)),)),
    "list of no rows": (lambda x: plait.rearrange([x, x], "n a b -> a n b"), (np.zeros((0, 3)),)),
    "pack without elements": (lambda x: plait.pack([x, x], "* b")[0], (np.zeros((3, 0)),)),
    "pack of no rows": (lambda x: plait.pack([x, x], "* b")[0], (np.zeros((0, 3)),)),
    "pack with no rows": (lambda x, y: plait.pack([x, y], "* b")[0], (np.zeros((0, 6)), MATRIX)),
    "sum of all": (lambda x: plait.reduce(x, "a b ->", "sum"), (MATRIX,)),
    "pooling": (lambda x: plait.reduce(x, "(a 2) (b 3) -> a b", "max"), (MATRIX,)),
    "variance of two axes": (lambda x: plait.reduce(x, "a b c -> b", "var"), (BLOCK,)),
    "a sum that keeps an axis": (lambda x: plait.reduce(x, "a b -> 1 b", "sum"), (MATRIX,)),
    "repeat": (lambda x: plait.repeat(x, "a b -> (r a) b s", r=2, s=3), (MATRIX,)),
    "matmul": (lambda x, y: plait.einsum(x, y, "a b, b c -> a c"), (MATRIX, OTHER)),
    "matrix and vector": (lambda x, y: plait.einsum(x, y, "a b, b -> a"), (MATRIX, VECTOR)),
    "dot": (lambda x: plait.einsum(x, x, "a, a ->"), (VECTOR,)),
    "outer": (lambda x: plait.einsum(x, x, "a, b -> b a"), (VECTOR,)),
    "elementwise": (lambda x: plait.einsum(x, x, "a b, a b -> b a"), (MATRIX,)),
    "transposed elementwise": (lambda x: plait.einsum(x, x, "a b, a b ->"), (MATRIX,)),
    "trace": (lambda x: plait.einsum(x, "a a ->"), (MATRIX[:, :4],)),
    "diagonal": (lambda x: plait.einsum(x, "a a -> a"), (MATRIX[:, :4],)),
    "batch": (lambda x: plait.einsum(x, x, "a b c, a d c -> a b d"), (BLOCK,)),
    "a sum by einsum": (lambda x: plait.einsum(x, "a b -> b"), (MATRIX,)),
    "three operands": (lambda x, y, z: plait.einsum(x, y, z, "a b, b c, b -> a c"), (MATRIX, OTHER, VECTOR)),
    "merged axes": (lambda x, y: plait.einsum(x, y, "a (b c), c -> a b"), (MATRIX, VECTOR[:3])),
    "list": (lambda x: plait.rearrange([x, x], "n a b -> a (n b)"), (MATRIX,)),
    "reduced list": (lambda x: plait.reduce([x, x, x], "n a b -> a b", "mean"), (MATRIX,)),
    "pack": (lambda x, y: plait.pack([x, y], "a *")[0], (MATRIX, MATRIX.reshape(4, 3, 2))),
    "unpack": (lambda x: plait.unpack(x, [(2,), (2, 2)], "a *")[1], (MATRIX,)),
    "compiled": (lambda x: plait.compile("a b -> b a").rearrange(x), (MATRIX,)),
    "compiled reduce": (lambda x: plait.compile("a b -> b").reduce(x, "max"), (MATRIX,)),
    "compiled repeat": (lambda x: plait.compile("a b -> a r b", r=2).repeat(x), (MATRIX,)),
    "compiled einsum": (lambda x, y: plait.compile("a b, b c -> c a").einsum(x, y), (MATRIX, OTHER)),
    "pipeline": (
        (plait.compile("a b -> b a") >> plait.compile("b (a c) -> (b c) a", c=2)).rearrange,
        (MATRIX,),
    ),
    "counts": (lambda x: plait.reduce(x, "a b -> a", "sum"), (MATRIX > 0,)),
    "small integers": (lambda x: plait.reduce(x, "a b -> a", "sum"), ((MATRIX * 50).astype(np.int8),)),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_operation_gives_what_it_gives_for_numpy(library, name):
    call, arrays = CALLS[name]
    expected = call(*arrays)
    operands = [library.make(array) for array in arrays]
    for _ in range(2):
        result = call(*operands)
        assert isinstance(result, library.result_types())
        got = plait.asnumpy(result)
        assert got.shape == np.shape(expected)
        if name != "small integers":  # libraries differ in the width of the result
            assert got.dtype == np.asarray(expected).dtype
        np.testing.assert_allclose(got, expected, atol=1e-12)


def test_parse_shape_and_asnumpy(library):
    tensor = library.make(MATRIX)
    assert plait.parse_shape(tensor, "a b") == {"a": 4, "b": 6}
    np.testing.assert_array_equal(plait.asnumpy(tensor), MATRIX)


FAILING_CALLS = {
    "a length that does not divide": ("PLT302", lambda x: plait.rearrange(x, "a (b c) -> a b c", c=5)),
    "another rank": ("PLT304", lambda x: plait.rearrange(x, "a b c -> c b a")),
    "lengths that differ": ("PLT305", lambda x: plait.einsum(x, x, "a b, b c -> a c")),
    "mean of integers": ("PLT503", None),
}


@pytest.mark.parametrize("name", FAILING_CALLS)
def test_errors_are_those_of_other_frameworks(library, name):
    code, call = FAILING_CALLS[name]
    tensor = library.make(MATRIX if call else MATRIX.astype(np.int64))
    for _ in range(2):
        with pytest.raises(plait.PlaitError) as caught:
            (call or (lambda x: plait.reduce(x, "a b -> a", "mean")))(tensor)
        assert caught.value.code == code


@given(
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
    name=st.sampled_from(["sum", "mean", "max", "min", "prod", "any", "all", "var", "std", "logsumexp"]),
    data=st.data(),
)
@settings(max_examples=150)
def test_drawn_reductions_of_scipy_sparse_arrays(shape, seed, name, data):
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(seed)
    array = np.where(rng.random(shape) < 0.4, rng.normal(size=shape).round(1), 0.0)
    if array.size and seed % 5 == 0:
        array.flat[seed % array.size] = (np.nan, np.inf, -np.inf)[seed % 3]
    axes = "abcd"[: len(shape)]
    kept = data.draw(st.lists(st.sampled_from(axes), unique=True, max_size=len(axes) - 1))
    pattern = f"{' '.join(axes)} -> {' '.join(kept)}"
    try:
        with np.errstate(all="ignore"):
            expected = plait.reduce(array, pattern, name)
    except plait.SizeError as error:
        with pytest.raises(plait.SizeError) as caught:
            plait.reduce(sparse.coo_array(array), pattern, name)
        assert caught.value.code == error.code
        return
    with np.errstate(all="ignore"):
        result = plait.asnumpy(plait.reduce(sparse.coo_array(array), pattern, name))
    np.testing.assert_allclose(result, expected, atol=1e-12)


@given(
    terms=st.lists(st.lists(st.sampled_from("abcd"), max_size=3), min_size=1, max_size=3),
    output=st.lists(st.sampled_from("abcd"), unique=True, max_size=4),
    seed=st.integers(0, 1000),
)
@settings(max_examples=150)
def test_drawn_contractions_of_scipy_sparse_arrays(terms, output, seed):
    sparse = pytest.importorskip("scipy.sparse")
    terms = [term or ["a"] for term in terms]
    output = [name for name in output if any(name in term for term in terms)]
    rng = np.random.default_rng(seed)
    sizes = dict(zip("abcd", (2, 3, 1, 4), strict=True))
    arrays = [rng.integers(-2, 3, [sizes[name] for name in term]).astype(float) for term in terms]
    arrays = [np.where(rng.random(array.shape) < 0.5, array, 0) for array in arrays]
    equation = f"{','.join(map(''.join, terms))}->{''.join(output)}"
    expected = np.einsum(equation, *arrays)
    result = plait.einsum(equation, *[sparse.coo_array(array) for array in arrays])
    np.testing.assert_allclose(plait.asnumpy(result), expected, atol=1e-12)


SPARSE_EQUATIONS = [
    "i j, j i ->",
    "i j, j k -> i k",
    "i j, i j -> i",
    "i j, k j -> i k",
    "i j, i j, i j ->",
    "i j -> j",
    "i i -> i",
]


@pytest.mark.parametrize("equation", SPARSE_EQUATIONS)
@pytest.mark.parametrize("kind", ["COO", "GCXS", "DOK", "scipy"])
def test_einsum_of_few_elements_in_large_matrices_needs_little_memory(kind, equation):
    rng = np.random.default_rng(0)
    index, values = rng.integers(0, 10_000, (2, 100)), rng.random(100)
    if kind == "scipy":
        tensor = pytest.importorskip("scipy.sparse").coo_array((values, tuple(index)), shape=(10_000, 10_000))
    else:
        tensor = pytest.importorskip("sparse").COO(index, values, shape=(10_000, 10_000)).asformat(kind.lower())
    operands = [tensor] * (equation.count(",") + 1)
    plait.einsum(*operands, equation)  # compiles what the library compiles
    tracemalloc.start()
    plait.einsum(*operands, equation)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6e6


def test_sparse_arrays_with_another_fill_value():
    sparse = pytest.importorskip("sparse")
    ones = sparse.COO.from_numpy(np.ones((3, 3)), fill_value=1.0)
    assert plait.asnumpy(plait.reduce(ones, "a b -> a", "sum")).tolist() == [3, 3, 3]
    with pytest.raises(plait.BackendError, match=r"PLT514.*fill value"):
        plait.einsum(ones, ones, "a b, b c -> a c")
    total = plait.einsum(plait.reduce(ones, "a b ->", "sum"), sparse.COO.from_numpy(np.ones(2)), ", a -> a")
    assert plait.asnumpy(total).tolist() == [9, 9]


def test_formats_are_kept_where_they_have_the_rank():
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.csr_array(MATRIX)
    assert plait.rearrange(matrix, "a b -> b a").format == "csr"
    assert plait.einsum(matrix, sparse.csr_array(OTHER), "a b, b c -> a c").format == "csr"
    assert plait.rearrange(matrix, "a (b c) -> a b c", c=2).format == "coo"
    assert plait.einsum(sparse.csr_array(OTHER.T), sparse.csc_array(MATRIX.T), "a b, b c -> a c").format == "coo"


def test_scipy_arrays_beside_numpy_arrays():
    sparse = pytest.importorskip("scipy.sparse")
    result = plait.einsum(sparse.csr_array(MATRIX), OTHER, "a b, b c -> a c")
    np.testing.assert_allclose(plait.asnumpy(result), MATRIX @ OTHER, atol=1e-12)
    assert plait.rearrange([sparse.coo_array(MATRIX), MATRIX], "n a b -> a (n b)").shape == (4, 12)


def test_duplicates_and_the_array_itself_stay():
    sparse = pytest.importorskip("scipy.sparse")
    tensor = sparse.coo_array(([1.0, 2.0, -4.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    assert plait.asnumpy(plait.reduce(tensor, "a b -> a", "max")).tolist() == [3, 0]
    assert plait.asnumpy(plait.reduce(tensor, "a b -> a", "prod")).tolist() == [0, 0]
    assert tensor.nnz == 3


def test_sparse_matrices_are_told_to_become_sparse_arrays():
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.csr_matrix(MATRIX)
    with pytest.raises(plait.BackendError, match=r"PLT502.*scipy.sparse.coo_array\(x\)"):
        plait.rearrange(matrix, "a b -> b a")
    assert plait.rearrange(sparse.coo_array(matrix), "a b -> b a").shape == (6, 4)


@pytest.mark.parametrize("max_elements", [1, 5, 7, 100])
def test_blosc2_arrays_are_reshaped_and_broadcast_in_parts(monkeypatch, max_elements):
    blosc2 = pytest.importorskip("blosc2")
    monkeypatch.setattr("plait.backends.blosc2.backend.MAX_PART_ELEMENTS", max_elements)
    for call, (array, *rest) in CALLS.values():
        if not rest and array.dtype != bool:
            result = plait.asnumpy(call(blosc2.asarray(array)))
            np.testing.assert_allclose(result, call(array), atol=1e-12)
    zeros = plait.repeat(blosc2.asarray(np.array([-0.0, 0.0])), "a -> r a", r=3)
    assert np.signbit(plait.asnumpy(zeros)).tolist() == [[True, False]] * 3


def test_cubed_computes_nothing_and_reshapes_any_chunks():
    xp = pytest.importorskip("cubed.array_api")
    array = np.arange(2 * 6 * 10).reshape(2, 6, 10)
    for chunks in ((1, 1, 1), (2, 6, 10), (1, 4, 3), (2, 3, 7)):
        tensor = xp.asarray(array, chunks=chunks)
        for pattern, sizes in (
            ("a (b c) d -> (a b) (c d)", {"c": 2}),
            ("a (b c) (d e) -> (a b d) c e", {"c": 3, "e": 5}),
            ("a b c -> (a b c)", {}),
            ("a (b 1) (c d) -> (a b c) 1 d", {"d": 2}),
        ):
            result = plait.rearrange(tensor, pattern, **sizes)
            np.testing.assert_array_equal(plait.asnumpy(result), plait.rearrange(array, pattern, **sizes))
    packed, shapes = plait.pack([xp.asarray(array, chunks=2), xp.asarray(array[:, :4], chunks=3)], "a * d")
    np.testing.assert_array_equal(plait.asnumpy(packed), np.concatenate([array, array[:, :4]], 1))
    assert shapes == [(6,), (4,)]
