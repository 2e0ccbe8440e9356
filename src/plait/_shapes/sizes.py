"""The evaluation of a solved pattern: sizes computed from shapes, as ints or as symbolic sizes of a framework.

A symbolic size is never hashed, compared or cached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial, reduce
from itertools import islice
from operator import index, ne
from typing import Any, TypeAlias

from plait._notation.parser import normalize_name
from plait._shapes.solver import (
    BROADCAST,
    CHECK_NONEMPTY,
    ELLIPSIS_LABEL,
    PRODUCT,
    QUOTIENT,
    SIZE_OP_KINDS_WITH_RESULT,
    SizeOp,
    SolvedPattern,
    dimension_phrase_and_span,
    slot_labels,
    tensor_label,
    tensor_number_and_dimension,
)
from plait.errors import make_error, short_repr

SizeErrorFactory: TypeAlias = "Callable[[list[Any], str, int, tuple[int, ...]], Exception]"
"""Takes the slots and a size operation that failed (kind, source, factors), and returns the error to raise."""


def extend_slots(
    slots: list[Any],
    size_ops: Iterable[SizeOp],
    error_factory: SizeErrorFactory,
    is_zero_size: Callable[[Any], bool | None] | None = None,
    sizes_differ: Callable[[Any, Any], bool] = ne,
) -> None:
    """Run the size operations in order; append each computed size to the slots, and raise if a check fails.

    ``is_zero_size`` and ``sizes_differ`` are the methods of `plait.backends.interface.Backend`, for symbolic sizes.
    """
    for kind, source, factors in size_ops:
        size = 1
        if factors:
            size = slots[factors[0]]
            for factor in factors[1:]:
                size = size * slots[factor]
        if kind == PRODUCT:
            slots.append(size)
        elif kind == QUOTIENT:
            total = slots[source]
            if (
                size == 0 or total % size != 0
                if is_zero_size is None
                else is_zero_size(size) or is_zero_size(total % size) is False
            ):
                raise error_factory(slots, kind, source, factors)
            slots.append(total // size)
        elif kind == BROADCAST:
            length: Any = slots[source]
            if is_zero_size is not None:
                length = _broadcast_length_or_none(length, size, sizes_differ)
            elif length == 1:
                length = size
            elif length != size != 1:
                length = None
            if length is None:
                raise error_factory(slots, kind, source, factors)
            slots.append(length)
        elif kind == CHECK_NONEMPTY:
            if slots[source] == 0 if is_zero_size is None else is_zero_size(slots[source]):
                raise error_factory(slots, kind, source, factors)
        elif sizes_differ(slots[source], size):
            raise error_factory(slots, kind, source, factors)


def _broadcast_length_or_none(length: Any, other: Any, sizes_differ: Callable[[Any, Any], bool]) -> Any:
    """Return the length to which two symbolic sizes broadcast, or ``None`` if they do not.

    Those that may be equal count as equal.
    """
    if _is_one(length, sizes_differ):
        return other
    return length if _is_one(other, sizes_differ) or not sizes_differ(length, other) else None


def _is_one(size: Any, sizes_differ: Callable[[Any, Any], bool]) -> bool:
    """Whether a size is known to be 1: ``sizes_differ`` is false too if that is unknown, but then for every number."""
    return not sizes_differ(size, 1) and sizes_differ(size, 2)


def compute_all_slots(
    solved: SolvedPattern, size_ops: Iterable[SizeOp], lengths: Sequence[int], sizes: dict[str, int]
) -> list[int]:
    """Return all slots: the lengths of the dimensions, the given sizes, the constants, and then the computed sizes."""
    slots = [*lengths, *sizes.values(), *solved.constants]
    extend_slots(slots, size_ops, partial(size_op_error, solved))
    return slots


def extend_symbolic_slots(slots: list[Any], size_ops: Iterable[SizeOp], error_factory: SizeErrorFactory) -> None:
    """Run the size operations on ints, symbolic sizes and ``None`` for an unknown size; only ints are checked."""
    for op in size_ops:
        kind, source, factors = op
        read = factors if kind == PRODUCT else (source, *factors)
        if all(type(slots[slot]) is int for slot in read):
            extend_slots(slots, (op,), error_factory)
        elif kind == BROADCAST:
            length, other = slots[source], slots[factors[0]]
            is_result = (type(other) is int and other == 1) or (type(length) is int and length != 1)
            slots.append(length if is_result else other)
        elif kind in SIZE_OP_KINDS_WITH_RESULT:
            if any(slots[slot] is None for slot in read):
                slots.append(None)
            else:
                size = multiply_sizes([slots[factor] for factor in factors])
                slots.append(size if kind == PRODUCT else slots[source] // size)


def multiply_sizes(sizes: Sequence[Any]) -> Any:
    """Return the product of sizes; the next size is the left operand, so that its own ``*`` is called."""
    return reduce(lambda total, size: size * total, sizes) if sizes else 1


def to_exact_size(name: str, value: Any) -> int:
    """Return a size as an int; raise if it is not an exact integer, or is negative. ``name`` appears in the error."""
    dtype = str(getattr(value, "dtype", ""))
    if isinstance(value, bool) or dtype.endswith("bool"):
        raise make_error("PLT301", f"size {name}={value} is a bool, not an integer")
    try:
        if "float" in dtype:  # Paddle's __index__ truncates floats
            raise TypeError(value)
        size = index(value)
    except Exception:  # a foreign __index__ may raise anything
        hint = f"; write {name}={int(value)}" if isinstance(value, float) and value.is_integer() else ""
        raise make_error("PLT301", f"size {name}={short_repr(value)} is not an integer{hint}") from None
    if size < 0:
        raise make_error("PLT306", f"size {name}={size} is negative")
    return size


def sizes_by_normalized_name(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given sizes by their names in NFKC; raise if two names become equal, such as ``ℎ`` and ``h``."""
    normal: dict[str, Any] = {}
    for name, value in sizes.items():
        key = normalize_name(name)
        if key in normal:
            raise make_error("PLT311", f"size '{key}' is given twice, in two spellings of the same name")
        normal[key] = value
    return normal


