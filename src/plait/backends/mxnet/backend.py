"""MXNet: its NumPy arrays, its classic ones, and the symbols of both of hybrid blocks.

Plans call ``mx.np`` and ``mx.sym.np``. Classic arrays go through them too, as other handles of the same memory: only
these functions have an einsum, and rank 0 and lengths of 0 where ``mx.util.set_np_shape`` allows them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mxnet as mx

from plait.backends.common.equation import expand_ellipsis
from plait.backends.common.lazy_sizes import LazyShape
from plait.backends.interface import Backend, Reduction
from plait.backends.mxnet.reductions import REDUCTIONS, is_symbol, space_of, type_of
from plait.backends.mxnet.shapes import expand, permute, reshape_symbol


def _of_either(name: str) -> Any:
    """A function of a list of tensors, for arrays or for symbols."""
    return staticmethod(lambda tensors, *axis: getattr(space_of(tensors[0]), name)(tensors, *axis))


class MXNetBackend(Backend):
    """Arrays of ``mx.np``, and their symbols."""

    name = "mxnet.np"
    reductions = REDUCTIONS
    reshape = staticmethod(mx.np.reshape)
    permute = staticmethod(permute)
    expand = staticmethod(expand)
    concat = _of_either("concatenate")
    stack = _of_either("stack")

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        if not any(map(is_symbol, tensors)) and "..." in equation:  # of which MXNet's gradient knows little
            terms, output, found = expand_ellipsis(
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
    """Arrays of ``mx.nd``, and symbols of ``mx.sym``."""

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
