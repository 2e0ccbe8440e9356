"""The way of a call that TorchDynamo follows, as ``torch.compile`` and ``torch.export`` do.

Dynamo reads Python instead of running it, and would guard on every entry of a cache. So each public function tells
it, by an attribute, to follow another one: that one asks for the program as a constant (text, ranks and names are
constants of the trace), and then makes the framework's calls. Nothing is registered with torch, and torch is not
imported.
"""

from __future__ import annotations

from operator import index

from weft.run.follow import FOLLOWED, constant
from weft.run.options import CURRENT

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import weft`
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def traced(
    operation: str,
    tensors: Sequence[Any],
    pattern: str,
    sizes: dict[str, Any],
    reduction: Any = "",
    asked: Any = None,
    *,
    method: bool = False,
) -> Any:
    """Make one call under Dynamo, of a function or of a `Pattern`'s method.

    Raises:
        WeftError: something in the call is wrong.
    """
    from weft.backends.dynamo import give_up, give_up_the_frame
    from weft.backends.torch import TORCH
    from weft.run.program import trace

    if method:
        give_up = give_up_the_frame
    tensors = [TORCH.stack(tensor) if isinstance(tensor, (list, tuple)) else tensor for tensor in tensors]
    if asked is not None and asked.wishes:
        give_up(f"{asked.wishes[0][0]} belongs to JAX")
    for name, value in sizes.items():
        if isinstance(value, (bool, float)) or value < 0:
            give_up(size_error(pattern, name, value if isinstance(value, (bool, float)) else index(value)))
    given = tuple(sizes)
    ranks = tuple([len(tensor.shape) for tensor in tensors])
    named = reduction if isinstance(reduction, str) else "custom"
    dtype = tensors[0].dtype if operation == "reduce" else None
    found, mistake = recipe_for(operation, pattern, ranks, given, named, dtype)
    if found is None:
        give_up(mistake)
    function = reduction if named == "custom" else TORCH.reduction(named, dtype) if named else None

    def report(registers: list[Any], kind: str, source: int, factors: tuple[int, ...]) -> Exception:
        # Of a symbol the number that it has in this call; what nothing needs was not asked for.
        known = tuple([None if size is None else index(size) for size in registers])
        give_up(sizes_error(operation, pattern, ranks, given, known, kind, source, factors))
        return AssertionError("Python has taken over before this")

    return trace(found, tensors, sizes, TORCH, function, report)


@constant
def recipe_for(operation: str, pattern: Any, ranks: Any, given: Any, reduction: str, dtype: Any) -> Any:
    """The recipe as plain tuples, found while Dynamo traces; or ``None``, and what is wrong."""
    from weft.backends.torch import TORCH
    from weft.errors import WeftError
    from weft.ops.reduce import CUSTOM, check_kind, check_reduction
    from weft.run.asking import as_asked
    from weft.run.build import planned
    from weft.run.program import recipe

    TORCH.prepare(FOLLOWED)
    try:
        if reduction and reduction != CUSTOM:
            check_kind(check_reduction(reduction), TORCH.kind(dtype), dtype)
        plan = planned(operation, pattern, ranks, given, reduction)
        return tuple(recipe(as_asked(plan, CURRENT.get()) if plan.products else plan)), None
    except WeftError as error:
        return None, str(error)


def traced_steps(operation: str, texts: Any) -> Any:
    """The methods of a composition's patterns under Dynamo; see `weft.run.stages.steps_of`."""
    from weft.backends.dynamo import give_up_the_frame

    found, mistake = steps_for(operation, texts)
    if found is None:
        give_up_the_frame(mistake)
    return found


@constant
def steps_for(operation: str, texts: Any) -> Any:
    """The steps as plain tuples, found while Dynamo traces; or ``None``, and what is wrong."""
    from weft.errors import WeftError
    from weft.run.stages import steps_of

    try:
        return tuple([tuple(step) for step in steps_of(operation, texts)]), None
    except WeftError as error:
        return None, str(error)


@constant
def sizes_error(
    operation: str, pattern: str, ranks: Any, given: Any, registers: Any, kind: str, source: int, factors: Any
) -> Any:
    """The text of the error for sizes that do not fit."""
    from weft.run.build import planned
    from weft.solve import report

    solved = planned(operation, pattern, ranks, given, "").solved
    return str(report(solved, list(registers), kind, source, factors))


@constant
def size_error(pattern: str, name: str, value: Any) -> Any:
    """The text of the error for a size that is no exact integer."""
    from weft.errors import WeftError
    from weft.run.build import concrete_sizes

    try:
        concrete_sizes(pattern, {name: value}, lambda _: False)
    except WeftError as error:
        return str(error)


def traced_pack(tensors: Any, pattern: str) -> Any:
    """``pack`` under Dynamo."""
    from weft.backends.dynamo import give_up
    from weft.backends.torch import TORCH
    from weft.run.shapes import packed

    where, mistake = layout_for(pattern, "pack")
    if where is None:
        give_up(mistake)
    return packed(tensors, pattern, where, TORCH)


def traced_unpack(tensor: Any, packed_shapes: Any, pattern: str) -> Any:
    """``unpack`` under Dynamo."""
    from weft.backends.dynamo import give_up
    from weft.backends.torch import TORCH
    from weft.run.shapes import unpacked

    where, mistake = layout_for(pattern, "unpack")
    if where is None:
        give_up(mistake)
    return unpacked(tensor, packed_shapes, pattern, where, TORCH)


def traced_parse_shape(tensor: Any, pattern: str) -> Any:
    """``parse_shape`` under Dynamo."""
    from weft.backends.dynamo import give_up
    from weft.ops.shape import read_shape

    found, mistake = places_for(pattern, len(tensor.shape))
    if found is None:
        give_up(mistake)
    return read_shape(found, tensor.shape, pattern)


@constant
def layout_for(pattern: str, operation: str) -> Any:
    """The layout as a plain tuple, found while Dynamo traces; or ``None``, and what is wrong."""
    from weft.errors import WeftError
    from weft.run.shapes import layout_of

    try:
        return tuple(layout_of(pattern, operation)), None
    except WeftError as error:
        return None, str(error)


@constant
def places_for(pattern: str, rank: int) -> Any:
    """The places as plain tuples, found while Dynamo traces; or ``None``, and what is wrong."""
    from weft.errors import WeftError
    from weft.run.shapes import places_of

    try:
        return places_of(pattern, rank), None
    except WeftError as error:
        return None, str(error)
