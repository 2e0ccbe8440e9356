"""The element types for which PyTorch has no kernels, or results that differ from those of other frameworks.

They are the unsigned integers, the floats of 8 bits, complex numbers of half precision, and mixtures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch.fx import Proxy

from plait.backends.common.einsum_dtypes import EinsumWithCasts, compute_names, promote_dtype_names
from plait.backends.common.reductions import ReductionTable
from plait.backends.interface import ReductionFunction
from plait.backends.reduction_rules import ROUNDING_SENSITIVE_REDUCTIONS
from plait.backends.torch.symbolic_lengths import einsum_of_any_lengths, is_compiling

FLOAT8_DTYPES = tuple([dtype for name in dir(torch) if name.startswith("float8_") and (dtype := getattr(torch, name))])
_UNSIGNED_DTYPES = tuple([getattr(torch, name) for name in ("uint16", "uint32", "uint64") if hasattr(torch, name)])
COMPLEX_DTYPES = (torch.complex32, torch.complex64, torch.complex128)
_WIDER_SIGNED_NAME_BY_UNSIGNED = {"uint16": "int32", "uint32": "int64"}

DTYPES_WITH_EMULATED_REDUCTIONS = frozenset({torch.uint8, torch.complex32, *FLOAT8_DTYPES, *_UNSIGNED_DTYPES})
"""The element types whose reductions `build_emulated_reduction` builds."""


def _cast(tensor: Any, dtype: Any) -> Any:
    """Cast a tensor to an element type, given as an object or by name; 64-bit integers change only their sign bit."""
    dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    if "uint64" in (str(tensor.dtype)[6:], str(dtype)[6:]) and {tensor.dtype.itemsize, dtype.itemsize} == {8}:
        return tensor.view(dtype)
    return tensor.to(dtype)


def _build_unsigned_extremum(reduce: ReductionFunction, dtype: torch.dtype) -> ReductionFunction:
    """Return the min or max of an unsigned element type.

    It applies ``reduce``, the min or max of signed integers, to signed integers that are in the same order.
    """
    name = str(dtype).removeprefix("torch.")
    if name != "uint64":
        signed = getattr(torch, _WIDER_SIGNED_NAME_BY_UNSIGNED[name])
        return lambda tensor, axes: reduce(tensor.to(signed), axes).to(dtype)
    sign_bit = torch.iinfo(torch.int64).min
    return lambda tensor, axes: (reduce(tensor.view(torch.int64) ^ sign_bit, axes) ^ sign_bit).view(dtype)


def build_emulated_reduction(
    reductions: Mapping[str, ReductionFunction], name: str, dtype: torch.dtype
) -> ReductionFunction:
    """Return a reduction of one of `DTYPES_WITH_EMULATED_REDUCTIONS`, made of torch's functions for other types.

    For ``"any"`` and ``"all"`` it may be one of `COMPLEX_DTYPES`, of which PyTorch 2.2 looks at the real part alone.
    """
    reduce = reductions[name]
    if name in ("any", "all"):  # torch would return uint8 for uint8
        is_integer = not (dtype.is_floating_point or dtype.is_complex)
        return lambda tensor, axes: reduce(tensor.bool() if is_integer else tensor != 0, axes)
    if dtype in _UNSIGNED_DTYPES and name in ("min", "max"):
        return _build_unsigned_extremum(reduce, dtype)
    if str(dtype) == "torch.uint64" and name in ("sum", "prod"):
        return lambda tensor, axes: reduce(tensor.view(torch.int64), axes).view(dtype)
    table = ReductionTable(
        function=reductions.__getitem__,
        cast=_cast,
        upcast={"half_complex": ROUNDING_SENSITIVE_REDUCTIONS},
    )
    kind = "complex" if dtype.is_complex else "floating" if dtype.is_floating_point else "integer"
    return table.reduction(name, kind, dtype)


def _dtype_name(tensor: Any) -> str:
    """Return the name of a tensor's element type, as NumPy spells it."""
    return str(tensor.dtype).removeprefix("torch.")


def _promote(names: tuple[str, ...]) -> str:
    """Return the name of the element type to which these are promoted, without the cache that Dynamo warns of."""
    promote = promote_dtype_names
    return promote.__wrapped__(names) if is_compiling() else promote(names)


