"""One drawn call of the library, and the check of its result."""

from __future__ import annotations

import numpy as np
import oracle
from calls import INSTRUCTION_SETS, LIBRARY, call, call_gradient, result_shape
from drawing import (
    ITEM_SIZES,
    Allocate,
    Draw,
    allocate_plainly,
    assert_only_elements_written,
    draw_axes,
    draw_shape,
    draw_strides,
    draw_values,
    place_array,
)
from elements import ELEMENT_TYPES, result_dtype


def check_reduction(
    draw: Draw, operation: str, name: str, *, most_elements: int = 40_000, allocate: Allocate = allocate_plainly
) -> None:
    """Draw an array, reduce it with every instruction set and with one thread and more, and check the results."""
    element = ELEMENT_TYPES[name]
    shape = draw_shape(draw, most_elements)
    axes = draw_axes(draw, len(shape))
    strides = draw_strides(draw, shape, element.stored.itemsize, may_share=True)
    source = place_array(shape, strides, element.stored, allocate)
    source[...] = draw_values(draw, operation, element, shape)
    before = source.copy()
    dtype = result_dtype(operation, element)
    out_shape = result_shape(operation, shape, axes)
    out_strides = draw_strides(draw, out_shape, dtype.itemsize, may_share=False)
    description = f"{operation} of {name}, {shape=}, {strides=}, {axes=}, {out_strides=}"
    for set_name in INSTRUCTION_SETS:
        LIBRARY.set_instruction_set(set_name)
        for threads in (1, 3):
            result = place_array(out_shape, out_strides, dtype, allocate)
            status = call(operation, element, source, result, axes, threads)
            assert status == 0, f"status {status}: {description}, {set_name}, {threads=}"
            try:
                oracle.check(operation, element, before, axes, result)
                assert_only_elements_written(result)
            except AssertionError as error:
                raise AssertionError(f"{description}, {set_name}, {threads=}\n{error}") from error
    assert before.tobytes() == source.tobytes(), f"the source was written: {description}"


def check_gradient(
    draw: Draw, operation: str, name: str, *, most_elements: int = 40_000, allocate: Allocate = allocate_plainly
) -> None:
    """Draw an array and the gradient of its reduction, and check the gradient of the array, as in `check_reduction`."""
    element = ELEMENT_TYPES[name]
    shape = draw_shape(draw, most_elements)
    axes = draw_axes(draw, len(shape))
    strides = draw_strides(draw, shape, element.stored.itemsize, may_share=True)
    source = place_array(shape, strides, element.stored, allocate)
    source[...] = draw_values(draw, operation, element, shape)
    if operation == "prod":  # the gradient of an infinite factor is a quotient of infinities, as in PyTorch
        values = element.values(source)
        source[...] = element.round(np.where(np.isfinite(values), values, 0).astype(np.float64))
    kept = result_shape(operation, shape, axes)
    result, slopes = (
        place_array(kept, draw_strides(draw, kept, source.itemsize, may_share=may_share), element.stored, allocate)
        for may_share in (False, True)
    )
    assert call(operation, element, source, result, axes) == 0
    # an infinity times a distance to the mean depends on whether that rounds to 0
    needs_finite = operation in {"logsumexp", "var", "std"}
    slopes[...] = draw_values(draw, "finite" if needs_finite else operation, element, kept)
    inputs = [source, result, slopes]
    before = [array.copy() for array in inputs]
    out_strides = draw_strides(draw, shape, element.stored.itemsize, may_share=False)
    all_strides = [array.strides for array in inputs]
    description = f"gradient of {operation} of {name}, {shape=}, {all_strides=}, {axes=}, {out_strides=}"
    for set_name in INSTRUCTION_SETS:
        LIBRARY.set_instruction_set(set_name)
        for threads in (1, 3):
            gradient = place_array(shape, out_strides, element.stored, allocate)
            status = call_gradient(operation, element, *inputs, gradient, axes, threads)
            assert status == 0, f"status {status}: {description}, {set_name}, {threads=}"
            try:
                oracle.check_gradient(operation, element, *before, axes, gradient)
                assert_only_elements_written(gradient)
            except AssertionError as error:
                raise AssertionError(f"{description}, {set_name}, {threads=}\n{error}") from error
    for array, old in zip(inputs, before, strict=True):
        assert array.tobytes() == old.tobytes(), f"an input was written: {description}"


def check_copy(draw: Draw, *, most_elements: int = 40_000, allocate: Allocate = allocate_plainly) -> None:
    """Draw an array of bytes or records, copy it with one thread and more, and check the copy."""
    itemsize = draw.choice(ITEM_SIZES)
    shape = draw_shape(draw, max(1, 4 * most_elements // (3 + itemsize)))
    dtype = np.dtype((np.void, itemsize))
    strides = draw_strides(draw, shape, itemsize, may_share=True)
    source = place_array(shape, strides, dtype, allocate)
    generator = np.random.default_rng(draw.integer(0, 2**32 - 1))
    source[...] = generator.integers(0, 256, (*shape, itemsize), dtype=np.uint8).view(dtype)[..., 0]
    out_strides = draw_strides(draw, shape, itemsize, may_share=False)
    for threads in (1, 3):
        result = place_array(shape, out_strides, dtype, allocate)
        status = call("copy", "bool", source, result, (), threads)
        description = f"copy of {itemsize} bytes, {shape=}, {strides=}, {out_strides=}, {threads=}"
        assert status == 0, f"status {status}: {description}"
        assert result.tobytes() == source.tobytes(), description
        assert_only_elements_written(result)
