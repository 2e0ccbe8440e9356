"""NumPy arrays of other kinds: subclasses, masked arrays, object and structured dtypes, memory-mapped files."""

from __future__ import annotations

import pickle
import tracemalloc

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


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (np.array(["a", None], object), "object"),
        (np.array(["2026-01-01"] * 2, "M8[D]"), r"datetime64\[D\]"),
        (np.array(["a", "b"]), "<U1"),
    ],
)
def test_einsum_names_the_element_type_that_it_refuses(other, name):
    ints = np.arange(2)
    for call in (
        lambda: plait.einsum("i,j", ints, other),
        lambda: plait.einsum(other, ints, "i, j -> i j"),
        lambda: plait.einsum(other, ints, ints, "i, i, i -> i"),
    ):
        for _ in range(2):
            with pytest.raises(plait.BackendError, match=f"PLT503.*einsum is not defined on {name}: "):
                call()


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


MASKED = np.ma.masked_array([1.0, 2.0], [1, 0])


@pytest.mark.parametrize("tensors", [[np.zeros(2), MASKED], [MASKED, np.zeros(2)], [np.zeros(2), np.ones(2), MASKED]])
def test_masks_stay_wherever_they_are_in_a_list(tensors):
    where = [tensor is MASKED for tensor in tensors]
    hidden = [[here, False] for here in where]
    for _ in ("first call", "second call"):
        assert plait.rearrange(tensors, "n a -> n a").mask.tolist() == hidden
        assert plait.repeat(tensors, "n a -> n a r", r=2).mask[..., 1].tolist() == hidden
        assert plait.compile("n a -> (n a)").rearrange(tensors).mask.tolist() == [
            each for pair in hidden for each in pair
        ]
        assert plait.pack(tensors, "*")[0].mask.tolist() == [each for pair in hidden for each in pair]
        assert plait.reduce(tensors, "n a -> n", "sum").tolist() == np.ma.stack(tensors).sum(1).tolist()


def test_einsum_of_masked_arrays_leaves_out_what_is_masked():
    matrix = np.ma.masked_array([[1.0, 100.0], [3.0, 4.0]], [[0, 1], [0, 0]])
    product = plait.einsum(matrix, matrix, "a b, b c -> a c")
    assert product.tolist() == np.ma.dot(matrix, matrix).tolist() == [[1, None], [15, 16]]
    assert plait.einsum(matrix, np.ones(2), "a b, b -> a").tolist() == [1, 7]
    assert plait.einsum(np.ma.masked_all((2, 2)), matrix, "a b, a b -> b").tolist() == [None, None]
    infinite = np.array([[1.0, np.inf], [0.0, 0.0]])
    assert plait.einsum(matrix, infinite, "a b, a b ->") == 1


def test_large_masked_matrices_are_multiplied_in_blocks():
    numbers = np.arange(300 * 200.0).reshape(300, 200) % 7
    matrix = np.ma.masked_array(numbers, numbers == 3)
    product = plait.einsum(matrix, matrix, "a c, b c -> a b")
    filled = matrix.filled(0)
    assert np.array_equal(product.data, filled @ filled.T)


def test_float16_and_integers_of_subclasses():
    halves = np.ma.masked_array(np.ones(4096, np.float16))
    assert plait.einsum(halves, "a ->") == 4096
    assert plait.einsum(halves, halves, "a, a ->").dtype == np.float16
    bytes_ = np.ma.masked_array(np.full(4, 3, np.int8), [0, 0, 0, 1])
    assert plait.einsum(bytes_, bytes_, "a, a ->").dtype == np.int8
    assert plait.einsum(bytes_, bytes_, "a, a ->") == 27


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="NumPy 2 has StringDType")
def test_strings_are_reduced_axis_by_axis():
    strings = np.array([["a", "bb"], ["c", "d"]], np.dtypes.StringDType())
    assert plait.reduce(strings, "a b ->", "sum") == "abbcd"
    assert plait.reduce(strings, "a b -> b", "sum").tolist() == ["ac", "bbd"]
    assert plait.reduce(strings, "a b ->", "max") == "d"
    with pytest.raises(plait.BackendError, match=r"PLT503.*prod is not defined on StringDType"):
        plait.reduce(strings, "a b ->", "prod")
    with pytest.raises(plait.BackendError, match=r"PLT503.*einsum is not defined on StringDType"):
        plait.einsum(strings, strings, "a b, a b ->")
    with pytest.raises(plait.SizeError, match=r"PLT308.*StringDType\(\) and float64 cannot be joined"):
        plait.rearrange([strings, np.zeros((2, 2))], "n a b -> n a b")


