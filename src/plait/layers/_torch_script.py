"""An interpreter of a layer's plans for TorchScript, which cannot compile plait's own executor.

A plan is the same for every shape of one rank, so that it is stored as data. TorchScript compiles `run_layer` and the
functions that it calls: they make a list of the lengths of the dimensions, append the sizes that they compute, and call
torch's functions. A slot is an index of this list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from plait.errors import make_error
from plait.layers import MixSpec, OperationSpec
from plait.layers._spec import format_value, lower_each_rank

ScriptStep = tuple[str, int, list[int], str]
"""One step of a plan: its kind; the index of the slot that it reads or of the tensor that it replaces; a list of slots,
dimensions or sizes; and the equation of an einsum or the name of a reduction."""

PatternScript = tuple[str, dict[int, list[ScriptStep]]]
"""The text of a pattern, for error messages, and the steps of its plan for each rank of the first tensor."""


def script_layer(spec: OperationSpec | MixSpec, module: Any = None) -> Any:
    """Return the `PatternScript` of each pattern of a layer as a TorchScript attribute.

    Raise PLT510 if the reduction is a callable, or a module (the second argument).
    """
    text = spec.pattern.text
    if isinstance(spec, MixSpec):
        scripts = [_script_pattern("einsum", spec.product, text, "", len(spec.weight.shape))]
        if spec.grouping is not None:
            scripts.append(_script_pattern("rearrange", spec.grouping, text))
        return torch.jit.Attribute(scripts, list[PatternScript])
    reduction = spec.reduction if module is None else module
    if callable(reduction):
        message = f"torch.jit.script cannot compile the reduction {format_value(reduction)}"
        raise make_error("PLT510", f"{message}; use torch.jit.trace, or the name of a reduction", text)
    scripts = [_script_pattern(spec.operation, spec.pattern, text, reduction or "")]
    return torch.jit.Attribute(scripts, list[PatternScript])


def _script_pattern(operation: str, pattern: Any, text: str, reduction: str = "", *other_ranks: int) -> PatternScript:
    """Return the steps of a pattern's plan for each rank of the first tensor, given the ranks of the other tensors."""
    plans = lower_each_rank(operation, pattern, reduction, *other_ranks)
    return text, {rank: _script_steps(plan, pattern.sizes.values()) for rank, plan in plans.items()}


def _script_steps(plan: Any, sizes: Iterable[int]) -> list[ScriptStep]:
    """Return the steps of a plan; each step replaces its operand that comes first among the tensors by its result."""
    steps: list[ScriptStep] = [("constants", 0, [*sizes, *plan.solved.constants], "")]
    steps += [(kind, source, list(factors), "") for kind, source, factors in plan.size_ops]
    tensor_indices = list(range(len(plan.solved.ranks)))  # for each operand of a node, its index in `run_pattern`
    for node, operands in plan.steps:
        indices = [tensor_indices[operand] for operand in operands]
        index = min(indices)
        tensor_indices.append(index)
        if node.method == "einsum":
            steps.append(("einsum", index, indices, node.equation))
        elif node.method == "reduce":
            steps.append(("reduce", index, list(node.axes), node.reduction))
        else:
            steps.append((node.method, index, list(node[0]), ""))
    return steps


def run_layer(
    tensors: list[torch.Tensor], scripts: list[PatternScript], bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Run the first pattern of a layer, add the bias if there is one, and run the second pattern if there is one."""
    result = run_pattern(tensors, scripts[0])
    if bias is not None:
        result = result + bias.to(result.dtype)
    return run_pattern([result], scripts[1]) if len(scripts) > 1 else result


def run_pattern(tensors: list[torch.Tensor], script: PatternScript) -> torch.Tensor:
    """Run the plan of a pattern for the ranks of these tensors."""
    text, plans = script
    rank = tensors[0].dim()
    if rank not in plans:
        taken = list(plans.keys())
        raise ValueError(f"[PLT304] this layer was scripted for the ranks {taken}, and the tensor has {rank}\n  {text}")
    slots: list[int] = []
    for tensor in tensors:
        slots += tensor.shape
    for kind, index, values, name in plans[rank]:
        if kind == "constants":
            slots += values
        elif kind == "einsum":
            tensors[index] = torch.einsum(name, [tensors[value] for value in values])
        elif kind == "permute":
            tensors[index] = tensors[index].permute(values)
        elif kind == "reduce":
            tensors[index] = reduce(tensors[index], name, values)
        elif kind == "expand":
            tensors[index] = tensors[index].expand([slots[value] for value in values])
        elif kind == "reshape":
            tensors[index] = tensors[index].reshape([slots[value] for value in values])
        else:
            message = run_size_op(slots, kind, index, values)
            if len(message) > 0:
                raise ValueError(f"{message}\n  {text}\n  input: {list(tensors[0].shape)}")
    return tensors[0]


def run_size_op(slots: list[int], kind: str, source: int, factors: list[int]) -> str:
    """Run one size operation as `plait._shapes.sizes.extend_slots` does; return an error message, or ``""``.

    Operations that only patterns with several ellipses need are not supported.
    """
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
    """Reduce a tensor along dimensions by the reduction of this name."""
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