def error_facts_from_slots(solved: SolvedPattern, slots: Sequence[Any]) -> dict[str, str]:
    """Return the shapes and sizes that an error prints, read from the slots of the failed call."""
    sizes = iter(slots)
    shapes = [[*islice(sizes, rank)] for rank in solved.ranks]
    return error_facts(shapes, dict(zip(solved.size_names, sizes, strict=False)))


def error_facts(shapes: Sequence[Sequence[Any]], sizes: dict[str, Any]) -> dict[str, str]:
    """Return what an error prints below the pattern: the shape of each tensor, and the given sizes, by label."""
    facts = {tensor_label(number, len(shapes)): format_shape(shape) for number, shape in enumerate(shapes)}
    if sizes:
        facts["given"] = ", ".join([f"{name}={_format_size(value)}" for name, value in sizes.items()])
    return facts


def _format_size(size: Any) -> str:
    """Return a given size as text; it may be any object, as the array of ``out=``, and a symbol keeps its own text."""
    text = str(size)
    return text if "\n" not in text and len(text) <= 60 else short_repr(size)


def format_shape(shape: Sequence[Any]) -> str:
    """Return a shape as text, ``_`` for each size that is unknown or whose text has several lines."""
    texts = ["_" if size is None else str(size) for size in shape]
    return " ".join("_" if "\n" in text else text for text in texts) or "(rank 0)"


