"""The calls that are compared, as data: what an expert writes by hand, and the same in einops, einx and plait.

A call is kept as text, so that the clock runs over exactly what a person would write, with its constants in place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import einops
import einx
import numpy as np
import torch

import plait

SHAPE = (2, 3, 4, 6)
"""The shape of every tensor: so small that the call costs more than the work."""

VARIANTS = ("native", "einops", "einx", "plait", "method")
"""Whose call it is; ``method`` is that of a compiled `plait.Pattern`."""


@dataclass(frozen=True)
class Operation:
    """One thing to do to a tensor ``x`` of `SHAPE`.

    Attributes:
        name: a word for it.
        function: the function of einops and of plait, and the method of a pattern.
        pattern: the pattern of einops and of plait.
        native: the expression written by hand, by framework.
        einx: the function of einx and its pattern.
        reduction: of ``reduce``, the reduction.
        sizes: the given sizes, by name, in elements.
    """

    name: str
    function: str
    pattern: str
    native: dict[str, str]
    einx: tuple[str, str]
    reduction: tuple[str, ...] = ()
    sizes: dict[str, int] = field(default_factory=dict)

    def call(self, library: Any, tensor: Any, pattern: str) -> Any:
        """The operation by einops or plait, with another tensor or pattern."""
        return getattr(library, self.function)(tensor, pattern, *self.reduction, **self.sizes)


OPERATIONS = (
    Operation(
        "permute",
        "rearrange",
        "b c h w -> b h w c",
        {"numpy": "x.transpose(0, 2, 3, 1)", "torch": "x.permute(0, 2, 3, 1)"},
        ("id", "b c h w -> b h w c"),
    ),
    Operation(
        "merge",
        "rearrange",
        "b c h w -> b (c h w)",
        {"numpy": "x.reshape(2, 72)", "torch": "x.reshape(2, 72)"},
        ("id", "b c h w -> b (c h w)"),
    ),
    Operation(
        "space to depth",
        "rearrange",
        "b c (h p) (w q) -> b (c p q) h w",
        {
            "numpy": "x.reshape(2, 3, 2, 2, 3, 2).transpose(0, 1, 3, 5, 2, 4).reshape(2, 12, 2, 3)",
            "torch": "x.reshape(2, 3, 2, 2, 3, 2).permute(0, 1, 3, 5, 2, 4).reshape(2, 12, 2, 3)",
        },
        ("id", "b c (h p) (w q) -> b (c p q) h w"),
        sizes={"p": 2, "q": 2},
    ),
    Operation(
        "mean",
        "reduce",
        "b c h w -> b c",
        {"numpy": "x.mean((2, 3))", "torch": "x.mean((2, 3))"},
        ("mean", "b c [h w]"),
        reduction=("mean",),
    ),
    Operation(
        "repeat",
        "repeat",
        "b c h w -> b c h w r",
        {"numpy": "np.broadcast_to(x[..., None], (2, 3, 4, 6, 3))", "torch": "x.unsqueeze(-1).expand(2, 3, 4, 6, 3)"},
        ("id", "b c h w -> b c h w r"),
        sizes={"r": 3},
    ),
)


@dataclass(frozen=True)
class Case:
    """An operation on a framework."""

    framework: str
    operation: Operation

    @property
    def name(self) -> str:
        """As tables and test ids have it."""
        return f"{self.framework} {self.operation.name}"

    def expression(self, variant: str) -> str:
        """The call of one variant, as Python text over the names of `namespace`."""
        does = self.operation
        sizes = "".join(f", {name}={size}" for name, size in does.sizes.items())
        more = "".join(f", {name!r}" for name in does.reduction)
        function, pattern = does.einx
        return {
            "native": does.native[self.framework],
            "einops": f"einops.{does.function}(x, {does.pattern!r}{more}{sizes})",
            "einx": f"einx.{function}({pattern!r}, x{sizes})",
            "plait": f"plait.{does.function}(x, {does.pattern!r}{more}{sizes})",
            "method": f"pattern.{does.function}(x{more})",
        }[variant]

    def namespace(self) -> dict[str, Any]:
        """What the names of an expression stand for, with a new tensor ``x``."""
        array = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
        x = {"numpy": array, "torch": torch.from_numpy(array)}[self.framework]
        pattern = plait.compile(self.operation.pattern, **self.operation.sizes)
        return {"x": x, "pattern": pattern, "np": np, "einops": einops, "einx": einx, "plait": plait}

    def function(self, variant: str) -> Callable[[], Any]:
        """The call of one variant, as a function of nothing."""
        return eval(f"lambda: {self.expression(variant)}", self.namespace())  # the text is this file's own


CASES = tuple(Case(framework, operation) for framework in ("numpy", "torch") for operation in OPERATIONS)
