"""The calls that TorchDynamo follows, as ``torch.compile`` and ``torch.export`` do.

Dynamo reads Python instead of running it, and would guard on every entry of a cache. So each public function tells
it, by an attribute, to follow another one, its *substitute*: that takes the plan as a constant (text, ranks and names
are constants of the trace), and then makes the framework's calls. Nothing is registered with torch, and torch is not
imported. A substitute has no closure, which Dynamo would guard.
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
    """Make one call under Dynamo, of a function or of a `Pattern`'s method."""
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
    found = _found(data_for(operation, pattern, ranks, given, named, dtype), method=method)
    function = reduction if named == "custom" else TORCH.reduction(named, dtype) if named else None

    def report(slots: list[Any], kind: str, source: int, factors: tuple[int, ...]) -> Exception:
        # Of a symbol the number that it has in this call; ``None`` is a size that nothing needs.
        known = tuple([None if size is None else index(size) for size in slots])
        give_up(sizes_error(operation, pattern, ranks, given, known, kind, source, factors))
        return AssertionError("Python has taken over before this")

    return trace(found, tensors, sizes, TORCH, function, report)


def traced_einsum(*operands: Any, **keywords: Any) -> Any:
    """``einsum`` under Dynamo."""
    operation, pattern, tensors = split_operands(operands)
    kwargs = {name: keywords.pop(name, None) for name in ("out_sharding", "precision", "preferred_element_type")}
    return traced(operation, tensors, pattern, keywords, "", with_backend_kwargs(None, **kwargs))


def traced_pack(tensors: Any, pattern: str) -> Any:
    """``pack`` under Dynamo."""
    from plait._executor.packing import packed
    from plait.backends.torch.backend import TORCH

    return packed(tensors, pattern, _found(layout_for(pattern, "pack")), TORCH)


def traced_unpack(tensor: Any, packed_shapes: Any, pattern: str) -> Any:
    """``unpack`` under Dynamo."""
    from plait._executor.packing import unpacked
    from plait.backends.torch.backend import TORCH

    return unpacked(tensor, packed_shapes, pattern, _found(layout_for(pattern, "unpack")), TORCH)


def traced_parse_shape(tensor: Any, pattern: str) -> Any:
    """``parse_shape`` under Dynamo."""
    from plait._operations.parse_shape import read_shape

    return read_shape(_found(places_for(pattern, len(tensor.shape))), tensor.shape, pattern)


def traced_steps(operation: str, texts: Any) -> Any:
    """The methods of a pipeline's patterns under Dynamo; see `plait._executor.pipeline.stage_steps`."""
    return _found(steps_for(operation, texts), method=True)


def _found(result: Any, *, method: bool = False) -> Any:
    """What a function returned that ran while Dynamo traces; the call is left to Python where it failed."""
    from plait.backends.torch.tracing import give_up, give_up_the_frame

    found, mistake = result
    if found is None:
        (give_up_the_frame if method else give_up)(mistake)
    return found


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
    from plait._executor.plan_data import plan_data
    from plait._operations.reduce import CUSTOM, check_kind, check_reduction
    from plait.backends.torch.backend import TORCH

    TORCH.register_functions(SUBSTITUTED)
    if reduction and reduction != CUSTOM:
        check_kind(check_reduction(reduction), None if dtype is None else TORCH.kind(dtype), dtype)
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
    from plait._executor.tensors import check_text

    return layout_of(check_text(pattern), operation)


@_while_tracing
def places_for(pattern: str, rank: int) -> Any:
    """The dimensions that ``parse_shape`` reads, as plain tuples."""
    from plait._executor.packing import places_of
    from plait._executor.tensors import check_text

    return places_of(check_text(pattern), rank)


@_while_tracing
def check_size(pattern: str, name: str, value: Any) -> Any:
    """Raise where a size is not an exact integer."""
    from plait._executor.compile import concrete_sizes

    concrete_sizes(pattern, {name: value})


@assume_constant
def sizes_error(
    operation: str, pattern: str, ranks: Any, given: Any, slots: Any, kind: str, source: int, factors: Any
) -> Any:
    """The text of the error for sizes that do not fit."""
    from plait._executor.compile import solve
    from plait._shapes.sizes import report

    solved = solve(operation, pattern, ranks, given)
    return str(report(solved, list(slots), kind, source, factors))
