"""Arrays whose class or element type has an arithmetic of its own: masks, units, finite fields, quadruple precision.

NumPy's einsum and some of its other functions read the numbers of such an array and not what they mean. Here everything
is made of the operations that the class itself defines: its operators ``*`` and ``@``, its sums, and assignment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from plait.backends.common.contraction import einsum_by_matmul
from plait.backends.common.reductions import build_accurate_logsumexp
from plait.backends.interface import Backend, ReductionFunction
from plait.backends.numpy.dtypes import is_builtin_dtype
from plait.backends.reduction_rules import is_low_precision
from plait.backends.registry import common_backend
from plait.errors import PlaitError, make_error

AXIS_BY_AXIS_REDUCTIONS = frozenset({"sum", "prod", "min", "max", "any", "all"})
"""The reductions of several axes that equal reductions of one axis after the other, for elements of any kind."""

_MAX_PRODUCTS = 1 << 20
"""The number of products that a contraction without a matrix product keeps in memory at once."""


def has_plain_arithmetic(cls: Any) -> bool:
    """Whether the arrays of a class are NumPy's own: plain arrays, scalars, and memory-mapped files."""
    return cls in (np.ndarray, np.memmap) or (issubclass(cls, np.generic) and cls.__module__ == "numpy")


def has_units(tensor: Any) -> bool:
    """Whether a tensor holds an array and its unit, as a quantity of pint does; not an array of a subclass."""
    return not isinstance(tensor, np.ndarray) and hasattr(tensor, "magnitude") and hasattr(tensor, "units")


def magnitude_of_another_class(tensor: Any) -> Any:
    """Return the array inside a quantity, such as pint's, that is no plain one; ``None`` for all other tensors.

    NumPy's functions that move elements treat such an array as a plain one, and lose a mask.
    """
    return None if not has_units(tensor) or has_plain_arithmetic(type(tensor.magnitude)) else tensor.magnitude


def with_magnitude(tensor: Any, magnitude: Any) -> Any:
    """Return a quantity of the same class and unit with another array inside."""
    return type(tensor)(magnitude, tensor.units)


