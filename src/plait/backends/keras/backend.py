"""The backend of Keras 3.

Symbolic tensors are computed by ``keras.ops``. Variables are computed by the backend of their *native* tensors, which
are those of the framework on which Keras runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import keras
from keras import KerasTensor, ops

from plait._caches import clearable_lru_cache
from plait.backends.common.einsum_dtypes import EinsumWithCasts, compute_names
from plait.backends.common.lazy_sizes import LazySize, LazySizeBackend
from plait.backends.common.reductions import ReductionTable
from plait.backends.interface import Backend, ReductionFunction
from plait.backends.keras.operation_with_sizes import apply_with_sizes
from plait.backends.registry import backend_for_type

_INT64_ACCUMULATOR_OVERRIDES: dict[str, ReductionFunction] = {
    "sum": lambda tensor, axes: ops.cast(ops.sum(ops.cast(tensor, "int64"), axes), "int64"),
    "prod": lambda tensor, axes: ops.prod(ops.cast(tensor, "int64"), axes, dtype="int64"),
}
"""Sums and products in ``int64``; the final cast corrects the type that Keras reports on PyTorch."""

_INT64_OVERRIDE_KINDS = () if keras.backend.backend() == "jax" else ("bool", "integer")
"""The kinds of elements that need these overrides; on JAX ``keras.ops`` uses ``int64`` itself if that is enabled."""


_einsum_with_casts = EinsumWithCasts(
    einsum=ops.einsum,
    cast=ops.cast,
    name=lambda tensor: keras.backend.standardize_dtype(tensor.dtype),
    compute_names=compute_names(bools="int32", extra=[("int8", "int32")]),  # Keras sums int8 in int32
)
"""An einsum of symbolic tensors of any element types, also mixed.

