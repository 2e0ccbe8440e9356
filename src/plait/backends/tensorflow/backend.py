"""The backend of TensorFlow 2: eager tensors, variables, and tensors of graphs, which may have unknown sizes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import tensorflow as tf

from plait._caches import clearable_lru_cache
from plait.backends.common.einsum_dtypes import LOW_PRECISION_NAMES, EinsumWithCasts, compute_names
from plait.backends.common.lazy_sizes import LazySizeBackend
from plait.backends.common.reductions import ReductionTable
from plait.backends.interface import ReductionFunction
from plait.backends.reduction_rules import INT64_REDUCTIONS, ROUNDING_SENSITIVE_REDUCTIONS

_INT32_LIMIT = 2**31
_DENSE_CONVERSION_HINTS = {"RaggedTensor": "its to_tensor()", "SparseTensor": "tf.sparse.to_dense"}

_COMPOSITE_REDUCTIONS: dict[str, Any] = {
    "std": tf.math.reduce_std,
    "var": tf.math.reduce_variance,
    "logsumexp": tf.math.reduce_logsumexp,
}
"""The reductions that TensorFlow computes by several operations, so that they are not in ``tf.raw_ops``."""


@clearable_lru_cache(maxsize=4096)
def _ints_to_tensor(ints: tuple[int, ...]) -> Any:
    """Convert ints to a tensor in host memory; it is cached, since a conversion takes longer than an operation."""
    with tf.device("CPU"):
        return tf.constant(ints, tf.int32 if all(size < _INT32_LIMIT for size in ints) else tf.int64)


def _axes_argument(ints: tuple[int, ...]) -> Any:
    """Return axes, or an order of dimensions, in the form that is fastest as an argument."""
    return _ints_to_tensor(ints) if tf.executing_eagerly() else ints


def _reduction_function(name: str) -> ReductionFunction:
    """Return TensorFlow's own reduction of a name."""
    if name in _COMPOSITE_REDUCTIONS:
        return lambda tensor, axes: _COMPOSITE_REDUCTIONS[name](tensor, _axes_argument(axes))
    operation = getattr(tf.raw_ops, name.capitalize())
    return lambda tensor, axes: operation(input=tensor, axis=_axes_argument(axes))


def _cast(tensor: Any, dtype: Any) -> Any:
    """Cast a tensor; a complex number is true if one of its parts is not 0, while `tf.cast` looks at the real part."""
    return tf.not_equal(tensor, 0) if dtype == "bool" and tensor.dtype.is_complex else tf.cast(tensor, dtype)


@clearable_lru_cache(maxsize=1)
def _has_only_cpu() -> bool:
    """Return whether the CPU is the only device; half-precision sums on it lose most of their digits."""
    return {device.device_type for device in tf.config.list_logical_devices()} == {"CPU"}


def _einsum_of_one_type(equation: str, *tensors: Any) -> Any:
    """One operation for one or two tensors; for more, ``tf.einsum`` finds a contraction path."""
    if len(tensors) > 2:
        return tf.einsum(equation, *tensors)
    return tf.raw_ops.Einsum(inputs=tensors, equation=equation)


def _matmul_of_one_type(left: Any, right: Any) -> Any:
    """The products of matrices, batched with broadcasting."""
    return tf.raw_ops.BatchMatMulV2(x=left, y=right)


@clearable_lru_cache(maxsize=1)
def _einsum_with_casts() -> EinsumWithCasts:
    """Return an einsum of operands of any element types, also mixed.

    Types for which TensorFlow has no kernel, or one that loses digits, are computed in a wider type.
    """
    float8_names = [name for name in LOW_PRECISION_NAMES if not name.endswith("float16")]
    return EinsumWithCasts(
        einsum=_einsum_of_one_type,
        cast=_cast,
        name=lambda tensor: tf.as_dtype(tensor.dtype).name,
        compute_names=compute_names(
            half="float32" if _has_only_cpu() else "",
            bools="int64",
            integers="int64",
            sub_byte="int64",
            extra=[("int32", "int32"), *[(name, "float32") for name in float8_names]],
        ),
    )


