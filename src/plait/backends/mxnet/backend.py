"""MXNet: arrays and symbols of ``mx.np``, and classic ones, as other handles of the same memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mxnet as mx

from plait.backends.common.equation import replace_ellipsis_and_squeeze
from plait.backends.common.lazy_sizes import LazyShape
from plait.backends.common.reductions import ReductionTable, build_logsumexp, build_var
from plait.backends.interface import Backend, Reduction
from plait.backends.mxnet.shapes import expand, is_symbol, permute, reshape_symbol, space_of, type_of
from plait.backends.reduction_rules import COUNTING_REDUCTIONS, ROUNDING_REDUCTIONS


def _function(name: str, **keywords: Any) -> Any:
    """A function of arrays and of symbols, or of a list of either, by the name that it has for both."""

    def call(tensor: Any, *arguments: Any) -> Any:
        space = space_of(tensor[0] if isinstance(tensor, (list, tuple)) else tensor)
        return getattr(space, name)(tensor, *arguments, **keywords)

    return call


def _classic_reduction(name: str, *, keepdims: bool = False) -> Reduction:
    """A reduction of ``mx.nd``, which gives no rank 0 and takes no empty tensor; that of ``mx.np`` makes NaN of inf."""

    def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
        function = getattr(mx.sym if is_symbol(tensor) else mx.nd, name)
        keeps = keepdims or is_symbol(tensor) or len(axes) == tensor.ndim
        result = function(tensor.as_nd_ndarray(), axis=axes, keepdims=keeps).as_np_ndarray()
        return space_of(tensor).squeeze(result, axis=axes) if keeps and not keepdims else result

    return reduce


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    space = space_of(tensor)
    return space.nan_to_num(space.max(tensor, axis=axes, keepdims=True), posinf=0.0, neginf=0.0)


def _fill(_: Reduction, tensor: Any, axes: tuple[int, ...], value: float | None) -> Any:
    dtype = None if "float" in str(tensor.dtype) else "int64"
    return mx.np.sum(tensor, axis=axes, dtype=dtype) + value


_sum, _mean = _classic_reduction("sum"), _classic_reduction("mean")


class MXNetBackend(Backend):
    """Arrays of ``mx.np``, and their symbols."""

    name = "mxnet.np"
    reshape = staticmethod(mx.np.reshape)
    permute = staticmethod(permute)
    expand = staticmethod(expand)
    concat = staticmethod(_function("concatenate"))
    stack = staticmethod(_function("stack"))
    reductions = ReductionTable(
        function=_function,
        overrides={
            "sum": _sum,
            "mean": _mean,
            # MXNet's own reads beyond the memory of a tensor of more than 6 dimensions
            "var": build_var(_classic_reduction("mean", keepdims=True), lambda tensor: tensor * tensor, _mean),
            "logsumexp": build_logsumexp(_finite_max, _function("exp"), _sum, _function("log"), _function("squeeze")),
            **{
                (name, kind): _function(name, dtype="int64")
                for name in COUNTING_REDUCTIONS
                for kind in ("bool", "integer")
            },
        },
        unsupported_empty=ROUNDING_REDUCTIONS,
        is_empty=lambda tensor: not is_symbol(tensor) and not tensor.size,
        fill_empty=_fill,
    )

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        if not any(map(is_symbol, tensors)) and "..." in equation:  # of which MXNet's gradient knows little
            terms, output, found = replace_ellipsis_and_squeeze(
                equation, tensors, [tensor.shape for tensor in tensors], mx.np.squeeze
            )
            return mx.np.einsum(f"{','.join(terms)}->{output}", *found)
        return space_of(tensors[0]).einsum(equation, *tensors)

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
        return type_of(tensor)

    def comparable(self, tensors: Sequence[Any]) -> bool:
        return not any(map(is_symbol, tensors))


def _modern(value: Any) -> Any:
    """Classic tensors, or a sequence of them, as ``mx.np`` takes them; what else a function is given as it is."""
    if isinstance(value, (mx.nd.NDArray, mx.sym.Symbol)):
        return value.as_np_ndarray()
    return type(value)(map(_modern, value)) if type(value) in (list, tuple) else value


def _classic(function: Callable[..., Any]) -> Any:
    """A function of MXNet's NumPy arrays and symbols, for classic ones."""
    return lambda *arguments: function(*map(_modern, arguments)).as_nd_ndarray()


class ClassicBackend(MXNetBackend):
    """Arrays of ``mx.nd`` and symbols of ``mx.sym``, by functions of ``mx.np``, which have einsum and rank 0."""

    name = "mxnet.nd"
    reshape = staticmethod(_classic(MXNetBackend.reshape))
    permute = staticmethod(_classic(MXNetBackend.permute))
    expand = staticmethod(_classic(MXNetBackend.expand))
    concat = staticmethod(_classic(MXNetBackend.concat))
    stack = staticmethod(_classic(MXNetBackend.stack))
    einsum = staticmethod(_classic(MXNetBackend.einsum))

    def traced_reshape(self, tensor: Any, shape: Sequence[Any], sizes: Sequence[Any], axes: Any) -> Any:
        return _classic(super().traced_reshape)(tensor, shape, sizes, axes)

    def reduction(self, name: str, dtype: Any) -> Reduction:
        return _classic(super().reduction(name, dtype))


def backend_for(kind: type) -> Backend:
    """The backend for tensors of a type."""
    modern = issubclass(kind, (mx.np.ndarray, mx.sym.np._Symbol))
    return MXNetBackend(kind) if modern else ClassicBackend(kind)


BACKEND = backend_for
