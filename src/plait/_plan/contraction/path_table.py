"""The table of a contraction path: what each step contracts, what is left, and what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from plait._plan.contraction.paths import Path

if TYPE_CHECKING:
    from plait._plan.contraction.network import TensorNetwork

MAX_REMAINING_WIDTH = 60
"""The column of the tensors that are left has at most about this many characters."""


class PathLine(NamedTuple):
    """One step of a contraction path."""

    operands: tuple[int, ...]  # the positions of the tensors that it contracts, as in the path
    contraction: str  # their axes and those of the result, as a pattern
    scaling: int  # the number of axes of the tensors together
    flops: int  # multiplications and additions, counted as in opt_einsum
    size: int  # the number of elements of the result
    remaining: str  # the axes of the tensors that are left, cut if there are many


def list_path_lines(network: TensorNetwork, path: Path) -> list[PathLine]:
    """Return the steps of a path; axes of length 1 are left out, as in the network."""
    terms = [tuple(dict.fromkeys(term)) for term in network.terms]
    use_counts = Counter(chain(network.output, *terms))
    texts = [_format_term(network, term) for term in terms]
    lines = []
    for number, positions in enumerate(path):
        contracted = [terms[position] for position in positions]
        use_counts.subtract(chain(*contracted))
        axes = [*dict.fromkeys(chain(*contracted))]
        is_last = number == len(path) - 1
        kept = network.output if is_last else tuple([axis for axis in axes if use_counts[axis] > 0])
        use_counts.update(kept)
        left = ", ".join([texts[position] for position in positions])
        for position in sorted(positions, reverse=True):
            del terms[position], texts[position]
        terms.append(kept)
        texts.append(_format_term(network, kept))
        products = prod([network.sizes[axis] for axis in axes])
        lines.append(
            PathLine(
                positions,
                f"{left} -> {texts[-1]}".rstrip(),
                sum([len(network.labels[axis].split()) for axis in axes]),
                products * (max(1, len(contracted) - 1) + (len(kept) < len(axes))),
                prod([network.sizes[axis] for axis in kept]),
                _format_remaining(texts),
            )
        )
    return lines


def format_path_table(lines: Sequence[PathLine]) -> list[str]:
    """Return the table of a path, a text for each line."""
    rows = [("step", "contracts", "scaling", "FLOPs", "result", "remaining")]
    rows += [
        (
            f"({', '.join(map(str, line.operands))})",
            line.contraction,
            str(line.scaling),
            f"{line.flops:,}",
            f"{line.size:,}",
            line.remaining,
        )
        for line in lines
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    is_number = (False, False, True, True, True, False)
    return [
        "   ".join(
            [
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(row, widths, is_number, strict=True)
            ]
        ).rstrip()
        for row in rows
    ]


def _format_term(network: TensorNetwork, term: Sequence[int]) -> str:
    """Return the axes of a tensor as the pattern spells them."""
    return " ".join([network.labels[axis] for axis in term])


def _format_remaining(texts: Sequence[str]) -> str:
    """Return the terms of the remaining tensors; of many tensors only the first ones."""
    shown = texts[0]
    for text in texts[1:]:
        if len(shown) > MAX_REMAINING_WIDTH:
            return f"{shown}, …"
        shown = f"{shown}, {text}"
    return shown
