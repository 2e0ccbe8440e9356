"""The public functions.

Each looks its call up in the cache, and makes it. Arguments that make no key of the cache (a list of tensors, a
symbolic size, some mistakes) raise a `TypeError` or an `AttributeError` there, and go to `call_uncached`.
"""

from __future__ import annotations

from plait._executor.cache import lookup, lookup_untyped, split_einsum_arguments, types_shapes_and_dtypes
from plait._executor.dispatch import call_uncached
from plait._executor.dynamo import (
    call_under_dynamo,
    einsum_under_dynamo,
    pack_under_dynamo,
    parse_shape_under_dynamo,
    unpack_under_dynamo,
)
from plait._executor.options import CURRENT_OPTIONS, with_backend_kwargs
from plait._executor.tracer_hooks import do_not_convert, dynamo_substitute

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import plait`
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, SupportsIndex, TypeAlias, TypeVar, overload

    from plait._explain.explanation import Explanation

    Tensor = TypeVar("Tensor")
    Several: TypeAlias = list[Tensor] | tuple[Tensor, ...]
    Reduction: TypeAlias = str | Callable[[Any, tuple[int, ...]], Any]
else:

    def overload(function):
        """What ``typing.overload`` is to a type checker."""
        return function


@overload
def rearrange(tensor: Several[Tensor], pattern: str, **sizes: SupportsIndex) -> Tensor: ...
@overload
def rearrange(tensor: Tensor, pattern: str, **sizes: SupportsIndex) -> Tensor: ...
@dynamo_substitute(lambda tensor, pattern, **sizes: call_under_dynamo("rearrange", (tensor,), pattern, sizes))
def rearrange(tensor: Any, pattern: str, **sizes: SupportsIndex) -> Any:
    """Permute, split, merge, add and drop unit axes: the same axes on both sides of the arrow.

    Args:
        tensor: a tensor of any framework, or a list of equally shaped ones, stacked on a new first axis.
        pattern: what goes in and what comes out, such as ``"b (h p) c -> b h (p c)"``.
        sizes: the sizes of axes, in elements, that cannot be inferred from the shape.

    Returns:
        A tensor of the same framework: a view where the framework can give one.

    Raises:
        PatternSyntaxError: the pattern cannot be read.
        AxisError: an axis appears on one side only, or a size names no axis.
        SizeError: the rank or the sizes do not fit.
        BackendError: the object is no tensor of a framework that plait knows.

    Examples:
        >>> import numpy as np, plait
        >>> image = np.zeros((64, 96, 3))
        >>> plait.rearrange(image, "(h p) (w q) c -> (h w) (p q c)", p=16, q=16).shape
        (24, 768)
    """
    try:
        call = lookup("rearrange", pattern, type(tensor), tensor.shape, **sizes).call
    except (TypeError, AttributeError):  # the arguments make no key
        call = None
    return call_uncached("rearrange", (tensor,), pattern, sizes) if call is None else call(tensor)


@dynamo_substitute(lambda tensor, pattern, **sizes: call_under_dynamo("view", (tensor,), pattern, sizes))
def view(tensor: Tensor, pattern: str, **sizes: SupportsIndex) -> Tensor:
    """`rearrange`, with the promise that the result shares the tensor's memory.

    Args:
        tensor: a tensor of a framework that has views.
        pattern: as for `rearrange`.
        sizes: as for `rearrange`.

    Returns:
        A view of the tensor.

    Raises:
        CopyRequiredError: the memory cannot be seen that way; the error names the group that forces a copy.
        PlaitError: as for `rearrange`.

    Examples:
        >>> import numpy as np, plait
        >>> x = np.zeros((4, 6))
        >>> plait.view(x, "a (b c) -> b c a", b=2).base is x
        True
    """
    try:
        array: Any = tensor
        strides = array.strides if hasattr(array, "strides") else array.stride()
        call = lookup("view", pattern, type(array), array.shape, strides, **sizes).call
    except (TypeError, AttributeError):  # the arguments make no key
        call = None
    return call_uncached("view", (tensor,), pattern, sizes) if call is None else call(tensor)


@overload
def reduce(tensor: Several[Tensor], pattern: str, reduction: Reduction, **sizes: SupportsIndex) -> Tensor: ...
@overload
def reduce(tensor: Tensor, pattern: str, reduction: Reduction, **sizes: SupportsIndex) -> Tensor: ...
@dynamo_substitute(
    lambda tensor, pattern, reduction, **sizes: call_under_dynamo("reduce", (tensor,), pattern, sizes, reduction)
)
def reduce(tensor: Any, pattern: str, reduction: Reduction, **sizes: SupportsIndex) -> Any:
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
        AxisError: an axis appears on the right only, a size names no axis, or the reduction is unknown.
        SizeError: the rank or the sizes do not fit, or it is a minimum or maximum of nothing.
        BackendError: the reduction is not defined on such elements, as the mean of integers is not.

    Examples:
        >>> import numpy as np, plait
        >>> x = np.arange(16.0).reshape(4, 4)
        >>> plait.reduce(x, "(h 2) (w 2) -> h w", "max")
        array([[ 5.,  7.],
               [13., 15.]])
    """
    try:
        call = lookup("reduce", pattern, type(tensor), tensor.shape, reduction, tensor.dtype, **sizes).call
    except (TypeError, AttributeError):  # the arguments make no key
        call = None
    return call_uncached("reduce", (tensor,), pattern, sizes, reduction) if call is None else call(tensor)


@overload
def repeat(tensor: Several[Tensor], pattern: str, **sizes: SupportsIndex) -> Tensor: ...
@overload
def repeat(tensor: Tensor, pattern: str, **sizes: SupportsIndex) -> Tensor: ...
@dynamo_substitute(lambda tensor, pattern, **sizes: call_under_dynamo("repeat", (tensor,), pattern, sizes))
def repeat(tensor: Any, pattern: str, **sizes: SupportsIndex) -> Any:
    """Copy along the axes that the left side lacks.

    Args:
        tensor: a tensor of any framework, or a list of equally shaped ones, stacked on a new first axis.
        pattern: what goes in and what comes out, such as ``"h w -> (h 2) (w 2)"``.
        sizes: the sizes of axes, in elements: of all that appear on the right only.

    Returns:
        A tensor of the same framework: a view where the framework can give one. NumPy's is then read-only, since
        one element of memory shows in several places; ``.copy()`` makes it writable.

    Raises:
        PatternSyntaxError: the pattern cannot be read.
        AxisError: an axis appears on the left only, or a size names no axis.
        SizeError: the rank or the sizes do not fit, or the size of a new axis is not given.
        BackendError: the object is no tensor of a framework that plait knows.

    Examples:
        >>> import numpy as np, plait
        >>> plait.repeat(np.array([1, 2]), "w -> h (w r)", h=2, r=2)
        array([[1, 1, 2, 2],
               [1, 1, 2, 2]])
    """
    try:
        call = lookup("repeat", pattern, type(tensor), tensor.shape, **sizes).call
    except (TypeError, AttributeError):  # the arguments make no key
        call = None
    return call_uncached("repeat", (tensor,), pattern, sizes) if call is None else call(tensor)


@dynamo_substitute(einsum_under_dynamo)
def einsum(
    *operands: Any,
    out_sharding: Any = None,
    precision: Any = None,
    preferred_element_type: Any = None,
    **sizes: SupportsIndex,
) -> Any:
    """Multiply tensors, and sum over the axes that the right side leaves out.

    In the named form the pattern comes last, and has named axes, groups, numbers and ``1``. In the classical form
    the equation comes first, as in ``numpy.einsum``: every letter an axis, ``...``, and the output may be left out.
    In both an axis has one length: length 1 is not stretched, but in the dimensions of ``...``. How the tensors meet is
    chosen for their sizes: see `explain` and `options`. Half types on the CPU are summed in ``float32``.

    Args:
        operands: ``*tensors, pattern`` or ``equation, *tensors``, of one framework.
        out_sharding: for JAX alone, how the result is to lie on the devices: a ``PartitionSpec`` or ``NamedSharding``
            with an entry for each dimension of the result, a group being one. No axis can have this name and a size.
        precision: for JAX alone, that of its products; like the next, no axis with a size.
        preferred_element_type: for JAX alone, the type in which its products are summed.
        sizes: in the named form, the sizes of axes, in elements, that cannot be inferred from the shapes.

    Returns:
        A tensor of the same framework.

    Raises:
        PatternSyntaxError: the pattern or equation cannot be read.
        AxisError: an axis appears on the right only, or the number of tensors differs.
        SizeError: the ranks or the sizes do not fit.
        BackendError: the tensors belong to different frameworks, or the result cannot be sharded like that.

    Warns:
        AxisWarning: an axis appears once and is summed, and its name is nearly that of another.

    Examples:
        >>> import numpy as np, plait
        >>> q, k = np.ones((2, 5, 12)), np.ones((2, 7, 12))
        >>> plait.einsum(q, k, "b i (h d), b j (h d) -> b h i j", h=3).shape
        (2, 3, 5, 7)
        >>> plait.einsum("bid,bjd", q, k).shape
        (5, 7)
    """
    options = CURRENT_OPTIONS.get()
    if not (out_sharding is precision is preferred_element_type is None):
        options = with_backend_kwargs(
            options, out_sharding=out_sharding, precision=precision, preferred_element_type=preferred_element_type
        )
    try:
        if type(operands[0]) is str:
            operation, pattern, tensors = "classical", operands[0], operands[1:]
        else:
            operation, pattern, tensors = "einsum", operands[-1], operands[:-1]
        if len(tensors) == 2:  # written out: a call of `types_shapes_and_dtypes` is a tenth of all that is added
            a, b = tensors
            classes, shapes, dtypes = (type(a), type(b)), (a.shape, b.shape), (a.dtype, b.dtype)
        else:
            classes, shapes, dtypes = types_shapes_and_dtypes(tensors)
        if sizes:
            call = lookup(operation, pattern, classes, shapes, dtypes, options, **sizes).call
        else:
            call = lookup_untyped(operation, pattern, classes, shapes, dtypes, options).call
    except (TypeError, AttributeError, IndexError):  # the arguments make no key
        call = None
    if call is None:
        operation, pattern, tensors = split_einsum_arguments(operands)
        return call_uncached(operation, tensors, pattern, sizes, "", options)
    return call(*tensors)


@dynamo_substitute(pack_under_dynamo)
def pack(tensors: Sequence[Tensor], pattern: str) -> tuple[Tensor, list[tuple[int, ...]]]:
    """Join tensors of different rank along one dimension.

    Args:
        tensors: tensors of one framework.
        pattern: the dimensions that all tensors share, by name, and one ``*`` for the others: ``"b * c"``.

    Returns:
        The packed tensor, and for each tensor the shape that the ``*`` stood for, as `unpack` takes them.

    Raises:
        PatternSyntaxError: the pattern cannot be read.
        AxisError: the pattern is no list of names with exactly one ``*``.
        SizeError: a rank is too small, or the tensors differ in a shared dimension.

    Examples:
        >>> import numpy as np, plait
        >>> packed, shapes = plait.pack([np.zeros((2, 3)), np.zeros((2, 4, 5))], "b *")
        >>> packed.shape, shapes
        ((2, 23), [(3,), (4, 5)])
    """
    from plait._executor.packing import pack as run

    return run(tensors, pattern)


@dynamo_substitute(unpack_under_dynamo)
def unpack(tensor: Tensor, packed_shapes: Sequence[Sequence[int]], pattern: str) -> list[Tensor]:
    """Take apart what `pack` has joined.

    Args:
        tensor: the packed tensor.
        packed_shapes: for each result the shape that takes the place of the ``*``; one size may be ``-1``.
        pattern: the dimensions of the tensor, by name, and one ``*`` for the packed one.

    Returns:
        The tensors: views where the framework can give them.

    Raises:
        PatternSyntaxError: the pattern cannot be read.
        AxisError: the pattern is no list of names with exactly one ``*``.
        SizeError: the rank does not fit, or the shapes do not add up to the packed dimension.

    Examples:
        >>> import numpy as np, plait
        >>> [part.shape for part in plait.unpack(np.zeros((2, 23)), [(3,), (4, -1)], "b *")]
        [(2, 3), (2, 4, 5)]
    """
    from plait._executor.packing import unpack as run

    return run(tensor, packed_shapes, pattern)


@dynamo_substitute(parse_shape_under_dynamo)
def parse_shape(tensor: Any, pattern: str) -> dict[str, int]:
    """The lengths of a tensor's dimensions, by name.

    Args:
        tensor: a tensor of any framework.
        pattern: a name for each dimension; ``_`` skips one, ``...`` any number, a number is checked.

    Returns:
        Names and lengths, in the order of the pattern.

    Raises:
        PatternSyntaxError: the pattern cannot be read.
        AxisError: the pattern is more than a list of names.
        SizeError: the rank or a length does not fit.

    Examples:
        >>> import numpy as np, plait
        >>> plait.parse_shape(np.zeros((2, 3, 5, 7)), "b _ h w")
        {'b': 2, 'h': 5, 'w': 7}
    """
    from plait._executor.packing import parse_shape as run

    return run(tensor, pattern)


@do_not_convert
def asnumpy(tensor: Any) -> Any:
    """The same elements as a NumPy array.

    Args:
        tensor: a tensor of any framework, on any device.

    Returns:
        A ``numpy.ndarray``: without a copy where the framework can share its memory. Half types that NumPy lacks
        become ``float32``.

    Raises:
        BackendError: the object is no tensor of a framework that plait knows.

    Examples:
        >>> import numpy as np, plait
        >>> plait.asnumpy(np.arange(3))
        array([0, 1, 2])
    """
    from plait._executor.packing import asnumpy as run

    return run(tensor)


@do_not_convert
def explain(pattern: str, /, *shapes: Any, **sizes: SupportsIndex | str) -> Explanation:
    """What plait would do with a pattern, for tensors of these shapes.

    The operation is read off the pattern: several tensors make an `einsum`, an axis that the right side lacks a
    `reduce`, one that the left side lacks a `repeat`, and otherwise it is a `rearrange`.

    Args:
        pattern: a pattern with an arrow.
        shapes: the shape of each tensor, in elements, of NumPy's arrays in memory row by row; or the tensors.
        sizes: the sizes of axes, in elements, that cannot be inferred from the shapes; and ``reduction``, by name.

    Returns:
        An object that prints the steps, each with the shape and axes that it leaves and whether it copies.

    Raises:
        PlaitError: what the call itself would raise.

    Examples:
        >>> import plait
        >>> plait.explain("b (h p) c -> b h (c p)", (2, 6, 4), p=2)
        rearrange  b (h p) c -> b h (c p)   p=2
          input     2 6 4     b (h p) c
          reshape   2 3 2 4   b h p c     view
          permute   2 3 4 2   b h c p     view
          reshape   2 3 8     b h (c p)   copies 48 elements
          output    2 3 8     b h (c p)
    """
    from plait._explain.explanation import explain

    return explain(pattern, *shapes, **sizes)