They are cast to the promoted type, but booleans and ``int8`` to ``int32``.
"""


class SymbolicBackend(LazySizeBackend):
    """The backend of symbolic tensors; unknown sizes are `LazySize`, read from the inputs when a model is called."""

    name = "keras"
    permute = staticmethod(ops.transpose)
    concat = staticmethod(ops.concatenate)
    stack = staticmethod(ops.stack)
    to_numpy = staticmethod(KerasTensor.__array__)
    reductions = ReductionTable(
        function=partial(getattr, ops),
        cast=ops.cast,
        overrides={
            ("any", "complex"): lambda tensor, axes: ops.any(ops.not_equal(tensor, 0), axes),  # not the real part alone
            ("all", "complex"): lambda tensor, axes: ops.all(ops.not_equal(tensor, 0), axes),
            ("std", "complex"): ops.std,
            ("var", "complex"): lambda tensor, axes: ops.square(ops.std(tensor, axes)),  # ops.var drops imaginary parts
            **{
                (name, kind): count
                for name, count in _INT64_ACCUMULATOR_OVERRIDES.items()
                for kind in _INT64_OVERRIDE_KINDS
            },
        },
        has_bool_extrema=False,
    )

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        return _einsum_with_casts(equation, *tensors)

    matmul = staticmethod(_einsum_with_casts.build_product(ops.matmul))
    multiply = staticmethod(_einsum_with_casts.build_product(ops.multiply))

    def reshape(self, tensor: Any, shape: Sequence[Any]) -> Any:
        # keras.ops.reshape accepts one -1, and most shapes have only one unknown size, that of the batch
        return apply_with_sizes("reshape", tensor, self.infer_one_size(tensor, shape))

    def expand(self, tensor: Any, shape: Sequence[Any]) -> Any:
        return apply_with_sizes("broadcast_to", tensor, shape)

    def slice(self, tensor: Any, axis: int, start: Any, stop: Any) -> Any:
        return apply_with_sizes("slice", tensor, (axis, start, stop))

    @staticmethod
    def static_sizes(tensor: Any) -> Any:
        return tensor.shape

    def size_from_user(self, size: Any) -> Any:
        return LazySize(*size.parts, from_user=True)

    def size_to_user(self, size: Any) -> Any:
        return size


_SYMBOLIC_BACKEND = SymbolicBackend(KerasTensor)


@clearable_lru_cache(maxsize=1)
def _native_backend() -> Backend:
    """Return the backend of native tensors, which are the same in all calls of a process."""
    return backend_for_type(ops.convert_to_tensor(0.0).__class__).for_any_type()


@clearable_lru_cache(maxsize=256)
def _native_reduction(name: str, dtype: Any) -> ReductionFunction:
    """Return a reduction of the native backend."""
    return _native_backend().reduction(name, dtype)


def _has_symbolic_tensor(tensors: Any) -> bool:
    """Return whether one of these tensors is symbolic: it belongs to a functional model and has no elements yet."""
    return any(isinstance(tensor, KerasTensor) for tensor in keras.tree.flatten(tensors))


def _to_native_tensor(tensor: Any) -> Any:
    """Return the native tensor that a variable holds, or convert an array of NumPy to one."""
    return tensor.value if isinstance(tensor, keras.Variable) else ops.convert_to_tensor(tensor)


def _symbolic_or_native(name: str, tensor_count: int = 1) -> Any:
    """Return a function that calls the method of that name, whose first arguments are tensors or lists of them.

    It is the method of the symbolic backend if one of the tensors is symbolic, otherwise of the native backend.
    """

    def call(*arguments: Any) -> Any:
        tensors, constants = arguments[:tensor_count], arguments[tensor_count:]
        if _has_symbolic_tensor(tensors):
            return getattr(_SYMBOLIC_BACKEND, name)(*arguments)
        return getattr(_native_backend(), name)(*keras.tree.map_structure(_to_native_tensor, tensors), *constants)

    return staticmethod(call)


class KerasBackend(Backend):
    """The backend of symbolic tensors and of variables.

    If one of the tensors of a call is symbolic, it calls `SymbolicBackend`, otherwise the backend of native tensors.
    """

    name = "keras"
    einsum_optimizes_path = True
    accepts: ClassVar[frozenset[str]] = frozenset({"tensorflow", "jax", "torch", "numpy"})
    reshape, permute, expand = (
        _symbolic_or_native("reshape"),
        _symbolic_or_native("permute"),
        _symbolic_or_native("expand"),
    )
    slice, concat, stack = _symbolic_or_native("slice"), _symbolic_or_native("concat"), _symbolic_or_native("stack")
    matmul, multiply = _symbolic_or_native("matmul", 2), _symbolic_or_native("multiply", 2)
    rank, shape, to_numpy = _symbolic_or_native("rank"), _symbolic_or_native("shape"), _symbolic_or_native("to_numpy")
    can_compare_sizes = _symbolic_or_native("can_compare_sizes")

    def __init__(self, tensor_type: type) -> None:
        if not issubclass(tensor_type, (KerasTensor, keras.Variable)):
            raise TypeError("it is neither a KerasTensor nor a Variable")

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        if _has_symbolic_tensor(tensors):
            return _SYMBOLIC_BACKEND.einsum(equation, *tensors)
        return _native_backend().einsum(equation, *map(_to_native_tensor, tensors))

    def reduction(self, name: str, dtype: Any) -> ReductionFunction:
        symbolic_reduction: Callable[..., Any] = _SYMBOLIC_BACKEND.reduction(name, dtype)

        def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
            if _has_symbolic_tensor(tensor):
                return symbolic_reduction(tensor, axes)
            tensor = _to_native_tensor(tensor)
            return _native_reduction(name, tensor.dtype)(tensor, axes)

        return reduce

    def static_shape(self, tensor: Any, rank: int) -> Sequence[int | None]:
        shape = self.shape(tensor)
        return [shape[dimension] if type(shape[dimension]) is int else None for dimension in range(rank)]

    def fully_known_shape(self, shape: Any) -> tuple[int, ...] | None:
        return _native_backend().fully_known_shape(shape)

    def is_symbolic_size(self, size: Any) -> bool:
        return _SYMBOLIC_BACKEND.is_symbolic_size(size) or _native_backend().is_symbolic_size(size)

    def size_from_user(self, size: Any) -> Any:
        return (_SYMBOLIC_BACKEND if _SYMBOLIC_BACKEND.is_symbolic_size(size) else _native_backend()).size_from_user(
            size
        )

    def size_to_user(self, size: Any) -> Any:
        is_of_model = isinstance(size, LazySize) and isinstance(size.source_tensor, KerasTensor)
        return (_SYMBOLIC_BACKEND if is_of_model else _native_backend()).size_to_user(size)


BACKEND_FACTORY = KerasBackend
