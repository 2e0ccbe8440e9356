"""What plait needs of a framework: a subclass of `Backend`, and a row of the registry or an entry point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, NamedTuple, TypeAlias

from plait.errors import make_error

if TYPE_CHECKING:
    from plait.backends.capabilities import ContractionOps, LargeTensorOps
    from plait.backends.common.reductions import ReductionTable

Tensor: TypeAlias = Any
Size: TypeAlias = Any
"""An int, or the framework's symbol for one."""
Reduction: TypeAlias = Callable[[Tensor, tuple[int, ...]], Tensor]
"""``f(tensor, axes)``: the tensor without those dimensions, each an index that is not negative."""
TensorCall: TypeAlias = Callable[..., Tensor]
"""A callable of the tensors of one call, which knows everything else."""

NO_VIEWS = "this framework does not promise views; rearrange gives one where it can"
_KINDS = (("bool", "bool"), ("complex", "complex"), ("float", "floating"), ("int", "integer"))

REQUIRED = ("name", "reshape", "permute", "expand", "concat", "stack", "einsum", "to_numpy")
"""What every backend has, beside its reductions; the rest has a default."""


def as_it_is(call: Callable[..., Any]) -> Callable[..., Any]:
    """What nothing is done to: `ContractionOps.wrap` of most types, `Backend.wrap_callable` of most frameworks."""
    return call


class LargeTensors(NamedTuple):
    """From how many elements on a tensor is large to a framework; the first such tensor loads the operations."""

    load: Callable[[], LargeTensorOps]
    min_elements: int  # from which a schedule may be worth it
    min_elements_rounding: int = 1 << 14  # the same where a reduction rounds: there all calls must agree to the bit
    eager_elements: int = 1 << 17  # from which it is chosen at the first call; below, choosing takes longer than a call


