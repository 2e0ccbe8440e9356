"""The public functions: each looks up its call in the cache and makes it, or leaves it to `call_uncached`.

Arguments that cannot be a key of the cache (a list of tensors, a symbolic size, some mistakes) raise a `TypeError` or
an `AttributeError` at the look-up. The overloads are for type checkers; see `plait._types`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

from plait._executor.cache import lookup, lookup_einsum_without_sizes, types_shapes_and_dtypes
from plait._executor.dynamo import (
    pack_under_dynamo,
    parse_shape_under_dynamo,
    substitute_for_einsum,
    substitute_for_one_tensor,
    substitute_for_reduce,
    unpack_under_dynamo,
)
from plait._executor.einsum_forms import split_einsum_arguments
from plait._executor.options import CURRENT_OPTIONS, options_with_backend_kwargs
from plait._executor.tracer_hooks import do_not_convert, dynamo_substitute
from plait._executor.uncached_dispatch import call_uncached, convert_error_for_caller
from plait.errors import PlaitError, shorten_traceback

if TYPE_CHECKING:
    from typing import overload

    from typing_extensions import Unpack

    from plait._explain.explanation import Explanation
    from plait._types import (
        AxisNumbers,
        JaxArray,
        NumpyArguments,
        NumpyArray,
        OneOrSeveral,
        Optimize,
        OtherResult,
        Reduction,
        Reshapable,
        Result,
        Tensor,
        TensorsAndPattern,
    )
else:  # strings, which only `typing.get_type_hints` evaluates, so that `import plait` does not make these types
    Explanation = "import_type('Explanation')"
    NumpyArray = "import_type('NumpyArray')"
    Reduction = "import_type('Reduction')"

    def overload(function):
        """Return the function; `typing.overload` would register it too, which takes longer than all else here."""
        return function


def import_type(name: str) -> Any:
    """Return a type of `plait._types` by name; the annotations of the public functions call it when evaluated."""
    import plait._types

    return getattr(plait._types, name)


@overload
def rearrange(tensor: OneOrSeveral[Result], pattern: str, **sizes: SupportsIndex) -> Result: ...
@overload
def rearrange(tensor: Sequence[Tensor], pattern: str, **sizes: SupportsIndex) -> Tensor: ...
@overload
def rearrange(tensor: Tensor, pattern: str, **sizes: SupportsIndex) -> Tensor: ...
@dynamo_substitute(substitute_for_one_tensor("rearrange"))
def rearrange(tensor: Any, pattern: str, **sizes: SupportsIndex) -> Any:
    """Reorder, split, merge, add and drop dimensions; every axis appears on both sides of the arrow.

    Axes of length 1 are the exception: a ``1`` may appear on one side only.

    Args:
        tensor: A tensor of any framework, of any shape that the left side matches. A list or tuple of tensors of one
            shape is stacked, and its first axis is the position in the list.
        pattern: The axes of the input and of the result, such as ``"b (h p) c -> b h (p c)"``.
        sizes: The lengths of axes, in elements. Only those are needed that the shape does not determine.

    Returns:
        A tensor of the same framework and element type, with a dimension for each item on the right side. It is a
        view of the input's memory if the framework can give one.

    Raises:
        PatternSyntaxError: If the pattern cannot be parsed.
        AxisError: If an axis appears on one side only, or a size has the name of no axis.
        SizeError: If the rank or a length of the tensor does not match the pattern.
        BackendError: If plait does not know the framework of the tensor.

    Examples:
        >>> import numpy as np, plait
        >>> image = np.zeros((64, 96, 3))
        >>> plait.rearrange(image, "(h p) (w q) c -> (h w) (p q c)", p=16, q=16).shape
        (24, 768)
    """
    try:
        call = lookup("rearrange", pattern, type(tensor), tensor.shape, **sizes).call
    except Exception:  # the arguments cannot be a key of the cache
        call = None
    try:
        return call_uncached("rearrange", (tensor,), pattern, sizes) if call is None else call(tensor)
    except Exception as error:
        error = convert_error_for_caller(error, "rearrange", (tensor,), pattern, sizes)
        if not isinstance(error, PlaitError):
            raise
        raise error from error.__cause__


@overload
def view(tensor: Reshapable[Result], pattern: str, **sizes: SupportsIndex) -> Result: ...
@overload
def view(tensor: Tensor, pattern: str, **sizes: SupportsIndex) -> Tensor: ...
@dynamo_substitute(substitute_for_one_tensor("view"))
def view(tensor: Any, pattern: str, **sizes: SupportsIndex) -> Any:
    """Do what `rearrange` or `repeat` does, but only if the result shares the memory of the tensor.

    Args:
        tensor: A tensor of a framework that has views, such as NumPy or PyTorch.
        pattern: The axes of the input and of the result, such as ``"a (b c) -> b c a"``.
        sizes: The lengths of axes, in elements. Only those are needed that the shape does not determine.

    Returns:
        A tensor with a dimension for each item on the right side; writing to it changes the input. With an axis that
        appears on the right side only, several elements are one element in memory, and NumPy's result is read-only.

    Raises:
        CopyRequiredError: If no view of the tensor's memory has the elements of the result in order; the carets show
            which group would have to be copied.
        PlaitError: As `rearrange` and `repeat` do.

    Examples:
        >>> import numpy as np, plait
        >>> x = np.zeros((4, 6))
        >>> plait.view(x, "a (b c) -> b c a", b=2).base is x
        True
    """
    try:
        strides = tensor.strides if hasattr(tensor, "strides") else tensor.stride()
        call = lookup("view", pattern, type(tensor), tensor.shape, strides, **sizes).call
    except Exception:  # the arguments cannot be a key of the cache
        call = None
    try:
        return call_uncached("view", (tensor,), pattern, sizes) if call is None else call(tensor)
    except Exception as error:
        error = convert_error_for_caller(error, "view", (tensor,), pattern, sizes)
        if not isinstance(error, PlaitError):
            raise
        raise error from error.__cause__


@overload
def reduce(tensor: OneOrSeveral[Result], pattern: str, reduction: Reduction, **sizes: SupportsIndex) -> Result: ...
@overload
def reduce(tensor: Sequence[Tensor], pattern: str, reduction: Reduction, **sizes: SupportsIndex) -> Tensor: ...
@overload
def reduce(tensor: Tensor, pattern: str, reduction: Reduction, **sizes: SupportsIndex) -> Tensor: ...
@dynamo_substitute(substitute_for_reduce())
def reduce(tensor: Any, pattern: str, reduction: Reduction, **sizes: SupportsIndex) -> Any:
    """Combine the elements along the axes that appear on the left side only.

    Args:
        tensor: A tensor of any framework, of any shape that the left side matches. A list or tuple of tensors of one
            shape is stacked, and its first axis is the position in the list.
        pattern: The axes of the input and of the result, such as ``"b (h 2) (w 2) c -> b h w c"``.
        reduction: ``"min"``, ``"max"``, ``"sum"``, ``"mean"``, ``"prod"``, ``"any"``, ``"all"``, ``"std"``, ``"var"``
            or ``"logsumexp"``, where ``"std"`` and ``"var"`` divide by the number of elements; or a function
            ``f(tensor, axes)`` that returns the tensor without the dimensions whose positions are in ``axes``.
        sizes: The lengths of axes, in elements. Only those are needed that the shape does not determine.

    Returns:
        A tensor of the same framework, with a dimension for each item on the right side.

    Raises:
        PatternSyntaxError: If the pattern cannot be parsed.
        AxisError: If an axis appears on the right side only, a size has the name of no axis, or there is no
            reduction of that name.
        SizeError: If the rank or a length of the tensor does not match the pattern, or if ``"min"`` or ``"max"``
            would have no elements to choose from.
        BackendError: If the reduction is not defined for the element type, such as ``"mean"`` for integers, or
            plait does not know the framework of the tensor. An error of a function that is passed as the reduction
            leaves plait unchanged.

    Examples:
        >>> import numpy as np, plait
        >>> x = np.arange(16.0).reshape(4, 4)
        >>> plait.reduce(x, "(h 2) (w 2) -> h w", "max")
        array([[ 5.,  7.],
               [13., 15.]])
    """
    try:
        call = lookup("reduce", pattern, type(tensor), tensor.shape, reduction, tensor.dtype, **sizes).call
    except Exception:  # the arguments cannot be a key of the cache
        call = None
    try:
        return call_uncached("reduce", (tensor,), pattern, sizes, reduction) if call is None else call(tensor)
    except Exception as error:
        error = convert_error_for_caller(error, "reduce", (tensor,), pattern, sizes)
        if not isinstance(error, PlaitError):
            raise
        raise error from error.__cause__


@overload
def repeat(tensor: OneOrSeveral[Result], pattern: str, **sizes: SupportsIndex) -> Result: ...
@overload
def repeat(tensor: Sequence[Tensor], pattern: str, **sizes: SupportsIndex) -> Tensor: ...
@overload
def repeat(tensor: Tensor, pattern: str, **sizes: SupportsIndex) -> Tensor: ...
@dynamo_substitute(substitute_for_one_tensor("repeat"))
def repeat(tensor: Any, pattern: str, **sizes: SupportsIndex) -> Any:
    """Repeat the elements along the axes that appear on the right side only.

    Args:
        tensor: A tensor of any framework, of any shape that the left side matches. A list or tuple of tensors of one
            shape is stacked, and its first axis is the position in the list.
        pattern: The axes of the input and of the result, such as ``"h w -> (h 2) (w 2)"``.
        sizes: The lengths of axes, in elements. Each axis that appears on the right side only needs one.

    Returns:
        A tensor of the same framework and element type, with a dimension for each item on the right side. If an axis
        is added, the result on NumPy and CuPy is a new array that can be written to, as in einops. Elsewhere it is a
        view if the framework can give one, such as PyTorch's expanded tensors. `view` gives the view on NumPy too,
        which is read-only, because several of its elements are one element in memory.

    Raises:
        PatternSyntaxError: If the pattern cannot be parsed.
        AxisError: If an axis appears on the left side only, or a size has the name of no axis.
        SizeError: If the rank or a length of the tensor does not match the pattern, or a new axis has no size.
        BackendError: If plait does not know the framework of the tensor.

    Examples:
        >>> import numpy as np, plait
        >>> plait.repeat(np.array([1, 2]), "w -> h (w r)", h=2, r=2)
        array([[1, 1, 2, 2],
               [1, 1, 2, 2]])
    """
    try:
        call = lookup("repeat", pattern, type(tensor), tensor.shape, **sizes).call
    except Exception:  # the arguments cannot be a key of the cache
        call = None
    try:
        return call_uncached("repeat", (tensor,), pattern, sizes) if call is None else call(tensor)
    except Exception as error:
        error = convert_error_for_caller(error, "repeat", (tensor,), pattern, sizes)
        if not isinstance(error, PlaitError):
            raise
        raise error from error.__cause__


@overload
def einsum(
    first: Reshapable[Result], second: Reshapable[OtherResult], pattern: str, /, **sizes: SupportsIndex
) -> Result | OtherResult: ...
@overload
def einsum(*operands: Unpack[TensorsAndPattern[Reshapable[Result]]], **sizes: SupportsIndex) -> Result: ...
@overload
def einsum(
    *operands: Unpack[TensorsAndPattern[JaxArray[Result]]],
    out_sharding: Any = ...,
    precision: Any = ...,
    preferred_element_type: Any = ...,
    **sizes: SupportsIndex,
) -> Result: ...
@overload
def einsum(first: Result, second: OtherResult, pattern: str, /, **sizes: SupportsIndex) -> Result | OtherResult: ...
@overload
def einsum(*operands: Unpack[TensorsAndPattern[Any]], **sizes: SupportsIndex) -> Any: ...
@overload
def einsum(
    classical_equation: str,
    first: Reshapable[Result],
    second: Reshapable[OtherResult],
    /,
    *,
    optimize: Optimize = ...,
) -> Result | OtherResult: ...
@overload
def einsum(
    classical_equation: str,
    tensor: Reshapable[Result],
    /,
    *tensors: Reshapable[Result],
    optimize: Optimize = ...,
) -> Result: ...
@overload
def einsum(
    classical_equation: str,
    tensor: JaxArray[Result],
    /,
    *tensors: JaxArray[Result],
    optimize: Optimize = ...,
    out_sharding: Any = ...,
    precision: Any = ...,
    preferred_element_type: Any = ...,
) -> Result: ...
@overload
def einsum(
    classical_equation: str, first: Result, second: OtherResult, /, *, optimize: Optimize = ...
) -> Result | OtherResult: ...
@overload
def einsum(
    classical_equation: str, tensor: Any, /, *tensors: Any, out: Result, **numpy_arguments: Unpack[NumpyArguments]
) -> Result: ...
@overload
def einsum(
    classical_equation: str, tensor: Any, /, *tensors: Any, out: None = ..., **numpy_arguments: Unpack[NumpyArguments]
) -> Any: ...
@overload
def einsum(
    tensor: Any, axis_numbers: AxisNumbers, /, *more: Any, out: Result, **numpy_arguments: Unpack[NumpyArguments]
) -> Result: ...
@overload
def einsum(
    tensor: Any, axis_numbers: AxisNumbers, /, *more: Any, out: None = ..., **numpy_arguments: Unpack[NumpyArguments]
) -> Any: ...
@dynamo_substitute(substitute_for_einsum())  # type: ignore[misc]  # mypy does not compare `*operands: Any` with `Unpack`
def einsum(
    *operands: Any,
    out_sharding: Any = None,
    precision: Any = None,
    preferred_element_type: Any = None,
    **sizes: Any,
) -> Any:
    """Multiply tensors, and sum over the axes that the right side does not have.

    In the named form, ``einsum(*tensors, pattern)``, axes are names, and groups, numbers and ``1`` may be used. An axis
    has the same length in all tensors; only the dimensions of ``...`` broadcast.

    In the classical form, ``einsum(equation, *tensors)``, each letter is an axis as in ``numpy.einsum``, and the right
    side may be left out. The interleaved form, ``einsum(a, [0, 1], b, [1, 2], [0, 2])``, has numbers from 0 to 51 for
    letters. Both take what ``numpy.einsum`` takes: length 1 of an axis is stretched, numbers and lists may be operands,
    an ellipsis of the left side alone is summed, and there are five keyword arguments, below. In the named form these
    are sizes of axes.

    plait chooses the contraction path for the lengths at hand; `explain` shows it, and `options` changes it. On a CPU,
    products of 16-bit floats are summed in ``float32``.

    Args:
        operands: One or more tensors of one framework, and the pattern or equation. The left side has a part for each
            tensor, separated by commas, such as ``"b i d, b j d -> b i j"``. In the interleaved form each tensor is
            followed by the numbers of its axes, and those of the result may come last.
        out_sharding: For JAX only, the sharding of the result: a ``PartitionSpec`` or ``NamedSharding`` with one entry
            for each dimension. This and the next two names cannot be axes with a size.
        precision: For JAX only, the ``precision`` of `jax.numpy.einsum`.
        preferred_element_type: For JAX only, the element type in which products are summed.
        sizes: In the named form the lengths of axes, in elements. Only those are needed that the shapes do not
            determine. In the classical and the interleaved form the arguments of ``numpy.einsum``: ``optimize``, a
            contraction path or how to find one, as ``contract`` of `options`, and a truth value changes nothing; and on
            NumPy arrays ``out``, the array to which the result is written; ``dtype``, the element type of the
            computation; ``casting``, the casts that are allowed, ``"safe"`` if it is not given; and ``order``, the
            memory order of the result.

    Returns:
        A tensor of the same framework and of the tensors' common element type, with a dimension for each item on the
        right side; or ``out``.

    Raises:
        PatternSyntaxError: If the pattern or equation cannot be parsed.
        AxisError: If an axis appears on the right side only, a size has the name of no axis, or the pattern is for
            another number of tensors.
        SizeError: If a rank or a length does not match the pattern, or an axis has two lengths.
        BackendError: If the tensors belong to different frameworks, or the framework does not have one of the arguments
            after the operands, or the argument cannot have this value.

    Warns:
        AxisWarning: If an axis appears only once and so is summed, and its name is almost that of another axis; or if
            several terms of an equation have a word beside an ellipsis that looks like the name of one axis.

    Examples:
        >>> import numpy as np, plait
        >>> q, k = np.ones((2, 5, 12)), np.ones((2, 7, 12))
        >>> plait.einsum(q, k, "b i (h d), b j (h d) -> b h i j", h=3).shape
        (2, 3, 5, 7)
        >>> plait.einsum("bid,bjd->bij", q, k, optimize="greedy").shape
        (2, 5, 7)
        >>> plait.einsum(q, [0, 1, 2], k, [0, 3, 2], [1, 3], out=np.zeros((5, 7))).sum()
        840.0
    """
    options = CURRENT_OPTIONS.get()
    if not (out_sharding is precision is preferred_element_type is None):
        options = options_with_backend_kwargs(
            options, out_sharding=out_sharding, precision=precision, preferred_element_type=preferred_element_type
        )
    try:
        if type(operands[0]) is str:
            operation, pattern, tensors = "classical", operands[0], operands[1:]
        else:
            operation, pattern, tensors = "einsum", operands[-1], operands[:-1]
        if len(tensors) == 2:  # written out, since calling `types_shapes_and_dtypes` adds a tenth to plait's own time
            a, b = tensors
            classes, shapes, dtypes = (type(a), type(b)), (a.shape, b.shape), (a.dtype, b.dtype)
        else:
            classes, shapes, dtypes = types_shapes_and_dtypes(tensors)
        if not sizes:
            call = lookup_einsum_without_sizes(operation, pattern, classes, shapes, dtypes, options).call
        elif operation == "einsum":
            call = lookup(operation, pattern, classes, shapes, dtypes, options, **sizes).call
        else:  # arguments of NumPy's einsum
            call = None
    except Exception:  # the arguments cannot be a key of the cache
        call = None
    if call is None:
        try:
            operation, pattern, tensors = split_einsum_arguments(operands)
        except PlaitError as error:
            raise shorten_traceback(error) from None
    try:
        return call_uncached(operation, tensors, pattern, sizes, "", options) if call is None else call(*tensors)
    except Exception as error:
        error = convert_error_for_caller(error, "einsum", tensors, pattern, sizes)
        if not isinstance(error, PlaitError):
            raise
        raise error from error.__cause__


@overload
def pack(tensors: Sequence[Reshapable[Result]], pattern: str) -> tuple[Result, list[tuple[int, ...]]]: ...
@overload
def pack(tensors: Sequence[Tensor], pattern: str) -> tuple[Tensor, list[tuple[int, ...]]]: ...
@dynamo_substitute(pack_under_dynamo)
def pack(tensors: Sequence[Any], pattern: str) -> tuple[Any, list[tuple[int, ...]]]:
    """Concatenate tensors that differ in some dimensions, after merging those dimensions into one.

    Args:
        tensors: A list or tuple of tensors of one framework; their ranks may differ.
        pattern: A name for each dimension that all tensors have, and one ``*`` for the others, such as ``"b * c"``.

    Returns:
        The packed tensor, with one dimension for each name and one for the ``*``; and a list with the lengths, in
        elements, of the dimensions that the ``*`` replaces in each tensor, which `unpack` needs.

    Raises:
        PatternSyntaxError: If the pattern cannot be parsed.
        AxisError: If the pattern is not a list of names with exactly one ``*``.
        SizeError: If a tensor has too few dimensions, or the tensors differ in a dimension that has a name.
        BackendError: If the tensors belong to different frameworks, or to one that plait does not know.

    Examples:
        >>> import numpy as np, plait
        >>> packed, shapes = plait.pack([np.zeros((2, 3)), np.zeros((2, 4, 5))], "b *")
        >>> packed.shape, shapes
        ((2, 23), [(3,), (4, 5)])
    """
    from plait._executor.packing import pack as run

    try:
        return run(tensors, pattern)
    except Exception as error:
        error = convert_error_for_caller(error, "pack", tensors, pattern, {})
        if not isinstance(error, PlaitError):
            raise
        raise error from error.__cause__


@overload
def unpack(tensor: Reshapable[Result], packed_shapes: Sequence[Sequence[int]], pattern: str) -> list[Result]: ...
@overload
def unpack(tensor: Tensor, packed_shapes: Sequence[Sequence[int]], pattern: str) -> list[Tensor]: ...
@dynamo_substitute(unpack_under_dynamo)
def unpack(tensor: Any, packed_shapes: Sequence[Sequence[int]], pattern: str) -> list[Any]:
    """Split a tensor into the tensors that `pack` has concatenated.

    Args:
        tensor: The packed tensor.
        packed_shapes: For each result the lengths, in elements, of the dimensions that replace the ``*``. One length
            of all may be ``-1``, and is then computed from the others.
        pattern: A name for each dimension of the tensor, and ``*`` for the packed one, such as ``"b * c"``.

    Returns:
        A list of tensors, one for each entry of ``packed_shapes``. They are views of the packed tensor's memory if the
        framework can give them.

    Raises:
        PatternSyntaxError: If the pattern cannot be parsed.
        AxisError: If the pattern is not a list of names with exactly one ``*``.
        SizeError: If the tensor has another rank than the pattern, or the shapes do not add up to its packed dimension.
        BackendError: If plait does not know the framework of the tensor.

    Examples:
        >>> import numpy as np, plait
        >>> [part.shape for part in plait.unpack(np.zeros((2, 23)), [(3,), (4, -1)], "b *")]
        [(2, 3), (2, 4, 5)]
    """
    from plait._executor.packing import unpack as run

    try:
        return run(tensor, packed_shapes, pattern)
    except Exception as error:
        error = convert_error_for_caller(error, "unpack", (tensor,), pattern, {})
        if not isinstance(error, PlaitError):
            raise
        raise error from error.__cause__


@dynamo_substitute(parse_shape_under_dynamo)
def parse_shape(tensor: Any, pattern: str) -> dict[str, int]:
    """Return the lengths of a tensor's dimensions by name.

    Args:
        tensor: A tensor of any framework.
        pattern: A name for each dimension, such as ``"b _ h w"``. ``_`` skips one dimension and ``...`` any number of
            them; a number is the length that the dimension must have.

    Returns:
        The length of each dimension that has a name, in elements, in the order of the pattern.

    Raises:
        PatternSyntaxError: If the pattern cannot be parsed.
        AxisError: If the pattern has an arrow, a comma, a group, or a name twice.
        SizeError: If the rank or a length of the tensor does not match the pattern.
        BackendError: If plait does not know the framework of the tensor, or its rank is not known yet.

    Examples:
        >>> import numpy as np, plait
        >>> plait.parse_shape(np.zeros((2, 3, 5, 7)), "b _ h w")
        {'b': 2, 'h': 5, 'w': 7}
    """
    from plait._executor.packing import parse_shape as run

    try:
        return run(tensor, pattern)
    except Exception as error:
        error = convert_error_for_caller(error, "parse_shape", (tensor,), pattern, {})
        if not isinstance(error, PlaitError):
            raise
        raise error from error.__cause__


@do_not_convert
def asnumpy(tensor: Any) -> NumpyArray:
    """Convert a tensor to a NumPy array.

    Args:
        tensor: A tensor of any framework, of any shape, on any device.

    Returns:
        A ``numpy.ndarray`` of the same shape. It shares the tensor's memory if the framework can share it, and is a
        copy otherwise. 16-bit floats that NumPy does not have, such as ``bfloat16``, become ``float32``.

    Raises:
        BackendError: If plait does not know the framework of the tensor, or the tensor has no values, as while a
            compiler traces a function.

    Examples:
        >>> import numpy as np, plait
        >>> plait.asnumpy(np.arange(3))
        array([0, 1, 2])
    """
    from plait._executor.packing import asnumpy as run

    try:
        return run(tensor)
    except PlaitError as error:
        raise shorten_traceback(error) from error.__cause__


@do_not_convert
def explain(pattern: str, /, *shapes: Any, **sizes: SupportsIndex | str) -> Explanation:
    """Return the steps that plait would take for a pattern and tensors of these shapes; no tensor is computed.

    The pattern decides the operation: several tensors make an `einsum`, an axis on the left side only makes a
    `reduce`, one on the right side only a `repeat`, and all other patterns are a `rearrange`.

    Args:
        pattern: A pattern with an arrow, or a classical equation such as ``"ij,jk->ik"``.
        shapes: For each tensor its shape, in elements, which is taken as that of a contiguous NumPy array; or the
            tensor itself.
        sizes: The lengths of axes, in elements, that the shapes do not determine; and ``reduction``, the name of the
            reduction, which is ``"sum"`` by default.

    Returns:
        An object that prints the steps: each with the shape and axes of its result, and whether it copies.

    Raises:
        PlaitError: If the operation itself would raise one for tensors of these shapes.

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

    try:
        return explain(pattern, *shapes, **sizes)
    except PlaitError as error:
        raise shorten_traceback(error) from error.__cause__
