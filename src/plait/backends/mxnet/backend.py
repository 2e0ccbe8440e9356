"""The backends of MXNet: one for arrays and symbols of ``mx.np``, and one for the *classic* ones of ``mx.nd``.

Both kinds can be converted to each other without a copy. A symbol is a tensor of a graph, and its shape is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mxnet as mx
import numpy as np

from plait.backends.common.einsum_dtypes import EinsumWithCasts
from plait.backends.common.equation import replace_ellipsis_and_squeeze
from plait.backends.common.lazy_sizes import LazyShape
from plait.backends.common.reductions import ReductionTable, build_logsumexp, build_var
from plait.backends.interface import Backend, ReductionFunction
from plait.backends.mxnet.shapes import dtype_of, expand, is_symbol, namespace_of, permute, reshape_symbol
from plait.backends.reduction_rules import INT64_REDUCTIONS, ROUNDING_SENSITIVE_REDUCTIONS


def _namespace_function(name: str, **keywords: Any) -> Any:
    """Return a function that calls the one of this name in the namespace of its tensor, or of the first in a list."""

    def call(tensor: Any, *arguments: Any) -> Any:
        namespace = namespace_of(tensor[0] if isinstance(tensor, (list, tuple)) else tensor)
        return getattr(namespace, name)(tensor, *arguments, **keywords)

    return call


def _reduction_by_classic_function(name: str, *, keepdims: bool = False) -> ReductionFunction:
    """Return a reduction of ``mx.nd``; that of ``mx.np`` gives NaN for infinity.

    The result of ``mx.nd`` cannot have rank 0; so its dimensions are kept and then squeezed by ``mx.np``.
    """

    def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
        function = getattr(mx.sym if is_symbol(tensor) else mx.nd, name)
        keeps = keepdims or is_symbol(tensor) or len(axes) == tensor.ndim
        result = function(tensor.as_nd_ndarray(), axis=axes, keepdims=keeps).as_np_ndarray()
        return namespace_of(tensor).squeeze(result, axis=axes) if keeps and not keepdims else result

    return reduce


def _max_or_zero_if_infinite(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Return the maximum with dimensions kept, or 0 where it is infinite, so that it can be subtracted."""
    namespace = namespace_of(tensor)
    return namespace.nan_to_num(namespace.max(tensor, axis=axes, keepdims=True), posinf=0.0, neginf=0.0)


def _reduce_empty(_: ReductionFunction, tensor: Any, axes: tuple[int, ...], value: float | None) -> Any:
    """Return the result of a reduction of no elements: a sum, which is 0, plus the value."""
    dtype = None if "float" in str(tensor.dtype) else "int64"
    return mx.np.sum(tensor, axis=axes, dtype=dtype) + value


_sum, _mean = _reduction_by_classic_function("sum"), _reduction_by_classic_function("mean")


