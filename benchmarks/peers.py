"""Who takes part in `benchmarks.einsum`: the calls of each framework as text, and that they all compute the same."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import opt_einsum
import torch

import plait
from benchmarks.contractions import Contraction

CALLS = {
    "numpy": {
        "plait": "plait.einsum({equation!r}, {names})",
        "optimize=True": "np.einsum({equation!r}, {names}, optimize=True)",
        "opt_einsum": "opt_einsum.contract({equation!r}, {names})",
        "plain": "np.einsum({equation!r}, {names})",
        "torch": "torch.einsum({equation!r}, {tensors})",
    },
    "torch": {
        "plait": "plait.einsum({equation!r}, {names})",
        "torch.einsum": "torch.einsum({equation!r}, {names})",
    },
    "jax": {
        "plait": "plait.einsum({equation!r}, {names}).block_until_ready()",
        "jnp.einsum": "jnp.einsum({equation!r}, {names}).block_until_ready()",
    },
}
"""The calls that read an equation, by framework and variant. ``tensors`` are PyTorch's, over the arrays' memory."""

BY_HAND = "by hand"
"""How the names of the variants begin that are written by hand."""

MOST = 2e9
"""How many products ``np.einsum`` may compute in one loop before it is left out: about as many seconds."""


@dataclass(frozen=True)
class Case:
    """A contraction on a framework."""

    framework: str
    contraction: Contraction

    def expressions(self) -> dict[str, str]:
        """The call of each variant, as Python text over the names of `namespace`.

        What is written by hand is there on NumPy alone, as ``by hand 1``, ``by hand 2`` ...
        """
        does = self.contraction
        names, tensors = ", ".join(does.names), ", ".join(does.names.upper())
        calls = {
            variant: text.format(equation=does.equation, names=names, tensors=tensors)
            for variant, text in CALLS[self.framework].items()
        }
        if does.products > MOST:
            calls.pop("plain", None)
        if self.framework == "numpy":
            calls |= {f"{BY_HAND} {number}": text for number, text in enumerate(does.written(), 1)}
        return calls

    def namespace(self) -> dict[str, Any]:
        """What the names of an expression stand for, with new arrays."""
        arrays = dict(zip(self.contraction.names, self.contraction.arrays(), strict=True))
        space: dict[str, Any] = {"plait": plait, "np": np, "torch": torch, "opt_einsum": opt_einsum}
        if self.framework == "torch":
            return space | {name: torch.from_numpy(array) for name, array in arrays.items()}
        if self.framework == "jax":
            jnp = jax_numpy()
            return space | {"jnp": jnp} | {name: jnp.asarray(array) for name, array in arrays.items()}
        return space | arrays | {name.upper(): torch.from_numpy(array) for name, array in arrays.items()}

    def check(self, namespace: dict[str, Any]) -> None:
        """Raise where a variant gives another result, shape or type than the equation says.

        A result is a sum of products of positive numbers. Each product and each sum is rounded, by half an ``eps`` at
        most and up as often as down, so that the relative error grows as the root of their number: four such are
        allowed. The sums are compared with those of double precision.
        """
        does = self.contraction
        wide = [array.astype(np.result_type(array, np.float64)) for array in does.arrays()]
        expected = np.asarray(np.einsum(does.equation, *wide, optimize=True)).astype(does.dtype)
        allowed = 4 * float(np.finfo(does.dtype).eps) * (does.summed * len(wide)) ** 0.5
        for variant, text in self.expressions().items():
            found = np.asarray(eval(text, namespace))  # the text is this folder's own
            message = f"{self.framework} {does.name}, {variant}: {text}"
            np.testing.assert_allclose(found, expected, rtol=allowed, err_msg=message, strict=True)


def jax_numpy() -> Any:
    """``jax.numpy``, with numbers of 64 bits."""
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax.numpy


def limit_jax(threads: int) -> None:
    """Let JAX use this many threads; it asks when it computes for the first time, and never again."""
    os.environ["NPROC"] = str(threads)