def shapes_may_be_equal(shape: Sequence[Any], other: Sequence[Any], *, can_compare_sizes: bool = False) -> bool:
    """Whether two shapes have the same rank, and the same length wherever both lengths can be compared.

    Two ints can be compared; if ``can_compare_sizes`` is true, symbolic sizes too; ``None`` never.
    """
    if len(shape) != len(other):
        return False
    pairs = zip(shape, other, strict=True)
    if can_compare_sizes:
        return all(one is None or two is None or one == two for one, two in pairs)
    return all(one == two for one, two in pairs if type(one) is type(two) is int)


def size_op_error(
    solved: SolvedPattern, slots: list[Any], kind: str, source: int, factors: tuple[int, ...]
) -> Exception:
    """Return the error for a size operation that failed: PLT302, PLT305, PLT306 or PLT307."""
    tree, ranks, dims = solved.tree, solved.ranks, sum(solved.ranks)
    code, shown_slots, length = "PLT305", [source], slots[source]
    if kind == CHECK_NONEMPTY:
        code = "PLT307"
        message = "the minimum or maximum over no elements is not defined; a reduced axis has length 0"
        shown_slots = [source] if source < dims else []
    else:
        where, _ = dimension_phrase_and_span(tree, ranks, source)
        is_letter = kind == BROADCAST and slot_labels(solved, ())[source] != ELLIPSIS_LABEL
        product = _format_product(solved, slots, factors, source if is_letter else None)
        if not factors:
            message = f"{where} must have length 1, but has length {length}"
        elif kind == QUOTIENT and product.endswith("=0"):
            code, message = "PLT306", f"the other size in {where} cannot be inferred when {product}; pass it too"
        elif kind == QUOTIENT:
            code, message = "PLT302", f"{product} does not divide {where} (length {length})"
        elif kind == BROADCAST and not is_letter:
            message = f"{where} has length {length}, which does not broadcast with {slots[factors[0]]}"
        elif product == str(slots[factors[0]]):
            message = f"{where} must have length {product}, but has length {length}"
        else:
            if len(factors) == 1 and factors[0] < dims:
                product = f"{product} in {dimension_phrase_and_span(tree, ranks, factors[0])[0]}"
                shown_slots = sorted({factors[0], source})
            message = f"{where} has length {length}, but {product}"
            message += _unit_axis_hint(solved, slots, source, factors)
    spans = [dimension_phrase_and_span(tree, ranks, slot)[1] for slot in shown_slots]
    return make_error(code, message, tree.text, spans, error_facts_from_slots(solved, slots))


def _unit_axis_hint(solved: SolvedPattern, slots: Sequence[Any], source: int, factors: tuple[int, ...]) -> str:
    """Return what to write in the named form for length 1 of an axis that another tensor has too; else ``""``."""
    dims = sum(solved.ranks)
    if solved.is_classical or len(factors) != 1 or len(solved.ranks) == 1:
        return ""
    lengths = {slot: slots[slot] for slot in (source, *factors) if slot < dims}
    stretched = [slot for slot, length in lengths.items() if type(length) is int and length == 1]
    tensors = {tensor_number_and_dimension(solved.ranks, slot)[0] for slot in lengths}
    axes = sum(solved.inputs, ())[source]
    if len(stretched) != 1 or len(tensors) != len(lengths) or len(axes) != 1:
        return ""
    number, _ = tensor_number_and_dimension(solved.ranks, stretched[0])
    return f"; a named axis is not stretched, so write 1 instead of {solved.labels[axes[0]]} in tensor {number}"


def _format_product(
    solved: SolvedPattern, slots: Sequence[Any], factors: tuple[int, ...], source: int | None = None
) -> str:
    """Return a product of sizes as text with the names of its axes: ``ph=3``, ``2``, ``h*p=6``.

    If ``source`` is the slot of a dimension, its axis gives the name.
    """
    labels = slot_labels(solved, ())
    names = "*".join([labels.get(factor if source is None else source, "?") for factor in factors])
    size = str(multiply_sizes([slots[factor] for factor in factors]))
    return size if names == size else f"{names}={size}"
