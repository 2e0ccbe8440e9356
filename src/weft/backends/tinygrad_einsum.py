"""``Tensor.einsum``, with equations that it gets wrong put into a form that it gets right.

tinygrad 0.14 does not stretch length 1 within ``...``, and mixes up the axes where one stands twice beside others.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from tinygrad import Tensor

from weft.backends.contraction import diagonal

_SPACE = SimpleNamespace(permute_dims=Tensor.permute, reshape=Tensor.reshape)


def einsum(equation: str, *tensors: Any) -> Any:
    """Multiply and sum.

    Args:
        equation: the classical form, with an arrow.
        tensors: one for each term.
    """
    left, output = equation.split("->")
    pairs = list(zip(left.split(","), tensors, strict=True))
    if "..." in left:
        pairs, output = _spelled(pairs, output)
    if any(len(set(term)) < len(term) for term, _ in pairs):
        pairs = [diagonal(_SPACE, term, tensor) for term, tensor in pairs]
    return Tensor.einsum(",".join(term for term, _ in pairs) + "->" + output, *[tensor for _, tensor in pairs])


def _spelled(pairs: Sequence[tuple[str, Any]], output: str) -> tuple[list[tuple[str, Any]], str]:
    """Letters in the place of ``...``; of a tensor that is stretched along one, that dimension is dropped."""
    counts = [tensor.ndim - len(term) + 3 if "..." in term else 0 for term, tensor in pairs]
    names = "".join(chr(0x100 + place) for place in range(max(counts)))  # letters that no equation has
    spread = []
    for (term, tensor), count in zip(pairs, counts, strict=True):
        start = term.find("...")
        spread.append((start, dict(zip(names[len(names) - count :], tensor.shape[start : start + count], strict=True))))
    wide = {name for _, sizes in spread for name, size in sizes.items() if not _is_one(size)}
    spelled = []
    for (term, tensor), (start, sizes) in zip(pairs, spread, strict=True):
        kept = {name: size for name, size in sizes.items() if name not in wide or not _is_one(size)}
        if len(kept) < len(sizes):
            tensor = tensor.reshape((*tensor.shape[:start], *kept.values(), *tensor.shape[start + len(sizes) :]))
        spelled.append((term.replace("...", "".join(kept)), tensor))
    return spelled, output.replace("...", names)


def _is_one(size: Any) -> bool:
    return type(size) is int and size == 1  # a variable is not compared
