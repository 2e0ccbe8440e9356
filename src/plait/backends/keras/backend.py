"""Keras 3: symbolic tensors, by ``keras.ops``, and variables, by the backend of the native tensors that they hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import keras
from keras import KerasTensor, ops

from plait._caches import clearable_lru_cache
from plait.backends.common.lazy_sizes import LazySize, LazySizeBackend
from plait.backends.common.reductions import ReductionTable
from plait.backends.interface import Backend, Reduction
from plait.backends.keras.shapes import sized
from plait.backends.registry import backend_for_type

_COUNT: dict[str, Reduction] = {
    "sum": lambda tensor, axes: ops.cast(ops.sum(ops.cast(tensor, "int64"), axes), "int64"),
    "prod": lambda tensor, axes: ops.prod(ops.cast(tensor, "int64"), axes, dtype="int64"),
}
"""Sums and products that count in ``int64``; Keras on PyTorch says that a sum of them does not."""

_COUNTED = () if keras.backend.backend() == "jax" else ("bool", "integer")  # JAX does so, where it is allowed 64 bits


class SymbolicBackend(LazySizeBackend):
    """What a model does not know of its sizes is a `LazySize`, and read from its inputs when the model is called."""

    name = "keras"
    permute = staticmethod(ops.transpose)
    concat = staticmethod(ops.concatenate)
    stack = staticmethod(ops.stack)
    einsum = staticmethod(ops.einsum)
    to_numpy = staticmethod(KerasTensor.__array__)
    reductions = ReductionTable(
        function=partial(getattr, ops),
        cast=ops.cast,
        overrides={
            ("std", "complex"): ops.std,
            ("var", "complex"): lambda tensor, axes: ops.square(ops.std(tensor, axes)),  # ops.var takes real parts
            **{(name, kind): count for name, count in _COUNT.items() for kind in _COUNTED},
        },
        has_bool_extrema=False,
    )

    def reshape(self, tensor: Any, shape: Sequence[Any]) -> Any:
        return sized(
            "reshape", tensor, self.infer_one_size(tensor, shape)
        )  # mostly of the batch, which takes Keras' own way

    def expand(self, tensor: Any, shape: Sequence[Any]) -> Any:
        return sized("broadcast_to", tensor, shape)

    def slice(self, tensor: Any, axis: int, start: Any, stop: Any) -> Any:
        return sized("slice", tensor, (axis, start, stop))

    @staticmethod
    def static_sizes(tensor: Any) -> Any:
        return tensor.shape

    def size_from_user(self, size: Any) -> Any:
        return LazySize(*size.parts, from_user=True)

    def size_to_user(self, size: Any) -> Any:
        return size


_SYMBOLIC = SymbolicBackend(KerasTensor)


@clearable_lru_cache(maxsize=1)
def _native() -> Backend:
    """The backend of the tensors that Keras computes with: they are of one framework in a process."""
    return backend_for_type(ops.convert_to_tensor(0.0).__class__).for_any_type()


@clearable_lru_cache(maxsize=256)
def _native_reduction(name: str, dtype: Any) -> Reduction:
    return _native().reduction(name, dtype)


def _is_symbolic(tensors: Any) -> bool:
    """Whether one of these tensors is of a functional model, and has no elements yet."""
    return any(isinstance(tensor, KerasTensor) for tensor in keras.tree.flatten(tensors))


def _native_tensor(tensor: Any) -> Any:
    """What a variable holds; what is an array of NumPy's as a tensor."""
    return tensor.value if isinstance(tensor, keras.Variable) else ops.convert_to_tensor(tensor)


def _of_either(name: str) -> Any:
    """A function of a tensor or a list of them, by the backend that they need."""

    def call(tensors: Any, *constants: Any) -> Any:
        if _is_symbolic(tensors):
            return getattr(_SYMBOLIC, name)(tensors, *constants)
        return getattr(_native(), name)(keras.tree.map_structure(_native_tensor, tensors), *constants)

    return staticmethod(call)


class KerasBackend(Backend):
    """Each call takes the functions of symbolic tensors, if there is one among its own, or those of native ones."""

    name = "keras"
    einsum_optimizes_path = True
    accepts: ClassVar[frozenset[str]] = frozenset({"tensorflow", "jax", "torch", "numpy"})
    reshape, permute, expand = _of_either("reshape"), _of_either("permute"), _of_either("expand")
    slice, concat, stack = _of_either("slice"), _of_either("concat"), _of_either("stack")
    rank, shape, to_numpy = _of_either("rank"), _of_either("shape"), _of_either("to_numpy")
    comparable = _of_either("comparable")

    def __init__(self, kind: type) -> None:
        if not issubclass(kind, (KerasTensor, keras.Variable)):
            raise TypeError("it is neither a KerasTensor nor a Variable")

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        if _is_symbolic(tensors):
            return _SYMBOLIC.einsum(equation, *tensors)
        return _native().einsum(equation, *map(_native_tensor, tensors))

    def reduction(self, name: str, dtype: Any) -> Reduction:
        symbolic: Callable[..., Any] = _SYMBOLIC.reduction(name, dtype)

        def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
            if _is_symbolic(tensor):
                return symbolic(tensor, axes)
            tensor = _native_tensor(tensor)
            return _native_reduction(name, tensor.dtype)(tensor, axes)

        return reduce

    def static_shape(self, tensor: Any, rank: int) -> Sequence[int | None]:
        shape = self.shape(tensor)
        return [shape[place] if type(shape[place]) is int else None for place in range(rank)]

    def shape_as_tuple(self, shape: Any) -> tuple[int, ...] | None:
        return _native().shape_as_tuple(shape)

    def is_symbolic(self, size: Any) -> bool:
        return _SYMBOLIC.is_symbolic(size) or _native().is_symbolic(size)

    def size_from_user(self, size: Any) -> Any:
        return (_SYMBOLIC if _SYMBOLIC.is_symbolic(size) else _native()).size_from_user(size)

    def size_to_user(self, size: Any) -> Any:
        symbolic = isinstance(size, LazySize) and isinstance(size.source_tensor, KerasTensor)
        return (_SYMBOLIC if symbolic else _native()).size_to_user(size)


BACKEND = KerasBackend
