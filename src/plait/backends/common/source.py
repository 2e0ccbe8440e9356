"""How a framework is written: what generated source is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

LOGSUMEXP = """\
peak = {module}.max({tensor}, axis={axis}, keepdims=True)
peak = {module}.where({module}.isfinite(peak), peak, {module}.zeros_like(peak))
{module}.log({module}.sum({module}.exp({tensor} - peak), axis={axis})) + {module}.squeeze(peak, axis={axis})"""

_NAME = re.compile(r"(?<![.\w])[^\W\d]\w*")


class Spelling(NamedTuple):
    """The code of each operation, as templates of `str.format`; by default with NumPy's names.

    A template may have several lines: statements, and then an expression. ``{module}`` is what ``imports`` gives.

    Attributes:
        imports: the lines before the function.
        module: the name under which they give the framework.
        setup: the first lines of the function; ``{tensor}`` is its first tensor.
        shape: the shape of a tensor, as ints.
        view: a reshape that never copies, or nothing where the framework does not promise one.
        diagonal: of the last two dimensions, as a new last one.
        reduction: of the ``{name}``; ``{axis}`` is the one of the ``{axes}``, or all.
        reductions: those that have a template of their own.
        not_einsum: a regular expression, found in the equations that the framework's own einsum does not serve.
    """

    imports: str
    module: str
    setup: str = ""
    shape: str = "{tensor}.shape"
    reshape: str = "{module}.reshape({tensor}, {shape})"
    view: str = ""
    permute: str = "{module}.transpose({tensor}, {axes})"
    expand: str = "{module}.broadcast_to({tensor}, {shape})"
    diagonal: str = "{module}.diagonal({tensor}, axis1={axes[0]}, axis2={axes[1]})"
    matmul: str = "{module}.matmul({tensor}, {other})"
    multiply: str = "{tensor} * {other}"
    einsum: str = "{module}.einsum({equation}, {tensors})"
    reduction: str = "{module}.{name}({tensor}, axis={axis})"
    reductions: Mapping[str, str] = {"logsumexp": LOGSUMEXP}
    not_einsum: str = "(?!)"

    @property
    def identifiers(self) -> frozenset[str]:
        """The names that the templates use, which nothing else may have."""
        return frozenset(_NAME.findall(" ".join([*self[:-2], *self.reductions.values()])))

    def has_einsum(self, equation: str) -> bool:
        """Whether the framework's own einsum serves an equation."""
        return not re.search(self.not_einsum, equation)

    def call(self, method: str, operands: Sequence[str], **parts: object) -> str:
        """The code of a method of a backend, or of another field."""
        names = {"tensor": operands[0], "other": operands[-1], "tensors": ", ".join(operands), "module": self.module}
        return str(getattr(self, method)).format(**names, **parts)

    def reduce(self, name: str, tensor: str, axes: tuple[int, ...]) -> str:
        """The code of a reduction."""
        template = self.reductions.get(name, self.reduction)
        axis = axes[0] if len(axes) == 1 else axes
        return template.format(name=name, tensor=tensor, axes=axes, axis=axis, module=self.module)
