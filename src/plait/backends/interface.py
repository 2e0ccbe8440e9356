"""The interface of a backend: what plait needs of a framework. Authors of a backend subclass `Backend`.

A backend is registered by a row of `plait.backends.registry`, or by an entry point of the group ``plait.backends``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, NamedTuple, TypeAlias

from plait.errors import make_error

if TYPE_CHECKING:
    from plait.backends.capabilities import BlockFunctions, ContractionFunctions, LargeTensorFunctions
    from plait.backends.common.reductions import ReductionTable

Tensor: TypeAlias = Any
"""A tensor of the framework."""
Size: TypeAlias = Any
"""The length of a dimension or of an axis: an int, or a symbolic size of the framework."""
ReductionFunction: TypeAlias = Callable[[Tensor, tuple[int, ...]], Tensor]
"""``f(tensor, axes)`` returns the tensor without these dimensions, which are indices that are not negative."""
AxesOfDimensions: TypeAlias = "tuple[tuple[int, ...], ...]"
"""For each dimension of a tensor, the numbers of its axes, in order."""
TensorFunction: TypeAlias = Callable[..., Tensor]
"""A function of the tensors of one call, in which every other argument is fixed."""

NO_VIEWS_MESSAGE = "this framework does not say whether a result is a view; use rearrange"
_KIND_BY_WORD_IN_NAME = (("bool", "bool"), ("complex", "complex"), ("float", "floating"), ("int", "integer"))

REQUIRED_ATTRIBUTES = ("name", "reshape", "permute", "expand", "concat", "stack", "einsum", "to_numpy")
"""The attributes that every backend must define, besides its reductions; all others have a default."""


def identity(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return a callable unchanged: the default of `Backend.wrap_callable` and `ContractionFunctions.wrap`."""
    return call


def kind_by_name(dtype: Any) -> str:
    """Return the kind of an element type as its name says it; see `Backend.kind`."""
    name = str(dtype)
    return next((kind for word, kind in _KIND_BY_WORD_IN_NAME if word in name), "other")


class LargeTensorSettings(NamedTuple):
    """The sizes from which reductions and copies are scheduled, and the function that loads the operations for it.

    Attributes:
        load: returns the operations; called when the first large tensor arrives, so that they are imported only then.
        min_elements: the number of elements from which a schedule may be faster than one call of the framework.
        min_elements_if_rounding: the same for reductions that round. Their schedule is chosen at the first call for
            every size, since another schedule may give other last digits; the choice must be worth it for one call.
        eager_elements: the number of elements from which the schedule of every operation is chosen at the first call.
            For smaller tensors it is chosen at the second call, because choosing takes longer than one call.
    """

    load: Callable[[], LargeTensorFunctions]
    min_elements: int
    min_elements_if_rounding: int = 1 << 14
    eager_elements: int = 1 << 17


