"""The composition of two patterns into one, which avoids computing the intermediate tensor between them.

Every dimension of the intermediate tensor is a product of axes of the first pattern, and a product of axes of the
second. Both products can be written with *common factors* if the partial products divide each other: for ``6*4`` and
``2*12`` the common factors are ``2*3*4``; for ``2*6`` and ``3*4`` there are none. In terms of common factors, the left
side of the first pattern and the right side of the second form one pattern, which is converted to text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from math import prod
from typing import NamedTuple

from plait._caches import clearable_lru_cache
from plait._shapes.coalesce import group_adjacent_axes
from plait._shapes.solver import ELLIPSIS_LABEL, Axes, Dims, SolvedPattern, format_dimension


class ConcretePattern(NamedTuple):
    """A pattern for tensors of known shapes: the axes of each dimension, and the length and label of each axis."""

    inputs: tuple[Dims, ...]
    output: Dims
    lengths: tuple[int, ...]
    labels: tuple[str, ...]

    @property
    def dropped_axes(self) -> set[int]:
        """The axes of the inputs that are not in the output."""
        return {*chain(*chain(*self.inputs))} - {*chain(*self.output)}

    @property
    def added_axes(self) -> set[int]:
        """The axes of the output that are not in any input."""
        return {*chain(*self.output)} - {*chain(*chain(*self.inputs))}


def to_concrete_pattern(solved: SolvedPattern, slots: Sequence[int]) -> ConcretePattern:
    """Return a solved pattern with the lengths in its slots; a dimension of length 1 that is broadcast has no axis."""
    lengths = tuple([slots[slot] for slot in solved.slots])
    sizes = iter(slots)
    inputs = [
        tuple([() if next(sizes) == 1 and len(axes) == 1 and lengths[axes[0]] != 1 else axes for axes in dims])
        for dims in solved.inputs
    ]
    return ConcretePattern(tuple(inputs), solved.output, lengths, solved.labels)


def composed_pattern_or_reason(first: ConcretePattern, second: ConcretePattern) -> ConcretePattern | str:
    """Return one pattern for two, where the result of the first is the first input of the second.

    If there is none, return the reason as text.

    >>> split = ConcretePattern((((0, 1),),), ((0,), (1,)), (2, 6), ("h", "p"))
    >>> merge = ConcretePattern((((0,), (1,)),), ((0, 1),), (2, 6), ("a", "b"))
    >>> composed_pattern_or_reason(split, merge)
    ConcretePattern(inputs=(((0,),),), output=((0,),), lengths=(12,), labels=('h_p',))
    >>> composed_pattern_or_reason(merge, ConcretePattern((((0, 1),),), ((0,), (1,)), (3, 4), ("c", "d")))
    'dimension 0 between them is a*b = 2*6 and then c*d = 3*4, which are not made of the same parts'
    """
    between = [*chain(*second.inputs[0])]
    if len({*between}) < len(between):
        return "an axis appears twice in the tensor between them"
    kept = {*chain(*second.output), *chain(*chain(*second.inputs[1:]))}
    lengths: list[int] = []  # the length of each factor
    first_factors: list[Axes] = [()] * len(first.lengths)  # the factors of each axis of the first pattern
    second_factors: list[Axes] = [()] * len(second.lengths)  # the factors of each axis of the second pattern
    reduced_unit_factors: Axes = ()
    for dim, (axes, other_axes) in enumerate(zip(first.output, second.inputs[0], strict=True)):
        common = indexed_common_factors(
            [first.lengths[axis] for axis in axes], [second.lengths[axis] for axis in other_axes]
        )
        if common is None:
            before = _format_names_and_lengths_of_dimension(first, axes)
            after = _format_names_and_lengths_of_dimension(second, other_axes)
            return f"dimension {dim} between them is {before} and then {after}, which are not made of the same parts"
        for length, index, other_index in common:
            first_factors[axes[index]] += (len(lengths),)
            second_factors[other_axes[other_index]] += (len(lengths),)
            lengths.append(length)
        for axis in other_axes:
            if not second_factors[axis] and axis not in kept:
                second_factors[axis] = (len(lengths),)
                reduced_unit_factors += second_factors[axis]
                lengths.append(1)
    for pattern, factors, shared in (
        (first, first_factors, {*chain(*first.output)}),
        (second, second_factors, {*between}),
    ):
        for axis, length in enumerate(pattern.lengths):
            if axis not in shared:
                factors[axis] = (len(lengths),)
                lengths.append(length)
    unit_factors = tuple([factor for factor, length in enumerate(lengths) if length == 1])
    factored = (first._replace(lengths=()), tuple(first_factors), second._replace(lengths=()), tuple(second_factors))
    result = compose_factored_patterns(*factored, reduced_unit_factors, unit_factors)
    if isinstance(result, str):
        return result
    composed, groups = result
    return composed._replace(lengths=tuple([prod([lengths[factor] for factor in group]) for group in groups]))


def indexed_common_factors(lengths: Sequence[int], other_lengths: Sequence[int]) -> list[tuple[int, int, int]] | None:
    """Return the common factors of two equal products: the length of each, and the index of its axis in both products.

    A length of 1 is only a factor of another 1. Without common factors, return ``None``.

    >>> indexed_common_factors([6, 4], [2, 1, 12])
    [(2, 0, 0), (3, 0, 2), (4, 1, 2)]
    >>> indexed_common_factors([2, 6], [3, 4])
    """
    unit_indices = [
        [index for index, length in enumerate(product) if length == 1] for product in (lengths, other_lengths)
    ]
    factors = [(1, *pair) for pair in zip(*unit_indices, strict=False)]
    left, right = [
        [(length, index) for index, length in enumerate(product) if length != 1][::-1]
        for product in (lengths, other_lengths)
    ]
    if 0 in lengths and [length for length, _ in left] != [length for length, _ in right]:
        return None
    while left:
        (length, index), (other_length, other_index) = left.pop(), right.pop()
        common = min(length, other_length)
        if length != other_length and max(length, other_length) % common:
            return None
        factors.append((common, index, other_index))
        if length > common:
            left.append((length // common, index))
        if other_length > common:
            right.append((other_length // common, other_index))
    return factors


@clearable_lru_cache(maxsize=1024)
def compose_factored_patterns(
    first: ConcretePattern,
    first_factors: tuple[Axes, ...],
    second: ConcretePattern,
    second_factors: tuple[Axes, ...],
    reduced_unit_factors: Axes,
    unit_factors: Axes,
) -> tuple[ConcretePattern, list[Axes]] | str:
    """Return the composition of two patterns whose axes are split into factors, and the factors of each of its axes.

    It does not depend on lengths, and so is cached for all shapes. ``first_factors`` and ``second_factors`` are the
    factors of each axis of the two patterns. ``unit_factors`` are the factors of length 1. ``reduced_unit_factors`` are
    those of them that only the second pattern has, which reduces them; they are not left out, since a reduction along a
    dimension of length 1 may change the elements too.
    """
    tensors = [_replace_axes(dims, first_factors) for dims in first.inputs] + [
        _replace_axes(dims, second_factors) for dims in second.inputs[1:]
    ]
    output = _replace_axes(second.output, second_factors)
    if reduced_unit_factors:
        if not tensors[0]:
            return "the tensor has no dimension for the unit axis between them"
        tensors[0] = ((*tensors[0][0], *reduced_unit_factors), *tensors[0][1:])
    read, written = {*chain(*chain(*tensors))}, {*chain(*output)}
    if not (read | written).issuperset(chain(*first_factors)):
        return "the second pattern reduces an axis that the first one adds"
    groups = group_adjacent_axes((*tensors, output), separate=(read ^ written).union(unit_factors))
    numbers: dict[int, Axes] = dict.fromkeys(chain(*groups), ())
    numbers.update({group[0]: (number,) for number, group in enumerate(groups)})
    inputs = tuple([_replace_axes(dims, numbers) for dims in tensors])
    labels = _label_groups(
        groups, [*zip(first.labels, first_factors, strict=True), *zip(second.labels, second_factors, strict=True)]
    )
    return ConcretePattern(inputs, _replace_axes(output, numbers), (), labels), groups


def _replace_axes(dims: Dims, parts: Sequence[Axes] | dict[int, Axes]) -> Dims:
    """Return the dimensions with each axis replaced by the axes that ``parts`` has for it."""
    return tuple([tuple([part for axis in axes for part in parts[axis]]) for axes in dims])


def _label_groups(groups: Iterable[Axes], axes: Sequence[tuple[str, Axes]]) -> tuple[str, ...]:
    """Return a label for each group of coalesced factors, from the label and the factors of each original axis.

    A factor gets the name of the axis that consists of it alone; otherwise the name of an axis that contains it, with
    a number behind the name.
    """
    ranked: dict[int, tuple[int, str]] = {}
    whole: dict[Axes, str] = {}
    for label, factors in axes:
        whole.setdefault(factors, label)
        for number, factor in enumerate(factors, 1):
            if label.isidentifier():
                candidate = (0, label) if len(factors) == 1 else (1, f"{label}{number}")
            else:
                candidate = (2, label) if len(factors) == 1 and label != ELLIPSIS_LABEL else (3, ELLIPSIS_LABEL)
            if factor not in ranked or candidate[0] < ranked[factor][0]:
                ranked[factor] = candidate
    labels = []
    for group in groups:
        names = [ranked[factor][1] for factor in group]
        if len(names) > 1:
            label = whole.get(group, ELLIPSIS_LABEL)
            names = [label] if label.isidentifier() else [name for name in names if name.isidentifier()]
        labels.append("_".join(names) or ELLIPSIS_LABEL)
    return tuple(labels)


def _format_names_and_lengths_of_dimension(pattern: ConcretePattern, axes: Axes) -> str:
    """Return a dimension as the product of its axes, with names and lengths: ``h*p = 2*6``."""
    if not axes:
        return "1"
    lengths = "*".join([str(pattern.lengths[axis]) for axis in axes])
    names = "*".join([pattern.labels[axis] for axis in axes])
    return lengths if names == lengths else f"{names} = {lengths}"


def unparse_pattern(pattern: ConcretePattern) -> tuple[str, dict[str, int]]:
    """Return the text of a pattern, and the sizes that a caller must give because the shapes do not determine them.

    >>> unparse_pattern(ConcretePattern((((0, 1), ()),), ((1, 2), (0,)), (2, 6, 5), ("h", "p", "5")))
    ('(h p) 1 -> (p 5) h', {'p': 6})
    """
    lengths = zip(pattern.labels, pattern.lengths, strict=True)
    needed = tuple([min(length, 1) if label.isidentifier() else length for label, length in lengths])
    text, sizes = text_and_axes_needing_sizes(pattern._replace(lengths=needed))
    return text, {name: pattern.lengths[axis] for name, axis in sizes}


@clearable_lru_cache(maxsize=1024)
def text_and_axes_needing_sizes(pattern: ConcretePattern) -> tuple[str, tuple[tuple[str, int], ...]]:
    """Return the text of a pattern, and the name and the number of each axis whose size a caller must give.

    The length of each named axis is 0 or 1 here, because it only matters whether it is 0. So patterns that differ in
    lengths alone share an entry of the cache.
    """
    words = _choose_axis_texts(pattern)
    sides = [
        " ".join([format_dimension([words[axis] for axis in axes]) for axes in dims])
        for dims in (*pattern.inputs, pattern.output)
    ]
    text = f"{', '.join(sides[:-1])} -> {sides[-1]}".strip()
    return text, tuple([(words[axis], axis) for axis in _axes_without_inferable_size(pattern, words)])


def _choose_axis_texts(pattern: ConcretePattern) -> dict[int, str]:
    """Return the text of each axis: its label, another name if it is taken, or its length if it has no name."""
    counts = Counter(chain(*chain(*pattern.inputs), *pattern.output))
    names = {label for label in pattern.labels if label.isidentifier()}
    words: dict[int, str] = {}
    for axis, count in counts.items():
        label, length = pattern.labels[axis], pattern.lengths[axis]
        if not label.isidentifier() and count == 1 and length != 1:
            words[axis] = str(length)
            continue
        base = word = label if label.isidentifier() else "axis"
        number = 1
        while word in words.values() or (word in names and word != label):
            number += 1
            word = f"{base}{number}"
        words[axis] = word
    return words


def _axes_without_inferable_size(pattern: ConcretePattern, words: dict[int, str]) -> list[int]:
    """Return the axes whose sizes must be given: all new axes, and all but one of the unknown axes of a group."""
    named = {axis for axis, word in words.items() if word.isidentifier()}
    known = {axes[0] for dims in pattern.inputs for axes in dims if len(axes) == 1}
    result: list[int] = []
    for axes in chain(*pattern.inputs):
        if len(axes) > 1 and 0 in [pattern.lengths[axis] for axis in axes]:  # a size of 0 prevents the division
            result += [axis for axis in axes if axis in named]
        else:
            result += [axis for axis in axes if axis in named - known][1:]
        known.update(axes)
    result += [axis for axis in chain(*pattern.output) if axis in pattern.added_axes & named]
    return list(dict.fromkeys(result))
