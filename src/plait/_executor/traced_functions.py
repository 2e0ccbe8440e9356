"""A plan as a Python function of tensors and sizes, which TorchDynamo traces as it traces hand-written code.

Dynamo interprets Python's bytecode, and that takes far longer than the calls of the framework that it records. So the
function has one line for each node of the plan, for each check and for each size that is needed, and no other. What it
calls is in its closure: for a global variable Dynamo adds a guard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import accumulate, pairwise
from operator import index
from textwrap import indent
from typing import TYPE_CHECKING, Any, NamedTuple

from plait._caches import clearable_lru_cache
from plait._executor.compile import check_and_solve, lower_pattern, reduction_of_unary_einsum, sizes_to_ints
from plait._executor.einsum_forms import CLASSICAL_EINSUM
from plait._executor.options import CURRENT_OPTIONS
from plait._executor.tracer_hooks import FUNCTIONS_WITH_SUBSTITUTE, assume_constant
from plait._operations.reduce import CUSTOM_REDUCTION, check_dtype_kind, check_reduction_name
from plait._plan.graph import Plan
from plait._plan.nodes import Contract, Reduce, tuple_source_code
from plait._shapes.sizes import size_op_error
from plait._shapes.solver import (
    BROADCAST,
    CHECK_EQUAL,
    CHECK_NONEMPTY,
    PRODUCT,
    QUOTIENT,
    SIZE_OP_KINDS_WITH_RESULT,
)
from plait.errors import PlaitError

if TYPE_CHECKING:
    from plait._executor.einsum_options import OptionValues

SOURCE_FILE_NAME = "<plait>"
"""The name of the file in which tracebacks and traces show the functions."""

MAX_NESTED_CALLS = 50
"""How deeply calls are nested in a line; Python's parser takes at most 200."""


class TracedCall(NamedTuple):
    """What the function of a call depends on, all of it constant while Dynamo traces.

    Attributes:
        operation: The name of the operation.
        pattern: The pattern or the equation.
        ranks: The rank of each tensor.
        size_names: The names of the given sizes.
        dtypes: The element type of each tensor, of a reduction and an einsum.
        reduction: The name of the reduction, `CUSTOM_REDUCTION` for a function of the caller, or ``""``.
        is_method: Whether a method of a `Pattern` is called, or a function.
    """

    operation: str
    pattern: str
    ranks: tuple[int, ...]
    size_names: tuple[str, ...]
    dtypes: tuple[Any, ...] = ()
    reduction: str = ""
    is_method: bool = False


def build_traced_function(
    operation: str,
    pattern: str,
    ranks: tuple[int, ...],
    size_names: tuple[str, ...],
    dtypes: tuple[Any, ...] = (),
    reduction: str = "",
    is_method: bool = False,
    optimize: Any = None,
    max_rank: int | None = None,
) -> Callable[..., Any]:
    """Return a function of the tensors, of the given sizes, and of a reduction that the caller wrote.

    The arguments are the fields of `TracedCall`, the argument ``optimize`` of a classical einsum, and the ``max_rank``
    of a layer. For a call with a mistake, the function breaks the graph, so that Python makes the call and raises the
    error.
    """
    from plait._executor.einsum_options import options_with_max_rank, options_with_optimize
    from plait.backends.torch.backend import TORCH_BACKEND

    TORCH_BACKEND.exclude_functions_from_tracing(FUNCTIONS_WITH_SUBSTITUTE)
    call = TracedCall(operation, pattern, ranks, size_names, dtypes, reduction, is_method)
    try:
        options = options_with_optimize(options_with_max_rank(CURRENT_OPTIONS.get(), max_rank), optimize)
        try:
            return _build_cached(call, options)
        except TypeError:  # an option has no hash
            return _build(call, options)
    except PlaitError as error:
        break_graph, message = _graph_break_function(is_method=is_method), str(error)
        return lambda *_: break_graph(message)


def _build(call: TracedCall, options: OptionValues | None) -> Callable[..., Any]:
    """Return the function of a call; raise an error for a mistake."""
    from plait._executor.einsum_options import apply_einsum_options
    from plait.backends.torch.backend import TORCH_BACKEND

    reduction, is_einsum = call.reduction, call.operation in ("einsum", CLASSICAL_EINSUM)
    dtype = call.dtypes[0] if call.dtypes else None
    if is_einsum and len(call.ranks) == 1:
        reduction = reduction_of_unary_einsum(call.operation, TORCH_BACKEND, dtype)
    if reduction and reduction != CUSTOM_REDUCTION:
        check_dtype_kind(check_reduction_name(reduction), None if dtype is None else TORCH_BACKEND.kind(dtype), dtype)
    max_rank = None if options is None else options.max_rank
    plan = lower_pattern(call.operation, call.pattern, call.ranks, call.size_names, reduction, max_rank)
    source, closure = write_function(apply_einsum_options(plan, options) if is_einsum else plan, call)
    namespace: dict[str, Any] = {}
    text = f"def make_function({', '.join(closure)}):\n{indent(source, '    ')}\n    return call\n"
    exec(compile(text, SOURCE_FILE_NAME, "exec"), namespace)  # noqa: S102  # the text has only names and numbers of plait
    function: Callable[..., Any] = namespace["make_function"](**closure)
    return function