class MXNetBackend(Backend):
    """The backend of arrays of ``mx.np`` and of their symbols."""

    name = "mxnet.np"
    reshape = staticmethod(mx.np.reshape)
    permute = staticmethod(permute)
    expand = staticmethod(expand)
    concat = staticmethod(_namespace_function("concatenate"))
    stack = staticmethod(_namespace_function("stack"))
    reductions = ReductionTable(
        function=_namespace_function,
        overrides={
            "sum": _sum,
            "mean": _mean,
            # mx.np.var reads out of bounds if a tensor has more than 6 dimensions
            "var": build_var(
                _reduction_by_classic_function("mean", keepdims=True), lambda tensor: tensor * tensor, _mean
            ),
            "logsumexp": build_logsumexp(
                _max_or_zero_if_infinite,
                _namespace_function("exp"),
                _sum,
                _namespace_function("log"),
                _namespace_function("squeeze"),
            ),
            **{
                (name, kind): _namespace_function(name, dtype="int64")
                for name in INT64_REDUCTIONS
                for kind in ("bool", "integer")
            },
        },
        unsupported_empty=ROUNDING_SENSITIVE_REDUCTIONS,
        is_empty=lambda tensor: not is_symbol(tensor) and not tensor.size,
        reduce_empty=_reduce_empty,
    )

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        if any(map(is_symbol, tensors)):  # the type of a symbol may be unknown
            return MXNetBackend._einsum_of_one_type(equation, *tensors)
        return _einsum_with_casts(equation, *tensors)

    @staticmethod
    def _einsum_of_one_type(equation: str, *tensors: Any) -> Any:
        """The einsum of operands of one element type."""
        if not any(map(is_symbol, tensors)) and "..." in equation:  # MXNet's gradient does not support it
            terms, output, operands = replace_ellipsis_and_squeeze(
                equation, tensors, [tensor.shape for tensor in tensors], mx.np.squeeze
            )
            return mx.np.einsum(f"{','.join(terms)}->{output}", *operands)
        return namespace_of(tensors[0]).einsum(equation, *tensors)

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        return tensor.asnumpy()

    def traced_reshape(self, tensor: Any, shape: Sequence[Any], sizes: Sequence[Any], axes: Any) -> Any:
        return reshape_symbol(tensor, sizes, *axes) if is_symbol(tensor) else self.reshape(tensor, shape)

    def shape(self, tensor: Any) -> Any:
        return LazyShape(tensor) if is_symbol(tensor) else tensor.shape

    def rank(self, tensor: Any) -> int | None:
        return None if is_symbol(tensor) else tensor.ndim

    def dtype(self, tensor: Any) -> Any:
        return dtype_of(tensor)

    def can_compare_sizes(self, tensors: Sequence[Any]) -> bool:
        return not any(map(is_symbol, tensors))


_einsum_with_casts = EinsumWithCasts(
    einsum=MXNetBackend._einsum_of_one_type,
    cast=lambda tensor, dtype: tensor.astype(dtype),
    name=lambda tensor: np.dtype(tensor.dtype).name,
    compute_names={},
)
"""An einsum of operands of any element types, also mixed.

They are cast to the promoted type, since MXNet promotes none.
"""


def _to_numpy_interface(value: Any) -> Any:
    """Convert classic tensors, or lists and tuples of them, to those of ``mx.np``; return all else unchanged."""
    if isinstance(value, (mx.nd.NDArray, mx.sym.Symbol)):
        return value.as_np_ndarray()
    return type(value)(map(_to_numpy_interface, value)) if type(value) in (list, tuple) else value


def _for_classic_tensors(function: Callable[..., Any]) -> Any:
    """Wrap a function of tensors of ``mx.np`` so that it takes and returns classic tensors."""
    return lambda *arguments: function(*map(_to_numpy_interface, arguments)).as_nd_ndarray()


class ClassicBackend(MXNetBackend):
    """The backend of arrays of ``mx.nd`` and symbols of ``mx.sym``, by functions of ``mx.np``, which has an einsum."""

    name = "mxnet.nd"
    reshape = staticmethod(_for_classic_tensors(MXNetBackend.reshape))
    permute = staticmethod(_for_classic_tensors(MXNetBackend.permute))
    expand = staticmethod(_for_classic_tensors(MXNetBackend.expand))
    concat = staticmethod(_for_classic_tensors(MXNetBackend.concat))
    stack = staticmethod(_for_classic_tensors(MXNetBackend.stack))
    einsum = staticmethod(_for_classic_tensors(MXNetBackend.einsum))

    def traced_reshape(self, tensor: Any, shape: Sequence[Any], sizes: Sequence[Any], axes: Any) -> Any:
        return _for_classic_tensors(super().traced_reshape)(tensor, shape, sizes, axes)

    def reduction(self, name: str, dtype: Any) -> ReductionFunction:
        return _for_classic_tensors(super().reduction(name, dtype))


def create_backend(tensor_type: type) -> Backend:
    """Return the backend for tensors of a type."""
    has_numpy_interface = issubclass(tensor_type, (mx.np.ndarray, mx.sym.np._Symbol))
    return MXNetBackend(tensor_type) if has_numpy_interface else ClassicBackend(tensor_type)


BACKEND_FACTORY = create_backend
