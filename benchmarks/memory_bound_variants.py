"""The calls that `benchmarks.memory_bound` compares, as text by library, and a check that their results agree."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.memory_bound_operation import MemoryBoundOperation

CALL_TEMPLATE = "{library}.{function}(x, {pattern!r}{arguments})"
"""The call of plait and of einops."""

MEMCPY_EXPRESSIONS = {"numpy": "m.copy()", "torch": "m.clone()"}
"""The copy of a contiguous array ``m``, by framework; plait is compared with its time."""

HANDWRITTEN_PREFIX = "by hand"
"""The prefix of the names of the hand-written variants."""

EXACT_REDUCTIONS = ("", "min", "max", "any", "all")
"""The reductions, and ``""`` for copies, whose results are not rounded."""


def logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Compute the logarithm of a sum of exponentials along axes, as a reduction for einops on NumPy."""
    peak = tensor.max(axes, keepdims=True)
    return np.log(np.exp(tensor - peak).sum(axes)) + peak.squeeze(axes)


EINOPS_REDUCTION_CALLABLES: dict[str, dict[str, Callable[[Any, tuple[int, ...]], Any]]] = {
    "numpy": {"std": np.std, "var": np.var, "logsumexp": logsumexp},
    "torch": {
        "std": lambda tensor, axes: tensor.std(axes, correction=0),
        "var": lambda tensor, axes: tensor.var(axes, correction=0),
        "logsumexp": lambda tensor, axes: tensor.logsumexp(axes),
    },
}
"""The reductions that einops lacks, as callables by framework and name."""


@dataclass(frozen=True)
class MemoryBoundCase:
    """A reduction or a copy on one framework.

    Attributes:
        framework: ``"numpy"`` or ``"torch"``.
        operation: the reduction or copy.
    """

    framework: str
    operation: MemoryBoundOperation

    @property
    def name(self) -> str:
        """The name of the case in the baseline, such as ``"numpy max-pool 2x2"``."""
        return f"{self.framework} {self.operation.name}"

    @property
    def is_layout_supported(self) -> bool:
        """Whether the framework supports the layout: PyTorch has no negative strides."""
        return self.framework == "numpy" or self.operation.layout != "backwards"

    def expressions(self) -> dict[str, str]:
        """Return the call of each variant as a Python expression, whose names `namespace` defines."""
        operation = self.operation
        sizes = "".join(f", {axis}={operation.sizes[axis]}" for axis in operation.given_axes)
        quoted_reduction = repr(operation.reduction)
        reductions = {
            "plait": quoted_reduction,
            "einops": operation.reduction
            if operation.reduction in EINOPS_REDUCTION_CALLABLES[self.framework]
            else quoted_reduction,
        }
        calls = {"memcpy": MEMCPY_EXPRESSIONS[self.framework]}
        for library, reduction in reductions.items():
            arguments = f", {reduction}{sizes}" if operation.reduction else sizes
            calls[library] = CALL_TEMPLATE.format(
                library=library, function=operation.function, pattern=operation.pattern, arguments=arguments
            )
        return calls | {
            f"{HANDWRITTEN_PREFIX} {n}": text
            for n, text in enumerate(operation.format_handwritten_templates(self.framework), 1)
        }

    def namespace(self) -> dict[str, Any]:
        """Return the values of the names in the expressions: new arrays ``x`` and ``m``, and modules."""
        import einops
        import torch

        import plait
        from benchmarks import handwritten

        operation = self.operation
        x, m = operation.make_numpy_array(), np.ones(operation.memcpy_source_bytes, np.uint8)
        if self.framework == "torch":
            x, m = torch.from_numpy(x), torch.from_numpy(m)
        values: dict[str, Any] = {"plait": plait, "einops": einops, "np": np, "torch": torch, "hand": handwritten}
        return values | {"F": torch.nn.functional, "x": x, "m": m} | EINOPS_REDUCTION_CALLABLES[self.framework]

    def check_results(self, namespace: dict[str, Any]) -> None:
        """Raise an error if a variant returns another result or another shape than plait.

        Copies and exact reductions must be equal. A sum of positive numbers is rounded once for each number, up as
        often as down, so that its relative error grows as the square root of their number; eight such ``eps`` are
        allowed between two results that are both rounded. A variance and a logarithm are computed from such sums, and
        lose another digit if they are small.
        """
        operation = self.operation
        calls = self.expressions()
        del calls["memcpy"]
        expected = evaluate(calls.pop("plait"), namespace)
        for variant, text in calls.items():
            actual = evaluate(text, namespace)
            if actual.shape == expected.shape and np.array_equal(actual, expected):
                continue
            message = f"{self.name}, {variant}: {text}"
            np.testing.assert_allclose(
                actual, expected, rtol=relative_tolerance(operation, expected.dtype), err_msg=message
            )
            assert actual.shape == expected.shape, message


def relative_tolerance(operation: MemoryBoundOperation, dtype: np.dtype[Any]) -> float:
    """Return the relative difference that is allowed between two correct results."""
    if operation.reduction in EXACT_REDUCTIONS or dtype.kind not in "fc":
        return 0.0
    digits = 10 if operation.reduction in EINOPS_REDUCTION_CALLABLES["numpy"] else 1
    return 8 * digits * float(np.finfo(dtype).eps) * operation.elements_per_output**0.5


def evaluate(text: str, namespace: dict[str, Any]) -> np.ndarray:
    """Evaluate an expression, and return its value as a NumPy array."""
    return np.asarray(eval(text, namespace))  # the text comes from this directory


def configure_process(threads: int, kernels: bool) -> None:
    """Set the number of threads and whether plait uses its kernels; call it before importing plait."""
    for name in ("OMP_NUM_THREADS", "PLAIT_THREADS"):
        os.environ[name] = str(threads)
    os.environ["PLAIT_KERNELS"] = "on" if kernels else "off"