_build_cached = clearable_lru_cache(maxsize=1024, typed=True)(_build)


def write_function(plan: Plan, call: TracedCall) -> tuple[str, dict[str, Any]]:
    """Return the source code of the function that executes a plan, and the variables of its closure by name."""
    writer = _FunctionWriter(plan, call)
    return writer.source_code(), writer.closure


class _FunctionWriter:
    """Writes a function.

    Its variables are ``t0``, ``t1``, … for the tensors and the results of nodes, and ``s0``, ``s1``, … for the sizes in
    the slots of the plan. What is used once has no variable, as in hand-written code: Dynamo would name the node of the
    graph after it. No text of a caller is in the source code.
    """

    def __init__(self, plan: Plan, call: TracedCall) -> None:
        self.plan, self.call = plan, call
        solved = plan.solved
        self.closure: dict[str, Any] = {}
        """The variables of the closure, by name."""
        first_given = sum(solved.ranks)
        self.given_slots = range(first_given, first_given + len(solved.size_names))
        self.sizes = [f"s{slot}" for slot in range(self.given_slots.stop)] + [str(size) for size in solved.constants]
        """For each slot the code of its size; `_size_lines` appends those of the sizes that are computed."""
        self.read_counts = Counter([slot for node, _ in plan.steps if node.takes_shape for slot in node[0]])
        """For each slot how often it is read."""
        for op in plan.size_ops:
            self.read_counts.update(op.factors if op.kind == PRODUCT else (op.source, *op.factors))

    def source_code(self) -> str:
        """Return the source code of the function."""
        parameters = [f"t{number}" for number in range(len(self.plan.solved.ranks))]
        parameters += [self.sizes[slot] for slot in self.given_slots]
        parameters += ["reduction"] * (self.call.reduction == CUSTOM_REDUCTION)
        lines = [*self._shape_lines(), *self._given_size_lines(), *self._size_lines(), *self._node_lines()]
        return "\n    ".join([f"def call({', '.join(parameters)}):", *lines])

    def _shape_lines(self) -> list[str]:
        """Return the lines that read the lengths which are needed."""
        lines = []
        for number, (start, stop) in enumerate(pairwise(accumulate(self.plan.solved.ranks, initial=0))):
            if not self.read_counts.keys().isdisjoint(range(start, stop)):
                names = [f"s{slot}" if slot in self.read_counts else "_" for slot in range(start, stop)]
                lines.append(f"{', '.join(names)}{',' * (len(names) == 1)} = t{number}.shape")
        return lines

    def _given_size_lines(self) -> list[str]:
        """Return the lines that check the given sizes."""
        lines = []
        for slot, name in zip(self.given_slots, self.plan.solved.size_names, strict=True):
            self.closure |= {"type": type, "int": int, f"check{slot}": _size_check(self.call, name)}
            lines += [f"if type(s{slot}) is not int or s{slot} < 0:", f"    s{slot} = check{slot}(s{slot})"]
        return lines

    def _size_lines(self) -> list[str]:
        """Return the lines that check sizes, and compute those that are needed."""
        lines: list[str] = []
        for number, op in enumerate(self.plan.size_ops):
            size = " * ".join([self.sizes[factor] for factor in op.factors]) or "1"
            slot, value = f"s{len(self.sizes)}", size
            if op.kind == QUOTIENT:
                divisor = f"({size})" if len(op.factors) > 1 else size
                value = f"{self.sizes[op.source]} // {divisor}"
                is_zero = "" if size.isdecimal() and size != "0" else f"{self._is_true(f'{size} == 0')} or "
                lines += self._failure_lines(
                    number, is_zero + self._is_true(f"{self.sizes[op.source]} % {divisor} != 0")
                )
            elif op.kind == BROADCAST:
                length = self.sizes[op.source]
                lines.append(f"{slot} = {size} if {self._is_true(f'{length} == 1')} else {length}")
                differs, is_one = self._is_true(f"{slot} != {size}"), self._is_true(f"{size} == 1")
                lines += self._failure_lines(number, f"{differs} and not {is_one}")
            elif op.kind == CHECK_NONEMPTY:
                lines += self._failure_lines(number, self._is_true(f"{self.sizes[op.source]} == 0"))
            elif op.kind == CHECK_EQUAL:
                lines += self._failure_lines(number, self._is_true(f"{self.sizes[op.source]} != {size}"))
            if op.kind in (PRODUCT, QUOTIENT) and self.read_counts[len(self.sizes)] > 1:
                lines.append(f"{slot} = {value}")
            if op.kind in SIZE_OP_KINDS_WITH_RESULT:
                is_inlined = op.kind != BROADCAST and self.read_counts[len(self.sizes)] < 2
                self.sizes.append(f"({value})" if is_inlined else slot)
        return lines

    def _is_true(self, condition: str) -> str:
        """Return the code of whether a condition on sizes is true; if only a run of the graph can tell, it is not."""
        from plait.backends.torch.symbolic_lengths import import_guard_or_false

        guard_or_false = import_guard_or_false()
        if guard_or_false is None:
            return f"({condition})"
        self.closure["is_true"] = guard_or_false
        return f"is_true({condition})"

    def _failure_lines(self, number: int, condition: str) -> list[str]:
        """Return the lines that break the graph if a condition is true, so that the size operation fails."""
        self.closure["failure"] = _size_failure(self.plan, self.call)
        sizes = [
            code if slot in self.read_counts or code.isdecimal() else "None" for slot, code in enumerate(self.sizes)
        ]
        return [f"if {condition}:", f"    raise failure({number}, [{', '.join(sizes)}])"]

    def _node_lines(self) -> list[str]:
        """Return the line that returns the result, after one for each that is used more than once, or far inside."""
        from plait.backends.torch.backend import TORCH_BACKEND
        from plait.backends.torch.element_types import einsum_of_dtypes

        lines, codes = [], [f"t{number}" for number in range(len(self.plan.solved.ranks))]
        depths = [0] * len(codes)  # how deeply the calls in each code are nested
        use_counts = Counter(
            [
                number
                for numbers in (self.plan.outputs, *[operands for _, operands in self.plan.steps])
                for number in numbers
            ]
        )
        for result, (node, operands) in enumerate(self.plan.steps, len(codes)):
            arguments, function = [codes[operand] for operand in operands], node.method
            if isinstance(node, Contract) and node.method != "einsum":
                self.closure[function] = getattr(TORCH_BACKEND, function)
            elif isinstance(node, Contract):
                arguments.insert(0, repr(node.equation))
                function = f"einsum{len(operands)}"
                self.closure[function] = einsum_of_dtypes(self.call.dtypes, len(operands))
            elif isinstance(node, Reduce):
                arguments.append(repr(node.axes))
                if node.reduction == CUSTOM_REDUCTION:
                    function = "reduction"
                else:
                    self.closure[function] = TORCH_BACKEND.reduction(node.reduction, self.call.dtypes[0])
            else:
                self.closure[function] = getattr(TORCH_BACKEND, node.method)
                shape_or_axes = node[0]
                arguments.append(
                    tuple_source_code([self.sizes[slot] for slot in shape_or_axes])
                    if node.takes_shape
                    else repr(shape_or_axes)
                )
            codes.append(f"{function}({', '.join(arguments)})")
            depths.append(1 + max([depths[operand] for operand in operands]))
            if use_counts[result] > 1 or depths[-1] == MAX_NESTED_CALLS:
                lines.append(f"t{result} = {codes[-1]}")
                codes[-1], depths[-1] = f"t{result}", 0
        return [*lines, f"return {', '.join([codes[number] for number in self.plan.outputs])}"]


