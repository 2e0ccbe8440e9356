"""Results have the same bits with every number of threads, and many of them with every instruction set."""

from __future__ import annotations

import numpy as np
import pytest
from calls import INSTRUCTION_SETS, LIBRARY, call, result_shape
from drawing import RandomDraw, draw_values
from elements import ELEMENT_TYPES, SUPPORTED, result_dtype

EXACT = ("min", "max", "argmin", "argmax", "any", "all")
"""The operations that do not round."""


def _layouts(array: np.ndarray) -> list[tuple[np.ndarray, tuple[int, ...]]]:
    """Return arrays with the elements of a vector, each large enough for several threads, with axes to reduce."""
    rows, cube = array[: 811 * 1021].reshape(811, 1021), array[: 37 * 89 * 251].reshape(37, 89, 251)
    return [
        (array, (0,)),
        (array[::-2], (0,)),
        (rows, (0,)),
        (rows.T, (0,)),
        (cube, (0, 2)),
        (cube.transpose(2, 0, 1)[:, ::-1], (1,)),
        (array[: 3 * 275_000].reshape(-1, 3), (0,)),
        (np.broadcast_to(rows[:, :400, None], (811, 400, 3)), (0, 2)),
    ]


def _results(operation: str, name: str, source: np.ndarray, axes, threads) -> list[bytes]:
    """Return the bytes of the results with each number of threads."""
    element = ELEMENT_TYPES[name]
    all_bytes = []
    for count in threads:
        result = np.empty(result_shape(operation, source.shape, axes), result_dtype(operation, element))
        assert call(operation, element, source, result, axes, count) == 0
        all_bytes.append(result.tobytes())
    return all_bytes


@pytest.mark.slow
@pytest.mark.parametrize(("operation", "name"), SUPPORTED)
def test_the_bits_of_a_reduction_do_not_depend_on_the_threads(operation, name) -> None:
    draw = RandomDraw(np.random.default_rng(0))
    values = draw_values(draw, operation, ELEMENT_TYPES[name], (830_003,))
    for source, axes in _layouts(values):
        by_set = []
        for set_name in INSTRUCTION_SETS if operation in EXACT else INSTRUCTION_SETS[-1:]:
            LIBRARY.set_instruction_set(set_name)
            by_threads = _results(operation, name, source, axes, (1, 2, 3, 7))
            assert len({*by_threads}) == 1, (set_name, source.shape, source.strides, axes)
            by_set.append(by_threads[0])
        assert len({*by_set}) == 1, (source.shape, source.strides, axes)


@pytest.mark.parametrize("itemsize", [1, 2, 3, 4, 8, 12, 16, 40])
def test_a_large_copy_has_the_bytes_of_its_source_with_every_number_of_threads(itemsize) -> None:
    bytes_ = np.random.default_rng(0).integers(0, 256, (830_003, itemsize), dtype=np.uint8)
    for source, _ in _layouts(bytes_.view((np.void, itemsize))[:, 0]):
        for layout in (source, source.T):
            for threads in (1, 2, 3, 7):
                result = np.empty(layout.shape, layout.dtype)
                assert call("copy", "bool", layout, result, (), threads) == 0
                assert result.tobytes() == layout.tobytes(), (layout.shape, layout.strides, threads)


def test_every_instruction_set_is_selected_by_its_name() -> None:
    for name in INSTRUCTION_SETS:
        assert LIBRARY.set_instruction_set(name)
        assert LIBRARY.instruction_set() == name
    assert not LIBRARY.set_instruction_set("sse9")
    assert LIBRARY.instruction_set() == INSTRUCTION_SETS[-1]
