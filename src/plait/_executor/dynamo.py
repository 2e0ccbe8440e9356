"""What TorchDynamo follows in place of the public functions, since it would guard on every entry of a cache."""

from __future__ import annotations

from operator import index

from plait._executor.cache import split_einsum_arguments
from plait._executor.options import with_backend_kwargs

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
    from plait._executor.trace import check_size, data_for, sizes_error, trace
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
    operation, pattern, tensors = split_einsum_arguments(operands)
    kwargs = {name: keywords.pop(name, None) for name in ("out_sharding", "precision", "preferred_element_type")}
    return traced(operation, tensors, pattern, keywords, "", with_backend_kwargs(None, **kwargs))


def traced_pack(tensors: Any, pattern: str) -> Any:
    """``pack`` under Dynamo."""
    from plait._executor.packing import layout_for, packed
    from plait.backends.torch.backend import TORCH

    return packed(tensors, pattern, _found(layout_for(pattern, "pack")), TORCH)


def traced_unpack(tensor: Any, packed_shapes: Any, pattern: str) -> Any:
    """``unpack`` under Dynamo."""
    from plait._executor.packing import layout_for, unpacked
    from plait.backends.torch.backend import TORCH

    return unpacked(tensor, packed_shapes, pattern, _found(layout_for(pattern, "unpack")), TORCH)


def traced_parse_shape(tensor: Any, pattern: str) -> Any:
    """``parse_shape`` under Dynamo."""
    from plait._executor.packing import places_for
    from plait._operations.parse_shape import lengths_by_name

    return lengths_by_name(_found(places_for(pattern, len(tensor.shape))), tensor.shape, pattern)


def traced_steps(operation: str, texts: Any) -> Any:
    """The methods of a pipeline's patterns under Dynamo; see `plait._executor.pipeline.stage_steps`."""
    from plait._executor.pipeline import steps_for

    return _found(steps_for(operation, texts), method=True)


def _found(result: Any, *, method: bool = False) -> Any:
    """What a function returned that ran while Dynamo traces; the call is left to Python where it failed."""
    from plait.backends.torch.tracing import give_up, give_up_the_frame

    found, mistake = result
    if found is None:
        (give_up_the_frame if method else give_up)(mistake)
    return found
