"""The sizes of a solved pattern, by arithmetic on ints or on symbols of a framework, which are never hashed or kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial, reduce
from itertools import islice
from operator import index
from typing import Any, TypeAlias

from plait._notation.parser import normalize_name
from plait._shapes.solver import (
    BROADCAST,
    COMPUTING,
    NONEMPTY,
    PRODUCT,
    QUOTIENT,
    SizeOp,
    SolvedPattern,
    dimension_place,
    tensor_name,
)
from plait.errors import make_error, short_repr

Report: TypeAlias = "Callable[[list[Any], str, int, tuple[int, ...]], Exception]"
"""Makes the error for a size operation that does not hold, from the slots and the operation."""


def evaluate(slots: list[Any], size_ops: Iterable[SizeOp], report: Report) -> None:
    """Run the size operations: each that computes a size appends it to the slots, and one that fails is reported."""
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
            if size == 0 or total % size != 0:
                raise report(slots, kind, source, factors)
            slots.append(total // size)
        elif kind == BROADCAST:
            ours = slots[source]
            if ours != size and 1 not in (ours, size):
                raise report(slots, kind, source, factors)
            slots.append(size if ours == 1 else ours)
        elif slots[source] == 0 if kind == NONEMPTY else slots[source] != size:
            raise report(slots, kind, source, factors)


def fill_slots(
    solved: SolvedPattern, size_ops: Iterable[SizeOp], lengths: Sequence[int], sizes: dict[str, int]
) -> list[int]:
    """The slots of a solved pattern or of its plan: lengths of dimensions, given sizes, constants, computed sizes."""
    slots = [*lengths, *sizes.values(), *solved.constants]
    evaluate(slots, size_ops, partial(report, solved))
    return slots


def evaluate_symbolic(slots: list[Any], size_ops: Iterable[SizeOp], report: Report) -> None:
    """`evaluate` for sizes that are ints, symbols, or ``None`` where nothing is known; only ints are checked."""
    for op in size_ops:
        kind, source, factors = op
        read = factors if kind == PRODUCT else (source, *factors)
        if all(type(slots[slot]) is int for slot in read):
            evaluate(slots, (op,), report)
        elif kind == BROADCAST:
            ours, theirs = slots[source], slots[factors[0]]
            is_ours = (type(theirs) is int and theirs == 1) or (type(ours) is int and ours != 1)
            slots.append(ours if is_ours else theirs)
        elif kind in COMPUTING:
            if any(slots[slot] is None for slot in read):
                slots.append(None)
            else:
                size = product([slots[factor] for factor in factors])
                slots.append(size if kind == PRODUCT else slots[source] // size)


def product(sizes: Sequence[Any]) -> Any:
    """The product of sizes; one may be a symbol, which multiplies an int from the left."""
    return reduce(lambda total, size: size * total, sizes) if sizes else 1


def exact(name: str, value: Any) -> int:
    """A size as an int; it must be exact, and not negative."""
    dtype = str(getattr(value, "dtype", ""))
    if isinstance(value, bool) or dtype.endswith("bool"):
        raise make_error("PLT301", f"the size {name}={value} is a truth value, and a size is an exact integer")
    try:
        if "float" in dtype:  # of which Paddle's __index__ drops what is behind the point
            raise TypeError(value)
        size = index(value)
    except Exception:  # a foreign __index__ may raise anything
        hint = f"; write {name}={int(value)}" if isinstance(value, float) and value.is_integer() else ""
        raise make_error("PLT301", f"the size {name}={short_repr(value)} is not an exact integer{hint}") from None
    if size < 0:
        raise make_error("PLT306", f"the size {name}={size} is negative")
    return size


def normalise_sizes(sizes: dict[str, Any]) -> dict[str, Any]:
    """The given sizes with their names as Python spells them: ``ℎ`` is ``h``, and so may not be given beside it."""
    normal: dict[str, Any] = {}
    for name, value in sizes.items():
        key = normalize_name(name)
        if key in normal:
            raise make_error("PLT311", f"the size {key} is given twice, once by another spelling of the name")
        normal[key] = value
    return normal


def context(solved: SolvedPattern, slots: Sequence[Any]) -> dict[str, str]:
    """The facts of the call that filled these slots."""
    sizes = iter(slots)
    shapes = [[*islice(sizes, rank)] for rank in solved.ranks]
    return call_facts(shapes, dict(zip(solved.given, sizes, strict=False)))


def call_facts(shapes: Sequence[Sequence[Any]], sizes: dict[str, Any]) -> dict[str, str]:
    """What an error shows below the pattern: the shapes, and the given sizes."""
    facts = {tensor_name(number, len(shapes)): shape_text(shape) for number, shape in enumerate(shapes)}
    if sizes:
        facts["given"] = ", ".join([f"{name}={value}" for name, value in sizes.items()])
    return facts


def shape_text(shape: Sequence[Any]) -> str:
    """A shape as errors and plans print it: ``_`` for a size that is not known, or that fills lines."""
    texts = ["_" if size is None else str(size) for size in shape]
    return " ".join("_" if "\n" in text else text for text in texts) or "(rank 0)"


def may_be_equal(shape: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether two shapes are equal, as far as their sizes are known."""
    pairs = zip(shape, other, strict=False)
    return len(shape) == len(other) and all(one == two for one, two in pairs if type(one) is type(two) is int)


def report(solved: SolvedPattern, slots: list[Any], kind: str, source: int, factors: tuple[int, ...]) -> Exception:
    """The error for a size operation that does not hold: PLT302, PLT305, PLT306 or PLT307, with its places."""
    tree, ranks, dims = solved.tree, solved.ranks, sum(solved.ranks)
    code, places, length = "PLT305", [source], slots[source]
    if kind == NONEMPTY:
        code = "PLT307"
        message = "the minimum or maximum of nothing is not defined, and an axis that is reduced has length 0"
        places = [source] if source < dims else []
    else:
        where, _ = dimension_place(tree, ranks, source)
        known = _product_text(solved, slots, factors)
        if not factors:
            message = f"{where} must have length 1, and its length is {length}"
        elif kind == QUOTIENT and known.endswith("=0"):
            code, message = "PLT306", f"{known} leaves the other size in {where} open; give it too"
        elif kind == QUOTIENT:
            code, message = "PLT302", f"{known} does not divide {where}, whose length is {length}"
        elif kind == BROADCAST:
            message = f"{where} has length {length}, which does not broadcast with {slots[factors[0]]}"
        elif known == str(slots[factors[0]]):
            message = f"{where} must have length {known}, and its length is {length}"
        else:
            if len(factors) == 1 and factors[0] < dims:
                known = f"{known} by {dimension_place(tree, ranks, factors[0])[0]}"
                places = sorted({factors[0], source})
            message = f"{where} has length {length}, and {known}"
    spans = [dimension_place(tree, ranks, place)[1] for place in places]
    return make_error(code, message, tree.text, spans, context(solved, slots))


def _product_text(solved: SolvedPattern, slots: Sequence[Any], factors: tuple[int, ...]) -> str:
    """A product of sizes with its names: ``ph=3``, ``2``, ``h*p=6``."""
    labels = dict(zip(solved.slots, solved.labels, strict=True))
    names = "*".join([labels.get(factor, "?") for factor in factors])
    size = str(product([slots[factor] for factor in factors]))
    return size if names == size else f"{names}={size}"
