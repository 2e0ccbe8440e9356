"""The types in the signatures of the public functions; only `typing.get_type_hints` and the layers import them.

A result has the type of the tensor, but its shape is unknown, and a type may include a shape:
``np.ndarray[tuple[int, int], ...]`` is for arrays of rank 2 alone. A tensor's own ``reshape`` is declared to return the
type with an unknown shape, so the overloads return what ``reshape`` returns: `Reshapable`, a protocol, describes such
tensors without an import of their framework.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict, TypeVar

if TYPE_CHECKING:
    from types import EllipsisType

    from numpy.typing import NDArray  # type: ignore[import-not-found, unused-ignore]  # Any, if NumPy is not installed
    from typing_extensions import Unpack

    from plait._explain.explanation import Explanation

    NumpyArray: TypeAlias = NDArray[Any]
else:
    NumpyArray = Any

ReductionName: TypeAlias = Literal["min", "max", "sum", "mean", "prod", "any", "all", "std", "var", "logsumexp"]
"""The names in `plait.backends.reduction_rules.REDUCTION_RULES`."""

Reduction: TypeAlias = ReductionName | Callable[[Any, tuple[int, ...]], Any]
"""A name, or a function of a tensor and the positions of the dimensions to remove, which returns the result."""


class HasShape(Protocol):
    """An object with a shape, as every tensor has; the upper bound of `Result`."""

    @property
    def shape(self) -> Any: ...


Tensor = TypeVar("Tensor")
"""The type of a tensor without a method ``reshape``, such as TensorFlow's; the result has the same type."""

Result = TypeVar("Result", bound=HasShape)
"""The type of a result, which may have any shape."""

OtherResult = TypeVar("OtherResult", bound=HasShape)
"""The type that the result has if the second of two tensors decides it."""

Result_co = TypeVar("Result_co", bound=HasShape, covariant=True)


class Reshapable(Protocol[Result_co]):
    """A tensor whose ``reshape`` returns tensors of the type ``Result_co``."""

    def reshape(self, shape: Sequence[int], /) -> Result_co: ...


class JaxArray(Protocol[Result_co]):
    """A `Reshapable` tensor with the two properties that only JAX's arrays have."""

    @property
    def at(self) -> Any: ...

    @property
    def sharding(self) -> Any: ...

    def reshape(self, shape: Sequence[int], /) -> Result_co: ...


OneOrSeveral: TypeAlias = Reshapable[Result] | Sequence[Reshapable[Result]]
"""A tensor, or a list or tuple of tensors."""

if TYPE_CHECKING:
    Optimize: TypeAlias = bool | str | Sequence[Any] | Callable[..., Any] | None
    """A contraction path, how to find one, or a truth value."""

    AxisNumbers: TypeAlias = Sequence[int | EllipsisType]
    """The axes of one tensor in the interleaved form of an `einsum`."""

    class NumpyArguments(TypedDict, total=False):
        """The arguments of ``numpy.einsum`` besides ``out``."""

        optimize: Optimize
        dtype: Any
        casting: Literal["no", "equiv", "safe", "same_kind", "unsafe"]
        order: Literal["K", "A", "C", "F", "k", "a", "c", "f"] | None

    TensorsAndPattern: TypeAlias = tuple[Tensor, Unpack[tuple[Tensor, ...]], str]
    """The arguments of an `einsum` in the named form: one or more tensors, and then a pattern."""


def __getattr__(name: str) -> type[Explanation]:
    """Return the class `Explanation`, which is imported only if it is asked for, because the layers do not need it."""
    if name == "Explanation":
        from plait._explain.explanation import Explanation

        return Explanation
    raise AttributeError(name)
