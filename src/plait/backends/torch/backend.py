"""The backend of PyTorch: eager tensors, and those of its tracers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.fx import Proxy

from plait.backends.interface import Backend, LargeTensorSettings, ReductionFunction
from plait.backends.torch.element_types import (
    COMPLEX_DTYPES,
    DTYPES_WITH_EMULATED_REDUCTIONS,
    FLOAT8_DTYPES,
    build_emulated_reduction,
    build_product,
    einsum,
)
from plait.backends.torch.symbolic_lengths import HAS_GUARD_OR_FALSE, guard_or_false, is_compiling
from plait.backends.torch.tracing import exclude_frames_from_dynamo, is_transformed

if TYPE_CHECKING:
    from plait.backends.capabilities import BlockFunctions, ContractionFunctions, LargeTensorFunctions


def _contraction_functions(dtypes: tuple[Any, ...]) -> ContractionFunctions | None:
    """Import the operations for contractions, and return those for these element types."""
    from plait.backends.torch.contraction import contraction_functions

    return contraction_functions(dtypes)


def _large_tensor_functions() -> LargeTensorFunctions:
    """Import and return the operations for large tensors, which few programs need."""
    from plait.backends.torch.large_tensors import LARGE_TENSOR_FUNCTIONS

    return LARGE_TENSOR_FUNCTIONS


def _load_block_functions() -> BlockFunctions:
    """Import and return the operations that compute einsums in blocks, which few programs need."""
    from plait.backends.torch.blocks import load_block_functions

    return load_block_functions()


LARGE_TENSOR_SETTINGS = LargeTensorSettings(_large_tensor_functions, min_elements=4096)


_WIDE_DTYPE_FOR_NUMPY = {
    torch.bfloat16: torch.float32,
    torch.complex32: torch.complex64,
    **dict.fromkeys(FLOAT8_DTYPES, torch.float32),
}
"""For each element type that NumPy lacks, the wider one to which tensors are cast before they become NumPy arrays."""


def _dtype_beside_number(dtype: torch.dtype, number: Any) -> torch.dtype:
    """Return ``torch.result_type`` of a tensor with dimensions and a number; Dynamo does not trace that function."""
    if isinstance(number, complex):
        real = dtype if dtype.is_floating_point else torch.get_default_dtype()
        return dtype if dtype.is_complex else real.to_complex()
    if isinstance(number, float):
        return dtype if dtype.is_complex or dtype.is_floating_point else torch.get_default_dtype()
    return torch.int64 if dtype is torch.bool and not isinstance(number, bool) else dtype


class TorchBackend(Backend):
    """The backend of PyTorch's tensors; it calls functions of ``torch``, which parse arguments faster than methods."""

    name = "torch"
    reshape = staticmethod(torch.reshape)
    permute = staticmethod(torch.permute)
    expand = staticmethod(torch.broadcast_to)
    concat = staticmethod(torch.cat)
    stack = staticmethod(torch.stack)
    einsum = staticmethod(einsum)
    matmul = staticmethod(build_product(torch.matmul))
    multiply = staticmethod(build_product(torch.mul))
    view = staticmethod(lambda tensor, shape: tensor.view(shape))

    @staticmethod
    def tensor_from_number(number: Any, tensor: Any) -> Any:
        return torch.scalar_tensor(number, dtype=_dtype_beside_number(tensor.dtype, number), device=tensor.device)

    def __init__(self, tensor_type: type) -> None:
        self._is_plain = tensor_type in (torch.Tensor, torch.nn.Parameter)
        if self._is_plain:
            self.contraction_functions, self.large_tensors = _contraction_functions, LARGE_TENSOR_SETTINGS
            self.load_block_functions = _load_block_functions

    def exclude_functions_from_tracing(self, functions: Sequence[Any]) -> None:
        exclude_frames_from_dynamo(functions)

    def reduction(self, name: str, dtype: Any) -> ReductionFunction:
        if dtype in DTYPES_WITH_EMULATED_REDUCTIONS or (dtype in COMPLEX_DTYPES and name in ("any", "all")):
            return build_emulated_reduction(_REDUCTIONS, name, dtype)
        return _REDUCTIONS[name]

    def strides(self, tensor: Any) -> tuple[int, ...] | None:
        return tensor.stride()

    def slice(self, tensor: Any, axis: int, start: Any, stop: Any) -> Any:
        return torch.narrow(tensor, axis, start, stop - start)

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
        wide = _WIDE_DTYPE_FOR_NUMPY.get(tensor.dtype)
        return (tensor if wide is None else tensor.to(wide)).numpy()

    def version(self, tensor: Any) -> int | None:
        if not self._is_plain or (tensor.requires_grad and torch.is_grad_enabled()) or is_transformed():
            return None
        return 0 if tensor.is_inference() else tensor._version  # an inference tensor counts no writes

    @contextmanager
    def outside_of_traces(self) -> Iterator[None]:
        with torch.inference_mode(mode=False), torch.no_grad():
            yield

    def is_signal(self, error: Exception) -> bool:
        # such as a data-dependent guard of torch.export, or torch.OutOfMemoryError; mistakes raise Python's classes
        return type(error).__module__.partition(".")[0] == "torch"

    def rank(self, tensor: Any) -> int | None:
        return None if isinstance(tensor, Proxy) else tensor.dim()

    def dtype(self, tensor: Any) -> Any:
        return None if isinstance(tensor, Proxy) else tensor.dtype

    def is_symbolic_size(self, size: Any) -> bool:
        if isinstance(size, (torch.SymInt, Proxy)):
            return True
        return isinstance(size, torch.Tensor) and torch.jit.is_tracing()

    def is_zero_size(self, size: Any) -> bool | None:
        if guard_or_false(size == 0):
            return True
        return False if guard_or_false(size != 0) else None

    def sizes_differ(self, size: Any, other: Any) -> bool:
        return guard_or_false(size != other)

    def can_compare_sizes(self, tensors: Sequence[Any]) -> bool:
        return not torch.jit.is_tracing() and not any(isinstance(tensor, Proxy) for tensor in tensors)


