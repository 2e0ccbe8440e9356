"""Einsums under a limit of memory, of arrays in files and of Dask's arrays."""

from __future__ import annotations

import tracemalloc

import pytest

import plait

np = pytest.importorskip("numpy")

PATTERN = "i j, j k, k l -> i l"
SHAPES = ((400, 500), (500, 300), (300, 200))


CHUNK_BUFFERS = 20 * 64 * 64 * 8
"""How many bytes h5py and zarr take for chunks that they read at the same time, compressed and not."""


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in SHAPES]


def store_with_h5py(folder, arrays):
    h5py = pytest.importorskip("h5py")
    file = h5py.File(folder / "arrays.h5", "w")
    return [file.create_dataset(str(number), data=array, chunks=(64, 64)) for number, array in enumerate(arrays)]


def store_with_zarr(folder, arrays):
    zarr = pytest.importorskip("zarr")
    stored = []
    for number, array in enumerate(arrays):
        opened = zarr.open(str(folder / f"{number}.zarr"), mode="w", shape=array.shape, dtype="f8", chunks=(64, 64))
        opened[...] = array
        stored.append(opened)
    return stored


STORES = {"h5py": store_with_h5py, "zarr": store_with_zarr}


@pytest.mark.parametrize("package", STORES)
def test_arrays_in_files_are_read_in_blocks(package, arrays, tmp_path):
    stored = STORES[package](tmp_path, arrays)
    blocks = []
    limit = 400 * 200 * 8 + 600_000
    with plait.options(memory_limit=limit, progress=lambda done, total: blocks.append(total)):
        plait.einsum(*stored, PATTERN)
        tracemalloc.start()
        found = plait.einsum(*stored, PATTERN)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    np.testing.assert_allclose(found, arrays[0] @ arrays[1] @ arrays[2], rtol=1e-9)
    assert type(found) is np.ndarray
    assert peak <= 1.1 * limit + CHUNK_BUFFERS
    assert blocks[0] > 1


@pytest.mark.parametrize("package", STORES)
def test_arrays_in_files_and_in_memory_are_mixed(package, arrays, tmp_path):
    _, stored, _ = STORES[package](tmp_path, arrays)
    with plait.options(memory_limit="2 MB"):
        found = plait.einsum(arrays[0], stored, arrays[2], PATTERN)
        classical = plait.einsum("ij,jk,kl->il", arrays[0], stored, arrays[2])
    np.testing.assert_allclose(found, arrays[0] @ arrays[1] @ arrays[2], rtol=1e-9)
    np.testing.assert_allclose(classical, found, rtol=1e-9)


@pytest.mark.parametrize("package", STORES)
def test_dimensions_of_several_axes_are_read_in_blocks(package, arrays, tmp_path):
    stored, *_ = STORES[package](tmp_path, arrays)
    with plait.options(memory_limit=60_000):
        found = plait.einsum(stored, arrays[1], "(a b) j, j k -> a k", a=8)
    np.testing.assert_allclose(found, np.einsum("abj,jk->ak", arrays[0].reshape(8, 50, 500), arrays[1]), rtol=1e-9)


@pytest.mark.parametrize("package", STORES)
def test_one_array_in_a_file_is_summed(package, arrays, tmp_path):
    stored, *_ = STORES[package](tmp_path, arrays)
    with plait.options(memory_limit=50_000):
        found = plait.einsum(stored, "i j -> j")
    np.testing.assert_allclose(found, arrays[0].sum(0), rtol=1e-9)


@pytest.mark.parametrize("package", STORES)
def test_arrays_in_files_need_a_limit(package, arrays, tmp_path):
    stored = STORES[package](tmp_path, arrays)
    with pytest.raises(plait.BackendError, match="PLT501"):
        plait.einsum(*stored, PATTERN)
    with plait.options(memory_limit="1 GiB"), pytest.raises(plait.BackendError, match="PLT501"):
        plait.rearrange(stored[0], "i j -> j i")


def test_arrays_in_files_are_not_mixed_with_other_frameworks(arrays, tmp_path):
    dask_array = pytest.importorskip("dask.array")
    stored, *_ = store_with_h5py(tmp_path, arrays)
    with plait.options(memory_limit="1 GiB"), pytest.raises(plait.BackendError, match="PLT5"):
        plait.einsum(stored, dask_array.from_array(arrays[1]), "i j, j k -> i k")


DASK_EINSUMS = {
    "i j, j k, k l -> i l": ((800, 900), (900, 700), (700, 600)),
    "a b c, c d, d e b -> a e": ((60, 70, 80), (80, 90), (90, 50, 70)),
    "b h q d, b h k d -> b h q k": ((2, 4, 256, 64), (2, 4, 256, 64)),
    "i j -> j": ((3000, 1000),),
}


@pytest.mark.parametrize("pattern", DASK_EINSUMS)
def test_each_task_of_dask_keeps_the_limit(pattern):
    dask = pytest.importorskip("dask")
    from dask.callbacks import Callback

    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in DASK_EINSUMS[pattern]]
    lazy = [dask.array.from_array(array, chunks=array.shape) for array in arrays]
    limit = 1_500_000
    peaks = []

    class TaskPeaks(Callback):
        def _pretask(self, *_):
            tracemalloc.reset_peak()
            self.before = tracemalloc.get_traced_memory()[0]

        def _posttask(self, *_):
            peaks.append(tracemalloc.get_traced_memory()[1] - self.before)

    with plait.options(memory_limit=limit):
        result = plait.einsum(*lazy, pattern)
    assert isinstance(result, dask.array.Array)
    tracemalloc.start()
    with TaskPeaks():
        dask.compute(*result.to_delayed().ravel(), scheduler="sync")
    tracemalloc.stop()
    assert len(peaks) > 1
    assert max(peaks) <= 1.1 * limit
    np.testing.assert_allclose(result.compute(), plait.einsum(*arrays, pattern), rtol=1e-9, atol=1e-9)


def test_a_limit_that_no_task_keeps_is_an_error():
    dask_array = pytest.importorskip("dask.array")
    lazy = dask_array.ones((10, 10))
    with plait.options(memory_limit=8), pytest.raises(plait.SizeError, match="PLT313"):
        plait.einsum(lazy, lazy, "i j, j k -> i k")


def test_chunks_of_unknown_lengths_are_an_error():
    dask_array = pytest.importorskip("dask.array")
    lazy = dask_array.ones((10, 10))
    unknown = lazy[lazy[:, 0] > 0]
    with plait.options(memory_limit="1MiB"), pytest.raises(plait.SizeError, match="PLT313"):
        plait.einsum(unknown, lazy, "i j, j k -> i k")


def test_explain_of_dask_arrays_says_that_each_task_keeps_the_limit():
    dask_array = pytest.importorskip("dask.array")
    lazy = dask_array.ones((10, 10))
    with plait.options(memory_limit="1MiB"):
        assert "each task of dask keeps it" in plait.explain("i j, j k -> i k", lazy, lazy).text
