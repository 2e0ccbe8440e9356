"""The public functions.

Each asks the cache for the callable of its call, and makes the call. What the cache cannot serve (a list of tensors,
a symbolic size, a mistake) raises a `TypeError` or an `AttributeError` there, and takes the general way.
"""

from __future__ import annotations

from weft.run.cache import compiled, general
from weft.run.traced import followed_as, traced

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import weft`
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    Tensor = TypeVar("Tensor")


def _traced_rearrange(tensor: Any, pattern: str, **sizes: Any) -> Any:
    return traced("rearrange", (tensor,), pattern, sizes)


@followed_as(_traced_rearrange)
def rearrange(tensor: Any, pattern: str, **sizes: Any) -> Any:
    """Permute, split, merge, add and drop unit axes: the same axes on both sides of the arrow.

    Args:
        tensor: a tensor of any framework, or a list of equally shaped ones, stacked on a new first axis.
        pattern: what goes in and what comes out, such as ``"b (h p) c -> b h (p c)"``.
        sizes: the sizes of axes, in elements, that cannot be inferred from the shape.

    Returns:
        A tensor of the same framework: a view where the framework can give one.

    Raises:
        PatternSyntaxError: the pattern cannot be read.
        AxisError: an axis stands on one side only, or a size names no axis.
        SizeError: the rank or the sizes do not fit.
        BackendError: the object is no tensor of a framework that weft knows.

    >>> import numpy as np, weft
    >>> image = np.zeros((64, 96, 3))
    >>> weft.rearrange(image, "(h p) (w q) c -> (h w) (p q c)", p=16, q=16).shape
    (24, 768)
    """
    try:
        call = compiled("rearrange", pattern, type(tensor), tensor.shape, **sizes)
    except (TypeError, AttributeError):
        return general("rearrange", (tensor,), pattern, sizes)
    return call(tensor)


def _traced_view(tensor: Any, pattern: str, **sizes: Any) -> Any:
    return traced("view", (tensor,), pattern, sizes)


@followed_as(_traced_view)
def view(tensor: Any, pattern: str, **sizes: Any) -> Any:
    """`rearrange`, with the promise that the result shares the tensor's memory.

    Args:
        tensor: a tensor of a framework that has views.
        pattern: as for `rearrange`.
        sizes: as for `rearrange`.

    Returns:
        A view of the tensor.

    Raises:
        CopyNeeded: the memory cannot be seen that way; the error names the group that forces a copy.
        WeftError: as for `rearrange`.

    >>> import numpy as np, weft
    >>> x = np.zeros((4, 6))
    >>> weft.view(x, "a (b c) -> b c a", b=2).base is x
    True
    """
    try:
        strides = tensor.strides if hasattr(tensor, "strides") else tensor.stride()
        call = compiled("view", pattern, type(tensor), tensor.shape, strides, **sizes)
    except (TypeError, AttributeError):
        return general("view", (tensor,), pattern, sizes)
    return call(tensor)


def _traced_reduce(tensor: Any, pattern: str, reduction: Any, **sizes: Any) -> Any:
    return traced("reduce", (tensor,), pattern, sizes, reduction)


@followed_as(_traced_reduce)
def reduce(tensor: Any, pattern: str, reduction: Any, **sizes: Any) -> Any:
    """Combine the elements along the axes that the right side lacks.

    Args:
        tensor: a tensor of any framework, or a list of equally shaped ones, stacked on a new first axis.
        pattern: what goes in and what comes out, such as ``"b (h 2) (w 2) c -> b h w c"``.
        reduction: ``"min"``, ``"max"``, ``"sum"``, ``"mean"``, ``"prod"``, ``"any"``, ``"all"``, ``"std"``,
            ``"var"`` (both of the population), ``"logsumexp"``; or a callable ``f(tensor, axes)`` that returns
            the tensor without the dimensions ``axes``.
        sizes: the sizes of axes, in elements, that cannot be inferred from the shape.

    Returns:
        A tensor of the same framework.

    Raises:
        PatternSyntaxError: the pattern cannot be read.
        AxisError: an axis stands on the right only, a size names no axis, or the reduction is unknown.
        SizeError: the rank or the sizes do not fit, or it is a minimum or maximum of nothing.
        BackendError: the reduction is not defined on such elements, as the mean of integers is not.

    >>> import numpy as np, weft
    >>> x = np.arange(16.0).reshape(4, 4)
    >>> weft.reduce(x, "(h 2) (w 2) -> h w", "max")
    array([[ 5.,  7.],
           [13., 15.]])
    """
    try:
        call = compiled("reduce", pattern, type(tensor), tensor.shape, reduction, tensor.dtype, **sizes)
    except (TypeError, AttributeError):
        return general("reduce", (tensor,), pattern, sizes, reduction)
    return call(tensor)


def _traced_repeat(tensor: Any, pattern: str, **sizes: Any) -> Any:
    return traced("repeat", (tensor,), pattern, sizes)


@followed_as(_traced_repeat)
def repeat(tensor: Any, pattern: str, **sizes: Any) -> Any:
    """Copy along the axes that the left side lacks.

    Args:
        tensor: a tensor of any framework, or a list of equally shaped ones, stacked on a new first axis.
        pattern: what goes in and what comes out, such as ``"h w -> (h 2) (w 2)"``.
        sizes: the sizes of axes, in elements: of all that stand on the right only.

    Returns:
        A tensor of the same framework: a view where the framework can give one. NumPy's is then read-only, since
        one element of memory shows in several places; ``.copy()`` makes it writable.

    Raises:
        PatternSyntaxError: the pattern cannot be read.
        AxisError: an axis stands on the left only, or a size names no axis.
        SizeError: the rank or the sizes do not fit, or the size of a new axis is not given.
        BackendError: the object is no tensor of a framework that weft knows.

    >>> import numpy as np, weft
    >>> weft.repeat(np.array([1, 2]), "w -> h (w r)", h=2, r=2)
    array([[1, 1, 2, 2],
           [1, 1, 2, 2]])
    """
    try:
        call = compiled("repeat", pattern, type(tensor), tensor.shape, **sizes)
    except (TypeError, AttributeError):
        return general("repeat", (tensor,), pattern, sizes)
    return call(tensor)


def _traced_einsum(*operands: Any, **sizes: Any) -> Any:
    operation, pattern, tensors = _read_einsum(operands)
    return traced(operation, tensors, pattern, sizes)


@followed_as(_traced_einsum)
def einsum(*operands: Any, **sizes: Any) -> Any:
    """Multiply tensors, and sum over the axes that the right side leaves out.

    In the named form the pattern comes last, and has named axes, groups, numbers and ``1``. In the classical form
    the equation comes first, as in ``numpy.einsum``: every letter an axis, ``...``, and the output may be left out.
    In both an axis has one length: length 1 is not stretched, but in the dimensions of ``...``.

    Args:
        operands: ``*tensors, pattern`` or ``equation, *tensors``, of one framework.
        sizes: in the named form, the sizes of axes, in elements, that cannot be inferred from the shapes.

    Returns:
        A tensor of the same framework.

    Raises:
        PatternSyntaxError: the pattern or equation cannot be read.
        AxisError: an axis stands on the right only, or the number of tensors differs.
        SizeError: the ranks or the sizes do not fit.
        BackendError: the tensors belong to different frameworks.

    >>> import numpy as np, weft
    >>> q, k = np.ones((2, 5, 12)), np.ones((2, 7, 12))
    >>> weft.einsum(q, k, "b i (h d), b j (h d) -> b h i j", h=3).shape
    (2, 3, 5, 7)
    >>> weft.einsum("bid,bjd", q, k).shape
    (5, 7)
    """
    operation, pattern, tensors = _read_einsum(operands)
    try:
        shapes = tuple([tensor.shape for tensor in tensors])
        call = compiled(operation, pattern, tuple([type(tensor) for tensor in tensors]), shapes, **sizes)
    except (TypeError, AttributeError):
        return general(operation, tensors, pattern, sizes)
    return call(*tensors)


def _read_einsum(operands: tuple[Any, ...]) -> tuple[str, Any, tuple[Any, ...]]:
    """The form of an einsum, its text, and its tensors."""
    if len(operands) < 2:
        raise TypeError("einsum() takes tensors and a pattern, or an equation and tensors")
    if isinstance(operands[0], str):
        return "classical", operands[0], operands[1:]
    return "einsum", operands[-1], operands[:-1]
