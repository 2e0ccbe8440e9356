"""Plans an einsum under a limit of memory: which axes are sliced, and what is computed once.

The limit holds for all memory beyond the tensors of the caller, the result included. Which copies a contraction makes
depends on the strides of its tensors, so these are known here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, chain
from math import inf, prod
from typing import Any, NamedTuple, TypeAlias

from plait._executor.contraction import choose_contraction, contraction_functions_for_tensors
from plait._executor.einsum_forms import CLASSICAL_EINSUM
from plait._executor.einsum_options import OptionValues
from plait._plan.contraction.network import TensorNetwork
from plait._plan.contraction.paths import Path
from plait._plan.contraction.peak_memory import PeakMemory, find_peak_memory
from plait._plan.contraction.search import build_contraction_plan, find_path_if_needed
from plait._plan.contraction.slicing import MemoryLimit, PartOfContraction, SlicedPath, find_slices, split_into_parts
from plait._plan.strides import StridedView
from plait._shapes.sizes import compute_all_slots, error_facts
from plait._shapes.solver import SolvedPattern
from plait.backends.capabilities import BlockFunctions
from plait.backends.costs import EINSUM_ONLY_COSTS, ContractionCosts
from plait.backends.interface import Backend
from plait.errors import format_bytes, make_error

ATTEMPTS = 8
"""How often slices are searched: where copies exceed the limit, or keep it by far, the next search gets another one."""

MARGIN = 0.97
"""How much less than in proportion to the peak the next search gets of the memory beside the result."""

GOOD_PART = 0.7
"""The part of the limit that a contraction in blocks should make use of."""

WIDE_RESULT_PART = 8
"""Sums of blocks are accumulated in a wider type if their memory is at most the limit divided by this."""


BuildCall: TypeAlias = "Callable[..., Callable[..., Any]]"
"""``f(operation, equation, tensor_types, shapes, sizes, dtypes, options)`` returns the callable of an einsum."""

Solve: TypeAlias = "Callable[[str, str, tuple[int, ...], tuple[str, ...]], SolvedPattern]"
"""``f(operation, equation, ranks, size_names)`` returns the solved pattern of an equation."""


class SlicedCall(NamedTuple):
    """An einsum under a limit, of tensors whose strides are not known yet.

    Attributes:
        operation: ``"einsum"`` or ``"classical"``.
        text: the pattern of the caller.
        network: the tensors, with one dimension for each axis that is longer than 1.
        merged_axes: the axes that are not the first of the dimension that they are in.
        tensor_types: the types of the tensors.
        dtypes: the element types of the tensors.
        backend: their backend.
        functions: what the backend offers to compute in blocks.
        options: the options, with the limit.
        build_call: builds the contraction of one block.
        solve: solves an equation.
    """

    operation: str
    text: str
    network: TensorNetwork
    merged_axes: frozenset[int]
    tensor_types: tuple[type, ...]
    dtypes: tuple[Any, ...]
    backend: Backend
    functions: BlockFunctions
    options: OptionValues
    build_call: BuildCall
    solve: Solve


class OperandLayout(NamedTuple):
    """What the plan depends on beside the shape of a tensor.

    Attributes:
        strides: the strides, with a dimension for each axis, in elements; ``None`` if its slices are copies.
        is_on_disk: whether its blocks are read from a file.
    """

    strides: tuple[int, ...] | None
    is_on_disk: bool


class ElementTypes(NamedTuple):
    """The element types of a contraction in blocks.

    Attributes:
        compute: the type of the intermediate results.
        result: the type of the result; ``None`` for that of a sum of integers or of booleans.
        itemsize: the bytes of an element of them.
        is_cast: for each tensor whether its blocks are cast to that type.
        is_wide: whether the results of blocks are added in a wider type.
    """

    compute: Any
    result: Any
    itemsize: int
    is_cast: tuple[bool, ...]
    is_wide: bool


class SlicedProgram(NamedTuple):
    """A contraction that keeps the limit: its parts, of which the last is computed for each combination of blocks."""

    path: Path
    block_lengths: dict[int, int]
    parts: tuple[PartOfContraction, ...]
    types: ElementTypes
    peak_bytes: int
    cost: float


def build_network_of_all_axes(solved: SolvedPattern, slots: Sequence[int]) -> TensorNetwork:
    """Return the network in which each axis is a dimension of its own; axes keep their numbers.

    Of several tensors, axes of length 1 are left out. One tensor keeps them, since a sum may change the element type.
    """
    lengths = [slots[slot] for slot in solved.slots]
    is_kept = [length != 1 or len(solved.inputs) == 1 for length in lengths]
    terms = []
    position = 0
    for dims in solved.inputs:
        term: list[int] = []
        for axes in dims:  # a dimension of length 1 gets no axis, even if its axis is longer in a broadcast
            term += [axis for axis in axes if is_kept[axis] and (slots[position] != 1 or lengths[axis] == 1)]
            position += 1
        terms.append(tuple(term))
    output = tuple([axis for axis in chain(*solved.output) if is_kept[axis]])
    ends = accumulate(solved.ranks)
    return TensorNetwork(
        terms=tuple(terms),
        output=output,
        labels=solved.labels,
        sizes=tuple(lengths),
        shapes=tuple([tuple(slots[end - rank : end]) for rank, end in zip(solved.ranks, ends, strict=True)]),
        result_shape=tuple([prod([lengths[axis] for axis in axes]) for axes in solved.output]),
    )


def plan_within_limit(call: SlicedCall, layouts: Sequence[OperandLayout]) -> SlicedProgram:
    """Return a contraction that keeps the limit.

    Args:
        call: The einsum.
        layouts: The layouts of the tensors.

    Raises:
        SizeError: PLT313, none was found that keeps the limit.
    """
    network = call.network
    types, limit = _types_and_limit(call, layouts)
    contraction_functions = contraction_functions_for_tensors(call.tensor_types, _dtypes_of_operands(call, types))
    costs = EINSUM_ONLY_COSTS if contraction_functions is None else contraction_functions.costs
    paths = [_find_path(call, network, costs)]
    if call.options.contract == "auto":
        paths.append(_find_path(call, network, costs, limit.elements))
    allowed, target = limit.elements * types.itemsize, limit.elements
    fixed = limit.result_factor * prod([network.sizes[axis] for axis in network.output])
    best: SlicedProgram | None = None
    least_peak = inf
    for _ in range(ATTEMPTS):
        current = limit._replace(elements=target)
        sliced = find_slices(network, dict.fromkeys(paths), current, costs)
        if sliced.block_lengths and call.options.contract == "auto":
            lengths = tuple([sliced.block_lengths.get(axis, size) for axis, size in enumerate(network.sizes)])
            paths.append(_find_path(call, network._replace(sizes=lengths), costs))
            sliced = find_slices(network, dict.fromkeys(paths), current, costs)
        parts = tuple(split_into_parts(network, sliced))
        peak, copied_operands, copies_results = _peak_bytes_and_copies(call, types, limit, sliced, parts, layouts)
        least_peak = min(peak, least_peak)
        if peak <= allowed and (best is None or sliced.cost < best.cost):
            best = SlicedProgram(sliced.path, sliced.block_lengths, parts, types, peak, sliced.cost)
        is_good = peak <= allowed and (not sliced.block_lengths or peak > allowed * GOOD_PART)
        if is_good or (peak > allowed and best is not None) or sliced.peak > target:
            break
        known, limit = limit, limit.with_copies(copied_operands, copies_results)
        if peak > allowed and limit != known:
            continue  # with what is copied now known
        target = int(
            fixed + (target - fixed) * MARGIN * (limit.elements - fixed) / max(peak / types.itemsize - fixed, 1)
        )
    if best is not None:
        return best
    limit_text = format_bytes(call.options.memory_limit or 0)
    message = (
        f"this einsum needs {format_bytes(int(least_peak))}, the least that was found, but memory_limit is {limit_text}"
    )
    raise make_error("PLT313", message, call.text, facts=error_facts(network.shapes, {}))


def equation_of_part(call: SlicedCall, part: PartOfContraction) -> tuple[str, str]:
    """Return the operation and the equation of a part; that of one tensor has the form of the caller's pattern."""
    terms = (*part.terms, part.output)
    if call.operation == CLASSICAL_EINSUM and len(terms) == 2:
        texts = ["".join([chr(0x4E00 + axis) for axis in term]) for term in terms]  # ideographs, which are letters
        return CLASSICAL_EINSUM, f"{','.join(texts[:-1])}->{texts[-1]}"
    texts = [" ".join([f"x{axis}" for axis in term]) for term in terms]
    return "einsum", f"{', '.join(texts[:-1])} -> {texts[-1]}"


