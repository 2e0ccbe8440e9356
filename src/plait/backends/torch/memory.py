"""The memory of PyTorch's tensors, as compiled kernels read it."""

from __future__ import annotations

import torch

KERNEL_ELEMENT_BY_DTYPE = {
    getattr(torch, name): name
    for name in (
        *("bool", "float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
        *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
    )
    if hasattr(torch, name)
}
"""By element type, its name for kernels."""

_TYPES_WITH_PLAIN_MEMORY = (torch.Tensor, torch.nn.Parameter)


def memory_of(tensor: torch.Tensor) -> tuple[int, int, int]:
    """Return the address of a tensor's first element, and those between which its storage lies."""
    storage = tensor.untyped_storage()
    start = storage.data_ptr()
    return tensor.data_ptr(), start, start + storage.nbytes()


def why_no_kernel(tensor: torch.Tensor) -> str | None:
    """Return why no kernel may read the memory of a tensor, or ``None`` if one may."""
    if type(tensor) not in _TYPES_WITH_PLAIN_MEMORY:
        return f"tensors of {type(tensor).__name__} may have no memory of their own"
    if tensor.is_conj() or tensor.is_neg():
        return "the tensor is a view that PyTorch conjugates or negates when it is read"
    return None
