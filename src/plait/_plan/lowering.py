"""From a solved pattern of one tensor to steps: split, reduce, permute, expand, merge.

The unit of movement is the *atom*: a run of axes that are neighbours in one dimension of the input and in one
dimension of the output, and so need never be taken apart. Axes of different input dimensions are not merged before
they move: on a strided tensor that would be a copy.
"""

from __future__ import annotations

from plait._plan.graph import Plan, Sizes
from plait._plan.nodes import (
    Expand,
    Permute,
    Reduce,
    Reshape,
    Step,
)
from plait._plan.simplify import simplify
from plait._shapes.solver import SolvedPattern

Atom = tuple[int, ...]

_GONE = -1
"""The place in the output of an axis that the output lacks."""


def move(solved: SolvedPattern, reduction: str = "") -> Plan:
    """The plan that takes the one input of the solved pattern to its output.

    Args:
        solved: a solved pattern with one input.
        reduction: what becomes of the axes that stand on the left only.
    """
    sizes = Sizes(solved)
    places = {axis: place for place, axis in enumerate(sum(solved.output, ()))}
    atoms = _atoms(solved, places)
    kept = [atom for atom in atoms if atom[0] in places]
    starts = {atom[0]: number for number, atom in enumerate(kept)}
    order = [starts[axis] for axis in places if axis in starts]
    target = [kept[number] for number in order]
    steps: list[Step] = []
    if list(solved.inputs[0]) != atoms:
        steps.append(Reshape(sizes.shape(atoms)))
    if len(kept) != len(atoms):
        steps.append(Reduce(tuple([place for place, atom in enumerate(atoms) if atom[0] not in places]), reduction))
    steps.append(Permute(tuple(order)))
    if sum(map(len, kept)) != len(places):
        target, expanding = _expand(sizes, target, solved)
        steps += expanding
    if list(solved.output) != target:
        steps.append(Reshape(sizes.shape(solved.output)))
    return Plan(solved, sizes.instructions, (simplify(steps),), (), ())


def _atoms(solved: SolvedPattern, places: dict[int, int]) -> list[Atom]:
    """The axes of the input, cut wherever two neighbours are not neighbours in a dimension of the output.

    Neighbours that the output lacks altogether stay together: they are reduced as one.
    """
    ends = {axes[-1] for axes in solved.output if axes}
    atoms: list[Atom] = []
    for axes in solved.inputs[0]:
        if len(axes) == 1:
            atoms.append(axes)
            continue
        follower = None
        for axis in axes:
            place = places.get(axis, _GONE)
            if place == follower:
                atoms[-1] = (*atoms[-1], axis)
            else:
                atoms.append((axis,))
            follower = place if place == _GONE else None if axis in ends else place + 1
    return atoms


def _expand(sizes: Sizes, kept: list[Atom], solved: SolvedPattern) -> tuple[list[Atom], list[Step]]:
    """Unit dimensions where the new axes come, then their lengths; new leading axes need no unit dimension.

    Returns:
        All atoms in the order of the output, new axes that are neighbours as one; and the steps.
    """
    starts = {atom[0]: atom for atom in kept}
    held = {axis for atom in kept for axis in atom}
    target: list[Atom] = []
    for axes in solved.output:
        new = False
        for axis in axes:
            if axis in starts:
                target.append(starts[axis])
            elif new:
                target[-1] = (*target[-1], axis)
            elif axis not in held:
                target.append((axis,))
            new = axis not in held
    steps: list[Step] = []
    if any(atom[0] in held for atom in target[: len(target) - len(kept)]):
        steps.append(Reshape(sizes.shape([atom if atom[0] in held else () for atom in target])))
    steps.append(Expand(sizes.shape(target)))
    return target, steps
