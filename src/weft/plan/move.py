"""From a template of one tensor to steps: split, reduce, permute, expand, merge.

The unit of movement is the *atom*: a run of axes that are neighbours in one dimension of the input and in one
dimension of the output, and so need never be taken apart. Axes of different input dimensions are not merged before
they move: on a strided tensor that would be a copy.
"""

from __future__ import annotations

from itertools import zip_longest

from weft.plan.plan import Plan, Sizes
from weft.plan.simplify import simplify
from weft.plan.steps import Expand, Permute, Reduce, Reshape, Step
from weft.solve import Template

Atom = tuple[int, ...]
Dimension = list[Atom]


def move(solved: Template, reduction: str = "") -> Plan:
    """The plan that takes the one input of the template to its output.

    Args:
        solved: a template with one input.
        reduction: what becomes of the axes that stand on the left only.
    """
    sizes = Sizes(solved)
    before, after = _atoms(solved)
    steps = _steps(sizes, before, after, reduction)
    return Plan(solved, tuple(sizes.instructions), (simplify(steps),), None, ())


def _steps(sizes: Sizes, before: list[Dimension], after: list[Dimension], reduction: str) -> list[Step]:
    register = sizes.register
    kept = {atom for dim in after for atom in dim}
    flat = [atom for dim in before for atom in dim]
    steps: list[Step] = []
    if any(len(dim) != 1 for dim in before):
        steps.append(Reshape(tuple([register(atom) for atom in flat])))
    dropped = [place for place, atom in enumerate(flat) if atom not in kept]
    if dropped:
        steps.append(Reduce(tuple(dropped), reduction))
        flat = [atom for atom in flat if atom in kept]
    places = {atom: place for place, atom in enumerate(flat)}
    target = [atom for dim in after for atom in dim]
    steps.append(Permute(tuple([places[atom] for atom in target if atom in places])))
    if len(target) != len(flat):
        steps += _expand(sizes, target, places)
    if any(len(dim) != 1 for dim in after):
        steps.append(Reshape(tuple([register(tuple([axis for atom in dim for axis in atom])) for dim in after])))
    return steps


def _expand(sizes: Sizes, target: list[Atom], places: dict[Atom, int]) -> list[Step]:
    """Unit dimensions where the new axes come, then their lengths; new leading axes need no unit dimension."""
    steps: list[Step] = []
    new = len(target) - len(places)
    if any(atom in places for atom in target[:new]):
        steps.append(Reshape(tuple([sizes.register(atom if atom in places else ()) for atom in target])))
    steps.append(Expand(tuple([sizes.register(atom) for atom in target])))
    return steps


def _atoms(solved: Template) -> tuple[list[Dimension], list[Dimension]]:
    """The dimensions of the input and of the output, as the atoms that both are made of."""
    after_of = _neighbours(solved.output)
    before_of = _neighbours(solved.inputs[0])
    before = [_runs(axes, after_of) for axes in solved.inputs[0]]
    after = [_runs(axes, before_of) for axes in solved.output]
    return before, after


def _neighbours(dims: tuple[tuple[int, ...], ...]) -> dict[int, int | None]:
    """For each axis the axis that follows it in the same dimension."""
    return {axis: follower for axes in dims for axis, follower in zip_longest(axes, axes[1:])}


def _runs(axes: tuple[int, ...], others: dict[int, int | None]) -> Dimension:
    """Cut a dimension wherever two neighbours are not neighbours on the other side.

    Two axes that the other side lacks altogether stay together: they are reduced, or repeated, as one.
    """
    runs: Dimension = []
    for place, axis in enumerate(axes):
        previous = axes[place - 1] if place else None
        if previous is not None and _together(previous, axis, others):
            runs[-1] = (*runs[-1], axis)
        else:
            runs.append((axis,))
    return runs


def _together(previous: int, axis: int, others: dict[int, int | None]) -> bool:
    if previous in others:
        return others[previous] == axis
    return axis not in others
