"""The interleaved form of einsum, ``einsum(a, [0, 1], b, [1, 2], [0, 2])``, as a classical equation."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from plait.errors import make_error, short_repr

AXIS_LETTERS = ascii_uppercase + ascii_lowercase
"""The letter of each axis number; they sort as the numbers do, on which the order of an implicit output depends."""


def is_interleaved(operands: Sequence[Any]) -> bool:
    """Whether the arguments of an einsum without any text are tensors, each followed by a list of axis numbers.

    >>> is_interleaved(("a tensor", [0, 1])), is_interleaved(("a tensor", "another tensor"))
    (True, False)
    """
    axes = operands[1] if len(operands) > 1 else None
    return isinstance(axes, (list, tuple, range)) or _is_integer_array(axes)


def _is_integer_array(axes: Any) -> bool:
    """Whether axis numbers are given as an array of NumPy."""
    return type(axes).__module__ == "numpy" and getattr(axes, "ndim", None) == 1 and axes.dtype.kind in "iu"


def split_interleaved_arguments(operands: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """Return the equation and the tensors of a call in the interleaved form.

    >>> split_interleaved_arguments(("a", [0, 1], "b", [..., 1, 28], [..., 0, 28]))
    ('AB,...Bc->...Ac', ('a', 'b'))
    """
    count = len(operands) // 2
    equation = ",".join([_term(axes) for axes in operands[1 : 2 * count : 2]])
    if len(operands) % 2:
        equation += f"->{_term(operands[-1])}"
    return equation, operands[0 : 2 * count : 2]


def axis_numbers(equation: str) -> list[tuple[str, int]]:
    """Return each letter of an equation that `split_interleaved_arguments` made, with the number of its axis.

    >>> axis_numbers("AB,Bc->Ac")
    [('A', 0), ('B', 1), ('c', 28)]
    """
    return [(letter, number) for number, letter in enumerate(AXIS_LETTERS) if letter in equation]


def _term(axes: Any) -> str:
    """Return the axis numbers of one tensor as a term of an equation."""
    if not isinstance(axes, (list, tuple, range)) and not _is_integer_array(axes):
        message = (
            f"the axis numbers of the interleaved form are a list, as in einsum(x, [0, 1]), not {short_repr(axes)}"
        )
        raise make_error("PLT110", message)
    count = len(AXIS_LETTERS)
    return "".join(
        [AXIS_LETTERS[axis] if type(axis) is int and 0 <= axis < count else _unusual_item(axis) for axis in axes]
    )


def _unusual_item(axis: Any) -> str:
    """Return the dots of an ellipsis, or the letter of an axis number of another type than int."""
    if axis is Ellipsis:
        return "..."
    try:
        number = -1 if isinstance(axis, bool) else index(axis)
    except TypeError:
        number = -1
    if not 0 <= number < len(AXIS_LETTERS):
        message = f"an axis of the interleaved form is an integer from 0 to {len(AXIS_LETTERS) - 1} or ..., not "
        message += f"{short_repr(axis)}; for other axes write an equation or a pattern"
        raise make_error("PLT110", message)
    return AXIS_LETTERS[number]
