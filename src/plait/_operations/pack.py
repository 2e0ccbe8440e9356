"""The operations ``pack`` and ``unpack``: flatten the dimensions that ``*`` represents, and concatenate along them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index, ne
from typing import Any, TypeAlias

from plait._notation.parser import parse
from plait._notation.tree import Name
from plait._operations.rules import add_unique_name, require_single_tensor_without_arrow, text_and_spans
from plait._shapes.sizes import format_shape, multiply_sizes, to_exact_size
from plait.errors import PlaitError, make_error, short_repr

DimensionCountsAroundStar: TypeAlias = "tuple[int, int]"
"""The number of dimensions before the ``*`` of a packing pattern, and after it."""


def dimension_counts_around_star(pattern: str, operation: str) -> DimensionCountsAroundStar:
    """Return how many dimensions a packing pattern has before and after its ``*``: ``(1, 1)`` for ``"b * c"``."""
    tree = parse(pattern)
    expr = require_single_tensor_without_arrow(tree, operation, "'b * c'")
    stars = [item for item in expr.items if str(item) == "*"]
    if len(stars) != 1:
        message = f"the pattern of {operation} needs exactly one '*', but has {len(stars)}"
        raise make_error("PLT210", message, *text_and_spans(tree, stars))
    seen: dict[str, Name] = {}
    for item in expr.items:
        if isinstance(item, Name):
            add_unique_name(seen, item, expr, tree)
        elif item is not stars[0]:
            raise make_error(
                "PLT201",
                f"the pattern of {operation} can contain only names and one '*'",
                *text_and_spans(tree, [item]),
            )
    before = expr.items.index(stars[0])
    return before, len(expr.items) - before - 1


def split_shape(
    shape: Sequence[Any], layout: DimensionCountsAroundStar, pattern: str, number: int
) -> tuple[Any, Any, Any]:
    """Return the shape of tensor ``number`` in three parts: before the ``*``, for the ``*``, and after it."""
    before, after = layout
    if len(shape) < before + after:
        message = f"tensor {number} has rank {len(shape)}, but the pattern needs rank {before + after} or more"
        raise make_error("PLT304", message, pattern, facts={f"tensor {number}": format_shape(shape)})
    stop = len(shape) - after
    return tuple(shape[:before]), tuple(shape[before:stop]), tuple(shape[stop:])


def check_shared_lengths(
    parts: Sequence[tuple[Any, Any, Any]], pattern: str, sizes_differ: Callable[[Any, Any], bool] = ne
) -> None:
    """Raise PLT305 if the tensors differ in the length of a dimension that is not packed.

    ``parts`` has, for each tensor, its lengths before the packed dimensions, of them, and after them.
    ``sizes_differ`` is false for two lengths of which only a run of the graph can tell.
    """
    shared = [(*before, *after) for before, _, after in parts]
    for number, sizes in enumerate(shared):
        for position, (size, other) in enumerate(zip(sizes, shared[0], strict=True)):
            if sizes_differ(size, other):
                name = [item for item in parse(pattern).left[0].items if isinstance(item, Name)][position]
                message = f"axis '{name}' has length {size} in tensor {number}, but {other} in tensor 0"
                raise make_error("PLT305", message, pattern, [(name.start, name.stop)])


def packed_lengths_and_shapes(
    packed_shapes: Sequence[Sequence[Any]],
    total: Any,
    pattern: str,
    to_symbolic_size: Callable[[Any], Any] = lambda _: None,
    sizes_differ: Callable[[Any, Any], bool] = ne,
) -> list[tuple[Any, Any]]:
    """Return for each packed shape its length along the packed dimension, and the shape with its ``-1`` inferred.

    ``total`` is the length of the packed dimension. ``to_symbolic_size`` converts a symbolic size to the form in which
    its framework does arithmetic with it, and returns ``None`` for any other object. ``sizes_differ`` is false for two
    lengths of which only a run of the graph can tell.
    """
    listed = _to_list(packed_shapes, "packed shapes are a list of shapes, and this is {}", pattern)
    shapes = [_parse_packed_shape(shape, number, pattern, to_symbolic_size) for number, shape in enumerate(listed)]
    unknown = [(number, dim) for number, shape in enumerate(shapes) for dim, size in enumerate(shape) if size is None]
    if len(unknown) > 1:
        raise make_error("PLT309", "only one size of the packed shapes can be -1", pattern, facts=_facts(listed))
    lengths = [multiply_sizes([size for size in shape if size is not None]) for shape in shapes]
    for number, dim in unknown:
        rest = total - sum(lengths[:number]) - sum(lengths[number + 1 :])
        ints = type(rest) is int and type(lengths[number]) is int
        if ints and (rest < 0 or lengths[number] == 0 or rest % lengths[number]):
            message = f"no integer in place of -1 makes the packed shapes add up to {total}"
            raise make_error("PLT309", message, pattern, facts=_facts(listed))
        shapes[number][dim] = rest // lengths[number]
        lengths[number] = rest
    if not unknown and sizes_differ(sum(lengths), total):
        message = f"the packed shapes add up to {sum(lengths)}, but the packed dimension has length {total}"
        raise make_error("PLT309", message, pattern, facts=_facts(listed))
    return [(length, tuple(shape)) for length, shape in zip(lengths, shapes, strict=True)]


def _facts(packed_shapes: list[Any]) -> dict[str, str]:
    """Return what an error says of the packed shapes."""
    return {"packed shapes": short_repr(packed_shapes)}


def _to_list(values: Any, message: str, pattern: str) -> list[Any]:
    """Return the values as a list; raise PLT309 if they are not iterable, with their repr for ``{}`` in the message."""
    try:
        return list(values)
    except TypeError:
        raise make_error("PLT309", message.format(short_repr(values)), pattern) from None


def _parse_packed_shape(shape: Any, number: int, pattern: str, to_symbolic_size: Callable[[Any], Any]) -> list[Any]:
    """Return the sizes of one packed shape, each as `_parse_packed_size` returns it."""
    sizes = _to_list(shape, f"packed shape {number} must be a tuple of integers, not {{}}", pattern)
    return [_parse_packed_size(size, number, pattern, to_symbolic_size) for size in sizes]


def _parse_packed_size(size: Any, number: int, pattern: str, to_symbolic_size: Callable[[Any], Any]) -> Any:
    """Return one size of a packed shape as an int or a symbolic size, or ``None`` for -1, which is to be inferred."""
    if type(size) is int and size >= -1:
        return None if size == -1 else size
    symbolic = to_symbolic_size(size)
    if symbolic is not None:
        return symbolic
    try:
        return None if not isinstance(size, bool) and index(size) == -1 else to_exact_size("", size)
    except (TypeError, PlaitError):
        raise make_error(
            "PLT309", f"packed shape {number} contains {short_repr(size)}, which is not an integer", pattern
        ) from None
