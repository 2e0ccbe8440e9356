"""The backends of PaddlePaddle: eager tensors, and the values of static programs, which may have unknown lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from os import sep
from pathlib import Path
from typing import Any

import paddle

from plait.backends.common.lazy_sizes import LazySizeBackend
from plait.backends.common.reductions import ReductionTable, build_logsumexp, build_var
from plait.backends.interface import Backend, ReductionFunction
from plait.backends.paddle.einsum import einsum, matmul, multiply
from plait.backends.reduction_rules import INT64_REDUCTIONS, ROUNDING_SENSITIVE_REDUCTIONS

_UNKNOWN_LENGTH = -1
"""The length in a shape of a static program that is known only when it runs."""

_MAX_UNROLLED_LENGTH = 4
"""The greatest length of a dimension that is reduced by elementwise minima or maxima of its parts."""

_TYPES_WITHOUT_EXTREMA = (paddle.uint8, paddle.int8, paddle.int16)
"""The element types for which Paddle has neither min nor max."""


def _build_min_or_max_with_gradient(
    reduce: Callable[..., Any], combine: Callable[[Any, Any], Any]
) -> ReductionFunction:
    """Return a min or max with the right gradient.

    Paddle's own gradient is uninitialized memory if several of five or six dimensions are reduced; so dimensions are
    reduced one by one. Along a short one, such as that of a pooling, the gradient of elementwise minima or maxima of
    two tensors is twenty times as fast.
    """

    def min_or_max(tensor: Any, axes: tuple[int, ...]) -> Any:
        if tensor.dtype in _TYPES_WITHOUT_EXTREMA:
            return paddle.cast(min_or_max(paddle.cast(tensor, "int32"), axes), tensor.dtype)
        if tensor.stop_gradient or len(tensor.shape) not in (5, 6):
            return reduce(tensor, axes)
        for axis in sorted(axes, reverse=True):
            if 1 < tensor.shape[axis] <= _MAX_UNROLLED_LENGTH:
                tensor, *parts = paddle.unbind(tensor, axis)
                for part in parts:
                    tensor = combine(tensor, part)
            else:
                tensor = reduce(tensor, axis)
        return tensor

    return min_or_max


def _max_or_zero_if_infinite(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Return the maximum with dimensions kept, or 0 where it is infinite, so that it can be subtracted."""
    maximum = paddle.amax(tensor, axes, True).detach()  # of no elements it may be any value: log(0) is added to it
    zero = paddle.cast(maximum < maximum, maximum.dtype)  # noqa: PLR0124  # zeros_like warns in a static program
    return paddle.where(paddle.isfinite(maximum), maximum, zero)


def _log_zeroing_small_totals(total: Any) -> Any:
    """Return the logarithm of a sum of exponentials of which the greatest is 1, or of a sum that should be 0.

    The sum of exponentials of -inf is not 0, since Paddle's ``exp(-inf)`` is 2e-308.
    """
    return paddle.log(total * paddle.cast(total > 0.5, total.dtype))


_mean_keepdim = partial(paddle.mean, keepdim=True)
_complex_var = build_var(_mean_keepdim, lambda tensor: paddle.real(tensor) ** 2 + paddle.imag(tensor) ** 2, paddle.mean)


class PaddleBackend(LazySizeBackend):
    """The backend of values of static programs, whose functions also accept eager tensors."""

    name = "paddle"
    expand_is_view = False  # its broadcast_to copies
    permute = staticmethod(paddle.transpose)
    concat = staticmethod(paddle.concat)
    stack = staticmethod(paddle.stack)
    einsum = staticmethod(einsum)
    matmul, multiply = staticmethod(matmul), staticmethod(multiply)
    shape_tensor = staticmethod(paddle.shape)
    reductions = ReductionTable(
        function=partial(getattr, paddle),
        cast=paddle.cast,
        overrides={
            "min": _build_min_or_max_with_gradient(paddle.amin, paddle.minimum),
            "max": _build_min_or_max_with_gradient(paddle.amax, paddle.maximum),
            # paddle.var takes fifteen times as long
            "var": build_var(_mean_keepdim, lambda tensor: tensor * tensor, paddle.mean),
            # paddle.logsumexp supports ranks up to 4, and gives NaN where the maximum is infinite
            "logsumexp": build_logsumexp(
                _max_or_zero_if_infinite, paddle.exp, paddle.sum, _log_zeroing_small_totals, paddle.squeeze
            ),
            ("var", "complex"): _complex_var,
        },
        upcast={
            "bool": INT64_REDUCTIONS,
            "integer": INT64_REDUCTIONS,
            "half": {*ROUNDING_SENSITIVE_REDUCTIONS, "min", "max"},
        },
        has_bool_extrema=False,
        has_any_of_numbers=False,
    )

    def reshape(self, tensor: Any, shape: Sequence[Any]) -> Any:
        return paddle.reshape(tensor, self.materialize_all(self.infer_one_size(tensor, shape)))

    def expand(self, tensor: Any, shape: Sequence[Any]) -> Any:
        old_shape = [*[1] * (len(shape) - len(tensor.shape)), *self.static_sizes(tensor)]
        sizes = [
            _UNKNOWN_LENGTH if old is None else size for old, size in zip(old_shape, shape, strict=True)
        ]  # -1 keeps a length
        return paddle.expand(tensor, self.materialize_all(sizes))

    def for_any_type(self) -> Backend:
        return _ANY_TYPE_BACKEND

    def strides(self, tensor: Any) -> tuple[int, ...] | None:
        return tuple(tensor.strides) if isinstance(tensor, paddle.Tensor) else None

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        return (tensor.astype("float32") if tensor.dtype == paddle.bfloat16 else tensor).numpy()

    @staticmethod
    def static_sizes(tensor: Any) -> list[int | None]:
        return [None if size == _UNKNOWN_LENGTH else size for size in tensor.shape]

    def is_symbolic_size(self, size: Any) -> bool:
        return isinstance(size, paddle.pir.Value) or super().is_symbolic_size(size)

    def can_compare_sizes(self, tensors: Sequence[Any]) -> bool:
        return not any(None in self.static_sizes(tensor) for tensor in tensors)


class EagerBackend(PaddleBackend):
    """The backend of eager tensors."""

    shape_is_list = True
    reshape = staticmethod(paddle.reshape)
    expand = staticmethod(paddle.broadcast_to)

    @staticmethod
    def view(tensor: Any, shape: Sequence[Any]) -> Any:
        if tensor.ndim:
            return paddle.view(tensor, shape)
        return paddle.unsqueeze(tensor, list(range(len(shape))))  # Paddle's view refuses a tensor of rank 0


def create_backend(tensor_type: type) -> Backend:
    """Return the backend for tensors of a type."""
    return EagerBackend(tensor_type) if issubclass(tensor_type, paddle.Tensor) else PaddleBackend(tensor_type)


def exclude_plait_from_tracing() -> None:
    """Keep Paddle's bytecode tracer from compiling plait's functions, as it treats Paddle's own functions."""
    try:
        from paddle.framework import core

        core.eval_frame_skip_file_prefix((f"{Path(__file__).parents[2]}{sep}",))
    except (ImportError, AttributeError):  # other versions have no such function; then only tracing is slower
        pass


exclude_plait_from_tracing()
BACKEND_FACTORY = create_backend
_ANY_TYPE_BACKEND = PaddleBackend(object)