def _find_path(
    call: SlicedCall, network: TensorNetwork, costs: ContractionCosts, max_intermediate: int | None = None
) -> Path:
    """Return the path that the options ask for, perhaps one whose intermediate results are not larger than that."""
    return find_path_if_needed(network, call.options.contract, max_intermediate, costs)


def build_part(
    call: SlicedCall, part: PartOfContraction, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[Any]
) -> Callable[..., Any]:
    """Return the callable of a part for blocks of these shapes and element types."""
    tensor_types = call.tensor_types[:1] * len(shapes)
    options = OptionValues(part.path, kernels=call.options.kernels, is_block=True)
    return call.build_call(*equation_of_part(call, part), tensor_types, shapes, {}, tuple(dtypes), options)


def _block_dtypes(call: SlicedCall, types: ElementTypes, part: PartOfContraction) -> tuple[Any, ...]:
    """Return the element types of blocks of the operands of a part."""
    return tuple([types.compute if len(part.terms) > 1 or any(types.is_cast) else call.dtypes[0] for _ in part.terms])


def _dtypes_of_operands(call: SlicedCall, types: ElementTypes) -> tuple[Any, ...]:
    """Return the element types of the operands, cast where they are."""
    return tuple(
        [types.compute if is_cast else dtype for is_cast, dtype in zip(types.is_cast, call.dtypes, strict=True)]
    )


