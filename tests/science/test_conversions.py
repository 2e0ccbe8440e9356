"""What is no array: the error names a conversion that works, and `asnumpy` makes it where there is ``__array__``."""

from __future__ import annotations

import array
import io
import re

import numpy as np
import pytest

import plait


def hdf5_dataset():
    return pytest.importorskip("h5py").File(io.BytesIO(), "w").create_dataset("x", data=np.ones((2, 3)))


OBJECTS = {
    "a data frame of pandas": lambda: pytest.importorskip("pandas").DataFrame(np.ones((2, 3))),
    "a series of pandas": lambda: pytest.importorskip("pandas").Series([1.0, 2.0]),
    "an index of pandas": lambda: pytest.importorskip("pandas").Index([1, 2]),
    "an extension array of pandas": lambda: pytest.importorskip("pandas").array([1, 2], dtype="Int64"),
    "a data frame of Polars": lambda: pytest.importorskip("polars").DataFrame({"a": [1.0, 2.0]}),
    "a series of Polars": lambda: pytest.importorskip("polars").Series([1.0, 2.0]),
    "a lazy frame of Polars": lambda: pytest.importorskip("polars").LazyFrame({"a": [1.0, 2.0]}),
    "an array of Arrow": lambda: pytest.importorskip("pyarrow").array([1.0, 2.0]),
    "a chunked array of Arrow": lambda: pytest.importorskip("pyarrow").chunked_array([[1.0], [2.0, 3.0]]),
    "a table of Arrow": lambda: pytest.importorskip("pyarrow").table({"a": [1.0, 2.0]}),
    "a record batch of Arrow": lambda: pytest.importorskip("pyarrow").record_batch({"a": [1.0, 2.0]}),
    "a tensor of Arrow": lambda: pytest.importorskip("pyarrow").Tensor.from_numpy(np.ones((2, 3))),
    "an array of Awkward": lambda: pytest.importorskip("awkward").Array([[1.0, 2.0], [3.0, 4.0]]),
    "a dataset of h5py": hdf5_dataset,
    "an array of Zarr": lambda: pytest.importorskip("zarr").array(np.ones((2, 3))),
    "an array of TensorStore": lambda: pytest.importorskip("tensorstore").array(np.ones((2, 3))),
    "a matrix": lambda: np.asmatrix(np.ones((2, 3))),
    "an array of Python": lambda: array.array("d", [1.0, 2.0]),
    "a memoryview": lambda: memoryview(b"abc"),
}


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("name", OBJECTS)
def test_the_error_names_a_conversion_that_works(name):
    value = OBJECTS[name]()
    calls = [
        lambda: plait.rearrange(value, "... -> ..."),
        lambda: plait.reduce(value, "... ->", "sum"),
        lambda: plait.einsum(value, "... -> ..."),
        lambda: plait.rearrange([value, value], "n ... -> n ..."),
        lambda: plait.compile("... -> ...").rearrange(value),
        lambda: plait.parse_shape(value, "..."),
        lambda: plait.unpack(value, [(1,)], "*"),
    ]
    for call in calls:
        with pytest.raises(plait.BackendError, match=r"PLT50[12]") as caught:
            call()
        conversion = re.search(r"; (\S+) makes an array of it", caught.value.message)
        assert conversion is not None, caught.value.message
    package = conversion[1].partition(".")[0]
    packages = {package: pytest.importorskip(package)} if package in ("numpy", "awkward") else {}
    converted = eval(conversion[1], {"x": value, **packages})
    assert type(converted) is np.ndarray
    assert plait.rearrange(converted, "... a -> a ...").shape == converted.shape[::-1][:1] + converted.shape[:-1]


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("name", OBJECTS)
def test_asnumpy_takes_what_has_an_array_of_numbers(name):
    value = OBJECTS[name]()
    if hasattr(value, "__array__"):
        result = plait.asnumpy(value)
        assert type(result) is np.ndarray
        np.testing.assert_array_equal(result, np.asarray(value))
    elif isinstance(value, memoryview) or name in ("an array of Python", "a tensor of Arrow", "a lazy frame of Polars"):
        with pytest.raises(plait.BackendError, match="PLT501"):
            plait.asnumpy(value)


class Words:
    """Has an array, which is not one of numbers."""

    shape = (2,)

    def __array__(self, dtype=None, copy=None):
        return np.array(["a", "b"])


class Numbers(Words):
    def __array__(self, dtype=None, copy=None):
        return np.array([1, 2], np.int16)


class Broken(Words):
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("not now")


def test_asnumpy_refuses_what_has_no_numbers():
    assert plait.asnumpy(Numbers()).dtype == np.int16
    with pytest.raises(plait.BackendError, match=r"PLT508(?s:.)*not numbers"):
        plait.asnumpy(Words())
    with pytest.raises(plait.BackendError, match=r"PLT508(?s:.)*not now"):
        plait.asnumpy(Broken())
    for value in ([1, 2], "text", 5, None, {}):
        with pytest.raises(plait.BackendError, match="PLT501"):
            plait.asnumpy(value)
