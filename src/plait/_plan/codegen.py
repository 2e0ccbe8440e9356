"""Generate a plan's source code: one function that calls the framework alone, for tensors of any size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import accumulate, pairwise
from keyword import iskeyword

from plait._plan.graph import Plan
from plait._plan.nodes import Expand, tuple_source_code
from plait._shapes.solver import BROADCAST, CHECK_EQUAL, CHECK_NONEMPTY, PRODUCT, SizeOp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from plait._plan.nodes import SourceTemplates


def generate_function(name: str, plan: Plan, templates: SourceTemplates, defaults: Mapping[str, int]) -> str:
    """Return the source code of a framework's imports, and of a function that executes a plan for any sizes.

    The function takes the given sizes by the names of their axes, some with defaults. Its docstring is the pattern.
    """
    writer = _FunctionWriter(plan, templates)
    given = [
        writer.size_names[axis] + (f"={defaults[axis]}" if axis in defaults else "") for axis in plan.solved.size_names
    ]
    parameters = ", ".join([*writer.tensor_names, *["*"][: len(given)], *given])
    pattern = json.dumps(str(plan.solved.tree), ensure_ascii=False)  # a JSON string is a Python string literal too
    template = templates.writable if name == "repeat" else "{tensor}"
    lines = [f'""{pattern}""', *writer.shape_lines(), *writer.size_lines(), *writer.all_node_lines(template)]
    imports = f"{templates.imports}\n\n\n" if templates.imports else ""
    return imports + "\n    ".join([f"def {name}({parameters}):", *lines]) + "\n"


class _FunctionWriter:
    """Generates the lines of the function of one plan.

    `size_lines` must be called before `all_node_lines`, which uses the code of sizes that it appends to ``slot_code``.
    """

    def __init__(self, plan: Plan, templates: SourceTemplates) -> None:
        self.plan, self.templates = plan, templates
        solved, count = plan.solved, len(plan.solved.ranks)
        self.tensor_names = ["tensor"] if count == 1 else [f"tensor{number}" for number in range(count)]
        self.used_names = {"ValueError", "min", *self.tensor_names, *templates.identifiers}
        axis_names = [label for label in dict.fromkeys(solved.labels) if label.isidentifier()]
        self.size_names = {name: self._reserve_name(name) for name in axis_names}
        """For each axis with a name the name of the variable that holds its size."""
        self.label_by_slot = dict(zip(solved.slots, solved.labels, strict=True))
        self.slot_code = [self._size_name(slot) for slot in range(solved.initial_slot_count - len(solved.constants))]
        self.slot_code += map(str, solved.constants)
        """For each slot the source code of its size."""

    def _reserve_name(self, name: str) -> str:
        """Return the name, with underscores added if it is used or a keyword, and count it as used."""
        while name in self.used_names or iskeyword(name):
            name += "_"
        self.used_names.add(name)
        return name

    def _size_name(self, slot: int) -> str:
        """Return the name of the variable that holds the size of a slot."""
        return self.size_names.get(self.label_by_slot.get(slot, "")) or self._reserve_name(f"d{slot}")

    def shape_lines(self) -> list[str]:
        """Return the lines that unpack the shapes; they raise an error if a tensor has another rank."""
        lines = self.templates.format_call("setup", self.tensor_names).splitlines()
        ends = accumulate(self.plan.solved.ranks, initial=0)
        for tensor, slots in zip(self.tensor_names, pairwise(ends), strict=True):
            sizes = self.slot_code[slice(*slots)]
            target = ", ".join(sizes) if len(sizes) > 1 else tuple_source_code(sizes)
            lines.append(f"{target} = {self.templates.format_call('shape', [tensor])}")
        return lines

    def size_lines(self) -> list[str]:
        """Return the lines that check the sizes, and compute those that the nodes need."""
        given = [self.size_names[axis] for axis in self.plan.solved.size_names]
        smallest = f"min({', '.join(given)})" if len(given) > 1 else "".join(given)
        lines = _raise_if_lines(f"{smallest} < 0", "a size is negative") if given else []
        read_slots = {slot for node, _ in self.plan.steps if node.takes_shape for slot in node[0]}
        read_slots.update([slot for op in self.plan.size_ops for slot in (op.source, *op.factors)])
        for op in self.plan.size_ops:
            product = " * ".join([self.slot_code[factor] for factor in op.factors]) or "1"
            if op.kind == PRODUCT:
                self.slot_code.append(product)
                continue
            if op.kind == CHECK_NONEMPTY and _is_positive(self.slot_code[op.source]):
                continue
            condition, message, value = self._size_op_failure_and_value(op, self.slot_code[op.source], product)
            lines += _raise_if_lines(condition, message)
            if value:
                slot = len(self.slot_code)
                self.slot_code.append(self._size_name(slot))
                lines += [f"{self.slot_code[slot]} = {value}"] * (slot in read_slots)
        return lines

    def _size_op_failure_and_value(self, op: SizeOp, length: str, product: str) -> tuple[str, str, str]:
        """Return code for a size operation: when it fails, the message of the error, and the value, or ``""``.

        ``length`` is the code of its source, ``product`` that of the product of its factors.
        """
        actual = f"{length} is {{{length}}}"
        expected = product if product.isdecimal() else f"{product} = {{{product}}}"
        if op.kind == CHECK_NONEMPTY:
            return f"{length} == 0", f"the minimum or maximum over no elements is not defined; {length} is 0", ""
        if op.kind == CHECK_EQUAL:
            return f"{length} != {product}", f"{actual}, but must be {expected}", ""
        if op.kind == BROADCAST:
            fails = f"{length} != {product} and 1 not in ({length}, {product})"
            message = f"{actual}, which does not broadcast with {expected}"
            return fails, message, f"{product} if {length} == 1 else {length}"
        divisor = f"({product})" if len(op.factors) > 1 else product
        maybe_zero = [self.slot_code[factor] for factor in op.factors if not _is_positive(self.slot_code[factor])]
        zero_check = f"{' * '.join(maybe_zero)} == 0 or " if maybe_zero else ""
        message = f"{expected} does not divide {length} = {{{length}}}"
        return f"{zero_check}{length} % {divisor}", message, f"{length} // {divisor}"

    def all_node_lines(self, broadcast_template: str) -> list[str]:
        """Return the lines that execute the nodes, and return the result, by the template if the plan broadcasts.

        The result of a node is assigned to the variable of its first operand, whose old value no other node needs.
        """
        value_names, lines = list(self.tensor_names), []
        for node, operands in self.plan.steps:
            operand_names = [value_names[operand] for operand in operands]
            *before, result = node.source_code(self.templates, operand_names, self.slot_code).splitlines()
            lines += [*before, f"{operand_names[0]} = {result}"]
            value_names.append(operand_names[0])
        (output,) = self.plan.outputs
        if any(isinstance(node, Expand) for node, _ in self.plan.steps):
            result = broadcast_template.format(tensor=result, module=self.templates.module)
        return [*lines[:-1], f"return {result}"] if lines else [f"return {value_names[output]}"]


def _raise_if_lines(condition: str, message: str) -> list[str]:
    """Return the lines that raise an error if a condition is true; a message with braces becomes an f-string."""
    prefix = "f" if "{" in message else ""
    return [f"if {condition}:", f'    raise ValueError({prefix}"{message}")']


def _is_positive(size: str) -> bool:
    """Whether the code of a size is a number other than 0."""
    return size.isdecimal() and int(size) > 0
