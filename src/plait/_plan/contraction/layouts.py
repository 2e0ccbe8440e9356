"""How a tensor is brought into other dimensions: the fewest steps, and whether they copy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import prod
from typing import NamedTuple

from plait._plan.contraction.network import Axes, Dims
from plait._plan.nodes import Node, Permute, Reshape
from plait.backends.costs import ContractionCosts


class Operand(NamedTuple):
    """A tensor that lies in memory row by row: its axes in that order, its shape, and what is still to be done to it.

    ``steps`` come first; they leave ``shape``, whose dimensions hold the axes, in order. ``ours`` is memory that nobody
    else sees: an intermediate result.
    """

    axes: Axes
    shape: tuple[int, ...]
    steps: tuple[Node, ...] = ()
    ours: bool = False


class Arranged(NamedTuple):
    """The steps to other dimensions, and what they copy: so many elements, in rows whose elements lay so far apart."""

    steps: tuple[Node, ...]
    copied: int = 0
    row: int = 1
    stride: int = 1

    def price(self, costs: ContractionCosts) -> float:
        """What that costs."""
        return len(self.steps) * costs.view_overhead + costs.copy_work(self.copied, self.row, self.stride)


def arrange(operand: Operand, target: Dims, sizes: Sequence[int]) -> Arranged:
    """Bring a tensor into dimensions with these axes; a dimension without axes has length 1.

    Axes that a dimension merges must be neighbours in memory, in this order; where they are not, the tensor is copied.
    """
    axes, shape, steps, _ = operand
    wanted: Axes = tuple(chain(*target))
    final = tuple([prod([sizes[axis] for axis in group]) for group in target])
    if wanted == axes:
        return Arranged(_reshaped(steps, shape, final))
    place = {axis: number for number, axis in enumerate(axes)}
    if all(place[group[-1]] - place[group[0]] == len(group) - 1 and _rises(group, place) for group in target if group):
        return Arranged((*steps, *_moved(shape, target, final, place)))
    atoms = _atoms(wanted, place)
    split = sorted(atoms, key=lambda atom: place[atom[0]])
    lengths = tuple([prod([sizes[axis] for axis in atom]) for atom in split])
    order = tuple([split.index(atom) for atom in atoms])
    moved = (*_reshaped(steps, shape, lengths), Permute(order))
    stride = prod([sizes[axis] for axis in axes[place[wanted[-1]] + 1 :]])
    return Arranged((*moved, Reshape(final)), prod(lengths), lengths[order[-1]], stride)


def _rises(group: Axes, place: dict[int, int]) -> bool:
    return all(place[axis] == place[group[0]] + number for number, axis in enumerate(group))


def _reshaped(steps: tuple[Node, ...], shape: tuple[int, ...], target: tuple[int, ...]) -> tuple[Node, ...]:
    return steps if shape == target else (*steps, Reshape(target))


def _moved(shape: tuple[int, ...], target: Dims, final: tuple[int, ...], place: dict[int, int]) -> tuple[Node, ...]:
    """A reshape that merges, with units in front, then a permutation: views both."""
    memory = sorted(range(len(target)), key=lambda number: place[target[number][0]] if target[number] else -1)
    order = tuple([memory.index(number) for number in range(len(target))])
    return (*_reshaped((), shape, tuple([final[number] for number in memory])), Permute(order))


def _atoms(wanted: Axes, place: dict[int, int]) -> list[Axes]:
    """The wanted order, cut where two axes are not neighbours in memory."""
    atoms: list[Axes] = []
    for axis in wanted:
        if atoms and place[axis] == place[atoms[-1][-1]] + 1:
            atoms[-1] = (*atoms[-1], axis)
        else:
            atoms.append((axis,))
    return atoms
