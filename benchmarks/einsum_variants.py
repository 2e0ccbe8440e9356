"""The calls that `benchmarks.einsum` compares, as text by library, and a check that their results agree."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import opt_einsum
import torch

import plait
from benchmarks.einsum_cases import Contraction

CALL_TEMPLATES_BY_FRAMEWORK = {
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
"""The calls that take an equation, by framework and variant; ``tensors`` are PyTorch views of the arrays."""

HANDWRITTEN_PREFIX = "by hand"
"""The prefix of the names of the hand-written variants."""

MAX_PLAIN_PRODUCTS = 2e9
"""Plain ``np.einsum`` is left out if its loop computes more products than this: it would take seconds."""


@dataclass(frozen=True)
class EinsumCase:
    """A contraction on one framework.

    Attributes:
        framework: a key of `CALL_TEMPLATES_BY_FRAMEWORK`.
        contraction: the contraction.
    """

    framework: str
    contraction: Contraction

    def expressions(self) -> dict[str, str]:
        """Return the call of each variant as a Python expression, whose names `namespace` defines.

        Only NumPy has hand-written variants: ``by hand 1``, ``by hand 2`` ...
        """
        contraction = self.contraction
        names, tensors = ", ".join(contraction.array_names), ", ".join(contraction.array_names.upper())
        calls = {
            variant: text.format(equation=contraction.equation, names=names, tensors=tensors)
            for variant, text in CALL_TEMPLATES_BY_FRAMEWORK[self.framework].items()
        }
        if contraction.product_count > MAX_PLAIN_PRODUCTS:
            calls.pop("plain", None)
        if self.framework == "numpy":
            calls |= {
                f"{HANDWRITTEN_PREFIX} {number}": text
                for number, text in enumerate(contraction.format_handwritten_templates(), 1)
            }
        return calls

    def namespace(self) -> dict[str, Any]:
        """Return the values of the names in the expressions, with new arrays."""
        arrays = dict(zip(self.contraction.array_names, self.contraction.make_numpy_arrays(), strict=True))
        values: dict[str, Any] = {"plait": plait, "np": np, "torch": torch, "opt_einsum": opt_einsum}
        if self.framework == "torch":
            return values | {name: torch.from_numpy(array) for name, array in arrays.items()}
        if self.framework == "jax":
            jnp = import_jax_numpy()
            return values | {"jnp": jnp} | {name: jnp.asarray(array) for name, array in arrays.items()}
        return values | arrays | {name.upper(): torch.from_numpy(array) for name, array in arrays.items()}

    def check_results(self, namespace: dict[str, Any]) -> None:
        """Raise an error if a variant returns another result, shape or element type than double-precision NumPy.

        A result is a sum of products of positive numbers. Each product and each sum is rounded by at most half an
        ``eps``, up as often as down, so that the relative error grows as the square root of the number of roundings;
        four times that is allowed.
        """
        contraction = self.contraction
        wide_arrays = [array.astype(np.result_type(array, np.float64)) for array in contraction.make_numpy_arrays()]
        expected = np.asarray(np.einsum(contraction.equation, *wide_arrays, optimize=True)).astype(contraction.dtype)
        tolerance = (
            4 * float(np.finfo(contraction.dtype).eps) * (contraction.products_per_output * len(wide_arrays)) ** 0.5
        )
        for variant, text in self.expressions().items():
            result = np.asarray(eval(text, namespace))  # the text comes from this directory
            message = f"{self.framework} {contraction.name}, {variant}: {text}"
            np.testing.assert_allclose(result, expected, rtol=tolerance, err_msg=message, strict=True)


def import_jax_numpy() -> Any:
    """Return ``jax.numpy`` with 64-bit numbers enabled."""
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax.numpy


def set_jax_threads(threads: int) -> None:
    """Set the number of threads that JAX uses; it reads the variable only before its first computation."""
    os.environ["NPROC"] = str(threads)
