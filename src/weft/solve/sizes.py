"""The second half of solving: the sizes themselves, by plain arithmetic on what a shape holds.

The same code serves ints and a framework's symbols. Symbols are never hashed, nor kept; they are multiplied and
divided, and compared only by the ``agree`` that their framework supplies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import eq, index
from typing import Any

from weft.errors import fail, short
from weft.pattern import normalise
from weft.solve.template import (
    BROADCAST,
    CHECK,
    PRODUCT,
    QUOTIENT,
    Instruction,
    Template,
    dimension_place,
)

Agree = Callable[[Any, Any], bool]
"""Says whether two sizes may be equal: ``False`` only where they are known to differ."""


def evaluate(solved: Template, registers: list[Any], instructions: Iterable[Instruction], agree: Agree = eq) -> None:
    """Run the instructions; each that computes a size appends it to the registers.

    Raises:
        SizeError: W302, W305 or W306, naming the dimension and the axes.
    """
    for kind, source, factors in instructions:
        if factors:
            size = registers[factors[0]]
            for factor in factors[1:]:
                size = size * registers[factor]
        else:
            size = 1
        if kind == PRODUCT:
            registers.append(size)
        elif kind == QUOTIENT:
            total = registers[source]
            if type(size) is int and size == 0:
                raise _zero(solved, registers, source, factors)
            if not agree(total % size, 0):
                raise _indivisible(solved, registers, source, factors)
            registers.append(total // size)
        elif kind == CHECK:
            if not agree(registers[source], size):
                raise _disagreement(solved, registers, source, factors)
        elif kind == BROADCAST:
            registers.append(_broadcast(solved, registers, source, factors, agree))
        elif type(registers[source]) is int and registers[source] == 0:
            raise _nothing(solved, registers, source)


def exact(name: str, value: Any) -> int:
    """A size as an int.

    Raises:
        SizeError: W301, it is not an exact integer; W306, it is negative.
    """
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        raise fail("W301", f"the size {name}={value} is a truth value, and a size is an exact integer")
    try:
        size = index(value)
    except Exception:  # whatever a stranger's __index__ raises, it is no integer
        raise fail("W301", f"the size {name}={short(value)} is not an exact integer{_exact_hint(name, value)}") from None
    if size < 0:
        raise fail("W306", f"the size {name}={size} is negative")
    return size


def normalise_sizes(sizes: dict[str, Any]) -> dict[str, Any]:
    """The given sizes with their names as Python spells them (``ℎ`` is ``h``).

    Raises:
        SizeError: W311, two of the names are one.
    """
    normal: dict[str, Any] = {}
    for name, value in sizes.items():
        key = normalise(name)
        if key in normal:
            raise fail("W311", f"the size {key} is given twice, once by another spelling of the name")
        normal[key] = value
    return normal


def facts(solved: Template, registers: Sequence[Any]) -> dict[str, str]:
    """What an error shows below the pattern: the shapes, and the given sizes."""
    shapes: list[str] = []
    start = 0
    for rank in solved.ranks:
        shapes.append(shape_text(registers[start : start + rank]))
        start += rank
    seen = {"input": shapes[0]} if len(shapes) == 1 else {f"tensor {n}": shape for n, shape in enumerate(shapes)}
    if solved.given:
        seen["given"] = ", ".join(f"{name}={registers[start + n]}" for n, name in enumerate(solved.given))
    return seen


def shape_text(shape: Sequence[Any]) -> str:
    """A shape as errors and plans print it."""
    return " ".join(str(size) for size in shape) if len(shape) else "(rank 0)"


def _known(solved: Template, registers: Sequence[Any], factors: tuple[int, ...]) -> str:
    """The factors of a dimension as name and number: ``ph=3``, ``2``, ``h*p = 2*3``."""
    labels = {register: solved.labels[axis] for axis, register in enumerate(solved.registers)}
    shown = [labels.get(factor, "?") for factor in factors]
    if len(factors) == 1:
        size = str(registers[factors[0]])
        return size if shown[0] == size else f"{shown[0]}={size}"
    total = 1
    for factor in factors:
        total = total * registers[factor]
    return f"{'*'.join(shown)}={total}"


def _sizes_error(
    code: str, message: str, solved: Template, registers: list[Any], sources: Iterable[int]
) -> Exception:
    spans = [dimension_place(solved.tree, solved.ranks, source)[1] for source in sources]
    return fail(code, message, solved.tree.text, spans, facts(solved, registers))


def _zero(solved: Template, registers: list[Any], source: int, factors: tuple[int, ...]) -> Exception:
    where, _ = dimension_place(solved.tree, solved.ranks, source)
    message = f"{_known(solved, registers, factors)} leaves the other size in {where} open; give it too"
    return _sizes_error("W306", message, solved, registers, [source])


def _indivisible(solved: Template, registers: list[Any], source: int, factors: tuple[int, ...]) -> Exception:
    where, _ = dimension_place(solved.tree, solved.ranks, source)
    known = _known(solved, registers, factors)
    message = f"{known} does not divide {where}, whose length is {registers[source]}"
    return _sizes_error("W302", message, solved, registers, [source])


def _disagreement(solved: Template, registers: list[Any], source: int, factors: tuple[int, ...]) -> Exception:
    where, _ = dimension_place(solved.tree, solved.ranks, source)
    length = registers[source]
    if not factors:
        message = f"{where} must have length 1, and its length is {length}"
        return _sizes_error("W305", message, solved, registers, [source])
    known = _known(solved, registers, factors)
    sources = [source]
    if len(factors) == 1 and factors[0] < sum(solved.ranks):
        other, _ = dimension_place(solved.tree, solved.ranks, factors[0])
        known = f"{known} by {other}"
        sources = sorted({factors[0], source})
    message = f"{where} has length {length}, and {known}"
    return _sizes_error("W305", message, solved, registers, sources)


def _broadcast(solved: Template, registers: list[Any], source: int, factors: tuple[int, ...], agree: Agree) -> Any:
    ours, other = registers[source], registers[factors[0]]
    if type(ours) is int and ours == 1:
        return other
    if (type(other) is int and other == 1) or agree(ours, other):
        return ours
    where, _ = dimension_place(solved.tree, solved.ranks, source)
    message = f"{where} has length {ours}, which does not broadcast with {other}"
    return _sizes_error("W305", message, solved, registers, [source])


def _nothing(solved: Template, registers: list[Any], source: int) -> Exception:
    message = "the minimum or maximum of nothing is not defined, and an axis that is reduced has length 0"
    return _sizes_error("W307", message, solved, registers, [source] if source < sum(solved.ranks) else [])


def _exact_hint(name: str, value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return f"; write {name}={int(value)}"
    return ""