def describe_error(error: Exception) -> str:
    """Return the first line of what a library's error says, with its type."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def undefined_error(name: str, tensors: Sequence[Any], error: Exception) -> PlaitError:
    """Return the error for an operation that the class or the element type of an array does not define."""
    names = " and ".join(_names_of_classes_or_dtypes(tensors))
    return make_error("PLT503", f"{name} is not defined on {names}: {describe_error(error)}")


def _names_of_classes_or_dtypes(tensors: Sequence[Any]) -> list[str]:
    """Return the name of each class of arrays, and of each element type of plain arrays."""
    return list(
        dict.fromkeys(
            [str(tensor.dtype) if has_plain_arithmetic(type(tensor)) else type(tensor).__name__ for tensor in tensors]
        )
    )


def einsum_by_operators(equation: str, *tensors: Any) -> Any:
    """Contract arrays two at a time by their own products and sums; the equation has an arrow."""
    half_types = [tensor.dtype for tensor in tensors if is_low_precision(tensor.dtype)]
    try:
        if half_types:
            tensors = tuple([t.astype(np.float32) if is_low_precision(t.dtype) else t for t in tensors])
        _has_masked_array_or_raise([type(tensor) for tensor in tensors])
        result = einsum_by_matmul(_FunctionsForEinsumByMatmul, equation, *tensors)
        if len(half_types) == len(tensors):
            return result.astype(np.result_type(*half_types))
        return _undo_integer_widening(result, tensors)
    except (PlaitError, MemoryError, Warning):
        raise
    except Exception as error:  # each class has errors of its own, such as those of units
        raise undefined_error("einsum", tensors, error) from error


def _undo_integer_widening(result: Any, tensors: Sequence[Any]) -> Any:
    """Cast a sum of integers, which NumPy widens, back to the promoted type of the operands."""
    if not isinstance(result, (np.ndarray, np.generic)) or result.dtype.kind not in "iu":
        return result
    dtype = np.result_type(*[tensor.dtype for tensor in tensors])
    return result if dtype == result.dtype or dtype.kind not in "iu" else result.astype(dtype)


class _FunctionsForEinsumByMatmul:
    """The functions by which `einsum_by_matmul` contracts arrays."""

    reshape = staticmethod(np.reshape)
    permute_dims = staticmethod(np.transpose)

    @staticmethod
    def sum(tensor: Any, axis: tuple[int, ...], **_: Any) -> Any:
        """Sum along some dimensions; a sum of bools is a logical or."""
        name, function = ("any", np.any) if tensor.dtype == bool else ("sum", np.sum)
        return reduce_axis_by_axis(name, function, tensor, axis)

    @staticmethod
    def matmul(left: Any, right: Any) -> Any:
        """Multiply the matrices in the last two dimensions, by the operator ``@`` if the classes define it."""
        classes = type(left), type(right)
        if _holds_masked_array(left) or _holds_masked_array(right):
            return _multiply_and_sum(left, right)
        if all(map(_defines_matmul, classes)) and all(is_builtin_dtype(tensor.dtype) for tensor in (left, right)):
            try:
                return left @ right
            except (TypeError, ValueError) as error:  # a class may know only some ufuncs
                if not all(cls.__matmul__ is np.ndarray.__matmul__ for cls in classes) or (
                    type(error) not in (TypeError, ValueError)
                ):
                    raise
        product = _multiply_filled(left, right) if np.ma.MaskedArray in classes else None
        return _multiply_and_sum(left, right) if product is None else product


def _holds_masked_array(tensor: Any) -> bool:
    """Whether a masked array is inside a quantity, or makes the chunks of one; their ``@`` reads what is masked."""
    magnitude = magnitude_of_another_class(tensor)
    return isinstance(getattr(magnitude, "_meta", magnitude), np.ma.MaskedArray)


def _defines_matmul(cls: Any) -> bool:
    """Whether the operator ``@`` of a class knows what its elements mean.

    A subclass that changes ``*`` alone, as masked arrays do, inherits an ``@`` that multiplies bare numbers.
    """
    if getattr(cls, "__array_ufunc__", None) is not np.ndarray.__array_ufunc__:
        return hasattr(cls, "__matmul__")
    return cls.__matmul__ is not np.ndarray.__matmul__ or cls.__mul__ is np.ndarray.__mul__


def _multiply_filled(left: Any, right: Any) -> Any:
    """Multiply masked matrices by two plain products: of the elements, with 0 where masked, and of the masks.

    Return ``None`` where that is not the product: a masked 0 times infinity is NaN, and a sum of no elements is 0.
    """
    if not all(type(each) in (np.ma.MaskedArray, np.ndarray) and each.dtype.kind in "biufc" for each in (left, right)):
        return None
    if not left.shape[-1]:
        return None
    with np.errstate(all="ignore"):
        product = np.ma.filled(left, 0) @ np.ma.filled(right, 0)
    if not np.isfinite(product).all():
        return None
    counts = [np.logical_not(np.ma.getmaskarray(each)).astype(np.float32) for each in (left, right)]
    return np.ma.masked_array(product, counts[0] @ counts[1] == 0)


def _multiply_and_sum(left: Any, right: Any) -> Any:
    """Multiply the matrices in the last two dimensions by products of elements, some rows at a time."""
    right = np.swapaxes(right, -1, -2)
    rows, columns, inner = left.shape[-2], right.shape[-2], left.shape[-1]
    step = max(1, _MAX_PRODUCTS // max(1, prod(left.shape[:-2]) * columns * inner))
    parts = [
        _FunctionsForEinsumByMatmul.sum(left[..., start : start + step, None, :] * right[..., None, :, :], (left.ndim,))
        for start in range(0, max(rows, 1), step)
    ]
    return parts[0] if len(parts) == 1 else concat_of_classes(parts, left.ndim - 2)


def reduce_axis_by_axis(name: str, function: ReductionFunction, tensor: Any, axes: tuple[int, ...]) -> Any:
    """Reduce an array by a function of its class, axis by axis where that takes one axis alone.

    The last axis is first, so that the elements of a sum of strings, which does not commute, stay in row-major order.
    """
    if len(axes) == 1:
        return function(tensor, axes[0])  # type: ignore[arg-type]  # not all classes take a tuple
    try:
        return function(tensor, axes)
    except (TypeError, ValueError):
        if name not in AXIS_BY_AXIS_REDUCTIONS or not axes:
            raise
    for axis in sorted(axes, reverse=True):
        tensor = function(tensor, axis)  # type: ignore[arg-type]
    return tensor


def with_own_errors(name: str, reduce: ReductionFunction) -> ReductionFunction:
    """Return a reduction that raises `BackendError` where the class or the element type does not define it."""

    def reduce_or_raise(tensor: Any, axes: tuple[int, ...]) -> Any:
        try:
            return reduce(tensor, axes)
        except (PlaitError, MemoryError, Warning):
            raise
        except Exception as error:  # each class has errors of its own, such as those of units
            raise undefined_error(name, [tensor], error) from error

    return reduce_or_raise


def var_by_arithmetic(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Return the variance of objects, also of those that have no method ``conjugate``, which NumPy calls."""
    try:
        return np.var(tensor, axis=axes)
    except TypeError:
        deviations = tensor - np.mean(tensor, axis=axes, keepdims=True)
        return np.mean(deviations * deviations, axis=axes)