class Backend:
    """The operations of one framework. Plans call them and nothing else of the framework.

    An instance serves the tensors of one type. plait creates it with ``Backend(tensor_type)`` when the first tensor of
    that type arrives, and keeps it. A subclass must define the attributes of `REQUIRED_ATTRIBUTES`, and either
    ``reductions`` or the method ``reduction``. PLT502 names those that are missing.

    The same call must give the same values, the same element type and the same errors on every framework. Where an
    operation of the framework means something else, the backend corrects it.

    Args:
        kind: the type of the tensors. Raise `TypeError` if the framework has no dense tensors of that type.

    Examples:
        >>> import numpy as np
        >>> from plait.backends.numpy.backend import NumpyBackend
        >>> backend = NumpyBackend(np.ndarray)
        >>> backend.permute(np.zeros((2, 3)), (1, 0)).shape
        (3, 2)
        >>> backend.reduction("sum", np.dtype(float))(np.ones((2, 3)), (1,))
        array([3., 3.])
    """

    # Required: the functions that a plan calls, each with tensors and one constant.
    name: ClassVar[str]
    """The name of the framework in messages. Backends with the same name accept each other's tensors."""

    reshape: Callable[[Tensor, Sequence[Size]], Tensor]
    """``reshape(tensor, shape)`` changes the shape and keeps the row-major order of the elements.

    * ``tensor``: a tensor of any shape.
    * ``shape``: the new shape, with as many elements as the tensor has.

    Returns a tensor of that shape: a view if the framework can make one, or else a copy.
    """

    permute: Callable[[Tensor, Sequence[int]], Tensor]
    """``permute(tensor, order)`` reorders the dimensions, as ``numpy.transpose`` does.

    * ``tensor``: a tensor of any rank.
    * ``order``: for each dimension of the result, the index of the dimension of the tensor. No index is negative.

    Returns a tensor whose dimension ``i`` is dimension ``order[i]`` of ``tensor``; a view if the framework has views.
    """

    expand: Callable[[Tensor, Sequence[Size]], Tensor]
    """``expand(tensor, shape)`` broadcasts a tensor, as ``numpy.broadcast_to`` does.

    * ``tensor``: a tensor of at most the rank of the shape; its dimensions align with the last ones of the shape.
    * ``shape``: the new shape. It may differ from the tensor's only where that has length 1, or no dimension.

    Returns a tensor of that shape; a view if the framework has views.
    """

    concat: Callable[[Sequence[Tensor], int], Tensor]
    """``concat(tensors, axis)`` concatenates tensors, as ``numpy.concatenate`` does.

    * ``tensors``: at least one tensor; all have the same lengths except along the dimension.
    * ``axis``: the index of the dimension, which every tensor has.

    Returns a tensor of the same rank, whose length along the dimension is the sum of theirs.
    """

    stack: Callable[[Sequence[Tensor]], Tensor]
    """``stack(tensors)`` stacks tensors of one shape along a new first dimension.

    * ``tensors``: at least one tensor; all have the same shape.

    Returns a tensor of shape ``(len(tensors), *shape)``.
    """

    einsum: Callable[Concatenate[str, ...], Tensor]
    """``einsum(equation, *tensors)`` is the framework's einsum.

    * ``equation``: the classical form with an arrow, as ``"ij,jk->ik"``. It may have ``...``, which
      broadcasts, and a letter that appears twice in a term, which takes a diagonal.
    * ``*tensors``: one tensor for each term of the equation.

    Returns a tensor of the promoted element type of the operands. Narrow element types are accumulated in a wider one.
    """

    to_numpy: Callable[[Tensor], Any]
    """``to_numpy(tensor)`` copies a tensor to a NumPy array, from any device.

    * ``tensor``: a tensor of any shape.

    Returns a ``numpy.ndarray`` with the same shape and elements. A type that NumPy lacks, as bfloat16, may be widened.
    """

    reductions: ReductionTable
    """The table that the default of `reduction` reads; a backend that overrides `reduction` does not need it."""

    # Optional: what a framework can do beyond that.
    view: Callable[[Tensor, Sequence[Size]], Tensor] | None = None
    """``view(tensor, shape)`` is `reshape` that never copies; ``None`` if the framework hides its memory.

    Raises any error of the framework's, if the shape needs a copy.
    """

    build_reshape_of_axes: Callable[[AxesOfDimensions, AxesOfDimensions], TensorFunction] | None = None
    """``build_reshape_of_axes(before, after)`` returns `reshape` for a step of a plan, if lengths do not say enough.

    * ``before``: for each dimension of the tensor, the numbers of its axes; a dimension of length 1 may have none.
    * ``after``: the same for each dimension of the result. An axis has the same number in both.

    Returns a function with the arguments of `reshape`.
    """

    expand_is_view: ClassVar[bool] = True
    """Whether `expand` gives a view, so that ``plait.view`` may add axes; asked only where `view` is defined."""

    copy_if_broadcast: Callable[[Tensor, None], Tensor] | None = None
    """``copy_if_broadcast(tensor, None)`` gives each element memory of its own, for ``plait.repeat``.

    * ``tensor``: a result of `expand`, or of a reshape or a permutation of it, which may be a copy already.

    Returns the tensor or a copy. ``None`` where the users of a framework expect a view, as in PyTorch, or cannot write
    into tensors at all.
    """

    accepts: ClassVar[frozenset[str]] = frozenset()
    """The names of other backends whose tensors the functions also accept, as JAX's accept NumPy's arrays."""

    tensor_from_number: Callable[[Any, Tensor], Tensor] | None = None
    """``tensor_from_number(number, tensor)`` makes a tensor of rank 0, which a classical einsum takes beside tensors.

    * ``number``: a Python bool, int, float or complex.
    * ``tensor``: one of the tensors, which decides the device, and with the number the element type.

    Returns a tensor of rank 0; ``None`` if the framework's users multiply by the number themselves.
    """

    einsum_optimizes_path: ClassVar[bool] = False
    """Whether ``einsum`` finds a good contraction path itself; plait then gives it all tensors in one call."""

    contraction_functions: Callable[[tuple[Any, ...]], ContractionFunctions | None] = staticmethod(lambda _: None)
    """``contraction_functions(dtypes)`` returns the operations that pairwise contractions are made of.

    * ``dtypes``: the element type of each operand.

    Returns the operations, or ``None`` where ``einsum`` of all the operands is faster.
    """

    load_block_functions: Callable[[], BlockFunctions] | None = None
    """``load_block_functions()`` returns the operations with which an einsum keeps a limit of memory.

    ``None`` where it cannot be kept, since the framework decides itself when memory is allocated.
    """

    build_einsum_within_limit: Callable[[str, int], TensorFunction] | None = None
    """``build_einsum_within_limit(equation, limit)`` returns an einsum whose tasks keep a limit of memory each.

    * ``equation``: the classical form with an arrow.
    * ``limit``: the bytes that one task may allocate.

    Returns a lazy function of the tensors; ``None`` if the framework is not lazy, or has no tasks.
    """

    large_tensors: LargeTensorSettings | None = None
    """How large tensors are reduced and copied; ``None`` if one call is fastest, or if the framework hides memory."""

    why_single_calls: str | None = None
    """What ``explain`` says about why a large tensor is one call for each step, if ``large_tensors`` is ``None``."""

    wrap_callable: Callable[[TensorFunction], TensorFunction] = staticmethod(identity)
    """``wrap_callable(call)`` wraps all calls of a plan before they are cached; a framework can compile them here.

    * ``call``: a function of the operands, which calls functions of this backend and nothing else.

    Returns a function of the same operands that returns the same.
    """

    is_wrapper: ClassVar[bool] = False
    """Whether its objects wrap a tensor, on which plait makes the call: a subclass of ``WrapperBackend``."""

    shape_is_list: bool = False
    """Whether the attribute ``shape`` of the tensors is a list of ints, which cannot be a key of a cache."""

    def __init__(self, kind: type) -> None:
        """Create the backend for tensors of this type."""

    def missing(self) -> list[str]:
        """Return the names of the required attributes that this backend lacks."""
        table = ("reductions",) if type(self).reduction is Backend.reduction else ()
        return [name for name in (*REQUIRED_ATTRIBUTES, *table) if not hasattr(self, name)]

    def reduction(self, name: str, dtype: Any) -> ReductionFunction:
        """Return the function of a reduction.

        Args:
            name: a name of `plait.backends.reduction_rules.REDUCTION_RULES`, such as ``"sum"``.
            dtype: the element type of the tensors, or ``None`` if it is unknown.

        Returns:
            A function ``f(tensor, axes)`` that removes these dimensions, and gives what the rule of the name says.
        """
        return self.reductions.reduction(name, None if dtype is None else self.kind(dtype), dtype)

    def exclude_functions_from_tracing(self, functions: Sequence[Callable[..., Any]]) -> None:
        """Tell a framework which functions its tracers must not compile; the default does nothing.

        Args:
            functions: plait's public functions. The call is repeated with the same ones, and must then do nothing.
        """

    def for_any_type(self) -> Backend:
        """Return a backend whose functions accept tensors of every type of the framework.

        It is used after a reduction or an einsum, whose result may be of another type than its operands, and for
        tensors of several types.

        Returns:
            The backend; the default is this one.
        """
        return self

    def matmul(self, left: Tensor, right: Tensor, /) -> Tensor:
        """Return the products of the matrices in the last two dimensions, as ``numpy.matmul`` of rank 2 and more.

        It is called for ``options(einsum="matmul")``. The default is an einsum; a framework whose graphs are exported
        to runtimes without one overrides it.

        Args:
            left: a tensor of rank 2 or more.
            right: a tensor of the same rank; each dimension but the last two has the same length, or one has length 1.

        Returns:
            A tensor of the same rank, with the element type that `einsum` would give.
        """
        return self.einsum("...ij,...jk->...ik", left, right)

    def multiply(self, left: Tensor, right: Tensor, /) -> Tensor:
        """Return the products of elements, with broadcasting; it is used as `matmul` is.

        Args:
            left: a tensor.
            right: a tensor; its last dimensions align with those of the other.

        Returns:
            A tensor with the element type that `einsum` would give.
        """
        return self.einsum("...,...->...", left, right)

    def einsum_with_backend_kwargs(
        self, equation: str, shape: Sequence[Size] | None, kwargs: dict[str, Any]
    ) -> TensorFunction:
        """Return an einsum with keyword arguments of the framework, and a reshape of its result.

        Args:
            equation: the equation in the classical form with an arrow.
            shape: the shape of the result, or ``None`` where einsum gives it.
            kwargs: the keyword arguments for the framework, such as ``out_sharding``.

        Returns:
            A function of the operands.

        Raises:
            BackendError: PLT509, the framework has no ``out_sharding``; PLT512, it has none of the other arguments.
        """
        if "out_sharding" in kwargs:
            raise make_error("PLT509", f"out_sharding is supported for JAX arrays only, not for {self.name}")
        raise make_error("PLT512", f"{' and '.join(kwargs)} can be given for JAX arrays only, not for {self.name}")

    def slice(self, tensor: Tensor, axis: int, start: Size, stop: Size) -> Tensor:
        """Take an interval of one dimension.

        Args:
            tensor: a tensor of any rank above 0.
            axis: the index of the dimension.
            start: the first index.
            stop: the index after the last, at most the length of the dimension.

        Returns:
            A tensor of the same rank, with length ``stop - start`` along the dimension; a view if there are views.
        """
        part = (*((slice(None),) * axis), slice(start, stop), ...)
        return tensor[part]

    def split(self, tensor: Tensor, axis: int, lengths: Sequence[Size]) -> Sequence[Tensor]:
        """Split one dimension into consecutive parts.

        Args:
            tensor: a tensor of any rank above 0.
            axis: the index of the dimension.
            lengths: the lengths of the parts, whose sum is the length of the dimension.

        Returns:
            One tensor for each length.
        """
        parts: list[Tensor] = []
        start = 0
        for length in lengths:
            parts.append(self.slice(tensor, axis, start, start + length))
            start = start + length
        return parts

    def version(self, tensor: Tensor) -> int | None:
        """Return a number that changes when elements of a tensor are written, so that results of it may be kept.

        Args:
            tensor: a tensor.

        Returns:
            The number; 0 where the framework does not count writes, so that the caller must not write; ``None`` where
            nothing computed of the tensor may be kept, because a gradient, a trace or another transformation follows
            it. The default keeps nothing.
        """
        return None

    def outside_of_traces(self) -> AbstractContextManager[Any]:
        """Return a context in which operations on tensors that have a `version` give values that may be kept.

        Tensors of a trace, and results that follow a gradient, are not such values. The default changes nothing.
        """
        return nullcontext()

    def is_signal(self, error: Exception) -> bool:
        """Return whether an error must leave plait unchanged, because the framework's own tracers or callers catch it.

        Args:
            error: an error that a function of the framework raised. Other errors become PLT513, with their message.
        """
        return False

    # What a framework reveals about a tensor.
    def rank(self, tensor: Tensor) -> int | None:
        """Return the number of dimensions, or ``None`` if the framework does not reveal it."""
        return len(tensor.shape)

    def dtype(self, tensor: Tensor) -> Any:
        """Return the element type as the framework's own object, or ``None`` if it does not reveal it."""
        return tensor.dtype

    def kind(self, dtype: Any) -> str:
        """Return the kind of an element type: ``bool``, ``integer``, ``floating``, ``complex``, or ``other``.

        Args:
            dtype: an element type as `dtype` returns it. ``other`` means that plait cannot judge it, as of objects.
        """
        return kind_by_name(dtype)

    def shape(self, tensor: Tensor) -> Sequence[Size]:
        """Return the shape: a tuple of ints, or, while the framework traces, a sequence that has symbolic sizes.

        If the sequence is neither a tuple nor a list, plait only indexes it, and never iterates over it.
        """
        shape: Sequence[Size] = tensor.shape
        return shape

    def fully_known_shape(self, shape: Any) -> tuple[int, ...] | None:
        """Convert a tensor's attribute ``shape`` to a tuple, where it is a hashable object of another type.

        Args:
            shape: the attribute.

        Returns:
            The lengths, or ``None`` if not all of them are known.
        """
        return None

    def strides(self, tensor: Tensor) -> tuple[int, ...] | None:
        """Return the stride of each dimension, in any one unit; ``None`` if the framework does not reveal them."""
        return None

    # Tracing: sizes that are known only when a graph runs. The defaults are for a framework that knows every size.
    def static_shape(self, tensor: Tensor, rank: int) -> Sequence[int | None]:
        """Return the lengths that are ints while the framework traces; called only where `can_compare_sizes` is false.

        Args:
            tensor: a tensor, which may have unknown lengths.
            rank: its number of dimensions.

        Returns:
            One length for each dimension, or ``None`` where it is not an int before the graph runs.
        """
        return (None,) * rank

    def can_compare_sizes(self, tensors: Sequence[Tensor]) -> bool:
        """Return whether sizes of these tensors may be compared; if not, only those of `static_shape` are checked."""
        return True

    def is_symbolic_size(self, size: Any) -> bool:
        """Return whether a value is a symbolic size of this framework, which plait may compute with but not read."""
        return False

    def is_zero_size(self, size: Size) -> bool | None:
        """Return whether a size is 0; ``None`` if only a run of the graph can tell, which must then check it itself.

        Args:
            size: an int, or a symbolic size that is not negative.
        """
        return bool(size == 0)

    def sizes_differ(self, size: Size, other: Size) -> bool:
        """Return whether two sizes differ; false if only a run of the graph can tell, which must then check it."""
        return bool(size != other)

    def size_from_user(self, size: Any) -> Size:
        """Convert a symbolic size that the caller passed to the form in which this backend computes with sizes."""
        return size

    def size_to_user(self, size: Size) -> Any:
        """Convert a size of this backend to a value that ``parse_shape`` and ``pack`` can return to the caller."""
        return size

    def traced_reshape(self, tensor: Tensor, shape: Sequence[Size], sizes: Sequence[Size], axes: Any) -> Tensor:
        """Reshape a tensor while the framework traces, where it must know which dimensions are merged and split.

        Args:
            tensor: a tensor of the graph.
            shape: the new shape.
            sizes: the sizes of all the axes of the pattern.
            axes: a pair: for each dimension before, and for each dimension after, the indices of its axes in ``sizes``.

        Returns:
            The tensor in the new shape; the default is `reshape`.
        """
        return self.reshape(tensor, shape)
