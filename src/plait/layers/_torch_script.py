"""What TorchScript runs in the place of plait, whose Python it cannot compile: the plans of a layer, as data.

A plan is the same for every shape of one rank. TorchScript compiles `run_layer` and what it calls: they fill the slots
from the shapes, do the arithmetic of the plan, and call the functions of torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from plait.errors import make_error
from plait.layers import MixSpec, OperationSpec
from plait.layers._spec import format_value, plans

Row = tuple[str, int, list[int], str]
"""A step: its kind; the slot that it reads, or the tensor that it replaces; slots, dimensions or sizes; and the
equation of an einsum or the name of a reduction."""

Script = tuple[str, dict[int, list[Row]]]
"""The pattern, for errors, and the steps for each rank of the tensor."""


def scripts(spec: OperationSpec | MixSpec, module: Any = None) -> Any:
    """The `Script` of each pattern of a layer; PLT510 where the reduction is a callable."""
    text = spec.pattern.text
    if isinstance(spec, MixSpec):
        found = [_script("einsum", spec.product, text, "", len(spec.weight.shape))]
        if spec.grouping is not None:
            found.append(_script("rearrange", spec.grouping, text))
        return torch.jit.Attribute(found, list[Script])
    reduction = spec.reduction if module is None else module
    if callable(reduction):
        message = f"torch.jit.script cannot compile the reduction {format_value(reduction)}"
        raise make_error("PLT510", f"{message}; use torch.jit.trace, or a reduction of plait's", text)
    return torch.jit.Attribute([_script(spec.operation, spec.pattern, text, reduction or "")], list[Script])


def _script(operation: str, pattern: Any, text: str, reduction: str = "", *others: int) -> Script:
    """The plan for each rank of the first tensor, where those of the others are given."""
    found = plans(operation, pattern, reduction, *others)
    return text, {rank: _rows(plan, pattern.sizes.values()) for rank, plan in found.items()}


def _rows(plan: Any, sizes: Iterable[int]) -> list[Row]:
    """The steps of a plan, each result in the place of its first operand."""
    rows: list[Row] = [("constants", 0, [*sizes, *plan.solved.constants], "")]
    rows += [(kind, source, list(factors), "") for kind, source, factors in plan.size_ops]
    places = list(range(len(plan.solved.ranks)))
    for node, operands in plan.steps:
        places.append(places[operands[0]])
        if node.method == "einsum":
            rows.append(("einsum", places[-1], [], node.equation))
        elif node.method == "reduce":
            rows.append(("reduce", places[-1], list(node.axes), node.reduction))
        else:
            rows.append((node.method, places[-1], list(node[0]), ""))
    return rows


def run_layer(tensors: list[torch.Tensor], scripts: list[Script], bias: torch.Tensor | None = None) -> torch.Tensor:
    """A layer, called: its first pattern, the bias if there is one, and its second pattern if there is one."""
    result = run(tensors, scripts[0])
    if bias is not None:
        result = result + bias.to(result.dtype)
    return run([result], scripts[1]) if len(scripts) > 1 else result


def run(tensors: list[torch.Tensor], script: Script) -> torch.Tensor:
    """The plan for tensors of these ranks, on them."""
    text, plans = script
    rank = tensors[0].dim()
    if rank not in plans:
        taken = list(plans.keys())
        raise ValueError(f"[PLT304] this layer was scripted for the ranks {taken}, and the tensor has {rank}\n  {text}")
    slots: list[int] = []
    for tensor in tensors:
        slots += tensor.shape
    for kind, place, values, name in plans[rank]:
        if kind == "constants":
            slots += values
        elif kind == "einsum":
            tensors[place] = torch.einsum(name, tensors)
        elif kind == "permute":
            tensors[place] = tensors[place].permute(values)
        elif kind == "reduce":
            tensors[place] = reduce(tensors[place], name, values)
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
