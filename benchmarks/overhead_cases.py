"""The cases of `benchmarks.overhead`: small operations, as native code of a framework and in einops, einx and plait.

A call is text, so that exactly the code that a person would write is timed, with its constants inserted.
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
"""The shape of every tensor: so small that the overhead of a call takes longer than the computation."""

VARIANTS = ("native", "einops", "einx", "plait", "method")
"""The compared calls; ``native`` is the framework's own, and ``method`` is that of a compiled `plait.Pattern`."""


@dataclass(frozen=True)
class Operation:
    """An operation on a tensor ``x`` of the shape `SHAPE`.

    Attributes:
        name: a short description.
        function: the name of the function of einops and plait, and of the method of a pattern.
        pattern: the pattern of einops and plait.
        native: the framework's own expression, by framework.
        einx: the name of the function of einx, and its pattern.
        reduction: a tuple with the name of the reduction, or an empty tuple.
        sizes: the given sizes, by axis, in elements.
    """

    name: str
    function: str
    pattern: str
    native: dict[str, str]
    einx: tuple[str, str]
    reduction: tuple[str, ...] = ()
    sizes: dict[str, int] = field(default_factory=dict)

    def call_library(self, library: Any, tensor: Any, pattern: str) -> Any:
        """Call the operation of a library, einops or plait, with a tensor and a pattern."""
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
        {
            "numpy": "np.broadcast_to(x[..., None], (2, 3, 4, 6, 3)).copy()",
            "torch": "x.unsqueeze(-1).expand(2, 3, 4, 6, 3)",
        },
        ("id", "b c h w -> b c h w r"),
        sizes={"r": 3},
    ),
)


@dataclass(frozen=True)
class OverheadCase:
    """An operation on one framework.

    Attributes:
        framework: ``"numpy"`` or ``"torch"``.
        operation: the operation.
    """

    framework: str
    operation: Operation

    @property
    def name(self) -> str:
        """The name of the case in tables and test ids, such as ``"numpy permute"``."""
        return f"{self.framework} {self.operation.name}"

    def variant_expression(self, variant: str) -> str:
        """Return the call of a variant as a Python expression, whose names `namespace` defines."""
        operation = self.operation
        sizes = "".join(f", {name}={size}" for name, size in operation.sizes.items())
        reduction = "".join(f", {name!r}" for name in operation.reduction)
        function, pattern = operation.einx
        return {
            "native": operation.native[self.framework],
            "einops": f"einops.{operation.function}(x, {operation.pattern!r}{reduction}{sizes})",
            "einx": f"einx.{function}({pattern!r}, x{sizes})",
            "plait": f"plait.{operation.function}(x, {operation.pattern!r}{reduction}{sizes})",
            "method": f"pattern.{operation.function}(x{reduction})",
        }[variant]

    def namespace(self) -> dict[str, Any]:
        """Return the values of the names in the expressions, with a new tensor ``x``."""
        array = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
        x = {"numpy": array, "torch": torch.from_numpy(array)}[self.framework]
        pattern = plait.compile(self.operation.pattern, **self.operation.sizes)
        return {"x": x, "pattern": pattern, "np": np, "einops": einops, "einx": einx, "plait": plait}

    def make_function(self, variant: str) -> Callable[[], Any]:
        """Return the call of a variant as a function without arguments."""
        return eval(f"lambda: {self.variant_expression(variant)}", self.namespace())  # the text comes from this file


OVERHEAD_CASES = tuple(
    OverheadCase(framework, operation) for framework in ("numpy", "torch") for operation in OPERATIONS
)
