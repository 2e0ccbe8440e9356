"""Computes an einsum under a limit of memory block by block, as `plait._executor.sliced_planning` plans it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from plait._executor.einsum_options import OptionValues
from plait._executor.progress import report_progress
from plait._executor.sliced_planning import (
    BuildCall,
    OperandLayout,
    SlicedCall,
    SlicedProgram,
    Solve,
    build_network_of_all_axes,
    build_part,
    plan_within_limit,
)
from plait._executor.stored_arrays import StoredArray
from plait._plan.contraction.slicing import PartOfContraction, block_slices
from plait._plan.printer import format_seconds
from plait._plan.strides import contiguous_strides
from plait._shapes.solver import SolvedPattern
from plait.backends.interface import Backend
from plait.backends.registry import backend_for_type, common_backend
from plait.errors import format_bytes, make_error

Block = dict[int, slice]
"""By sliced axis, the part of it that a block has."""

MAX_PLANS = 32
"""The number of plans that one einsum keeps, for tensors of different strides."""


class SlicedEinsum:
    """An einsum of tensors of given shapes under a limit of memory; it is planned when the strides are known."""

    def __init__(self, call: SlicedCall, solved: SolvedPattern) -> None:
        self._call, self._solved = call, solved
        self._programs: dict[Any, SlicedProgram] = {}
        self._calls: dict[Any, Callable[..., Any]] = {}

    def __call__(self, *tensors: Any) -> Any:
        """Contract the tensors."""
        operands = [self._with_all_axes(tensor, number) for number, tensor in enumerate(tensors)]
        return self._run(self.program_for(operands), operands)

    def program_for(self, operands: Sequence[Any]) -> SlicedProgram:
        """Return the plan for operands; each has a dimension for each of its axes, or is a copy when it is sliced.

        Raises:
            SizeError: PLT313, none was found that keeps the limit, or the memory of an operand is hidden.
        """
        functions = self._call.functions
        layouts = []
        for operand in operands:
            if isinstance(operand, StoredArray):
                layouts.append(OperandLayout(None, True))
                continue
            if (reason := functions.why_not(operand)) is not None:
                raise make_error("PLT313", f"memory_limit cannot be kept for {reason}", self._call.text)
            layouts.append(OperandLayout(functions.strides(operand), functions.is_on_disk(operand)))
        key = tuple(layouts)
        program = self._programs.get(key)
        if program is None:
            program = plan_within_limit(self._call, key)
            if len(self._programs) >= MAX_PLANS:
                self._programs.clear()
                self._calls.clear()
            self._programs[key] = program
        return program

    def explain(self, tensors: Sequence[Any]) -> SlicedProgram:
        """Return the plan for tensors, or if they are shapes, for row-major tensors of these."""
        network = self._call.network
        if all(hasattr(tensor, "dtype") for tensor in tensors):
            return self.program_for([self._with_all_axes(tensor, number) for number, tensor in enumerate(tensors)])
        strides = [contiguous_strides([network.sizes[axis] for axis in term]) for term in network.terms]
        return plan_within_limit(self._call, [OperandLayout(each, False) for each in strides])

    def _with_all_axes(self, tensor: Any, number: int) -> Any:
        """Return a view of a tensor with a dimension for each axis that is longer than 1, if there are views."""
        if isinstance(tensor, StoredArray) or self._call.functions.slices_are_copies:
            return tensor
        network = self._call.network
        shape = tuple([network.sizes[axis] for axis in network.terms[number]])
        return tensor if shape == network.shapes[number] else self._call.backend.reshape(tensor, shape)

    def _run(self, program: SlicedProgram, operands: list[Any]) -> Any:
        """Compute what is computed once, and then all blocks."""
        functions, network = self._call.functions, self._call.network
        for part in program.parts[:-1]:
            operands.append(self._contract(part, [self._take(operands[n], n, {}, program) for n in part.operands]))
        last = program.parts[-1]
        result: Any = None
        result_dtype = program.types.result
        loaded: dict[int, tuple[Any, Any]] = {}  # for each operand its last block
        blocks = Blocks(network.sizes, program.block_lengths, last.output)
        for block, is_first in report_progress(blocks, len(blocks), self._call.options.progress):
            for number, term in zip(last.operands, last.terms, strict=True):
                key = tuple([block[axis].start for axis in term if axis in block])
                if number in loaded and loaded[number][0] == key:
                    continue
                loaded.pop(number, None)  # its memory is free before the next block is read
                loaded[number] = key, self._take(operands[number], number, block, program)
            value = self._contract(last, [loaded[number][1] for number in last.operands])
            if result_dtype is None:
                result_dtype = self._call.backend.dtype(value)
            if len(blocks) == 1:
                result = value
                continue
            if result is None:
                shape = tuple([network.sizes[axis] for axis in last.output])
                result = functions.allocate(value, shape, program.types.is_wide)
            index = tuple([block.get(axis, slice(None)) for axis in last.output])
            result = (functions.store if is_first else functions.add)(result, index, value)
            del value
        return functions.finish(result, result_dtype).reshape(network.result_shape)

    def _take(self, operand: Any, number: int, block: Block, program: SlicedProgram) -> Any:
        """Return the block of an operand, in the element type of the computation."""
        network, functions = self._call.network, self._call.functions
        if number >= len(network.terms):  # a result that is computed once has no sliced axis
            return operand
        if isinstance(operand, StoredArray) or functions.slices_are_copies:
            operand = self._read(operand, number, block)
        else:
            index = tuple([block.get(axis, slice(None)) for axis in network.terms[number]])
            operand = operand[index]
        return functions.cast(operand, program.types.compute) if program.types.is_cast[number] else operand

    def _read(self, operand: Any, number: int, block: Block) -> Any:
        """Read the block of an array whose slices are copies; a merged dimension is sliced along its first axis."""
        network = self._call.network
        sizes = network.sizes
        index = []
        for axes, length in zip(self._solved.inputs[number], operand.shape, strict=True):
            part = block.get(axes[0]) if axes and length != 1 else None
            inner = prod([sizes[axis] for axis in axes[1:]])
            index.append(slice(0, length) if part is None else slice(part.start * inner, part.stop * inner))
        shape = tuple(
            [block[axis].stop - block[axis].start if axis in block else sizes[axis] for axis in network.terms[number]]
        )
        if isinstance(operand, StoredArray) or any(
            part.stop - part.start != n for part, n in zip(index, operand.shape, strict=True)
        ):
            operand = operand[tuple(index)]
        return operand if tuple(operand.shape) == shape else operand.reshape(shape)

    def _contract(self, part: PartOfContraction, blocks: Sequence[Any]) -> Any:
        """Contract blocks of the operands of a part."""
        call, backend = self._call, self._call.backend
        shapes = tuple([tuple(block.shape) for block in blocks])
        dtypes = tuple([backend.dtype(block) for block in blocks])
        key = part, shapes, dtypes
        contract = self._calls.get(key)
        if contract is None:
            contract = self._calls[key] = build_part(call, part, shapes, dtypes)
        return call.functions.run(contract, blocks)


def build_sliced_einsum(
    operation: str,
    solved: SolvedPattern,
    slots: Sequence[int],
    tensor_types: Sequence[type],
    dtypes: tuple[Any, ...],
    backend: Backend,
    options: OptionValues,
    build_call: BuildCall,
    solve: Solve,
) -> SlicedEinsum:
    """Return the callable of an einsum under a limit of memory.

    Raises:
        BackendError: PLT512, the limit cannot be kept on this framework.
    """
    if options.backend_kwargs:
        message = f"{options.backend_kwargs[0][0]} cannot be given under a memory_limit"
        raise make_error("PLT512", message, solved.text)
    if backend.load_block_functions is None or any(
        backend_for_type(cls).load_block_functions is None for cls in tensor_types
    ):
        cls = tensor_types[0].__name__
        message = f"memory_limit is kept for NumPy, PyTorch, JAX and Dask, not for {cls} of {backend.name}"
        raise make_error("PLT512", message, solved.text)
    call = SlicedCall(
        operation,
        solved.text,
        build_network_of_all_axes(solved, slots),
        frozenset([axis for dims in solved.inputs for axes in dims for axis in axes[1:]]),
        tuple(tensor_types),
        dtypes,
        backend,
        backend.load_block_functions(),
        options,
        build_call,
        solve,
    )
    return SlicedEinsum(call, solved)


def explain_slices(
    operation: str,
    solved: SolvedPattern,
    slots: Sequence[int],
    tensors: Sequence[Any],
    options: OptionValues,
    build_call: BuildCall,
    solve: Solve,
) -> tuple[SlicedProgram | None, str]:
    """Return the plan of an einsum under a limit, and the line that `plait.explain` shows of it.

    Without tensors, the plan is the one for NumPy arrays of float32. There is none for a lazy framework.
    """
    if all(hasattr(tensor, "dtype") for tensor in tensors):
        types = tuple([type(tensor) for tensor in tensors])
        backend = common_backend(types)
        dtypes = tuple([backend.dtype(tensor) for tensor in tensors])
    else:
        from plait.backends.numpy.blocks import ARRAY_TYPE, DTYPE_WITHOUT_ARRAYS

        types, dtypes = (ARRAY_TYPE,) * len(tensors), (DTYPE_WITHOUT_ARRAYS,) * len(tensors)
        backend = common_backend(types)
    if backend.build_einsum_within_limit is not None:
        return None, f"memory_limit {format_bytes(options.memory_limit or 0)}: each task of {backend.name} keeps it"
    einsum = build_sliced_einsum(operation, solved, slots, types, dtypes, backend, options, build_call, solve)
    program = einsum.explain(tensors)
    sizes = [slots[slot] for slot in solved.slots]
    limit = f"memory_limit {format_bytes(options.memory_limit or 0)}: needs {format_bytes(program.peak_bytes)}"
    if not program.block_lengths:
        return program, f"{limit}, not sliced"
    count = len(Blocks(sizes, program.block_lengths, program.parts[-1].output))
    slices = ", ".join([f"{solved.labels[axis]} by {length}" for axis, length in program.block_lengths.items()])
    once = f"   {len(program.parts) - 1} products computed once" if len(program.parts) > 1 else ""
    return program, f"{limit} in {count} blocks: {slices}{once}   about {format_seconds(program.cost * 1e-9)}"


class Blocks:
    """All combinations of blocks of the sliced axes, each with whether it is the first of its place in the result."""

    def __init__(self, sizes: Sequence[int], block_lengths: Mapping[int, int], output: Collection[int]) -> None:
        self._axes = [*block_lengths]
        self._parts = [block_slices(sizes[axis], length) for axis, length in block_lengths.items()]
        self._summed = [axis for axis in self._axes if axis not in output]

    def __len__(self) -> int:
        return prod(map(len, self._parts))

    def __iter__(self) -> Iterator[tuple[Block, bool]]:
        for parts in product(*self._parts):
            block = dict(zip(self._axes, parts, strict=True))
            yield block, all(block[axis].start == 0 for axis in self._summed)
