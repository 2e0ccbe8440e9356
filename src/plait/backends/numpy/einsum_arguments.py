"""What ``numpy.einsum`` takes besides arrays: ``out``, ``dtype``, ``casting`` and ``order``, numbers and lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from plait.errors import make_error, short_repr

CASTING_RULES = ("no", "equiv", "safe", "same_kind", "unsafe")
"""The rules of ``numpy.can_cast``."""

MEMORY_ORDERS = ("K", "A", "C", "F")
"""The memory orders of ``numpy.einsum``."""


def array_from_array_like(value: Any) -> Any:
    """Return a number or a nested list of numbers as an array."""
    try:
        array = np.asanyarray(value)
    except (TypeError, ValueError) as error:
        message = f"this {type(value).__name__} cannot become an array"
        raise make_error("PLT501", message, facts={"reason": str(error)}) from error
    if array.dtype.kind in "US" or (array.dtype.kind == "O" and array.ndim and isinstance(array.flat[0], list)):
        raise make_error("PLT501", f"expected numbers, not {short_repr(value)}")
    return array


def einsum_with_arguments(
    einsum: Callable[..., Any],
    arrays: Sequence[Any],
    *,
    out: Any = None,
    dtype: Any = None,
    casting: str | None = None,
    order: str | None = None,
    is_optimized: bool = False,
) -> Any:
    """Call an einsum of arrays, with the arguments that ``numpy.einsum`` has.

    Args:
        einsum: The einsum, a function of the arrays.
        arrays: The operands, which are cast to the element type of the computation.
        out: The array to which the result is written. It may be one of the operands.
        dtype: The element type of the computation; without it, that to which the operands and ``out`` are promoted.
        casting: Which casts of the operands and of the result are allowed; without it ``"safe"``.
        order: The memory order of the result; ``"K"`` leaves it as it is.
        is_optimized: Whether the caller gives ``optimize`` too. Then NumPy assigns the result to ``out``, which casts
            without a check, if ``casting`` is not given.

    Returns:
        The result, or ``out``.

    Raises:
        BackendError: PLT516, an argument has a value that it cannot have, or a cast is not allowed.
        SizeError: PLT312, ``out`` has another shape than the result.
    """
    rule: Any = casting or "safe"
    if rule not in CASTING_RULES:
        raise make_error("PLT516", f"casting={short_repr(casting)} is none of {', '.join(map(repr, CASTING_RULES))}")
    if out is not None and not isinstance(out, np.ndarray):
        raise make_error("PLT516", f"out must be a NumPy array, not {type(out).__name__}: {short_repr(out)}")
    memory_order = _memory_order(order)
    assigns_out = is_optimized and casting is None
    compute_dtype = None if dtype is None else _element_type(dtype)
    if dtype is None and out is not None and not assigns_out and any(array.dtype != out.dtype for array in arrays):
        compute_dtype = np.result_type(*arrays, out)
    if compute_dtype is not None:
        arrays = [_cast_operand(array, compute_dtype, rule, number) for number, array in enumerate(arrays)]
    result = einsum(*arrays)
    if out is None:
        return _in_memory_order(result, memory_order, arrays)
    if out.shape != np.shape(result):
        message = f"out has the shape {out.shape}, but the result has the shape {np.shape(result)}"
        raise make_error("PLT312", message)
    if result.dtype != out.dtype and not assigns_out and not np.can_cast(result.dtype, out.dtype, rule):
        raise _cast_error("the result", result.dtype, "out", out.dtype, rule)
    out[...] = result
    return out


def _memory_order(order: Any) -> str:
    """Return a memory order as a capital letter."""
    if order is None:
        return "K"
    if isinstance(order, str) and order.upper() in MEMORY_ORDERS:
        return order.upper()
    raise make_error("PLT516", f"order={short_repr(order)} is none of {', '.join(map(repr, MEMORY_ORDERS))}")


def _element_type(dtype: Any) -> np.dtype[Any]:
    """Return the element type that ``dtype`` names."""
    try:
        return np.dtype(dtype)
    except TypeError as error:
        raise make_error("PLT516", f"dtype={short_repr(dtype)} is not an element type of NumPy") from error


def _cast_operand(array: Any, dtype: np.dtype[Any], rule: Any, number: int) -> Any:
    """Return an operand in the element type of the computation."""
    if not np.can_cast(array.dtype, dtype, rule):
        raise _cast_error(f"tensor {number}", array.dtype, "dtype", dtype, rule)
    return array.astype(dtype, copy=False)


def _cast_error(what: str, dtype: Any, argument: str, target: Any, rule: str) -> Exception:
    """Return the error of a cast that the rule forbids."""
    message = f"{what} is {dtype}, which casting={rule!r} does not cast to the {target} of {argument}"
    return make_error("PLT516", f"{message}; pass casting='same_kind' or 'unsafe', or convert it")


def _in_memory_order(result: Any, order: str, arrays: Sequence[Any]) -> Any:
    """Return the result in a memory order, as a copy if it has another one."""
    if order == "K" or not isinstance(result, np.ndarray):
        return result
    if order == "A":
        order = "F" if all(array.flags.f_contiguous for array in arrays) else "C"
    is_in_order = result.flags.c_contiguous if order == "C" else result.flags.f_contiguous
    return result if is_in_order else result.copy(order)  # type: ignore[arg-type]  # a letter of `MEMORY_ORDERS`
