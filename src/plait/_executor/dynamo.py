"""What TorchDynamo follows in place of the public functions, since it would guard on every entry of a cache."""

from __future__ import annotations

from operator import index

from plait._executor.cache import split_einsum_arguments
from plait._executor.options import with_backend_kwargs

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import plait`
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def call_under_dynamo(
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
    from plait._executor.plan_data import (
        check_size_for_dynamo,
        plan_data_for_dynamo,
        run_plan_data,
        size_error_for_dynamo,
    )
    from plait.backends.torch.backend import TORCH
    from plait.backends.torch.tracing import give_up, give_up_the_frame

    if method:
        give_up = give_up_the_frame
    tensors = [TORCH.stack(tensor) if isinstance(tensor, (list, tuple)) else tensor for tensor in tensors]
    if options is not None and options.backend_kwargs:
        give_up(f"{options.backend_kwargs[0][0]} belongs to JAX")
    for name, value in sizes.items():
        if isinstance(value, (bool, float)) or value < 0:
            give_up(
                check_size_for_dynamo(pattern, name, value if isinstance(value, (bool, float)) else index(value))[1]
            )
    given = tuple(sizes)
    ranks = tuple([len(tensor.shape) for tensor in tensors])
    named = reduction if isinstance(reduction, str) else "custom"
    dtype = tensors[0].dtype if operation == "reduce" else None
    found = _unwrap_or_break_graph(plan_data_for_dynamo(operation, pattern, ranks, given, named, dtype), method=method)
    function = reduction if named == "custom" else TORCH.reduction(named, dtype) if named else None

    def report(slots: list[Any], kind: str, source: int, factors: tuple[int, ...]) -> Exception:
        # Of a symbol the number that it has in this call; ``None`` is a size that nothing needs.
        known = tuple([None if size is None else index(size) for size in slots])
        give_up(size_error_for_dynamo(operation, pattern, ranks, given, known, kind, source, factors))
        return AssertionError("Python has taken over before this")

    return run_plan_data(found, tensors, sizes, TORCH, function, report)


def einsum_under_dynamo(*operands: Any, **keywords: Any) -> Any:
    """``einsum`` under Dynamo."""
    operation, pattern, tensors = split_einsum_arguments(operands)
    kwargs = {name: keywords.pop(name, None) for name in ("out_sharding", "precision", "preferred_element_type")}
    return call_under_dynamo(operation, tensors, pattern, keywords, "", with_backend_kwargs(None, **kwargs))


def pack_under_dynamo(tensors: Any, pattern: str) -> Any:
    """``pack`` under Dynamo."""
    from plait._executor.packing import layout_for_dynamo, pack_with_backend
    from plait.backends.torch.backend import TORCH

    return pack_with_backend(tensors, pattern, _unwrap_or_break_graph(layout_for_dynamo(pattern, "pack")), TORCH)


def unpack_under_dynamo(tensor: Any, packed_shapes: Any, pattern: str) -> Any:
    """``unpack`` under Dynamo."""
    from plait._executor.packing import layout_for_dynamo, unpack_with_backend
    from plait.backends.torch.backend import TORCH

    return unpack_with_backend(
        tensor, packed_shapes, pattern, _unwrap_or_break_graph(layout_for_dynamo(pattern, "unpack")), TORCH
    )


def parse_shape_under_dynamo(tensor: Any, pattern: str) -> Any:
    """``parse_shape`` under Dynamo."""
    from plait._executor.packing import named_dimensions_for_dynamo
    from plait._operations.parse_shape import lengths_by_name

    return lengths_by_name(
        _unwrap_or_break_graph(named_dimensions_for_dynamo(pattern, len(tensor.shape))), tensor.shape, pattern
    )


def stage_operations_under_dynamo(operation: str, texts: Any) -> Any:
    """The methods of a pipeline's patterns under Dynamo; see `plait._executor.pipeline.stage_operations`."""
    from plait._executor.pipeline import stage_operations_for_dynamo

    return _unwrap_or_break_graph(stage_operations_for_dynamo(operation, texts), method=True)


def _unwrap_or_break_graph(result: Any, *, method: bool = False) -> Any:
    """What a function returned that ran while Dynamo traces; the call is left to Python where it failed."""
    from plait.backends.torch.tracing import give_up, give_up_the_frame

    found, mistake = result
    if found is None:
        (give_up_the_frame if method else give_up)(mistake)
    return found
