"""The backend of ``xarray.DataArray``: calls are made on the array inside, and the result gets names and coordinates.

A dimension that a pattern moves as a whole keeps its name and its coordinates. Any other dimension of the result gets
its name from the pattern: ``(h w)`` becomes ``h_w``, and an axis without a name ``dim_0``, as in xarray.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr

from plait.backends.wrapper import CallDimensions, OperandDimension, ResultDimension, WrapperBackend
from plait.errors import make_error

_STACKED = "stacked by plait"
"""The name of the first dimension of a stacked list, until a pattern names it."""


class XarrayBackend(WrapperBackend):
    """Makes calls on ``DataArray.data``, an array of NumPy, Dask or another library, and labels the result."""

    name = "xarray"

    def __init__(self, tensor_type: type) -> None:
        if issubclass(tensor_type, xr.Dataset):
            raise TypeError(
                "a Dataset holds several arrays; take one, as ds['name'], or stack them by ds.to_dataarray()"
            )
        if not issubclass(tensor_type, xr.DataArray):
            raise TypeError("it is not a DataArray; xarray.DataArray(x) makes one of a Variable")

    def unwrap(self, wrapper: Any) -> Any:
        return wrapper.data

    def wrap(self, result: Any, operands: Sequence[Any], dimensions: CallDimensions) -> Any:
        arrays = {number: array for number, array in enumerate(operands) if isinstance(array, xr.DataArray)}
        for equal in dimensions.equal_operand_dimensions:
            _check_coordinates(arrays, equal)
        return _with_labels(result, arrays, dimensions.result)

    def wrap_stacked(self, result: Any, tensors: Sequence[Any]) -> Any:
        arrays = {number: array for number, array in enumerate(tensors) if isinstance(array, xr.DataArray)}
        rank = next(iter(arrays.values())).ndim
        kept = [tuple([(number, dimension) for number in range(len(tensors))]) for dimension in range(rank)]
        for equal in kept:
            _check_coordinates(arrays, equal)
        return _with_labels(
            result, arrays, [ResultDimension(_STACKED, ()), *[ResultDimension(None, it) for it in kept]]
        )


def _iter_named_operand_dimensions(
    arrays: dict[int, Any], dimensions: Sequence[OperandDimension]
) -> Iterator[tuple[OperandDimension, Hashable, int]]:
    """Yield each of the dimensions that belongs to a DataArray and has a name, with its name and its length."""
    for number, dimension in dimensions:
        if number in arrays and arrays[number].dims[dimension] != _STACKED:
            yield (number, dimension), arrays[number].dims[dimension], arrays[number].shape[dimension]


def _check_coordinates(arrays: dict[int, Any], dimensions: Sequence[OperandDimension]) -> None:
    """Raise PLT515 if dimensions of the same name, which a pattern says to be equal, have different coordinates."""
    first_by_name: dict[Hashable, int] = {}
    for (number, _), name, length in _iter_named_operand_dimensions(arrays, dimensions):
        index = arrays[number].indexes.get(name)
        if index is None or length == 1:
            continue
        first = first_by_name.setdefault(name, number)
        if not arrays[first].indexes[name].equals(index):
            message = f"the coordinates of dimension {name!r} of tensor {number} differ from those of tensor {first}"
            raise make_error("PLT515", f"{message}; call xarray.align(x, y) first, or drop them: x.drop_vars({name!r})")


def _with_labels(result: Any, arrays: dict[int, Any], dimensions: Sequence[ResultDimension]) -> Any:
    """Return a DataArray of a result, with the names, coordinates and attributes that it keeps of the operands."""
    names: list[Hashable] = []
    kept: list[set[OperandDimension]] = []
    renamed: dict[Hashable, Any] = {}
    known_names = [
        _names_of_equal_operand_dimensions(arrays, it, size) for it, size in zip(dimensions, result.shape, strict=True)
    ]
    for position, (candidates, dimension) in enumerate(zip(known_names, dimensions, strict=True)):
        later = [each[0][0] for each in known_names[position + 1 :] if each]
        own_name = candidates[0][0] if candidates and candidates[0][0] not in names else None
        new_name = _unused_name(dimension.name or f"dim_{position}", [*names, *later])
        names.append(new_name if own_name is None else own_name)
        kept.append({place for name, place in candidates if name == own_name})
        if candidates and own_name is None:  # the result has two dimensions of this name
            renamed[names[-1]] = candidates[0]
    coords = _kept_coordinates(arrays, set[OperandDimension]().union(*kept), names)
    for renamed_to, (old_name, (number, _)) in renamed.items():
        index = arrays[number].indexes.get(old_name)
        if index is not None and index.nlevels == 1:
            coords = coords.assign({renamed_to: (renamed_to, index)})
    return xr.DataArray(
        result,
        coords=coords,
        dims=names,
        name=_common_value([array.name for array in arrays.values()]),
        attrs=_common_attributes([array.attrs for array in arrays.values()]),
    )


def _names_of_equal_operand_dimensions(
    arrays: dict[int, Any], dimension: ResultDimension, size: int
) -> list[tuple[Hashable, OperandDimension]]:
    """Return the names of the dimensions of operands that a dimension of the result equals, each with its place."""
    return [
        (name, place)
        for place, name, length in _iter_named_operand_dimensions(arrays, dimension.operand_dimensions)
        if length == size
    ]


def _unused_name(name: str, used_names: Sequence[Hashable]) -> str:
    """Return the name, with a number at its end if it is in use."""
    if name not in used_names:
        return name
    return next(
        numbered for count in range(2, len(used_names) + 3) if (numbered := f"{name}_{count}") not in used_names
    )


def _kept_coordinates(arrays: dict[int, Any], kept: set[OperandDimension], result_names: Sequence[Hashable]) -> Any:
    """Return the coordinates all of whose dimensions the result has; one that differs between operands is dropped."""
    parts: list[Any] = []
    for number, array in arrays.items():
        names = {name for dimension, name in enumerate(array.dims) if (number, dimension) in kept}
        dropped = [
            name
            for name, coord in array.coords.items()
            if not names.issuperset(coord.dims) or (name in result_names and name not in coord.dims)
        ]
        parts.append(array.coords.drop_vars(dropped))
    merged = xr.Coordinates()
    for part in parts:
        different = [
            name
            for name, coord in part.items()
            if any(name in array.coords and not _agrees(coord, array.coords[name]) for array in arrays.values())
        ]
        merged = merged.merge(part.drop_vars({*different, *[name for name in part if name in merged]})).coords
    return merged


def _agrees(one: Any, other: Any) -> bool:
    """Return whether a coordinate is known to be equal to another, without computing lazy ones, or broadcasts it."""
    if other.size == 1 != one.size and other.dims == one.dims:
        return True
    if one.variable is other.variable or one.variable.data is other.variable.data:
        return True
    are_in_memory = isinstance(one.variable.data, np.ndarray) and isinstance(other.variable.data, np.ndarray)
    return are_in_memory and one.variable.equals(other.variable)


def _common_value(values: Sequence[Any]) -> Any:
    """Return the value that all have in common, or ``None``."""
    return values[0] if all(value == values[0] for value in values) else None


def _common_attributes(attributes: Sequence[dict[Any, Any]]) -> dict[Any, Any]:
    """Return the attributes on which all operands agree that have them, as xarray's arithmetic does."""
    merged: dict[Any, Any] = {}
    conflicts = set[Any]()
    for each in attributes:
        conflicts |= {key for key, value in each.items() if key in merged and not _is_same_value(merged[key], value)}
        merged = {**each, **merged}
    return {key: value for key, value in merged.items() if key not in conflicts}


def _is_same_value(one: Any, other: Any) -> bool:
    """Whether two attributes, which may be arrays, are equal."""
    return one is other or bool(np.all(one == other))


BACKEND_FACTORY = XarrayBackend
