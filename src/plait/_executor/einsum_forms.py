"""The forms in which einsum is called: a pattern of names, the classical and the interleaved form."""

from __future__ import annotations

from typing import Any

CLASSICAL_EINSUM = "classical"
"""The operation name of an einsum whose equation has the classical form, such as ``"ij,jk->ik"``."""

INTERLEAVED_EINSUM = "interleaved"
"""The operation name of an einsum in the interleaved form, until the axis numbers have become an equation."""

ARRAY_LIKE_TYPES = frozenset({bool, int, float, complex, list, tuple})
"""The types of operands that are no tensors, but that the classical and the interleaved form take."""


def split_einsum_arguments(operands: tuple[Any, ...]) -> tuple[str, Any, tuple[Any, ...]]:
    """Return the form of a call of ``einsum``, its pattern or equation, and its tensors.

    The form is ``"einsum"`` for patterns of names, ``"classical"`` or ``"interleaved"``.
    """
    if len(operands) < 2:
        raise TypeError("einsum() needs tensors and a pattern, or an equation and tensors")
    if isinstance(operands[-1], str):
        return "einsum", operands[-1], operands[:-1]
    if isinstance(operands[0], str):
        return CLASSICAL_EINSUM, operands[0], operands[1:]
    from plait._notation.interleaved import is_interleaved, split_interleaved_arguments

    if is_interleaved(operands):
        return INTERLEAVED_EINSUM, *split_interleaved_arguments(operands)
    return "einsum", operands[-1], operands[:-1]
