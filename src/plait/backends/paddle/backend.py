"""PaddlePaddle: eager tensors, and the values of its static programs, whose sizes may be unknown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from os import sep
from pathlib import Path
from typing import Any

import paddle

from plait.backends.common.lazy_sizes import LazySizeBackend
from plait.backends.common.reductions import ReductionTable, build_logsumexp, build_var
from plait.backends.interface import Backend, Reduction
from plait.backends.paddle.einsum import einsum
from plait.backends.reduction_rules import COUNTING_REDUCTIONS, ROUNDING_REDUCTIONS

_UNKNOWN = -1
"""What a static program has in a shape for a size that only its run will tell."""

_SHORT = 4
"""How long an axis is at most whose elements are compared in pairs."""

_NARROW = (paddle.uint8, paddle.int8, paddle.int16)
"""What has no minimum and no maximum."""


def _extreme(reduce: Callable[..., Any], of_two: Callable[[Any, Any], Any]) -> Reduction:
    """Paddle's own gradient along several axes of five or six is uninitialized memory; along one it is right.

    Along a short axis, that of a pooling, the gradient of a chain of pairs is computed twenty times as fast.
    """

    def extreme(tensor: Any, axes: tuple[int, ...]) -> Any:
        if tensor.dtype in _NARROW:
            return paddle.cast(extreme(paddle.cast(tensor, "int32"), axes), tensor.dtype)
        if tensor.stop_gradient or len(tensor.shape) not in (5, 6):
            return reduce(tensor, axes)
        for axis in sorted(axes, reverse=True):
            if 1 < tensor.shape[axis] <= _SHORT:
                tensor, *parts = paddle.unbind(tensor, axis)
                for part in parts:
                    tensor = of_two(tensor, part)
            else:
                tensor = reduce(tensor, axis)
        return tensor

    return extreme


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    found = paddle.amax(tensor, axes, True).detach()  # of nothing it is anything, which log 0 outweighs
    zero = paddle.cast(found < found, found.dtype)  # noqa: PLR0124  # zeros_like warns in a static program
    return paddle.where(paddle.isfinite(found), found, zero)


def _log(total: Any) -> Any:
    return paddle.log(total * paddle.cast(total > 0.5, total.dtype))  # Paddle's exp(-inf) is not 0 but 2e-308


_mean_kept = partial(paddle.mean, keepdim=True)
_complex_var = build_var(_mean_kept, lambda tensor: paddle.real(tensor) ** 2 + paddle.imag(tensor) ** 2, paddle.mean)


class PaddleBackend(LazySizeBackend):
    """The values of static programs, and tensors of any type: the functions of paddle serve both of its modes."""

    name = "paddle"
    permute = staticmethod(paddle.transpose)
    concat = staticmethod(paddle.concat)
    stack = staticmethod(paddle.stack)
    einsum = staticmethod(einsum)
    shape_tensor = staticmethod(paddle.shape)
    reductions = ReductionTable(
        function=partial(getattr, paddle),
        cast=paddle.cast,
        overrides={
            "min": _extreme(paddle.amin, paddle.minimum),
            "max": _extreme(paddle.amax, paddle.maximum),
            # Paddle's own takes fifteen times as long
            "var": build_var(_mean_kept, lambda tensor: tensor * tensor, paddle.mean),
            # Paddle's own takes no rank above 4, and is NaN where the largest is infinite
            "logsumexp": build_logsumexp(_finite_max, paddle.exp, paddle.sum, _log, paddle.squeeze),
            ("var", "complex"): _complex_var,
        },
        upcast={
            "bool": COUNTING_REDUCTIONS,
            "integer": COUNTING_REDUCTIONS,
            "half": {*ROUNDING_REDUCTIONS, "min", "max"},
        },
        has_bool_extrema=False,
        has_any_of_numbers=False,
    )

    def reshape(self, tensor: Any, shape: Sequence[Any]) -> Any:
        return paddle.reshape(tensor, self.materialize_all(self.infer_one_size(tensor, shape)))

    def expand(self, tensor: Any, shape: Sequence[Any]) -> Any:
        known = [*[1] * (len(shape) - len(tensor.shape)), *self.static_sizes(tensor)]
        sizes = [_UNKNOWN if old is None else size for old, size in zip(known, shape, strict=True)]  # it stays
        return paddle.expand(tensor, self.materialize_all(sizes))

    def for_any_type(self) -> Backend:
        return _ANY

    def strides(self, tensor: Any) -> tuple[int, ...] | None:
        return tuple(tensor.strides) if isinstance(tensor, paddle.Tensor) else None

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        return (tensor.astype("float32") if tensor.dtype == paddle.bfloat16 else tensor).numpy()

    @staticmethod
    def static_sizes(tensor: Any) -> list[int | None]:
        return [None if size == _UNKNOWN else size for size in tensor.shape]

    def is_symbolic(self, size: Any) -> bool:
        return isinstance(size, paddle.pir.Value) or super().is_symbolic(size)

    def comparable(self, tensors: Sequence[Any]) -> bool:
        return not any(None in self.static_sizes(tensor) for tensor in tensors)


class EagerBackend(PaddleBackend):
    """Eager tensors."""

    shape_is_list = True
    reshape = staticmethod(paddle.reshape)
    expand = staticmethod(paddle.broadcast_to)

    @staticmethod
    def view(tensor: Any, shape: Sequence[Any]) -> Any:
        if tensor.ndim:
            return paddle.view(tensor, shape)
        return paddle.unsqueeze(tensor, list(range(len(shape))))  # Paddle's view refuses a tensor of rank 0


def backend_for(kind: type) -> Backend:
    """The backend for tensors of a type."""
    return EagerBackend(kind) if issubclass(kind, paddle.Tensor) else PaddleBackend(kind)


def leave_to_python() -> None:
    """Keep Paddle's tracer of bytecode out of plait's frames, as of Paddle's, where it has left a call to Python."""
    try:
        from paddle.framework import core

        core.eval_frame_skip_file_prefix((f"{Path(__file__).parents[2]}{sep}",))
    except (ImportError, AttributeError):  # another Paddle may have no such list, and is only slower then
        pass


leave_to_python()
BACKEND = backend_for
_ANY = PaddleBackend(object)
