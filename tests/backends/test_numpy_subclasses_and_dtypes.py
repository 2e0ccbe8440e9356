"""NumPy arrays of other kinds: subclasses, masked arrays, object and structured dtypes, memory-mapped files."""

from __future__ import annotations

import numpy as np
import pytest

import plait

OBJECTS = np.array([[1, 2.5, 3], [10**30, 4, -1]], dtype=object)
RECORDS = np.array([[(1.5, 2), (2.5, 3)], [(3.5, 4), (4.5, 5)]], dtype=[("x", "f4"), ("y", "i2")])


def test_objects_are_moved_and_repeated():
    assert plait.rearrange(OBJECTS, "a b -> (b a)").tolist() == [1, 10**30, 2.5, 4, 3, -1]
    assert plait.repeat(OBJECTS, "a b -> a (b 2)")[1].tolist() == [10**30, 10**30, 4, 4, -1, -1]
    packed, shapes = plait.pack([OBJECTS, OBJECTS[0]], "* b")
    assert packed.dtype == object
    assert shapes == [(2,), ()]


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        ("min", [1, -1]),
        ("max", [3, 10**30]),
        ("sum", [6.5, 10**30 + 3]),
        ("prod", [7.5, -4 * 10**30]),
        ("mean", [6.5 / 3, (10**30 + 3) / 3]),
        ("any", [True, True]),
        ("all", [True, True]),
    ],
)
def test_objects_are_reduced_by_their_own_arithmetic(reduction, expected):
    assert plait.reduce(OBJECTS, "a b -> a", reduction).tolist() == expected


def test_var_and_std_of_objects():
    numbers = np.array([[1.0, 2.0, 6.0]], dtype=object)
    assert plait.reduce(numbers, "a b -> a", "var")[0] == pytest.approx(14 / 3)
    assert plait.reduce(numbers, "a b -> a", "std")[0] == pytest.approx((14 / 3) ** 0.5)


def test_objects_are_contracted():
    exact = np.array([[10**20, 1], [1, 1]], dtype=object)
    assert plait.einsum(exact, exact, "a b, b c -> a c").tolist() == [[10**40 + 1, 10**20 + 1], [10**20 + 1, 2]]


def test_records_are_moved_and_repeated():
    assert plait.rearrange(RECORDS, "a b -> (b a)")["y"].tolist() == [2, 4, 3, 5]
    assert plait.repeat(RECORDS, "a b -> a (b 2)")["x"][0].tolist() == [1.5, 1.5, 2.5, 2.5]
    assert np.shares_memory(plait.view(RECORDS, "a b -> b a"), RECORDS)
    assert type(plait.rearrange(RECORDS.view(np.recarray), "a b -> b a")) is np.recarray


@pytest.mark.parametrize("reduction", "min max sum mean prod any all std var logsumexp".split())
def test_records_have_no_reductions(reduction):
    with pytest.raises(plait.BackendError, match=rf"PLT503.*{reduction} is not defined on"):
        plait.reduce(RECORDS, "a b -> a", reduction)


def test_undefined_operations_of_dtypes_are_errors():
    with pytest.raises(plait.BackendError, match="PLT503"):
        plait.einsum(RECORDS, RECORDS, "a b, a b ->")
    with pytest.raises(plait.BackendError, match="PLT503"):
        plait.reduce(np.array(["a", "b"]), "a ->", "sum")
    with pytest.raises(plait.BackendError, match="PLT503"):
        plait.reduce(np.array([object()]), "a ->", "mean")


def test_dates_are_reduced_and_strings_are_moved():
    dates = np.array([["2020-01-03", "2021-01-01"]], dtype="M8[D]")
    assert plait.reduce(dates, "a b -> a", "min").tolist() == [dates[0, 0].item()]
    assert plait.reduce(dates - dates[0, 0], "a b ->", "sum") == np.timedelta64(364, "D")
    assert plait.rearrange(np.array([["a", "bb"]]), "a b -> b a").tolist() == [["a"], ["bb"]]


def test_fortran_order_arrays_are_viewed():
    tensor = np.asfortranarray(np.arange(24.0).reshape(2, 3, 4))
    turned = plait.rearrange(tensor, "a b c -> c b a")
    assert turned.flags.c_contiguous
    assert np.shares_memory(turned, tensor)
    merged = plait.view(tensor, "a b c -> (c b) a")
    assert np.shares_memory(merged, tensor)
    assert (merged == tensor.transpose(2, 1, 0).reshape(12, 2)).all()
    split = plait.view(tensor, "a b (c d) -> d a b c", c=2)
    assert np.shares_memory(split, tensor)
    assert (split == tensor.reshape(2, 3, 2, 2).transpose(3, 0, 1, 2)).all()
    with pytest.raises(plait.CopyRequiredError, match="PLT401"):
        plait.view(tensor, "a b c -> (a b) c")


class NamedArray(np.ndarray):
    """A subclass with an attribute, as in NumPy's guide to subclassing."""

    def __array_finalize__(self, other):
        self.name = getattr(other, "name", None)


def test_subclasses_keep_their_attributes():
    tensor = np.arange(6.0).reshape(2, 3).view(NamedArray)
    tensor.name = "heat"
    for result in (
        plait.rearrange(tensor, "a b -> (b a)"),
        plait.repeat(tensor, "a b -> b a 2"),
        plait.reduce(tensor, "a b -> a", "max"),
    ):
        assert type(result) is NamedArray
        assert result.name == "heat"


def test_masks_move_with_their_elements():
    tensor = np.ma.masked_array(np.arange(6.0).reshape(2, 3), [[0, 1, 0], [0, 0, 1]])
    moved = plait.rearrange(tensor, "a b -> (b a)")
    assert moved.mask.tolist() == [False, False, True, False, False, True]
    assert plait.reduce(tensor, "a b -> a", "mean").tolist() == [1.0, 3.5]
    assert plait.repeat(tensor, "a b -> b a 2").mask[1, 0].tolist() == [True, True]


def test_numpy_matrix_is_refused():
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix([[1, 2], [3, 4]])
    with pytest.raises(plait.BackendError, match=r"PLT502.*matrix is not an array"):
        plait.rearrange(matrix, "a b -> (a b)")


def test_views_of_a_memory_mapped_file_read_nothing(tmp_path):
    """The file is larger than memory, so that reading all of it would not finish."""
    path = tmp_path / "large"
    shape = (1 << 10, 1 << 14, 1 << 14)  # a quarter of a tebibyte, of which the disk keeps nothing
    with path.open("wb") as file:
        file.truncate(shape[0] * shape[1] * shape[2])
    tensor = np.memmap(path, np.uint8, "r+", shape=shape)
    tensor[3, 5, 7] = 9
    view = plait.view(tensor, "a (b c) (d e) -> c e a b d", b=4, d=8)
    assert type(view) is np.memmap
    assert np.shares_memory(view[0, 0], tensor[0])
    assert view[5, 7, 3, 0, 0] == 9
    assert plait.rearrange(tensor, "a b c -> (a b) c").shape == (1 << 24, 1 << 14)
    assert plait.view(tensor, "a b c -> r a b c", r=2).shape == (2, *shape)
