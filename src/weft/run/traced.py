"""The way of a call that TorchDynamo follows, as ``torch.compile`` and ``torch.export`` do.

Dynamo reads Python instead of running it, and would guard on every entry of a cache. So each public function tells
it, by an attribute, to follow another one: that one asks for the program as a constant (text, ranks and names are
constants of the trace), and then makes the framework's calls. Nothing is registered with torch, and torch is not
imported; both attributes are inert everywhere else.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import weft`
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

INLINE = "_torchdynamo_inline"
"""Dynamo follows the function under this attribute of a function in its place."""

CONSTANT = "_dynamo_marked_constant"
"""Dynamo runs a function with this attribute while it traces, and takes the result for a constant."""


def followed_as(stand_in: Callable[..., Any]) -> Callable[[F], F]:
    """Decorate a function with the one that Dynamo follows in its place."""

    def decorate(function: F) -> F:
        setattr(function, INLINE, stand_in)
        return function

    return decorate


def constant(function: F) -> F:
    """Decorate a function whose result is a constant of every trace."""
    setattr(function, CONSTANT, True)
    return function


def traced(operation: str, tensors: Sequence[Any], pattern: str, sizes: dict[str, Any], reduction: Any = "") -> Any:
    """Make one call under Dynamo.

    Raises:
        WeftError: something in the call is wrong.
    """
    from weft.backends.torch import TORCH
    from weft.run.program import trace

    tensors = [TORCH.stack(tensor) if isinstance(tensor, (list, tuple)) else tensor for tensor in tensors]
    for name, value in sizes.items():
        if isinstance(value, (bool, float)):
            refuse(pattern, name, value)
    ranks = tuple([len(tensor.shape) for tensor in tensors])
    named = reduction if isinstance(reduction, str) else "custom"
    dtype = tensors[0].dtype if operation == "reduce" else None
    plan = recipe_for(operation, pattern, ranks, tuple(sizes), named, dtype)
    function = reduction if named == "custom" else TORCH.reduction(named, dtype) if named else None

    def report(registers: list[Any], kind: str, source: int, factors: tuple[int, ...]) -> Exception:
        return error_of(operation, pattern, ranks, tuple(sizes), tuple(registers), kind, source, factors)

    return trace(plan, tensors, sizes, TORCH, function, report)


@constant
def recipe_for(operation: str, pattern: Any, ranks: Any, given: Any, reduction: str, dtype: Any) -> Any:
    """The recipe as plain tuples, found while Dynamo traces."""
    from weft.backends.torch import TORCH
    from weft.ops.reduce import CUSTOM, check_kind, check_reduction
    from weft.run.build import planned
    from weft.run.program import recipe

    if reduction and reduction != CUSTOM:
        check_kind(check_reduction(reduction), TORCH.kind(dtype), dtype)
    return tuple(recipe(planned(operation, pattern, ranks, given, reduction)))


@constant
def error_of(
    operation: str, pattern: str, ranks: Any, given: Any, registers: Any, kind: str, source: int, factors: Any
) -> Any:
    """Raise, while Dynamo traces, the error for sizes that do not fit."""
    from weft.run.build import planned
    from weft.solve import report

    raise report(planned(operation, pattern, ranks, given, "").solved, list(registers), kind, source, factors)


@constant
def refuse(pattern: str, name: str, value: Any) -> None:
    """Raise for a size that is no exact integer."""
    from weft.run.build import concrete_sizes

    concrete_sizes(pattern, {name: value}, lambda _: False)


def traced_pack(tensors: Any, pattern: str) -> Any:
    """``pack`` under Dynamo."""
    from weft.backends.torch import TORCH
    from weft.run.shapes import packed

    return packed(tensors, pattern, layout_for(pattern, "pack"), TORCH)


def traced_unpack(tensor: Any, packed_shapes: Any, pattern: str) -> Any:
    """``unpack`` under Dynamo."""
    from weft.backends.torch import TORCH
    from weft.run.shapes import unpacked

    return unpacked(tensor, packed_shapes, pattern, layout_for(pattern, "unpack"), TORCH)


def traced_parse_shape(tensor: Any, pattern: str) -> Any:
    """``parse_shape`` under Dynamo."""
    from weft.ops.shape import read_shape

    return read_shape(places_for(pattern, len(tensor.shape)), tensor.shape, pattern)


@constant
def layout_for(pattern: str, operation: str) -> Any:
    """The layout as a plain tuple, found while Dynamo traces."""
    from weft.run.shapes import layout_of

    return tuple(layout_of(pattern, operation))


@constant
def places_for(pattern: str, rank: int) -> Any:
    """The places as plain tuples, found while Dynamo traces."""
    from weft.run.shapes import places_of

    return places_of(pattern, rank)