def _types_and_limit(call: SlicedCall, layouts: Sequence[OperandLayout]) -> tuple[ElementTypes, MemoryLimit]:
    """Return the element types, and what the tensors and the result take of the limit."""
    functions, network, backend = call.functions, call.network, call.backend
    compute, result = functions.compute_and_result_dtypes(call.dtypes)
    itemsize, result_itemsize = functions.itemsize(compute), functions.itemsize(result)
    is_cast = tuple([dtype != compute for dtype in call.dtypes])
    if len(call.dtypes) == 1 and backend.kind(result) in ("bool", "integer"):  # their sum may have a wider type
        is_cast, result = (False,), None
        itemsize = result_itemsize = 8
    elements = (call.options.memory_limit or 0) // itemsize
    result_factor = 1 + (result_itemsize / itemsize if result_itemsize < itemsize else 0)
    wide_factor = 2 + result_factor
    result_elements = prod([network.sizes[axis] for axis in network.output])
    is_wide = functions.can_widen(compute) and wide_factor * result_elements * WIDE_RESULT_PART <= elements
    is_compiled = functions.compiled_bytes is not None
    factors, free_if_whole, whole_axes, copied_operands = [], set[int](), set[int](), set[int]()
    for number, (term, cast, layout) in enumerate(zip(network.terms, is_cast, layouts, strict=True)):
        merged = call.merged_axes.intersection(term)
        is_copied = layout.strides is None
        is_reshaped = is_copied and not layout.is_on_disk and bool(merged)
        factors.append(float(cast + (is_copied or layout.is_on_disk) + is_reshaped))
        if is_copied:
            whole_axes |= merged
        if is_compiled or (layout.strides is not None and not cast and 1 not in layout.strides):
            copied_operands.add(number)  # matrices of which no dimension is contiguous
        if not (cast or layout.is_on_disk):
            free_if_whole.add(number)
    limit = MemoryLimit(
        elements,
        wide_factor if is_wide else result_factor,
        tuple(factors),
        frozenset(free_if_whole),
        frozenset(whole_axes),
        copied_operands=frozenset(copied_operands),
        copies_results=is_compiled,
    )
    return ElementTypes(compute, result, itemsize, is_cast, is_wide), limit