_einsum_with_casts = EinsumWithCasts(
    einsum=einsum_of_any_lengths,
    cast=_cast,
    name=_dtype_name,
    compute_names=compute_names(
        bools="float32",
        extra=[
            *[(str(dtype).removeprefix("torch."), "float32") for dtype in FLOAT8_DTYPES],
            *[("complex32", "complex64"), ("uint16", "int32"), ("uint32", "int64"), ("uint64", "int64")],
        ],
    ),
    promote=_promote,
)
"""An einsum of operands of any element types, also mixed.

They are cast to the promoted type, or to another one if torch has no kernel for it.
"""

_NEEDS_CAST = frozenset({torch.bool, torch.complex32, *FLOAT8_DTYPES, *_UNSIGNED_DTYPES})
"""The element types for which ``torch.einsum`` has no kernel."""


def einsum(equation: str, *tensors: Any) -> Any:
    """``torch.einsum`` of operands of any element types, also mixed."""
    if any(isinstance(tensor, Proxy) for tensor in tensors):  # its element type is unknown
        return torch.einsum(equation, *tensors)
    dtype = tensors[0].dtype
    is_mixed = any(tensor.dtype != dtype for tensor in tensors)
    if dtype in _NEEDS_CAST or (is_mixed and not _is_cast_by_autocast(tensors)):
        return _einsum_with_casts(equation, *tensors)
    result = einsum_of_any_lengths(equation, *tensors)
    # torch sums the integers of one tensor in int64
    return result if len(tensors) > 1 or dtype.is_floating_point or dtype.is_complex else result.to(dtype)


def einsum_of_dtypes(dtypes: tuple[Any, ...], count: int) -> Callable[..., Any]:
    """Return a function that does what `einsum` does for operands of these element types, and asks less.

    ``count`` is the number of its operands: fewer than of element types in one step of a contraction path.
    """
    dtype = dtypes[0]
    is_summed_wider = count == 1 and not (dtype.is_floating_point or dtype.is_complex)
    if any(other != dtype for other in dtypes) or dtype in _NEEDS_CAST or is_summed_wider:
        return einsum
    return torch.einsum if count < 3 else einsum_of_any_lengths


def build_product(multiply: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return a function of two tensors, such as ``torch.matmul``, that promotes element types as `einsum` does."""
    product_with_casts = _einsum_with_casts.build_product(multiply)

    def product(left: Any, right: Any) -> Any:
        is_of_one_type = isinstance(left, Proxy) or isinstance(right, Proxy) or left.dtype == right.dtype
        if (is_of_one_type and getattr(left, "dtype", None) not in _NEEDS_CAST) or _is_cast_by_autocast((left, right)):
            return multiply(left, right)
        return product_with_casts(left, right)

    return product


def _is_cast_by_autocast(tensors: Sequence[Any]) -> bool:
    """Whether ``torch.autocast`` is on and gives these tensors one element type in a product of matrices."""
    return _autocast_is_enabled(tensors[0].device.type) and all(
        tensor.dtype in (torch.float16, torch.bfloat16, torch.float32) for tensor in tensors
    )


def _autocast_is_enabled(device_type: str) -> bool:
    """Whether ``torch.autocast`` is on for a type of devices; before torch 2.4 each type had a function of its own."""
    try:
        return torch.is_autocast_enabled(device_type)
    except TypeError:
        return torch.is_autocast_cpu_enabled() if device_type == "cpu" else torch.is_autocast_enabled()


def compute_and_result_dtypes(dtypes: tuple[torch.dtype, ...]) -> tuple[torch.dtype, torch.dtype]:
    """Return the element types in which an einsum of operands of these types is computed, and of its result."""
    names = tuple([str(dtype).removeprefix("torch.") for dtype in dtypes])
    compute, result = _einsum_with_casts.compute_and_result(names)
    return getattr(torch, compute), getattr(torch, result)


def wrap_with_casts(call: Callable[..., Any], compute: torch.dtype, result: torch.dtype) -> Callable[..., Any]:
    """Wrap a function of tensors so that they are cast to the type ``compute``, and its result to the type ``result``.

    Tensors to which ``torch.autocast`` gives one type are not cast.
    """
    to_compute = partial(_cast, dtype=compute)

    def call_with_casts(*tensors: Any) -> Any:
        if _is_cast_by_autocast(tensors):
            return call(*tensors)
        return _cast(call(*map(to_compute, tensors)), result)

    return call_with_casts
