"""A plan as the text of one function in plain framework code, for any sizes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import accumulate, pairwise
from keyword import iskeyword

from plait._plan.graph import Plan
from plait._plan.nodes import tuple_source_code
from plait._shapes.solver import BROADCAST, CHECK_EQUAL, CHECK_NONEMPTY, PRODUCT, SizeOp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from plait._plan.nodes import Spelling


def write_function(name: str, plan: Plan, spelling: Spelling, defaults: Mapping[str, int]) -> str:
    """The import lines of a framework, and a function that does what a plan for any sizes does.

    Sizes have the names of their axes; given ones may have defaults. Of what the caller wrote nothing else is in the
    text but the pattern, in the docstring.
    """
    writer = _Writer(plan, spelling)
    given = [writer.names[axis] + (f"={defaults[axis]}" if axis in defaults else "") for axis in plan.solved.given]
    parameters = ", ".join([*writer.tensors, *["*"][: len(given)], *given])
    pattern = json.dumps(str(plan.solved.tree), ensure_ascii=False)  # a literal of Python's, too
    lines = [f'""{pattern}""', *writer.dimensions(), *writer.arithmetic(), *writer.steps()]
    imports = f"{spelling.imports}\n\n\n" if spelling.imports else ""
    return imports + "\n    ".join([f"def {name}({parameters}):", *lines]) + "\n"


class _Writer:
    """Writes the lines of a function, from the first to the last."""

    def __init__(self, plan: Plan, spelling: Spelling) -> None:
        self.plan, self.spelling = plan, spelling
        solved, count = plan.solved, len(plan.solved.ranks)
        self.tensors = ["tensor"] if count == 1 else [f"tensor{number}" for number in range(count)]
        self.taken = {"ValueError", "min", *self.tensors, *spelling.identifiers}
        self.names = {label: self._unused(label) for label in dict.fromkeys(solved.labels) if label.isidentifier()}
        """Of each axis that the pattern names, what its size is called."""
        self.labels = dict(zip(solved.slots, solved.labels, strict=True))
        self.sizes = [self._size(slot) for slot in range(solved.initial_slot_count - len(solved.constants))]
        self.sizes += map(str, solved.constants)
        """For each slot the code of its size."""

    def _unused(self, name: str) -> str:
        while name in self.taken or iskeyword(name):
            name += "_"
        self.taken.add(name)
        return name

    def _size(self, slot: int) -> str:
        """What the size in a slot is called."""
        return self.names.get(self.labels.get(slot, "")) or self._unused(f"d{slot}")

    def dimensions(self) -> list[str]:
        """The lines that take the shapes apart; each fails where the rank is another."""
        lines = self.spelling.call("setup", self.tensors).splitlines()
        for tensor, slots in zip(self.tensors, pairwise(accumulate(self.plan.solved.ranks, initial=0)), strict=True):
            sizes = self.sizes[slice(*slots)]
            target = ", ".join(sizes) if len(sizes) > 1 else tuple_source_code(sizes)
            lines.append(f"{target} = {self.spelling.call('shape', [tensor])}")
        return lines

    def arithmetic(self) -> list[str]:
        """The lines that check sizes, and compute those that are needed."""
        given = [self.names[axis] for axis in self.plan.solved.given]
        least = f"min({', '.join(given)})" if len(given) > 1 else "".join(given)
        lines = _check(f"{least} < 0", "a size is negative") if given else []
        read = {slot for node, _ in self.plan.steps if node.takes_shape for slot in node[0]}
        read.update([slot for op in self.plan.size_ops for slot in (op.source, *op.factors)])
        for op in self.plan.size_ops:
            product = " * ".join([self.sizes[factor] for factor in op.factors]) or "1"
            if op.kind == PRODUCT:
                self.sizes.append(product)
                continue
            if op.kind == CHECK_NONEMPTY and _is_positive(self.sizes[op.source]):
                continue
            condition, message, value = self._operation(op, self.sizes[op.source], product)
            lines += _check(condition, message)
            if value:
                slot = len(self.sizes)
                self.sizes.append(self._size(slot))
                lines += [f"{self.sizes[slot]} = {value}"] * (slot in read)
        return lines

    def _operation(self, op: SizeOp, length: str, product: str) -> tuple[str, str, str]:
        """Where a size operation fails, what it says then, and the value that it computes, if any."""
        says = f"{length} is {{{length}}}"
        known = product if product.isdecimal() else f"{product} = {{{product}}}"
        if op.kind == CHECK_NONEMPTY:
            return f"{length} == 0", f"{length} is 0, and nothing has no minimum or maximum", ""
        if op.kind == CHECK_EQUAL:
            return f"{length} != {product}", f"{says}, and not {known}", ""
        if op.kind == BROADCAST:
            fails = f"{length} != {product} and 1 not in ({length}, {product})"
            return fails, f"{says}, which does not broadcast with {known}", f"{product} if {length} == 1 else {length}"
        divisor = f"({product})" if len(op.factors) > 1 else product
        maybe_zero = [self.sizes[factor] for factor in op.factors if not _is_positive(self.sizes[factor])]
        zero = f"{' * '.join(maybe_zero)} == 0 or " if maybe_zero else ""
        return f"{zero}{length} % {divisor}", f"{says}, which {known} does not divide", f"{length} // {divisor}"

    def steps(self) -> list[str]:
        """The lines of the nodes. A result takes the name of its first operand, which nothing needs any more."""
        values, lines = list(self.tensors), []
        for node, operands in self.plan.steps:
            chosen = [values[operand] for operand in operands]
            *before, result = node.source_code(self.spelling, chosen, self.sizes).splitlines()
            lines += [*before, f"{chosen[0]} = {result}"]
            values.append(chosen[0])
        (output,) = self.plan.outputs
        return [*lines[:-1], f"return {result}"] if lines else [f"return {values[output]}"]


def _check(condition: str, message: str) -> list[str]:
    prefix = "f" if "{" in message else ""
    return [f"if {condition}:", f'    raise ValueError({prefix}"{message}")']


def _is_positive(size: str) -> bool:
    """Whether it is a number, and not 0."""
    return size.isdecimal() and int(size) > 0