def test_pickled_element_types_are_numpys_own():
    """``isbuiltin`` of such a type is 0, though it equals the type in all else; what comes from a process has one."""
    from plait.backends.numpy.contraction import contraction_functions
    from plait.backends.numpy.large_tensors import LARGE_TENSOR_FUNCTIONS

    array = np.ones((300, 400))
    copy = pickle.loads(pickle.dumps(array))
    assert copy.dtype.isbuiltin == 0
    assert LARGE_TENSOR_FUNCTIONS.kernels.element_name(copy.dtype) == "float64"
    contraction_functions.cache_clear()
    assert contraction_functions((copy.dtype, copy.dtype)) is not None
    assert str(plait.explain("a b -> b", copy, reduction="max")) == str(
        plait.explain("a b -> b", array, reduction="max")
    )


@pytest.mark.parametrize("reduction", ["std", "var", "logsumexp", "mean", "max"])
def test_memory_mapped_files_are_reduced_in_little_memory(reduction, tmp_path):
    mapped = np.memmap(tmp_path / "file", np.float32, "w+", shape=(256, 64, 512))
    mapped[...] = np.arange(512, dtype=np.float32) / 512
    array = np.array(mapped)
    expected = plait.reduce(array, "a b c -> a", reduction)
    for _ in ("first call", "second call"):
        tracemalloc.start()
        try:
            result = plait.reduce(mapped, "a b c -> a", reduction)
            assert tracemalloc.get_traced_memory()[1] < 4 << 20  # the array has 32 MiB
        finally:
            tracemalloc.stop()
        assert type(result) is np.ndarray
        assert (result == expected).all()
    assert str(plait.explain("a b c -> a", mapped, reduction=reduction)) == str(
        plait.explain("a b c -> a", array, reduction=reduction)
    )


def test_explain_says_why_a_subclass_has_no_schedule():
    tensor = np.zeros((300, 400)).view(NamedArray)
    text = str(plait.explain("a b -> b", tensor, reduction="max"))
    assert "one call of numpy for each step: arrays of NamedArray have functions of their own" in text


REPETITIONS = [
    ("a b -> a b r", {"r": 2}),
    ("a b -> a (b r)", {"r": 2}),
    ("a b -> (r a) b", {"r": 1}),
    ("a b -> a b 3", {}),
]


@pytest.mark.parametrize(("pattern", "sizes"), REPETITIONS)
def test_repeat_gives_new_memory_and_view_the_broadcast(pattern, sizes):
    array = np.arange(6.0).reshape(2, 3)
    compiled = plait.compile(pattern, **sizes)
    pipeline = plait.compile("a b -> a b") >> compiled
    for call in (
        lambda: plait.repeat(array, pattern, **sizes),
        lambda: compiled.repeat(array),
        lambda: pipeline.repeat(array),
    ):
        for _ in ("first call", "second call"):
            result = call()
            assert result.flags.writeable
            assert not np.shares_memory(result, array)
            result[...] = 9
            assert array.max() == 5
    if pattern == "a b -> a (b r)":
        with pytest.raises(plait.CopyRequiredError, match="PLT401"):
            plait.view(array, pattern, **sizes)
        return
    view = plait.view(array, pattern, **sizes)
    assert np.shares_memory(view, array)
    assert not view.flags.writeable
    assert (view == plait.repeat(array, pattern, **sizes)).all()


def test_repeat_of_a_scalar_and_of_no_elements():
    assert plait.repeat(np.float64(3), "-> a", a=2).flags.writeable
    assert plait.repeat(np.zeros((0, 3)), "a b -> a b r", r=2).flags.writeable
    assert plait.repeat(np.zeros(3), "b -> b r", r=0).shape == (3, 0)