class Backend:
    """A framework, as plans see it. ``Backend(cls)`` is made once for a type of tensor, when the first one arrives."""

    # Required: the functions that a plan calls, each of a tensor and one constant.
    name: ClassVar[str]
    reshape: Callable[[Tensor, Sequence[Size]], Tensor]
    """The elements in row-major order in another shape; a view where there can be one."""
    permute: Callable[[Tensor, Sequence[int]], Tensor]
    """Dimension ``i`` of the result is dimension ``order[i]`` of the tensor."""
    expand: Callable[[Tensor, Sequence[Size]], Tensor]
    """Broadcast to a shape, right-aligned."""
    concat: Callable[[Sequence[Tensor], int], Tensor]
    """Tensors one behind the other along a dimension that they have."""
    stack: Callable[[Sequence[Tensor]], Tensor]
    """Tensors along a new first dimension."""
    einsum: Callable[Concatenate[str, ...], Tensor]
    """``einsum(equation, *tensors)``, the equation in the form of NumPy's, with an arrow: ``...`` stands for dimensions
    that broadcast, and a letter that appears twice in a term takes a diagonal."""
    to_numpy: Callable[[Tensor], Any]
    """A NumPy array of the same elements, from any device."""
    reductions: ReductionTable
    """What its reductions are made of; not needed where `reduction` is a method of the framework's own."""

    # Optional: what a framework can do beyond that.
    view: Callable[[Tensor, Sequence[Size]], Tensor] | None = None
    """`reshape`, but an error of the framework's where it would copy; ``None`` where memory is hidden."""
    accepts: ClassVar[frozenset[str]] = frozenset()
    """Other frameworks whose tensors this one's functions accept beside their own, as JAX accepts NumPy's."""
    einsum_optimizes_path: ClassVar[bool] = False
    """Whether ``einsum`` of three tensors and more finds a good contraction path by itself, and is best left to it."""
    contraction_ops: Callable[[tuple[Any, ...]], ContractionOps | None] = staticmethod(lambda _: None)
    """The operations for contractions of tensors of these element types; ``None``: ``einsum`` is better."""
    large_tensors: LargeTensors | None = None
    """How large tensors are reduced and copied; ``None``: one call is the best way, or memory is hidden."""
    wrap_callable: Callable[[TensorCall], TensorCall] = staticmethod(as_it_is)
    """Wraps all calls of a plan, each the framework's own, for the cache to keep: a framework can compile them here."""
    shape_is_list: bool = False
    """Whether every tensor of the type has a list of ints for its shape."""

    def __init__(self, kind: type) -> None:
        """Serve tensors of this type."""

    def missing(self) -> list[str]:
        """What every backend needs, and this one lacks."""
        table = ("reductions",) if type(self).reduction is Backend.reduction else ()
        return [name for name in (*REQUIRED, *table) if not hasattr(self, name)]

    def reduction(self, name: str, dtype: Any) -> Reduction:
        """The reduction of that name, for elements of that type (``None``: unknown)."""
        return self.reductions.build(name, None if dtype is None else self.kind(dtype), dtype)

    def register_functions(self, functions: Sequence[Callable[..., Any]]) -> None:
        """Called with plait's public functions before the framework's first call; does nothing a second time."""

    def for_any_type(self) -> Backend:
        """This backend for tensors of any type of its framework, such as what a reduction or an einsum returns."""
        return self

    def einsum_with_backend_kwargs(
        self, equation: str, shape: Sequence[Size] | None, kwargs: dict[str, Any]
    ) -> TensorCall:
        """``einsum(equation, ...)`` with these arguments, and `reshape` to the shape if any; or PLT509 and PLT512."""
        if "out_sharding" in kwargs:
            raise make_error(
                "PLT509", f"a result of {self.name} has no sharding to choose; out_sharding belongs to JAX"
            )
        raise make_error("PLT512", f"a product of {self.name} takes no {' and no '.join(kwargs)}; that belongs to JAX")

    def slice(self, tensor: Tensor, axis: int, start: Size, stop: Size) -> Tensor:
        """The part from ``start`` up to ``stop`` of one dimension."""
        part = (*((slice(None),) * axis), slice(start, stop), ...)
        return tensor[part]

    def split(self, tensor: Tensor, axis: int, lengths: Sequence[Size]) -> Sequence[Tensor]:
        """The parts of these lengths, which one dimension is made of."""
        parts: list[Tensor] = []
        start = 0
        for length in lengths:
            parts.append(self.slice(tensor, axis, start, start + length))
            start = start + length
        return parts

    # What a framework says of a tensor.
    def rank(self, tensor: Tensor) -> int | None:
        """The rank, or ``None`` where the framework does not reveal it."""
        return len(tensor.shape)

    def dtype(self, tensor: Tensor) -> Any:
        """The type of the elements, or ``None`` where the framework does not reveal it."""
        return tensor.dtype

    def kind(self, dtype: Any) -> str:
        """``bool``, ``integer``, ``floating``, ``complex``, or ``other`` where plait cannot judge."""
        name = str(dtype)
        return next((kind for word, kind in _KINDS if word in name), "other")

    def shape(self, tensor: Tensor) -> Sequence[Size]:
        """The shape: a tuple of ints; or of symbols, where the framework is tracing, taken apart only by index."""
        shape: Sequence[Size] = tensor.shape
        return shape

    def shape_as_tuple(self, shape: Any) -> tuple[int, ...] | None:
        """A tensor's ``shape`` as a tuple, where it is another object that can be a key; ``None``: it is not known."""
        return None

    def strides(self, tensor: Tensor) -> tuple[int, ...] | None:
        """How far apart neighbours are in memory, in any unit; ``None`` where the framework does not say."""
        return None

    # Tracing: sizes that are known only when a graph runs. The defaults are of a framework that knows every size.
    def static_shape(self, tensor: Tensor, rank: int) -> Sequence[int | None]:
        """Where sizes may not be compared, those that may be nevertheless, since they are ints before anything runs."""
        return (None,) * rank

    def comparable(self, tensors: Sequence[Tensor]) -> bool:
        """Whether the sizes of these tensors may be compared; where not, only those of `static_shape` are checked."""
        return True

    def is_symbolic(self, size: Any) -> bool:
        """Whether a size is a symbol of this framework's, to be computed with and never looked into."""
        return False

    def size_from_user(self, size: Any) -> Size:
        """A symbol that the caller gave for a size, as sizes of this framework are computed with."""
        return size

    def size_to_user(self, size: Size) -> Any:
        """A size as `parse_shape` and `pack` give it to the caller, who may look into it or compute with it."""
        return size

    def traced_reshape(self, tensor: Tensor, shape: Sequence[Size], sizes: Sequence[Size], axes: Any) -> Tensor:
        """`reshape` while a tracer watches, for frameworks that must be told which dimensions become which.

        ``axes`` are, before and after, the numbers of the axes in each dimension; ``sizes`` are the sizes of all axes.
        """
        return self.reshape(tensor, shape)