def _prod(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Return the product along several dimensions; ``torch.prod`` reduces only one."""
    for axis in sorted(axes, reverse=True):
        tensor = torch.prod(tensor, axis)
    return tensor


def _std(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Return the standard deviation over the number of elements; Dynamo does not trace a ``partial`` in a closure."""
    return torch.std(tensor, axes, correction=0)


def _var(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Return the variance over the number of elements."""
    return torch.var(tensor, axes, correction=0)


def _logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Return ``torch.logsumexp``, or its formula where a length depends on data: the function asks if it is 0."""
    count = tensor.numel()
    if not isinstance(count, torch.SymInt) and not is_compiling():
        return torch.logsumexp(tensor, axes)
    if guard_or_false(count == 0) or guard_or_false(count != 0):
        return torch.logsumexp(tensor, axes)
    peak = torch.amax(tensor, axes, keepdim=True).detach()
    peak = torch.where(torch.isfinite(peak), peak, 0)
    total = torch.sum(torch.exp(tensor - peak), axes)
    return torch.log(total) + peak.squeeze(axes)


_REDUCTIONS: dict[str, ReductionFunction] = {
    "min": torch.amin,
    "max": torch.amax,
    "sum": torch.sum,
    "mean": torch.mean,
    "prod": _prod,
    "any": torch.any,
    "all": torch.all,
    "std": _std,
    "var": _var,
    "logsumexp": _logsumexp if HAS_GUARD_OR_FALSE else torch.logsumexp,
}


BACKEND_FACTORY = TorchBackend
TORCH_BACKEND = TorchBackend(torch.Tensor)
"""The instance that Dynamo traces, for every type of tensor."""
