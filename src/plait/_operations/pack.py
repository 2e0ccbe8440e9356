"""``pack`` and ``unpack``: the dimensions in the place of ``*`` become one, along which tensors are joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index
from typing import Any, TypeAlias

from plait._notation.parser import parse
from plait._notation.tree import Name
from plait._operations.rules import add_name, single_list, text_and_spans
from plait._shapes.sizes import format_shape, multiply_sizes, to_exact_size
from plait.errors import PlaitError, make_error, short_repr

Layout: TypeAlias = "tuple[int, int]"
"""The number of dimensions before the ``*`` and after it."""


def layout(pattern: str, operation: str) -> Layout:
    """Read a packing pattern, such as ``"b * c"``."""
    tree = parse(pattern)
    expr = single_list(tree, operation, "'b * c'")
    stars = [item for item in expr.items if str(item) == "*"]
    if len(stars) != 1:
        message = f"the pattern of {operation} has exactly one '*', and this one has {len(stars)}"
        raise make_error("PLT210", message, *text_and_spans(tree, stars))
    seen: dict[str, Name] = {}
    for item in expr.items:
        if isinstance(item, Name):
            add_name(seen, item, expr, tree)
        elif item is not stars[0]:
            raise make_error("PLT201", f"{operation} takes names and one '*'", *text_and_spans(tree, [item]))
    before = expr.items.index(stars[0])
    return before, len(expr.items) - before - 1


def split_shape(shape: Sequence[Any], where: Layout, pattern: str, place: int) -> tuple[Any, Any, Any]:
    """A shape in three parts: before the ``*``, in its place, and after it."""
    before, after = where
    if len(shape) < before + after:
        message = f"tensor {place} has rank {len(shape)}, and the pattern needs at least {before + after}"
        raise make_error("PLT304", message, pattern, facts={f"tensor {place}": format_shape(shape)})
    stop = len(shape) - after
    return tuple(shape[:before]), tuple(shape[before:stop]), tuple(shape[stop:])


def check_shared(parts: Sequence[tuple[Any, Any, Any]], pattern: str, *, comparable: bool = True) -> None:
    """Raise PLT305 where tensors differ in a shared dimension; sizes that are not comparable are passed over."""
    shared = [(*before, *after) for before, _, after in parts]
    for number, sizes in enumerate(shared):
        for place, (size, other) in enumerate(zip(sizes, shared[0], strict=True)):
            if (comparable or type(size) is type(other) is int) and size != other:
                name = [item for item in parse(pattern).left[0].items if isinstance(item, Name)][place]
                message = f"{name} has length {size} in tensor {number}, and {other} in tensor 0"
                raise make_error("PLT305", message, pattern, [(name.start, name.stop)])


def lengths(
    packed_shapes: Sequence[Sequence[Any]],
    total: Any,
    pattern: str,
    symbol: Callable[[Any], Any] = lambda _: None,
    *,
    comparable: bool = True,
) -> list[tuple[Any, Any]]:
    """For each packed shape its length in the packed dimension, and the shape with its ``-1`` inferred from the total.

    ``symbol`` gives a size as its framework computes with it, or ``None`` where it is not a symbol of the framework's.
    """
    listed = _listed(packed_shapes, "packed shapes are a list of shapes, and this is {}", pattern)
    shapes = [_packed_shape(shape, number, pattern, symbol) for number, shape in enumerate(listed)]
    seen = {"packed shapes": short_repr(listed)}
    unknown = [
        (number, place) for number, shape in enumerate(shapes) for place, size in enumerate(shape) if size is None
    ]
    if len(unknown) > 1:
        raise make_error("PLT309", "at most one size of the packed shapes may be -1", pattern, facts=seen)
    known = [multiply_sizes([size for size in shape if size is not None]) for shape in shapes]
    for number, place in unknown:
        rest = total - sum(known[:number]) - sum(known[number + 1 :])
        ints = type(rest) is int and type(known[number]) is int
        if ints and (rest < 0 or known[number] == 0 or rest % known[number]):
            message = f"no size in place of -1 makes the packed shapes add up to {total}"
            raise make_error("PLT309", message, pattern, facts=seen)
        shapes[number][place] = rest // known[number]
        known[number] = rest
    comparable = comparable or all(type(size) is int for size in (total, *known))
    if not unknown and comparable and sum(known) != total:
        message = f"the packed shapes hold {sum(known)} elements along the packed dimension, whose length is {total}"
        raise make_error("PLT309", message, pattern, facts=seen)
    return [(length, tuple(shape)) for length, shape in zip(known, shapes, strict=True)]


def _listed(values: Any, mistake: str, pattern: str) -> list[Any]:
    try:
        return list(values)
    except TypeError:
        raise make_error("PLT309", mistake.format(short_repr(values)), pattern) from None


def _packed_shape(shape: Any, number: int, pattern: str, symbol: Callable[[Any], Any]) -> list[Any]:
    sizes = _listed(shape, f"packed shape {number} is no shape: {{}}; write a tuple of sizes", pattern)
    return [_packed_size(size, number, pattern, symbol) for size in sizes]


def _packed_size(size: Any, number: int, pattern: str, symbol: Callable[[Any], Any]) -> Any:
    """A size as it is computed with; ``None`` where it is -1, and to be inferred."""
    if type(size) is int and size >= -1:
        return None if size == -1 else size
    known = symbol(size)
    if known is not None:
        return known
    try:
        return None if not isinstance(size, bool) and index(size) == -1 else to_exact_size("", size)
    except (TypeError, PlaitError):
        raise make_error(
            "PLT309", f"packed shape {number} holds {short_repr(size)}, which is no size", pattern
        ) from None
