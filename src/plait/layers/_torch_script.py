"""What TorchScript runs in the place of plait, whose Python it cannot compile: the plan of a layer, as data.

A plan is the same for every shape of one rank, and comes to lists of numbers and words. The functions below are
TorchScript: they fill the registers from the shapes, do the arithmetic of the plan, and make its calls of torch.
"""

from __future__ import annotations

from typing import Any

import torch

from plait.errors import fail
from plait.layers import MixSpec, OperationSpec
from plait.layers._spec import format_value, recipes

Row = tuple[str, int, list[int]]
"""A step: its kind; the register that it reads, or the tensor that it is done to; registers, or dimensions."""

Plan = tuple[list[int], list[Row], str]
"""The registers behind those of the shapes, the steps, and the equation of an einsum."""

Plans = dict[int, Plan]
"""The plan for each rank of the tensor."""

Operation = tuple[str, str, Plans]
"""The pattern, for errors; the name of the reduction, or nothing; and the plans."""

Mix = tuple[str, Plans, Plans]
"""The pattern, for errors; the plans of the product, and those of the grouping, or none."""


def operation(spec: OperationSpec, module: Any) -> Any:
    """A layer of one operation as an `Operation`, in an attribute for TorchScript.

    Raises:
        BackendError: PLT510, the reduction is a callable.
    """
    function = spec.reduction if module is None else module
    if callable(function):
        message = f"torch.jit.script cannot compile the reduction {format_value(function)}"
        raise fail("PLT510", f"{message}; use torch.jit.trace, or a reduction of plait's", spec.pattern.text)
    reduction = "" if spec.reduction is None else str(spec.reduction)
    found = recipes(spec.operation, spec.pattern, reduction)
    return torch.jit.Attribute((spec.pattern.text, reduction, _plans(found, spec.pattern)), Operation)


def mix(spec: MixSpec) -> Any:
    """An ``EinMix`` as a `Mix`, in an attribute for TorchScript."""
    product = _plans(recipes("einsum", spec.product, "", len(spec.weight.shape)), spec.product)
    grouping = {} if spec.grouping is None else _plans(recipes("rearrange", spec.grouping), spec.grouping)
    return torch.jit.Attribute((spec.pattern.text, product, grouping), Mix)


def _plans(found: dict[int, Any], pattern: Any) -> Plans:
    """The plans as rows; the tensors are replaced in place, and a contraction of two leaves the first."""
    made: Plans = {}
    for rank, data in found.items():
        rows = [(kind, source, list(factors)) for kind, source, factors in data.size_ops]
        equation = ""
        tensor = list(range(len(data.ranks)))  # where each value is
        for method, operands, shape, constant in data.steps:
            tensor.append(tensor[operands[0]])
            if method == "einsum":
                equation = constant
                rows.append((method, 0, []))
            else:
                rows.append((method, tensor[operands[0]], list(constant if shape is None else shape)))
        made[rank] = [*pattern.sizes.values(), *data.constants], rows, equation
    return made


def run_operation(tensor: torch.Tensor | list[torch.Tensor], script: Operation) -> torch.Tensor:
    """A layer of one operation, called."""
    text, reduction, plans = script
    if not isinstance(tensor, torch.Tensor):
        tensor = torch.stack(tensor)
    return run([tensor], plans, text, reduction)


def run_mix(tensor: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, script: Mix) -> torch.Tensor:
    """An ``EinMix``, called."""
    text, product, grouping = script
    result = run([tensor, weight], product, text, "")
    if bias is not None:
        result = result + bias.to(result.dtype)
    return result if len(grouping) == 0 else run([result], grouping, text, "")


def run(tensors: list[torch.Tensor], plans: Plans, text: str, reduction: str) -> torch.Tensor:
    """The plan for tensors of these ranks, on them."""
    rank = tensors[0].dim()
    if rank not in plans:
        taken = list(plans.keys())
        raise ValueError(f"[PLT304] this layer was scripted for the ranks {taken}, and the tensor has {rank}\n  {text}")
    registers: list[int] = []
    for tensor in tensors:
        registers += tensor.shape
    sizes, rows, equation = plans[rank]
    registers += sizes
    for kind, place, values in rows:
        if kind in ("product", "quotient", "check", "nonempty"):  # what else there is only several ellipses need
            mistake = compute(registers, kind, place, values)
            if len(mistake) > 0:
                raise ValueError(f"{mistake}\n  {text}\n  input: {list(tensors[0].shape)}")
        elif kind == "einsum":
            tensors = [torch.einsum(equation, tensors)]
        elif kind == "permute":
            tensors[place] = tensors[place].permute(values)
        elif kind == "reduce":
            tensors[place] = reduce(tensors[place], reduction, values)
        else:
            shape = [registers[value] for value in values]
            expand = kind == "expand"
            tensors[place] = tensors[place].expand(shape) if expand else tensors[place].reshape(shape)
    return tensors[0]


def compute(registers: list[int], kind: str, source: int, factors: list[int]) -> str:
    """One instruction of `plait._shapes.sizes.evaluate`; what is wrong, or nothing."""
    size = 1
    for factor in factors:
        size *= registers[factor]
    if kind == "product":
        registers.append(size)
        return ""
    length = registers[source]
    if kind == "quotient":
        if size == 0 or length % size != 0:
            return f"[PLT302] {size} does not divide a length of {length}"
        registers.append(length // size)
    elif kind == "nonempty":
        if length == 0:
            return "[PLT307] the minimum or maximum of nothing is not defined"
    elif length != size:
        return f"[PLT305] a length is {length}, and the pattern has {size} there"
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
