"""What TorchScript runs in the place of plait, whose Python it cannot compile: the plan of a layer, as data.

A plan is the same for every shape of one rank. The functions behind `mix` are TorchScript: they fill the slots from the
shapes, do the arithmetic of the plan, and make its calls of torch.
"""

from __future__ import annotations

from typing import Any

import torch

from plait.errors import fail
from plait.layers import MixSpec, OperationSpec
from plait.layers._spec import format_value, recipes

Row = tuple[str, int, list[int], str]
"""A step: its kind; the slot that it reads, or the tensor that it replaces; slots, dimensions or sizes; an equation."""

Script = tuple[str, dict[int, list[Row]]]
"""The pattern, for errors, and the steps for each rank of the tensor."""


def operation(spec: OperationSpec, module: Any) -> Any:
    """The `Script` of a layer of one operation, and the name of its reduction; PLT510 where that is a callable."""
    function = spec.reduction if module is None else module
    if callable(function):
        message = f"torch.jit.script cannot compile the reduction {format_value(function)}"
        raise fail("PLT510", f"{message}; use torch.jit.trace, or a reduction of plait's", spec.pattern.text)
    reduction = function or ""
    script = _script(spec.operation, spec.pattern, spec.pattern.text, reduction)
    return torch.jit.Attribute((script, reduction), tuple[Script, str])


def mix(spec: MixSpec) -> Any:
    """The `Script` of the product, and that of the grouping if there is one."""
    scripts = [_script("einsum", spec.product, spec.pattern.text, "", len(spec.weight.shape))]
    if spec.grouping is not None:
        scripts.append(_script("rearrange", spec.grouping, spec.pattern.text))
    return torch.jit.Attribute(scripts, list[Script])


def _script(operation: str, pattern: Any, text: str, reduction: str = "", *others: int) -> Script:
    """The plan for each rank of the first tensor, where those of the others are given."""
    plans: dict[int, list[Row]] = {}
    for rank, data in recipes(operation, pattern, reduction, *others).items():
        rows: list[Row] = [("constants", 0, [*pattern.sizes.values(), *data.constants], "")]
        rows += [(kind, source, list(factors), "") for kind, source, factors in data.size_ops]
        tensor = list(range(len(data.ranks)))  # where each value is: in the place of its first operand
        for method, operands, shape, constant in data.steps:
            tensor.append(tensor[operands[0]])
            if isinstance(constant, str):
                rows.append((method, tensor[-1], [], constant))
            else:
                values: Any = constant if shape is None else shape
                rows.append((method, tensor[-1], list(values), ""))
        plans[rank] = rows
    return text, plans


def run_operation(tensor: torch.Tensor | list[torch.Tensor], script: tuple[Script, str]) -> torch.Tensor:
    """A layer of one operation, called."""
    if not isinstance(tensor, torch.Tensor):
        tensor = torch.stack(tensor)
    return run([tensor], script[0], script[1])


def run_mix(tensors: list[torch.Tensor], bias: torch.Tensor | None, script: list[Script]) -> torch.Tensor:
    """An ``EinMix``, called on a tensor and the weight."""
    result = run(tensors, script[0], "")
    if bias is not None:
        result = result + bias.to(result.dtype)
    return run([result], script[1], "") if len(script) > 1 else result


def run(tensors: list[torch.Tensor], script: Script, reduction: str) -> torch.Tensor:
    """The plan for tensors of these ranks, on them."""
    text, plans = script
    rank = tensors[0].dim()
    if rank not in plans:
        taken = list(plans.keys())
        raise ValueError(f"[PLT304] this layer was scripted for the ranks {taken}, and the tensor has {rank}\n  {text}")
    slots: list[int] = []
    for tensor in tensors:
        slots += tensor.shape
    for kind, place, values, equation in plans[rank]:
        if kind == "constants":
            slots += values
        elif kind == "einsum":
            tensors[place] = torch.einsum(equation, tensors)
        elif kind == "permute":
            tensors[place] = tensors[place].permute(values)
        elif kind == "reduce":
            tensors[place] = reduce(tensors[place], reduction, values)
        elif kind == "expand":
            tensors[place] = tensors[place].expand([slots[value] for value in values])
        elif kind == "reshape":
            tensors[place] = tensors[place].reshape([slots[value] for value in values])
        else:
            mistake = compute(slots, kind, place, values)
            if len(mistake) > 0:
                raise ValueError(f"{mistake}\n  {text}\n  input: {list(tensors[0].shape)}")
    return tensors[0]


def compute(slots: list[int], kind: str, source: int, factors: list[int]) -> str:
    """One operation of `plait._shapes.sizes.evaluate`, but for what only several ellipses need; the mistake, if any."""
    size = 1
    for factor in factors:
        size *= slots[factor]
    if kind == "product":
        slots.append(size)
    elif kind == "quotient":
        if size == 0 or slots[source] % size != 0:
            return f"[PLT302] {size} does not divide a length of {slots[source]}"
        slots.append(slots[source] // size)
    elif kind == "nonempty":
        if slots[source] == 0:
            return "[PLT307] the minimum or maximum of nothing is not defined"
    elif slots[source] != size:
        return f"[PLT305] a length is {slots[source]}, and the pattern has {size} there"
    return ""


def reduce(tensor: torch.Tensor, reduction: str, axes: list[int]) -> torch.Tensor:
    """A reduction, by its name."""
    if reduction == "sum":
        return tensor.sum(axes)
    if reduction == "mean":
        return tensor.mean(axes)
    if reduction == "max":
        return tensor.amax(axes)
    if reduction == "min":
        return tensor.amin(axes)
    if reduction == "std":
        return tensor.std(axes, unbiased=False)
    if reduction == "var":
        return tensor.var(axes, unbiased=False)
    if reduction == "logsumexp":
        if not tensor.is_floating_point():
            raise ValueError("[PLT503] logsumexp is defined on floating-point elements only")
        return tensor.logsumexp(axes)
    for axis in sorted(axes)[::-1]:
        if reduction == "prod":
            tensor = tensor.prod(axis)
        elif reduction == "any":
            tensor = tensor.to(torch.bool).any(axis)
        else:
            tensor = tensor.to(torch.bool).all(axis)
    return tensor