def logsumexp_by_arithmetic(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Return the logarithm of the sum of exponentials by the functions of the array's class."""
    with np.errstate(divide="ignore", over="ignore"):  # log 0 is -inf, and exp(inf) is inf
        return _logsumexp(tensor, axes)


def _max_or_zero_if_infinite(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Return the maximum with dimensions kept, or 0 where it is infinite or there are no elements."""
    shape = tuple([1 if axis in axes else size for axis, size in enumerate(tensor.shape)])
    if 0 in tensor.shape:
        return np.zeros(shape, tensor.dtype)
    peak = reduce_axis_by_axis("max", np.max, tensor, axes)
    return np.reshape(np.where(np.isfinite(peak), peak, np.zeros_like(peak)), shape)


_logsumexp = build_accurate_logsumexp(
    _max_or_zero_if_infinite,
    np.exp,
    lambda tensor, axes: reduce_axis_by_axis("sum", np.sum, tensor, axes),
    np.log,
    np.log1p,
    lambda tensor: (tensor == 0).astype(tensor.dtype),
    lambda tensor, axes: np.reshape(tensor, [size for axis, size in enumerate(tensor.shape) if axis not in axes]),
)


def concat_of_classes(tensors: Sequence[Any], axis: int) -> Any:
    """Concatenate arrays of any classes, so that masks, units and attributes are kept wherever they are in the list."""
    if any(magnitude_of_another_class(tensor) is not None for tensor in tensors):
        return _join_magnitudes(tensors, lambda backend, magnitudes: backend.concat(magnitudes, axis))
    return _join(tensors, lambda module, tensors: module.concatenate(tensors, axis), axis)


def stack_of_classes(tensors: Sequence[Any]) -> Any:
    """Stack arrays of any classes along a new first dimension, as `concat_of_classes` concatenates them."""
    if any(magnitude_of_another_class(tensor) is not None for tensor in tensors):
        return _join_magnitudes(tensors, lambda backend, magnitudes: backend.stack(magnitudes))
    return _join(tensors, lambda module, tensors: module.stack(tensors), None)


def _join_magnitudes(tensors: Sequence[Any], join: Callable[[Backend, Sequence[Any]], Any]) -> Any:
    """Join quantities by ``join(backend, arrays)`` of the arrays inside, in the unit of the first of them."""
    first = next(filter(has_units, tensors))
    try:
        _check_elements_can_be_added(tensors)
        quantities = [tensor if has_units(tensor) else type(first)(tensor, "") for tensor in tensors]
        magnitudes = [quantity.to(first.units).magnitude for quantity in quantities]
    except (PlaitError, MemoryError, Warning):
        raise
    except Exception as error:  # each class has errors of its own, such as those of units
        raise joining_error(tensors, error) from error
    return with_magnitude(first, join(common_backend(tuple(map(type, magnitudes))), magnitudes))


def _join(tensors: Sequence[Any], join: Callable[[Any, Sequence[Any]], Any], axis: int | None) -> Any:
    """Join arrays by ``join(module, tensors)``, or by assignment to a new array if NumPy ignores the class."""
    classes = dict.fromkeys([type(tensor) for tensor in tensors])
    special = [cls for cls in classes if not has_plain_arithmetic(cls)]
    if not special:
        return join(np, tensors)
    try:
        has_own_function = any(cls.__array_function__ is not np.ndarray.__array_function__ for cls in special)
        if any(map(_elements_are_more_than_numbers, special)) and (len(classes) > 1 or not has_own_function):
            _check_elements_can_be_added(tensors)
        if _has_masked_array_or_raise(special):
            return join(np.ma, tensors)
        if has_own_function:
            return join(np, [_as_plain_if_only_named(tensor) for tensor in tensors])
        return _join_by_assignment(tensors, axis)
    except (PlaitError, MemoryError, Warning):
        raise
    except Exception as error:  # each class has errors of its own, such as those of units
        raise joining_error(tensors, error) from error


def joining_error(tensors: Sequence[Any], error: Exception) -> PlaitError:
    """Return the error for arrays that cannot be stacked or concatenated."""
    names = " and ".join(_names_of_classes_or_dtypes(tensors))
    return make_error(
        "PLT308", f"arrays of {names} cannot be joined: {describe_error(error)}; convert them to one kind first"
    )


def _as_plain_if_only_named(tensor: Any) -> Any:
    """Return an array as a plain one if its subclass has no function of its own.

    NumPy asks the first subclass of a list, and such a one joins all as plain arrays.
    """
    is_masked = isinstance(tensor, np.ma.MaskedArray)
    return tensor if is_masked or _elements_are_more_than_numbers(type(tensor)) else tensor.view(np.ndarray)


def _has_masked_array_or_raise(classes: Sequence[Any]) -> bool:
    """Return whether masked arrays of `numpy.ma` are among these classes; raise if they are beside units."""
    masked = [cls for cls in classes if issubclass(cls, np.ma.MaskedArray)]
    if masked and any(map(_elements_are_more_than_numbers, classes)):
        raise TypeError("the masked arrays of numpy.ma know no units, fields or other masks")
    return bool(masked)


_METHODS_DEFINING_ELEMENTS = ("__array_ufunc__", "__array_function__", "__setitem__")
"""A class whose elements are more than numbers defines one of these."""


def _elements_are_more_than_numbers(cls: Any) -> bool:
    """Return whether the elements of a class are more than numbers, such as those with units; masks do not count."""
    if issubclass(cls, np.ma.MaskedArray) or has_plain_arithmetic(cls):
        return False
    return not issubclass(cls, np.ndarray) or any(
        getattr(cls, name) is not getattr(np.ndarray, name) for name in _METHODS_DEFINING_ELEMENTS
    )


def _check_elements_can_be_added(tensors: Sequence[Any]) -> None:
    """Raise the error of the class if elements of the arrays cannot be added, such as metres and bare numbers.

    NumPy would take the bare numbers for elements of the class.
    """
    elements: list[Any] = [np.reshape(tensor, (-1,))[:1] for tensor in tensors]
    for element in elements[1:]:
        elements[0] + element
        element + elements[0]


def _join_by_assignment(tensors: Sequence[Any], axis: int | None) -> Any:
    """Join arrays by assignment to parts of a new array of their class, which converts units and keeps attributes."""
    model = next(tensor for tensor in tensors if not has_plain_arithmetic(type(tensor)))
    dtype = np.result_type(*[tensor.dtype for tensor in tensors])
    shape = list(model.shape)
    if axis is None:
        result = np.empty_like(model, dtype, shape=(len(tensors), *shape), order="C")
        for place, tensor in enumerate(tensors):
            result[place, ...] = tensor
        return result
    shape[axis] = sum([tensor.shape[axis] for tensor in tensors])
    result = np.empty_like(model, dtype, shape=tuple(shape), order="C")
    start = 0
    for tensor in tensors:
        stop = start + tensor.shape[axis]
        part: Any = (*((slice(None),) * axis), slice(start, stop))
        result[part] = tensor
        start = stop
    return result
