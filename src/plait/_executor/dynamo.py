"""The way of a call that TorchDynamo follows, as ``torch.compile`` and ``torch.export`` do.

Dynamo reads Python instead of running it, and would guard on every entry of a cache. So each public function tells
it, by an attribute, to follow another one: that one asks for the plan as a constant (text, ranks and names are
constants of the trace), and then makes the framework's calls. Nothing is registered with torch, and torch is not
imported.
"""

from __future__ import annotations

from operator import index

from plait._executor.cache import split_operands
from plait._executor.options import CURRENT, with_backend_kwargs
from plait._executor.tracer_hooks import SUBSTITUTED, assume_constant

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import plait`
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def traced(
    operation: str,
    tensors: Sequence[Any],
    pattern: str,
    sizes: dict[str, Any],
    reduction: Any = "",
    options: Any = None,
    *,
    method: bool = False,
) -> Any:
    """Make one call under Dynamo, of a function or of a `Pattern`'s method.

    Raises:
        PlaitError: something in the call is wrong.
    """
    from plait._executor.trace import trace
    from plait.backends.torch.backend import TORCH
    from plait.backends.torch.tracing import give_up, give_up_the_frame

    if method:
        give_up = give_up_the_frame
    tensors = [TORCH.stack(tensor) if isinstance(tensor, (list, tuple)) else tensor for tensor in tensors]
    if options is not None and options.backend_kwargs:
        give_up(f"{options.backend_kwargs[0][0]} belongs to JAX")
    for name, value in sizes.items():
        if isinstance(value, (bool, float)) or value < 0:
            give_up(check_size(pattern, name, value if isinstance(value, (bool, float)) else index(value))[1])
    given = tuple(sizes)
    ranks = tuple([len(tensor.shape) for tensor in tensors])
    named = reduction if isinstance(reduction, str) else "custom"
    dtype = tensors[0].dtype if operation == "reduce" else None
    found, mistake = data_for(operation, pattern, ranks, given, named, dtype)
    if found is None:
        give_up(mistake)
    function = reduction if named == "custom" else TORCH.reduction(named, dtype) if named else None

    def report(slots: list[Any], kind: str, source: int, factors: tuple[int, ...]) -> Exception:
        # Of a symbol the number that it has in this call; what nothing needs was not asked for.
        known = tuple([None if size is None else index(size) for size in slots])
        give_up(sizes_error(operation, pattern, ranks, given, known, kind, source, factors))
        return AssertionError("Python has taken over before this")

    return trace(found, tensors, sizes, TORCH, function, report)


# A substitute has neither closure nor defaults, which Dynamo would guard.


def traced_rearrange(tensor: Any, pattern: str, **sizes: Any) -> Any:
    """``rearrange`` under Dynamo."""
    return traced("rearrange", (tensor,), pattern, sizes)


def traced_view(tensor: Any, pattern: str, **sizes: Any) -> Any:
    """``view`` under Dynamo."""
    return traced("view", (tensor,), pattern, sizes)


def traced_repeat(tensor: Any, pattern: str, **sizes: Any) -> Any:
    """``repeat`` under Dynamo."""
    return traced("repeat", (tensor,), pattern, sizes)


def traced_reduce(tensor: Any, pattern: str, reduction: Any, **sizes: Any) -> Any:
    """``reduce`` under Dynamo."""
    return traced("reduce", (tensor,), pattern, sizes, reduction)


def traced_einsum(*operands: Any, **keywords: Any) -> Any:
    """``einsum`` under Dynamo."""
    operation, pattern, tensors = split_operands(operands)
    kwargs = {name: keywords.pop(name, None) for name in ("out_sharding", "precision", "preferred_element_type")}
    return traced(operation, tensors, pattern, keywords, "", with_backend_kwargs(None, **kwargs))


def _while_tracing(function: Any) -> Any:
    """Run a function while Dynamo traces: a constant of the trace is its result, or ``None`` and what is wrong."""

    @assume_constant
    def run(*arguments: Any) -> Any:
        from plait.errors import PlaitError

        try:
            return function(*arguments), None
        except PlaitError as error:
            return None, str(error)

    return run


@_while_tracing
def data_for(operation: str, pattern: Any, ranks: Any, given: Any, reduction: str, dtype: Any) -> Any:
    """The plan as plain tuples."""
    from plait._executor.compile import CLASSICAL, lower_pattern
    from plait._executor.einsum_options import with_given_path
    from plait._executor.recipe import plan_data
    from plait._operations.reduce import CUSTOM, check_kind, check_reduction
    from plait.backends.torch.backend import TORCH

    TORCH.register_functions(SUBSTITUTED)
    if reduction and reduction != CUSTOM:
        check_kind(check_reduction(reduction), TORCH.kind(dtype), dtype)
    plan = lower_pattern(operation, pattern, ranks, given, reduction)
    return tuple(plan_data(with_given_path(plan, CURRENT.get()) if operation in ("einsum", CLASSICAL) else plan))


@_while_tracing
def steps_for(operation: str, texts: Any) -> Any:
    """The steps of a pipeline as plain tuples."""
    from plait._executor.pipeline import stage_steps

    return tuple([tuple(step) for step in stage_steps(operation, texts)])


@_while_tracing
def layout_for(pattern: str, operation: str) -> Any:
    """The layout of a packing pattern as a plain tuple."""
    from plait._executor.packing import layout_of

    return tuple(layout_of(pattern, operation))


@_while_tracing
def places_for(pattern: str, rank: int) -> Any:
    """The dimensions that ``parse_shape`` reads, as plain tuples."""
    from plait._executor.packing import places_of

    return places_of(pattern, rank)


@_while_tracing
def check_size(pattern: str, name: str, value: Any) -> Any:
    """Raise where a size is no exact integer."""
    from plait._executor.compile import concrete_sizes

    concrete_sizes(pattern, {name: value}, lambda _: False)


def traced_steps(operation: str, texts: Any) -> Any:
    """The methods of a pipeline's patterns under Dynamo; see `plait._executor.pipeline.stage_steps`."""
    from plait.backends.torch.tracing import give_up_the_frame

    found, mistake = steps_for(operation, texts)
    if found is None:
        give_up_the_frame(mistake)
    return found


@assume_constant
def sizes_error(
    operation: str, pattern: str, ranks: Any, given: Any, slots: Any, kind: str, source: int, factors: Any
) -> Any:
    """The text of the error for sizes that do not fit."""
    from plait._executor.compile import solve
    from plait._shapes.sizes import report

    solved = solve(operation, pattern, ranks, given)
    return str(report(solved, list(slots), kind, source, factors))


def traced_pack(tensors: Any, pattern: str) -> Any:
    """``pack`` under Dynamo."""
    from plait._executor.packing import packed
    from plait.backends.torch.backend import TORCH
    from plait.backends.torch.tracing import give_up

    where, mistake = layout_for(pattern, "pack")
    if where is None:
        give_up(mistake)
    return packed(tensors, pattern, where, TORCH)


def traced_unpack(tensor: Any, packed_shapes: Any, pattern: str) -> Any:
    """``unpack`` under Dynamo."""
    from plait._executor.packing import unpacked
    from plait.backends.torch.backend import TORCH
    from plait.backends.torch.tracing import give_up

    where, mistake = layout_for(pattern, "unpack")
    if where is None:
        give_up(mistake)
    return unpacked(tensor, packed_shapes, pattern, where, TORCH)


def traced_parse_shape(tensor: Any, pattern: str) -> Any:
    """``parse_shape`` under Dynamo."""
    from plait._operations.parse_shape import read_shape
    from plait.backends.torch.tracing import give_up

    found, mistake = places_for(pattern, len(tensor.shape))
    if found is None:
        give_up(mistake)
    return read_shape(found, tensor.shape, pattern)