def _peak_bytes_and_copies(
    call: SlicedCall,
    types: ElementTypes,
    limit: MemoryLimit,
    sliced: SlicedPath,
    parts: Sequence[PartOfContraction],
    layouts: Sequence[OperandLayout],
) -> tuple[int, set[int], bool]:
    """Return the most bytes that exist at once, with all copies that the calls of the framework make, and these copies.

    The copies are given as the numbers of the operands that are copied, and whether results are.
    """
    network, sizes = call.network, call.network.sizes
    views = [
        StridedView([sliced.block_lengths.get(axis, sizes[axis]) for axis in term], None if is_cast else layout.strides)
        for term, layout, is_cast in zip(network.terms, layouts, types.is_cast, strict=True)
    ]
    peak = held = 0.0
    copied_operands, copies_results = set[int](), False
    for part in parts:
        whole = prod([sizes[axis] for axis in part.output])
        loaded = sum(
            [
                limit.block_factor(number, term, sliced.block_lengths) * prod(views[number].shape)
                for number, term in zip(part.operands, part.terms, strict=True)
            ]
        )
        result = 0.0
        if part is parts[-1]:
            result = (limit.result_factor if sliced.block_lengths else limit.result_factor - 1) * whole
        found = _peak_of_part(call, types, part, [views[number] for number in part.operands])
        copied = {part.operands[place] for place in found.copied_inputs}
        copied_operands |= {number for number in copied if number < len(network.terms)}
        copies_results |= found.copies_results or any(number >= len(network.terms) for number in copied)
        peak = max(peak, held + loaded + result + found.elements)
        held += whole
        views.append(StridedView([sizes[axis] for axis in part.output]))
    return int(peak) * types.itemsize, copied_operands, copies_results


def _peak_of_part(
    call: SlicedCall, types: ElementTypes, part: PartOfContraction, views: Sequence[StridedView]
) -> PeakMemory:
    """Return the most elements that one call of a part allocates at once, and what it copies."""
    rules = call.functions.rules
    shapes = tuple([view.shape for view in views])
    dtypes = _block_dtypes(call, types, part)
    if call.functions.compiled_bytes is not None:
        allocated = call.functions.compiled_bytes(build_part(call, part, shapes, dtypes), shapes, dtypes)
        return PeakMemory(-(-allocated // types.itemsize))
    solved = call.solve(*equation_of_part(call, part), tuple(map(len, shapes)), ())
    slots = compute_all_slots(solved, solved.size_ops, [*chain(*shapes)], {})
    functions = contraction_functions_for_tensors(call.tensor_types[:1] * len(views), dtypes)
    contraction = choose_contraction(solved, slots, functions, dtypes, call.backend, OptionValues(part.path))
    if contraction is not None:
        return find_peak_memory(build_contraction_plan(solved, contraction), views, rules)
    lengths = dict(zip(chain(*part.terms), chain(*shapes), strict=True))
    result = prod([lengths[axis] for axis in part.output])
    if not rules.einsum_copies:
        return PeakMemory(result)
    return PeakMemory(2 * result + sum(map(prod, shapes)), frozenset(range(len(views))), copies_results=True)
