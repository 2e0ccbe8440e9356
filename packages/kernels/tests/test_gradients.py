"""Gradients: their special values, what they need, and the arguments that are refused."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from calls import INSTRUCTION_SETS, LIBRARY, call, call_gradient, make_gradient_task, memory_of, run_gradient
from drawing import UNTOUCHED, RandomDraw, draw_values
from elements import ELEMENT_TYPES, FLOATS, SUPPORTED_GRADIENTS
from plait_kernels import ELEMENTS, MAX_RANK, OPERATIONS, Array, GradientTask, load

OK, BAD_ARGUMENT, OUT_OF_BOUNDS, OVERLAP, UNSUPPORTED = range(5)
NEEDS_RESULT = ("min", "max", "std", "logsumexp")


def _gradient(operation: str, rows, slopes, name: str = "float64") -> np.ndarray:
    """Return the gradient of a reduction of rows."""
    element = ELEMENT_TYPES[name]
    source, slope = (element.round(np.asarray(each, np.float64)) for each in (rows, slopes))
    result, gradient = np.empty(len(source), source.dtype), np.empty_like(source)
    assert call(operation, element, source, result, (1,)) == OK
    assert call_gradient(operation, element, source, result, slope, gradient, (1,)) == OK
    return element.values(gradient)


@pytest.mark.parametrize("name", FLOATS)
def test_equal_extrema_share_the_gradient(name) -> None:
    rows = [[3, 1, 3, 3], [0.0, -0.0, -1, -2], [np.nan, 1, 2, 2], [np.inf, 1, np.inf, 0], [-np.inf] * 4]
    expected = [[2, 0, 2, 2], [3, 3, 0, 0], [np.nan] * 4, [3, 0, 3, 0], [1.5] * 4]
    np.testing.assert_array_equal(_gradient("max", rows, [6] * 5, name), expected)
    np.testing.assert_array_equal(_gradient("min", -np.array(rows), [6] * 5, name), expected)


@pytest.mark.parametrize("slope", [-2.0, 2.0, -0.0, np.nan, np.inf])
def test_elements_below_a_maximum_get_a_zero_with_the_sign_of_the_gradient(slope) -> None:
    found = _gradient("max", [[1.0, 2.0, 0.0]], [slope])[0, ::2]
    expected = np.zeros(2) * slope if np.isfinite(slope) else np.full(2, np.nan)
    np.testing.assert_array_equal(found, expected)
    if np.isfinite(slope):
        np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def test_the_number_of_equal_halves_is_rounded_like_a_half() -> None:
    found = _gradient("max", np.ones((1, 3459)), [1.0], "float16")
    assert (found == np.float16(np.float16(1) / np.float16(3459))).all()


@pytest.mark.parametrize("name", FLOATS)
def test_a_deviation_of_zero_has_no_gradient(name) -> None:
    rows = [[2, 2, 2], [1, 2, 3], [np.inf, 1, 2], [np.nan, 1, 2]]
    found = _gradient("std", rows, [1] * 4, name)
    assert (found[0] == 0).all()
    np.testing.assert_allclose(found[1], np.array([-1, 0, 1]) / (3 * np.std([1, 2, 3])), rtol=1e-2)
    assert np.isnan(found[2:]).all()
    assert (_gradient("var", rows, [1] * 4, name)[0] == 0).all()


@pytest.mark.parametrize("name", FLOATS)
def test_infinite_exponents_have_the_gradients_of_the_formula(name) -> None:
    rows = [[np.inf, 1, np.inf], [-np.inf, -np.inf, -np.inf], [np.nan, 1, 2], [-np.inf, 0, 0]]
    expected = [[np.nan, 0, np.nan], [np.nan] * 3, [np.nan] * 3, [0, 1, 1]]
    np.testing.assert_allclose(_gradient("logsumexp", rows, [2] * 4, name), expected, rtol=1e-2)


@pytest.mark.parametrize("operation", ["min", "mean", "var", "std", "logsumexp"])
def test_what_an_operation_does_not_read_may_be_null(operation) -> None:
    source = np.random.default_rng(0).standard_normal((3, 4))
    result, slopes, gradient, expected = np.empty(3), np.ones(3), np.empty((3, 4)), np.empty((3, 4))
    assert call(operation, "float64", source, result, (1,)) == OK
    assert call_gradient(operation, "float64", source, result, slopes, expected, (1,)) == OK
    task = make_gradient_task(operation, "float64", source, result, slopes, gradient, (1,))
    arrays = [*map(memory_of, (source, result, slopes, gradient))]
    for place, is_needed in enumerate((operation != "mean", operation in NEEDS_RESULT, True, True)):
        for nothing in (None, Array(None, 0, 0)):
            given = [nothing if number == place else array for number, array in enumerate(arrays)]
            assert run_gradient(task, *given) == (BAD_ARGUMENT if is_needed else OK), (place, nothing)
        gradient[...] = 0
        if not is_needed:
            assert run_gradient(task, *[None if array is arrays[place] else array for array in arrays]) == OK
            np.testing.assert_array_equal(gradient, expected)
    assert run_gradient(None, *arrays) == BAD_ARGUMENT


def _valid() -> tuple[GradientTask, list[Array]]:
    arrays = [np.arange(12.0).reshape(3, 4), np.array([3.0, 7.0, 11.0]), np.ones(3), np.zeros((3, 4))]
    task = make_gradient_task("max", "float64", *arrays, (1,))
    task.arrays = arrays  # which live as long as the task
    return task, [*map(memory_of, arrays)]


def test_a_wrong_number_is_a_bad_argument() -> None:
    for field, number in (
        *(("rank", -1), ("rank", MAX_RANK + 1), ("reduced", 4), ("reduced", 2**63)),
        *(("operation", -1), ("operation", len(OPERATIONS)), ("element", -1), ("element", len(ELEMENTS))),
    ):
        task, arrays = _valid()
        assert run_gradient(task, *arrays) == OK
        setattr(task, field, number)
        assert run_gradient(task, *arrays) == BAD_ARGUMENT, (field, number)
    for length in (-1, 0, -(2**63)):
        task, arrays = _valid()
        task.shape[0] = length
        assert run_gradient(task, *arrays) == BAD_ARGUMENT, length


def test_operations_without_a_gradient_are_unsupported() -> None:
    for operation, number in OPERATIONS.items():
        for element, element_number in ELEMENTS.items():
            task, arrays = _valid()
            task.operation, task.element = number, element_number
            is_supported = (operation, element) in SUPPORTED_GRADIENTS
            assert load().supports_gradient(operation, element) == is_supported
            if not is_supported:
                assert run_gradient(task, *arrays) == UNSUPPORTED
    assert load().supports_gradient_numbers(len(OPERATIONS), 0) == BAD_ARGUMENT


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("change", [-8, 8, 2**40, 2**62])
def test_an_element_outside_of_its_memory_is_refused(place, change) -> None:
    task, arrays = _valid()
    arrays[place] = Array(arrays[place].data + change, arrays[place].begin, arrays[place].end)
    assert run_gradient(task, *arrays) == OUT_OF_BOUNDS
    task, arrays = _valid()
    (task.source_strides, task.result_strides, task.result_gradient_strides, task.strides)[place][0] += abs(change)
    assert run_gradient(task, *arrays) == OUT_OF_BOUNDS
    assert not task.arrays[3].any()


def test_a_gradient_that_shares_memory_is_refused() -> None:
    memory = np.arange(200.0)
    source, result, slopes = memory[:12].reshape(3, 4), memory[20:23], memory[30:33]
    for start, status in ((0, OVERLAP), (11, OVERLAP), (15, OVERLAP), (32, OVERLAP), (23, OVERLAP), (40, OK)):
        before = memory.copy()
        found = call_gradient("max", "float64", source, result, slopes, memory[start : start + 12].reshape(3, 4), (1,))
        assert found == status, start
        assert found == OK or memory.tobytes() == before.tobytes()
    shared = np.ndarray((3, 4), np.float64, memory, 800, (24, 8))
    assert call_gradient("max", "float64", source, result, slopes, shared, (1,)) == OVERLAP


def test_the_bytes_between_the_elements_of_a_gradient_are_untouched() -> None:
    memory = np.full(3 * 4 * 24, UNTOUCHED, np.uint8)
    gradient = np.ndarray((3, 4), np.float64, memory, 8, (96, 24))
    source = np.arange(12.0).reshape(3, 4)
    assert call_gradient("max", "float64", source, source.max(1), np.ones(3), gradient, (1,)) == OK
    np.testing.assert_array_equal(gradient, np.eye(4)[[3, 3, 3]])
    memory.reshape(12, 24)[:, 8:16] = UNTOUCHED
    assert (memory == UNTOUCHED).all()


@pytest.mark.parametrize("rank", [0, 1, 31, 64])
@pytest.mark.parametrize("operation", ["mean", "max", "var", "logsumexp"])
def test_up_to_64_dimensions_are_possible(rank, operation) -> None:
    shape = [2 if i % 7 == 3 else 1 for i in range(rank)]
    source = np.random.default_rng(0).standard_normal(shape)
    axes = tuple(range(0, rank, 2))
    kept = [n for i, n in enumerate(shape) if i not in axes]
    result, gradient = np.empty(kept), np.empty(shape)
    assert call(operation, "float64", source, result, axes) == OK
    assert call_gradient(operation, "float64", source, result, np.ones(kept), gradient, axes) == OK
    sums = gradient.sum(axes)
    np.testing.assert_allclose(sums, np.zeros(kept) if operation == "var" else np.ones(kept), atol=1e-15)


def test_a_task_of_65_dimensions_cannot_be_made() -> None:
    many = [1] * 65
    with pytest.raises(ValueError, match="65 dimensions"):
        GradientTask.create("max", "float64", many, many, many, many, many, [])


def test_the_bound_function_raises_the_errors_of_statuses() -> None:
    library = load()
    source = np.arange(12.0).reshape(3, 4)
    result, slopes, gradient = source.max(1), np.ones(3), np.zeros((3, 4))
    memories = [(array.data, array.begin, array.end) for array in map(memory_of, (source, result, slopes, gradient))]
    fill = library.bind_gradient("max", "float64", (3, 4), (32, 8), (8, 0), (8, 0), (32, 8), (1,))
    fill(*memories)
    np.testing.assert_array_equal(gradient, np.eye(4)[[3, 3, 3]])
    with pytest.raises(ValueError, match="outside of the memory"):
        fill(*memories[:3], (memories[3][0] + 8, *memories[3][1:]))
    assert ctypes.sizeof(GradientTask) == 24 + 5 * 8 * MAX_RANK


@pytest.mark.parametrize(("operation", "name"), SUPPORTED_GRADIENTS)
def test_the_bits_of_a_gradient_do_not_depend_on_the_threads(operation, name) -> None:
    element = ELEMENT_TYPES[name]
    values = draw_values(RandomDraw(np.random.default_rng(0)), operation, element, (830_003,))
    cube = values[: 37 * 89 * 251].reshape(37, 89, 251)
    for source, axes in (
        (values, (0,)),
        (cube, (0, 2)),
        (cube, (1,)),
        (cube.transpose(2, 0, 1)[:, ::-1], (1,)),
        (values[: 9 * 4 * 20_000].reshape(9, 100, 2, 200, 2), (2, 4)),
        (values[: 3 * 275_000].reshape(-1, 3), (0,)),
    ):
        kept = [n for axis, n in enumerate(source.shape) if axis not in axes]
        result = np.empty(kept, element.stored)
        assert call(operation, element, source, result, axes) == OK
        slopes = draw_values(RandomDraw(np.random.default_rng(1)), "finite", element, kept)
        found = []
        for set_name in INSTRUCTION_SETS if operation in {"min", "max", "mean"} else INSTRUCTION_SETS[-1:]:
            LIBRARY.set_instruction_set(set_name)
            for threads in (1, 2, 3, 7):
                gradient = np.empty(source.shape, element.stored)
                assert call_gradient(operation, element, source, result, slopes, gradient, axes, threads) == OK
                found.append(gradient.tobytes())
        assert len({*found}) == 1, (source.shape, axes)
