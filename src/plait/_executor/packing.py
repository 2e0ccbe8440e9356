"""``pack``, ``unpack`` and ``parse_shape`` for tensors of any framework, also under tracers; and ``asnumpy``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from plait._caches import clearable_lru_cache
from plait._executor.rank_limit import max_rank_of, rank_limit_error
from plait._executor.tensors import backend_for_tensors, check_pattern_is_text
from plait._executor.tracer_hooks import assume_constant_or_error
from plait._operations.pack import (
    DimensionCountsAroundStar,
    check_shared_lengths,
    dimension_counts_around_star,
    packed_lengths_and_shapes,
    split_shape,
)
from plait._operations.parse_shape import find_labeled_dimensions, read_named_lengths
from plait._shapes.sizes import multiply_sizes
from plait.backends.interface import Backend
from plait.errors import PlaitError, make_error

parse_pack_pattern_cached = clearable_lru_cache(maxsize=256)(dimension_counts_around_star)
parse_shape_labels_cached = clearable_lru_cache(maxsize=256)(find_labeled_dimensions)
dimension_counts_or_message_for_dynamo = assume_constant_or_error(dimension_counts_around_star)
find_labeled_dimensions_or_message_for_dynamo = assume_constant_or_error(find_labeled_dimensions)


def pack(tensors: Any, pattern: str) -> tuple[Any, list[tuple[Any, ...]]]:
    """Implement `plait.pack`."""
    if hasattr(tensors, "shape") or not isinstance(tensors, Sequence):
        raise make_error("PLT501", f"pack needs a list of tensors, not {type(tensors).__name__}")
    if not tensors:
        raise make_error("PLT308", "the list of tensors is empty")
    layout = parse_pack_pattern_cached(check_pattern_is_text(pattern), "pack")
    backend = backend_for_tensors(tensors)
    if not backend.is_wrapper:
        return pack_with_backend(tensors, pattern, layout, backend, max_rank_of(None))
    return _pack_wrapped_tensors(tensors, pattern, layout, backend)


def pack_with_backend(
    tensors: Sequence[Any],
    pattern: str,
    layout: DimensionCountsAroundStar,
    backend: Backend,
    max_rank: int | None = None,
) -> tuple[Any, list[tuple[Any, ...]]]:
    """Return what `plait.pack` returns, for tensors of one framework; Dynamo traces this function."""
    shapes = [shape_or_unknown_rank_error(tensor, backend, pattern) for tensor in tensors]
    if max_rank is not None:
        for number, shape in enumerate(shapes):
            _check_rank(f"tensor {number}", len(shape), max_rank, pattern)
        _check_rank("the packed tensor", sum(layout) + 1, max_rank, pattern)
    parts = [split_shape(shape, layout, pattern, place) for place, shape in enumerate(shapes)]
    check_shared_lengths(parts, pattern, _sizes_differ_function(backend, tensors))
    flat = [
        tensor if len(middle) == 1 else backend.reshape(tensor, (*first, multiply_sizes(middle), *last))
        for tensor, (first, middle, last) in zip(tensors, parts, strict=True)
    ]
    return backend.concat(flat, layout[0]), [
        tuple([backend.size_to_user(size) for size in middle]) for _, middle, _ in parts
    ]


def unpack(tensor: Any, packed_shapes: Sequence[Any], pattern: str) -> list[Any]:
    """Implement `plait.unpack`."""
    layout = parse_pack_pattern_cached(check_pattern_is_text(pattern), "unpack")
    backend = backend_for_tensors((tensor,))
    if not backend.is_wrapper:
        return unpack_with_backend(tensor, packed_shapes, pattern, layout, backend, max_rank_of(None))
    return _unpack_wrapped_tensor(tensor, packed_shapes, pattern, layout, backend)


def unpack_with_backend(
    tensor: Any,
    packed_shapes: Sequence[Any],
    pattern: str,
    layout: DimensionCountsAroundStar,
    backend: Backend,
    max_rank: int | None = None,
) -> list[Any]:
    """Return what `plait.unpack` returns, for a tensor of one framework; Dynamo traces this function."""

    def to_symbolic_size(size: Any) -> Any:
        return backend.size_from_user(size) if backend.is_symbolic_size(size) else None

    before, after = layout
    shape = shape_or_unknown_rank_error(tensor, backend, pattern)
    if len(shape) != before + 1 + after:
        message = f"the tensor has rank {len(shape)}, but the pattern '{pattern}' has {before + 1 + after} dimensions"
        raise make_error("PLT304", message, pattern)
    sizes_differ = _sizes_differ_function(backend, [tensor])
    lengths_and_shapes = packed_lengths_and_shapes(
        packed_shapes, shape[before], pattern, to_symbolic_size, sizes_differ
    )
    if max_rank is not None:
        _check_rank("the packed tensor", len(shape), max_rank, pattern)
        for number, (_, middle) in enumerate(lengths_and_shapes):
            _check_rank(f"tensor {number}", before + len(middle) + after, max_rank, pattern)
    parts = backend.split(tensor, before, [length for length, _ in lengths_and_shapes])
    return [
        part if len(middle) == 1 else backend.reshape(part, (*shape[:before], *middle, *shape[before + 1 :]))
        for part, (_, middle) in zip(parts, lengths_and_shapes, strict=True)
    ]


def _check_rank(tensor: str, rank: int, max_rank: int, pattern: str) -> None:
    """Raise PLT314 if a tensor of ``pack`` or ``unpack``, the subject of the message, has a rank above a limit."""
    if rank > max_rank:
        raise rank_limit_error(tensor, rank, max_rank, pattern, (0, len(pattern)))


def _sizes_differ_function(backend: Backend, tensors: Sequence[Any]) -> Callable[[Any, Any], bool]:
    """Return the function of two sizes of these tensors that tells whether they differ, false if that is unknown."""
    return backend.sizes_differ if backend.can_compare_sizes(tensors) else _ints_differ


def _ints_differ(size: Any, other: Any) -> bool:
    """Return whether two sizes are different ints."""
    return type(size) is type(other) is int and size != other


def parse_shape(tensor: Any, pattern: str) -> dict[str, Any]:
    """Implement `plait.parse_shape`."""
    tensor, backend = _unwrap(tensor)
    labels = parse_shape_labels_cached(check_pattern_is_text(pattern), rank_or_error(tensor, backend, pattern))
    sizes = read_named_lengths(
        labels, backend.shape(tensor), pattern, can_compare_sizes=backend.can_compare_sizes([tensor])
    )
    return {name: backend.size_to_user(size) for name, size in sizes.items()}


def asnumpy(tensor: Any) -> Any:
    """Implement `plait.asnumpy`."""
    to_numpy: Callable[[Any], Any]
    try:
        tensor, backend = _unwrap(tensor)
    except PlaitError:
        if not hasattr(type(tensor), "__array__"):
            raise
        from plait.backends.numpy.array_protocol import array_by_protocol

        to_numpy, framework = array_by_protocol, ""
    else:
        to_numpy, framework = backend.to_numpy, f" of {backend.name}"
    try:
        return to_numpy(tensor)
    except PlaitError:
        raise
    except Exception as error:  # frameworks raise different errors for a tensor that has no values yet
        reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        message = f"NumPy cannot read the elements of this {type(tensor).__name__}{framework}"
        raise make_error("PLT508", message, facts={"reason": reason}) from error


def _unwrap(tensor: Any) -> tuple[Any, Backend]:
    """Return a tensor without what wraps it, and its backend."""
    backend = backend_for_tensors((tensor,))
    if not backend.is_wrapper:
        return tensor, backend
    from plait.backends.wrapper import unwrap_tensor

    tensor = unwrap_tensor(tensor)
    return tensor, backend_for_tensors((tensor,))


def shape_or_unknown_rank_error(tensor: Any, backend: Backend, pattern: str) -> tuple[Any, ...]:
    """Return the shape of a tensor as a tuple of ints and symbolic sizes."""
    rank, shape = rank_or_error(tensor, backend, pattern), backend.shape(tensor)
    return tuple([shape[place] for place in range(rank)])


def rank_or_error(tensor: Any, backend: Backend, pattern: str) -> int:
    """Return the rank of a tensor; raise `BackendError` if the framework does not know it."""
    rank = backend.rank(tensor)
    if rank is None:
        message = f"{backend.name} does not know the rank of this {type(tensor).__name__}"
        raise make_error("PLT505", message, check_pattern_is_text(pattern))
    return rank


def _pack_wrapped_tensors(
    tensors: Sequence[Any], pattern: str, layout: DimensionCountsAroundStar, backend: Any
) -> tuple[Any, list[tuple[Any, ...]]]:
    """Pack the tensors inside."""
    from plait._executor.wrapped_tensors import find_equal_dimensions_of_pack
    from plait.backends.wrapper import unwrap_tensors

    data = unwrap_tensors(tensors)
    packed, shapes = pack(data, pattern)
    ranks = [rank_or_error(tensor, backend_for_tensors((tensor,)), pattern) for tensor in data]
    return backend.wrap(packed, tensors, find_equal_dimensions_of_pack(layout, ranks)), shapes


def _unpack_wrapped_tensor(
    tensor: Any, packed_shapes: Sequence[Any], pattern: str, layout: DimensionCountsAroundStar, backend: Any
) -> list[Any]:
    """Unpack the tensor inside."""
    from plait._executor.wrapped_tensors import find_equal_dimensions_of_unpack
    from plait.backends.wrapper import unwrap_tensor

    parts = unpack(unwrap_tensor(tensor), packed_shapes, pattern)
    return [
        backend.wrap(part, (tensor,), find_equal_dimensions_of_unpack(layout, sum(layout) + len(middle)))
        for part, middle in zip(parts, packed_shapes, strict=True)
    ]
