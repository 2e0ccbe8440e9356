"""Who takes part in `benchmarks.movements`: the calls of each framework as text, and that they all give the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.movement import Movement

CALL = "{library}.{function}(x, {pattern!r}{more})"
"""How plait and einops are called."""

COPY = {"numpy": "m.copy()", "torch": "m.clone()"}
"""A copy, in one piece, of as many bytes as the array has, or the result where that has more."""

BY_HAND = "by hand"
"""How the names of the variants begin that are written by hand."""

EXACT = ("", "min", "max", "any", "all")
"""The reductions that round nothing."""


def logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
    """For einops, on NumPy, which has none."""
    peak = tensor.max(axes, keepdims=True)
    return np.log(np.exp(tensor - peak).sum(axes)) + peak.squeeze(axes)


OWN: dict[str, dict[str, Callable[[Any, tuple[int, ...]], Any]]] = {
    "numpy": {"std": np.std, "var": np.var, "logsumexp": logsumexp},
    "torch": {
        "std": lambda tensor, axes: tensor.std(axes, correction=0),
        "var": lambda tensor, axes: tensor.var(axes, correction=0),
        "logsumexp": lambda tensor, axes: tensor.logsumexp(axes),
    },
}
"""The reductions that einops has no name for: it takes a function instead."""


@dataclass(frozen=True)
class Case:
    """A movement on a framework."""

    framework: str
    movement: Movement

    @property
    def name(self) -> str:
        """As the kept ratios have it."""
        return f"{self.framework} {self.movement.name}"

    @property
    def exists(self) -> bool:
        """Whether the framework has such arrays: PyTorch has none that run backwards."""
        return self.framework == "numpy" or self.movement.layout != "backwards"

    def expressions(self) -> dict[str, str]:
        """The call of each variant, as Python text over the names of `namespace`."""
        does = self.movement
        sizes = "".join(f", {axis}={does.sizes[axis]}" for axis in does.given)
        quoted = repr(does.reduction)
        named = {"plait": quoted, "einops": does.reduction if does.reduction in OWN[self.framework] else quoted}
        calls = {"memcpy": COPY[self.framework]}
        for library, reduction in named.items():
            more = f", {reduction}{sizes}" if does.reduction else sizes
            calls[library] = CALL.format(library=library, function=does.function, pattern=does.pattern, more=more)
        return calls | {f"{BY_HAND} {n}": text for n, text in enumerate(does.written(self.framework), 1)}

    def namespace(self) -> dict[str, Any]:
        """What the names of an expression stand for; ``x`` is a new array, ``m`` as many bytes in one piece."""
        import einops
        import torch

        import plait
        from benchmarks import by_hand

        does = self.movement
        x, m = does.array(), np.ones(does.nbytes, np.uint8)
        if self.framework == "torch":
            x, m = torch.from_numpy(x), torch.from_numpy(m)
        space: dict[str, Any] = {"plait": plait, "einops": einops, "np": np, "torch": torch, "hand": by_hand}
        return space | {"F": torch.nn.functional, "x": x, "m": m} | OWN[self.framework]

    def check(self, namespace: dict[str, Any]) -> None:
        """Raise where a variant gives another result, or another shape, than plait.

        What is moved, compared or counted must be the same. A sum of positive numbers is rounded once for each of them,
        up as often as down, so that its relative error grows as the root of their number: eight such ``eps`` are
        allowed between two ways that both are rounded. A variance and a logarithm start from such sums, and lose
        another digit where they are small.
        """
        does = self.movement
        calls = self.expressions()
        del calls["memcpy"]
        expected = result(calls.pop("plait"), namespace)
        for variant, text in calls.items():
            found = result(text, namespace)
            if found.shape == expected.shape and np.array_equal(found, expected):
                continue
            message = f"{self.name}, {variant}: {text}"
            np.testing.assert_allclose(found, expected, rtol=allowed(does, expected.dtype), err_msg=message)
            assert found.shape == expected.shape, message


def allowed(does: Movement, dtype: np.dtype[Any]) -> float:
    """By what part of itself a result may differ between two ways that are both right."""
    if does.reduction in EXACT or dtype.kind not in "fc":
        return 0.0
    digits = 10 if does.reduction in OWN["numpy"] else 1
    return 8 * digits * float(np.finfo(dtype).eps) * does.reduced**0.5


def result(text: str, namespace: dict[str, Any]) -> np.ndarray:
    """What an expression gives, as an array."""
    return np.asarray(eval(text, namespace))  # the text is this folder's own


def settle(threads: int, kernels: bool) -> None:
    """Say, before plait and its kernels are imported, how many threads they may use, and whether there are kernels."""
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "PLAIT_THREADS"):
        os.environ[name] = str(threads)
    os.environ["PLAIT_KERNELS"] = "on" if kernels else "off"


def warm_kernels(expression: str, namespace: dict[str, Any]) -> None:
    """Have the kernels of a call compiled and loaded, so that no clock sees it: its second call asks for them."""
    from plait.backends.kernels import wait

    for calls in (3, 6):  # it is asked for; then both ways show how fast they are
        for _ in range(calls):
            result(expression, namespace)
        wait(120)
