"""Every wrong argument gives a status; none ends the process or is written to."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from calls import call, make_task, memory_of, run
from drawing import UNTOUCHED, example_count
from elements import ELEMENT_TYPES, REDUCTIONS, SUPPORTED
from hypothesis import given, settings
from hypothesis import strategies as st
from plait_kernels import ELEMENTS, MAX_RANK, OPERATIONS, Array, Task, load

OK, BAD_ARGUMENT, OUT_OF_BOUNDS, OVERLAP, UNSUPPORTED = range(5)


def _task(operation: str = "sum", rank: int = 1) -> tuple[Task, Array, Array, np.ndarray]:
    """Return a valid task with its memory: a vector, or a matrix of which the last dimension is reduced."""
    source = np.arange(12.0).reshape((12,) if rank == 1 else (3, 4))
    shape = source.shape if operation == "copy" else source.shape[:-1]
    result = np.empty(shape)
    axes = () if operation == "copy" else (rank - 1,)
    task = make_task(operation, "float64", source, result, axes)
    task.arrays = (source, result)  # which live as long as the task
    return task, memory_of(source), memory_of(result), result


@pytest.mark.parametrize("operation", ["copy", "sum", "argmax", "var"])
def test_a_null_pointer_is_a_bad_argument(operation) -> None:
    task, source, result, _ = _task(operation)
    library = load()
    assert library.run(None, ctypes.byref(source), ctypes.byref(result)) == BAD_ARGUMENT
    assert run(task, None, result) == BAD_ARGUMENT
    assert run(task, source, None) == BAD_ARGUMENT
    assert run(task, Array(None, source.begin, source.end), result) == BAD_ARGUMENT
    assert run(task, source, Array(None, result.begin, result.end)) == BAD_ARGUMENT
    assert run(task, source, result) == OK


@pytest.mark.parametrize("operation", ["copy", "sum", "argmax", "var"])
def test_a_wrong_number_is_a_bad_argument(operation) -> None:
    for field, number in (
        ("rank", -1),
        ("rank", MAX_RANK + 1),
        ("rank", 2**31 - 1),
        ("reduced", 2),
        ("reduced", 2**63),
    ):
        task, source, result, _ = _task(operation)
        setattr(task, field, number)
        assert run(task, source, result) == BAD_ARGUMENT, (field, number)
    for length in (-1, 0, -(2**63)):
        task, source, result, _ = _task(operation)
        task.shape[0] = length
        assert run(task, source, result) == BAD_ARGUMENT, length
    task, source, result, _ = _task(operation, 2)
    task.shape[:2] = (2**62, 4)
    task.in_strides[:2] = task.out_strides[:2] = (0, 0)
    assert run(task, source, result) == BAD_ARGUMENT  # 2**64 elements


@pytest.mark.parametrize("itemsize", [0, -1, 2**20 + 1, -(2**63), 2**63 - 1])
def test_an_element_of_a_copy_has_one_byte_to_a_mebibyte(itemsize) -> None:
    task, source, result, _ = _task("copy")
    task.itemsize = itemsize
    assert run(task, source, result) == BAD_ARGUMENT


def test_a_copy_reduces_nothing() -> None:
    task, source, result, _ = _task("copy")
    task.reduced = 1
    assert run(task, source, result) == BAD_ARGUMENT


@pytest.mark.parametrize("number", [-1, len(OPERATIONS), 2**31 - 1, -(2**31)])
def test_an_unknown_operation_or_element_is_a_bad_argument(number) -> None:
    library = load()
    task, source, result, _ = _task()
    task.operation = number
    assert run(task, source, result) == BAD_ARGUMENT
    task, source, result, _ = _task()
    task.element = number if number != len(OPERATIONS) else len(ELEMENTS)
    assert run(task, source, result) == BAD_ARGUMENT
    assert library.supports_numbers(number, ELEMENTS["float32"]) == BAD_ARGUMENT
    assert library.supports_numbers(OPERATIONS["sum"], task.element) == BAD_ARGUMENT


def test_what_has_no_kernel_is_unsupported() -> None:
    for operation in REDUCTIONS:
        for name, element in ELEMENT_TYPES.items():
            if (operation, name) not in SUPPORTED:
                source, result = np.zeros(3, element.stored), np.zeros((3,) if "softmax" in operation else (), "c16")
                assert call(operation, name, source, result, (0,)) == UNSUPPORTED, (operation, name)
    assert ("sum", "float32") in SUPPORTED
    assert ("min", "complex64") not in SUPPORTED


@pytest.mark.parametrize("stride", [9, 16, -8, 2**62, -(2**62), 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("operation", ["copy", "sum", "min", "softmax"])
def test_an_element_outside_of_the_memory_is_out_of_bounds(operation, stride) -> None:
    task, source, result, array = _task(operation, 2) if operation != "softmax" else _softmax_task()
    array.view(np.uint8)[...] = UNTOUCHED
    task.in_strides[1] = stride
    assert run(task, source, result) == OUT_OF_BOUNDS
    task.in_strides[1] = 8
    task.out_strides[0] = 33 if stride == 9 else stride
    if stride == 16 and operation in {"copy", "softmax"}:
        task.out_strides[0] = 40
    assert run(task, source, result) == OUT_OF_BOUNDS
    assert (array.view(np.uint8) == UNTOUCHED).all()


def _softmax_task() -> tuple[Task, Array, Array, np.ndarray]:
    source, result = np.zeros((3, 4)), np.empty((3, 4))
    task = make_task("softmax", "float64", source, result, (1,))
    task.arrays = (source, result)
    return task, memory_of(source), memory_of(result), result


def test_strides_whose_sum_overflows_are_out_of_bounds() -> None:
    for strides in ((2**62, 2**62), (-(2**62), -(2**62)), (2**62, -(2**62)), (2**63 - 1, 2**63 - 1)):
        task, source, result, _ = _task("sum", 2)
        task.shape[:2] = (2, 2)
        task.in_strides[:2] = strides
        assert run(task, source, result) == OUT_OF_BOUNDS


def test_the_first_element_lies_in_the_memory() -> None:
    task, source, result, _ = _task()
    for wrong in (
        Array(source.data, source.end, source.begin),
        Array(source.data - 8, source.begin, source.end),
        Array(source.data + 8, source.begin, source.end),
        Array(source.end, source.begin, source.end),
        Array(source.end + 4096, source.begin, source.end),
        Array(source.data, source.begin, source.end - 1),
        Array(source.data, source.data, source.data),
        Array(2**64 - 8, 0, 2**64 - 1),
    ):
        assert run(task, wrong, result) == OUT_OF_BOUNDS
    for wrong in (Array(result.data, result.begin, result.end - 1), Array(result.data - 1, result.begin, result.end)):
        assert run(task, source, wrong) == OUT_OF_BOUNDS


@pytest.mark.parametrize("operation", ["copy", "softmax"])
def test_a_result_that_shares_memory_with_the_source_or_itself_is_refused(operation) -> None:
    memory = np.arange(200.0)
    axes = () if operation == "copy" else (1,)
    source = memory[:20].reshape(4, 5)
    before = memory.copy()
    for start in (0, 1, 19):
        assert call(operation, "float64", source, memory[start : start + 20].reshape(4, 5), axes) == OVERLAP
    assert call(operation, "float64", source, memory[20:40].reshape(4, 5), axes) == OK
    memory[...] = before
    for strides in ((0, 8), (40, 0), (32, 8), (8, 8), (8, 16), (4, 40), (-16, 8)):
        result = np.ndarray((4, 5), np.float64, memory, 800, strides)
        assert call(operation, "float64", source, result, axes) == OVERLAP, strides
    assert memory.tobytes() == before.tobytes()


def test_a_sum_into_its_source_is_refused() -> None:
    array = np.arange(20.0).reshape(4, 5)
    assert call("sum", "float64", array, array[0], (0,)) == OVERLAP
    assert call("sum", "float64", array[:, ::-1], array[3], (0,)) == OVERLAP


@pytest.mark.parametrize("rank", [0, 1, 31, 63, 64])
@pytest.mark.parametrize("operation", ["copy", "sum", "argmax", "var", "softmax"])
def test_up_to_64_dimensions_are_possible(rank, operation) -> None:
    shape = [2 if i % 7 == 3 else 1 for i in range(rank)]
    source = np.random.default_rng(0).standard_normal(shape)
    axes = () if operation == "copy" else tuple(range(0, rank, 2))
    kept = [n for i, n in enumerate(shape) if i not in axes or operation == "softmax"]
    result = np.empty(kept, np.int64 if operation == "argmax" else np.float64)
    assert call(operation, "float64", source, result, axes) == OK
    if operation in {"copy", "sum", "var"}:
        function = getattr(np, operation)
        expected = function(source) if operation == "copy" else function(source, axis=axes)
        np.testing.assert_allclose(result, expected, rtol=1e-12)


def test_a_task_of_65_dimensions_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="65 dimensions"):
        Task.create("sum", "float64", 8, [1] * 65, [8] * 65, [8] * 65)


def test_an_array_without_dimensions_is_its_own_sum() -> None:
    result = np.empty(())
    assert call("sum", "float64", np.array(3.5), result) == OK
    assert result == 3.5


EDGES = (0, 1, 2, 3, 8, 64, -1, -8, 2**20, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, -(2**62), -(2**63))
NUMBERS_32 = st.sampled_from([n for n in EDGES if -(2**31) <= n < 2**31]) | st.integers(-(2**31), 2**31 - 1)
SMALL_NUMBERS_32 = st.integers(0, 15) | NUMBERS_32
NUMBERS_64 = st.sampled_from(EDGES) | st.integers(-(2**63), 2**63 - 1) | st.integers(-64, 64)


@given(data=st.data())
@settings(max_examples=example_count(500))
def test_nonsense_gives_a_status_and_touches_nothing_outside_of_its_memory(data) -> None:
    source = np.arange(512, dtype=np.uint8)
    surroundings = np.full(1536, UNTOUCHED, np.uint8)
    result = surroundings[512:1024]
    task = Task()
    task.operation, task.element = data.draw(SMALL_NUMBERS_32), data.draw(SMALL_NUMBERS_32)
    task.itemsize = data.draw(NUMBERS_64)
    task.rank = data.draw(st.integers(0, 5) | NUMBERS_32)
    task.threads = data.draw(NUMBERS_32)
    task.reduced = data.draw(st.integers(0, 31) | st.integers(0, 2**64 - 1))
    elements = 1
    for axis in range(6):
        length = data.draw(st.integers(1, 9) | NUMBERS_64)
        # a source whose strides are 0 may have any number of elements, which take long
        elements *= max(1, length)
        task.shape[axis] = length if elements <= 10**6 or elements >= 2**63 else 1
        elements = elements if task.shape[axis] == length else elements // max(1, length)
        task.in_strides[axis] = data.draw(NUMBERS_64)
        task.out_strides[axis] = data.draw(NUMBERS_64)
    arrays = []
    for array in (source, result):
        memory = memory_of(array)
        shift = data.draw(st.sampled_from((0, 0, 0, 8, 256, 504, 511, 512, -1, 4096, 2**40)))
        arrays.append(Array(memory.data + shift, memory.begin, memory.end))
    assert run(task, *arrays) in range(6)
    assert (surroundings[:512] == UNTOUCHED).all()
    assert (surroundings[1024:] == UNTOUCHED).all()
    assert source.tobytes() == np.arange(512, dtype=np.uint8).tobytes()