def _graph_break_function(*, is_method: bool) -> Callable[[str], None]:
    """Return the function that leaves a call with a mistake to Python."""
    from plait.backends.torch.tracing import break_graph, leave_frame_to_python

    return leave_frame_to_python if is_method else break_graph


def _size_check(call: TracedCall, name: str) -> Callable[[Any], Any]:
    """Return a function that converts a size of another type than ``int``, for Dynamo.

    It breaks the graph if the size is not an exact integer, or is negative.
    """
    pattern, break_graph = call.pattern, _graph_break_function(is_method=call.is_method)

    def check(value: Any) -> Any:
        size = value if isinstance(value, (bool, float)) else index(value)
        if size is value or size < 0:
            break_graph(_message_of_invalid_size(pattern, name, size))
        return size

    return check


def _size_failure(plan: Plan, call: TracedCall) -> Callable[[int, list[Any]], Exception]:
    """Return a function that breaks the graph because a size operation fails, given by its number, for Dynamo.

    It takes the sizes in the slots; ``None`` is one that nothing reads.
    """
    operation, pattern, ranks, size_names = call[:4]
    size_ops: tuple[Any, ...] = tuple(
        [tuple(op) for op in plan.size_ops]
    )  # plain tuples, which Dynamo takes as constants
    break_graph = _graph_break_function(is_method=call.is_method)

    def fail(number: int, slots: list[Any]) -> Exception:
        int_slots = tuple([None if size is None else index(size) for size in slots])  # a symbol becomes its value
        break_graph(_message_of_size_error(operation, pattern, ranks, size_names, int_slots, *size_ops[number]))
        return AssertionError("Python has taken over before this")

    return fail


@assume_constant
def _message_of_invalid_size(pattern: str, name: str, value: Any) -> str:
    """Return the text of the error for a size that is not an exact integer, or is negative."""
    try:
        sizes_to_ints(pattern, {name: value})
    except PlaitError as error:
        return str(error)
    return ""


@assume_constant
def _message_of_size_error(
    operation: str, pattern: str, ranks: Any, size_names: Any, slots: Any, kind: str, source: int, factors: Any
) -> str:
    """Return the text of the error for sizes that do not fit."""
    return str(
        size_op_error(check_and_solve(operation, pattern, ranks, size_names), list(slots), kind, source, factors)
    )
