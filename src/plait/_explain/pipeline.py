"""What a composition of patterns comes to, as text: one plan, or several and why they are not one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plait._executor.pipeline import PatternStage, distribute_operands, fuse_shapes, pipeline_output_shape
from plait._explain.explanation import Explanation, explain, shape_of
from plait._notation.parser import parse
from plait._operations.infer import infer_operation


def explain_composed(title: str, stages: tuple[PatternStage, ...], shapes: Sequence[Any]) -> Explanation:
    """See `plait.PatternPipeline.explain`.

    Raises:
        PlaitError: those of the patterns.
    """
    kinds = [infer_operation(parse(text)) for text, _ in stages]
    operation = next((kind for kind in ("einsum", "reduce", "repeat") if kind in kinds), "rearrange")
    checked = tuple([shape_of(shape, number) for number, shape in enumerate(shapes)])
    found = fuse_shapes(operation, stages, checked, "sum" if operation == "reduce" else "")
    if found is None:
        pipeline_output_shape(stages, checked)  # raises: too many shapes, or too few
        raise AssertionError
    texts, lines = [title], []
    before: tuple[Any, ...] = ()
    operands = distribute_operands([segment.step.tensors for segment in found.segments], shapes)
    for number, (segment, others) in enumerate(zip(found.segments, operands, strict=True)):
        if number:
            texts.append(f"then, since {found.reasons[number - 1]}:")
        text, sizes = segment.stage
        part = explain(text, *before, *others, **dict(sizes))
        before = (part.lines[-1].shape,)
        texts.append(part.text)
        lines += part.lines
    costs, call = (part.costs, part._call) if len(found.segments) == 1 else (None, None)
    return Explanation(operation, "\n".join(texts), lines, costs, call=call)
