"""Lengths that PyTorch's tracers do not know as numbers, such as those that depend on data."""

from __future__ import annotations

from typing import Any

import torch

HAS_GUARD_OR_FALSE: bool = torch.__version__ >= (2, 8)
"""Whether PyTorch has ``guard_or_false``; Dynamo of an older release cannot trace an import that fails."""

is_compiling: Any = getattr(torch.compiler, "is_compiling", None) or torch._utils.is_compiling
"""``torch.compiler.is_compiling``, which PyTorch has from 2.3 on, or what it was before."""


def import_guard_or_false() -> Any:
    """Return torch's own ``guard_or_false``, or ``None`` if this release has none; its module takes long to import."""
    if not HAS_GUARD_OR_FALSE:
        return None
    from torch.fx.experimental.symbolic_shapes import guard_or_false

    return guard_or_false


def guard_or_false(condition: Any) -> bool:
    """Return whether a condition on symbolic sizes is true, false if it depends on data."""
    if not HAS_GUARD_OR_FALSE:
        return bool(condition)
    from torch.fx.experimental.symbolic_shapes import guard_or_false

    return bool(guard_or_false(condition))


def einsum_of_any_lengths(equation: str, *tensors: Any) -> Any:
    """``torch.einsum``, for which opt_einsum finds the order of three or more tensors and makes lengths constant.

    Tensors with symbolic lengths are contracted from left to right instead. Dynamo shows only those as symbolic that
    depend on data.
    """
    if len(tensors) > 2 and any(_is_symbolic(size) for tensor in tensors for size in tensor.shape):
        return torch.ops.aten.einsum.default(equation, [*tensors])
    return torch.einsum(equation, *tensors)


def _is_symbolic(size: Any) -> bool:
    """Return whether a length is symbolic, as far as a tracer shows it."""
    if isinstance(size, torch.SymInt):
        return True
    return is_compiling() and not (guard_or_false(size == 0) or guard_or_false(size != 0))
