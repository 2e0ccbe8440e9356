"""The second half of solving: the sizes themselves, by plain arithmetic on what a shape holds.

The same code serves ints and a framework's symbols. Symbols are never hashed, nor kept; they are multiplied and
divided by `compute`, and compared by `evaluate` only where their framework allows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import index
from typing import Any, TypeAlias

from plait._notation.parser import normalise
from plait._shapes.solver import (
    BROADCAST,
    COMPUTING,
    NONEMPTY,
    PRODUCT,
    QUOTIENT,
    SolvedPattern,
    dimension_place,
)
from plait.errors import fail, short

Report: TypeAlias = "Callable[[list[Any], str, int, tuple[int, ...]], Exception]"
"""Makes the error for an instruction that does not hold, from the slots and the instruction."""

SizeOps: TypeAlias = "Iterable[tuple[str, int, tuple[int, ...]]]"
"""`SizeOp`s, or plain tuples of the same."""


def evaluate(slots: list[Any], size_ops: SizeOps, report: Report) -> None:
    """Run the size operations; each that computes a size appends it to the slots.

    Raises:
        SizeError: what ``report`` makes of an instruction that does not hold.
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


def evaluate_symbolic(slots: list[Any], size_ops: SizeOps, report: Report) -> None:
    """`evaluate` for sizes that must not be compared unless they are ints; what is not known is not checked.

    Raises:
        SizeError: as `evaluate`.
    """
    for kind, source, factors in size_ops:
        read = factors if kind == PRODUCT else (source, *factors)
        if all(type(slots[slot]) is int for slot in read):
            evaluate(slots, ((kind, source, factors),), report)
        elif kind in COMPUTING:
            size = slots[factors[0]] if factors else 1
            for factor in factors[1:]:
                size = size * slots[factor]
            if kind == QUOTIENT:
                size = slots[source] // size
            elif kind == BROADCAST:
                ours = slots[source]
                size = ours if (type(size) is int and size == 1) or (type(ours) is int and ours != 1) else size
            slots.append(size)


def exact(name: str, value: Any) -> int:
    """A size as an int.

    Raises:
        SizeError: PLT301, it is not an exact integer; PLT306, it is negative.
    """
    dtype = str(getattr(value, "dtype", ""))
    if isinstance(value, bool) or dtype.endswith("bool"):
        raise fail("PLT301", f"the size {name}={value} is a truth value, and a size is an exact integer")
    try:
        size = _whole(value) if "float" in dtype else index(value)
    except Exception:  # whatever a stranger's __index__ raises, it is no integer
        message = f"the size {name}={short(value)} is not an exact integer{_exact_hint(name, value)}"
        raise fail("PLT301", message) from None
    if size < 0:
        raise fail("PLT306", f"the size {name}={size} is negative")
    return size


def _whole(value: Any) -> int:
    """What no ``index`` may see: of a floating tensor Paddle would drop what is behind the point."""
    raise TypeError(value)


def normalise_sizes(sizes: dict[str, Any]) -> dict[str, Any]:
    """The given sizes with their names as Python spells them (``ℎ`` is ``h``).

    Raises:
        SizeError: PLT311, two of the names are one.
    """
    normal: dict[str, Any] = {}
    for name, value in sizes.items():
        key = normalise(name)
        if key in normal:
            raise fail("PLT311", f"the size {key} is given twice, once by another spelling of the name")
        normal[key] = value
    return normal


def context(solved: SolvedPattern, slots: Sequence[Any]) -> dict[str, str]:
    """What an error shows below the pattern: the shapes, and the given sizes."""
    shapes: list[str] = []
    start = 0
    for rank in solved.ranks:
        shapes.append(shape_text(slots[start : start + rank]))
        start += rank
    seen = {"input": shapes[0]} if len(shapes) == 1 else {f"tensor {n}": shape for n, shape in enumerate(shapes)}
    if solved.given:
        seen["given"] = ", ".join(f"{name}={slots[start + n]}" for n, name in enumerate(solved.given))
    return seen


def shape_text(shape: Sequence[Any]) -> str:
    """A shape as errors and plans print it: ``_`` for a size that is not known, or that fills lines."""
    texts = ["_" if size is None else str(size) for size in shape]
    return " ".join("_" if "\n" in text else text for text in texts) or "(rank 0)"


def _known(solved: SolvedPattern, slots: Sequence[Any], factors: tuple[int, ...]) -> str:
    """The factors of a dimension as name and number: ``ph=3``, ``2``, ``h*p = 2*3``."""
    labels = {slot: solved.labels[axis] for axis, slot in enumerate(solved.slots)}
    shown = [labels.get(factor, "?") for factor in factors]
    if len(factors) == 1:
        size = str(slots[factors[0]])
        return size if shown[0] == size else f"{shown[0]}={size}"
    total = 1
    for factor in factors:
        total = total * slots[factor]
    return f"{'*'.join(shown)}={total}"


def _sizes_error(code: str, message: str, solved: SolvedPattern, slots: list[Any], sources: Iterable[int]) -> Exception:
    spans = [dimension_place(solved.tree, solved.ranks, source)[1] for source in sources]
    return fail(code, message, solved.tree.text, spans, context(solved, slots))


def report(solved: SolvedPattern, slots: list[Any], kind: str, source: int, factors: tuple[int, ...]) -> Exception:
    """The error for an instruction that does not hold: PLT302, PLT305, PLT306 or PLT307, with its places."""
    dims = sum(solved.ranks)
    if kind == NONEMPTY:
        message = "the minimum or maximum of nothing is not defined, and an axis that is reduced has length 0"
        return _sizes_error("PLT307", message, solved, slots, [source] if source < dims else [])
    where, _ = dimension_place(solved.tree, solved.ranks, source)
    length = slots[source]
    if not factors:
        message = f"{where} must have length 1, and its length is {length}"
        return _sizes_error("PLT305", message, solved, slots, [source])
    known = _known(solved, slots, factors)
    if kind == QUOTIENT and known.endswith("=0"):
        message = f"{known} leaves the other size in {where} open; give it too"
        return _sizes_error("PLT306", message, solved, slots, [source])
    if kind == QUOTIENT:
        message = f"{known} does not divide {where}, whose length is {length}"
        return _sizes_error("PLT302", message, solved, slots, [source])
    if kind == BROADCAST:
        message = f"{where} has length {length}, which does not broadcast with {slots[factors[0]]}"
        return _sizes_error("PLT305", message, solved, slots, [source])
    if known == str(slots[factors[0]]):
        message = f"{where} must have length {known}, and its length is {length}"
        return _sizes_error("PLT305", message, solved, slots, [source])
    sources = [source]
    if len(factors) == 1 and factors[0] < dims:
        known = f"{known} by {dimension_place(solved.tree, solved.ranks, factors[0])[0]}"
        sources = sorted({factors[0], source})
    return _sizes_error("PLT305", f"{where} has length {length}, and {known}", solved, slots, sources)


def _exact_hint(name: str, value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return f"; write {name}={int(value)}"
    return ""