def _is_followed_by_gradient(tensor: Any) -> bool:
    """Return whether a gradient tape or an accumulator of tangents watches a tensor."""
    try:
        from tensorflow.python.pywrap_tfe import TFE_Py_TapeSetPossibleGradientTypes as possible_gradient_types
    except ImportError:  # it is not a public function
        return True
    return possible_gradient_types([tensor]) != 0


class TensorflowBackend(LazySizeBackend):
    """The backend of tensors and variables; it calls ``tf.raw_ops``, which skip the Python code of public functions."""

    name = "tensorflow"
    einsum_optimizes_path = True
    accepts: ClassVar[frozenset[str]] = frozenset({"numpy"})
    concat = staticmethod(tf.concat)
    stack = staticmethod(tf.stack)
    shape_tensor = staticmethod(tf.shape)
    reductions = ReductionTable(
        function=_reduction_function,
        cast=_cast,
        upcast={"bool": INT64_REDUCTIONS, "integer": INT64_REDUCTIONS, "half": ROUNDING_SENSITIVE_REDUCTIONS},
        has_bool_extrema=False,
        has_any_of_numbers=False,
    )

    def __init__(self, tensor_type: type) -> None:
        if not issubclass(tensor_type, (tf.Tensor, tf.Variable)):
            conversion = _DENSE_CONVERSION_HINTS.get(tensor_type.__name__, "tf.convert_to_tensor")
            raise TypeError(f"it is not dense; {conversion} makes it so")

    def reshape(self, tensor: Any, shape: Any) -> Any:
        eager = tf.executing_eagerly()
        sizes = _ints_to_tensor(shape) if eager else self.materialize_all(self.infer_one_size(tensor, shape))
        return tf.raw_ops.Reshape(tensor=tensor, shape=sizes)

    @staticmethod
    def permute(tensor: Any, order: Any) -> Any:
        return tf.raw_ops.Transpose(x=tensor, perm=_axes_argument(order))

    def expand(self, tensor: Any, shape: Any) -> Any:
        sizes = _ints_to_tensor(shape) if tf.executing_eagerly() else self.materialize_all(shape)
        return tf.raw_ops.BroadcastTo(input=tensor, shape=sizes)

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        return _einsum_with_casts()(equation, *tensors)

    @staticmethod
    def matmul(left: Any, right: Any) -> Any:
        return _einsum_with_casts().build_product(_matmul_of_one_type)(left, right)

    @staticmethod
    def multiply(left: Any, right: Any) -> Any:
        return _einsum_with_casts().build_product(tf.multiply)(left, right)

    @staticmethod
    def static_sizes(tensor: Any) -> Sequence[int | None] | None:
        shape = tf.TensorShape(tensor.shape)
        return None if shape.rank is None else shape.as_list()

    def shape(self, tensor: Any) -> Any:
        sizes = self.static_sizes(tensor)
        if (sizes is None or None in sizes) and tf.executing_eagerly():  # the static shape of a variable may be unknown
            return tuple(tf.shape(tensor).numpy().tolist())
        return super().shape(tensor)

    def fully_known_shape(self, shape: Any) -> tuple[int, ...] | None:
        return tuple(shape.as_list()) if shape.is_fully_defined() else None

    def is_symbolic_size(self, size: Any) -> bool:
        if isinstance(size, tf.Tensor) and tf.is_symbolic_tensor(size):
            return size.dtype.is_integer and size.shape.rank in (0, None)
        return super().is_symbolic_size(size)

    def size_from_user(self, size: Any) -> Any:
        return super().size_from_user(tf.cast(size, tf.int32))

    def can_compare_sizes(self, tensors: Sequence[Any]) -> bool:
        return tf.executing_eagerly()

    def version(self, tensor: Any) -> int | None:
        if isinstance(tensor, tf.Variable) or not isinstance(tensor, tf.Tensor) or tf.is_symbolic_tensor(tensor):
            return None
        return None if _is_followed_by_gradient(tensor) else 0

    def outside_of_traces(self) -> AbstractContextManager[Any]:
        return tf.init_scope()

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        import numpy as np

        return np.asarray(tensor if tensor.shape.rank else tensor.numpy())


BACKEND_FACTORY = TensorflowBackend
