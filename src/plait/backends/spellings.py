"""How each framework's code is written: what generated source is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from plait.errors import did_you_mean, make_error

_LOGSUMEXP = """\
peak = {module}.max({tensor}, axis={axis}, keepdims=True)
peak = {module}.where({module}.isfinite(peak), peak, {module}.zeros_like(peak))
{module}.log({module}.sum({module}.exp({tensor} - peak), axis={axis})) + {module}.squeeze(peak, axis={axis})"""

_NAME = re.compile(r"(?<![.\w])[^\W\d]\w*")


class Spelling(NamedTuple):
    """The code of each operation as templates of `str.format`: statements, and then an expression.

    The defaults are NumPy's names; ``{module}`` is what ``imports`` gives.
    """

    imports: str  # the lines before the function
    module: str  # the name under which they give the framework
    setup: str = ""  # the first lines of the function; ``{tensor}`` is its first tensor
    shape: str = "{tensor}.shape"
    reshape: str = "{module}.reshape({tensor}, {shape})"
    view: str = ""  # a reshape that never copies, where the framework promises one
    permute: str = "{module}.transpose({tensor}, {axes})"
    expand: str = "{module}.broadcast_to({tensor}, {shape})"
    diagonal: str = "{module}.diagonal({tensor}, axis1={axes[0]}, axis2={axes[1]})"  # of the last two, as a new last
    matmul: str = "{module}.matmul({tensor}, {other})"
    multiply: str = "{tensor} * {other}"
    einsum: str = "{module}.einsum({equation}, {tensors})"
    reduction: str = "{module}.{name}({tensor}, axis={axis})"  # ``{axis}`` is the one of the ``{axes}``, or all
    reductions: Mapping[str, str] = {"logsumexp": _LOGSUMEXP}  # those that have a template of their own
    not_einsum: str = "(?!)"  # a regular expression, found in equations that the framework's einsum does not serve

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


_TORCH_PROD = """\
for axis in reversed({axes}):
    {tensor} = torch.prod({tensor}, axis)
{tensor}"""

_TINYGRAD_LOGSUMEXP = """\
peak = {tensor}.max({axis}, keepdim=True)
peak = peak.isinf().where(0, peak)
total = ({tensor} - peak).exp().sum({axis}).log()
total + peak.reshape(total.shape)"""

_CHAINER_APART = "apart = {tensor} - F.mean({tensor}, axis={axis}, keepdims=True)\n"

_MXNET_LOGSUMEXP = """\
peak = np.nan_to_num(np.max({tensor}, axis={axis}, keepdims=True), posinf=0.0, neginf=0.0)
np.log(np.sum(np.exp({tensor} - peak), axis={axis})) + np.squeeze(peak, axis={axis})"""

SPELLINGS = {
    "array_api": Spelling(
        imports="",
        module="xp",
        setup="xp = {tensor}.__array_namespace__()",
        view="xp.reshape({tensor}, {shape}, copy=False)",
        permute="xp.permute_dims({tensor}, {axes})",
        diagonal="xp.reshape({tensor}, (*{tensor}.shape[:-2], {tensor}.shape[-1] ** 2))[..., ::{tensor}.shape[-1] + 1]",
        not_einsum="",  # the standard has none
    ),
    "numpy": Spelling(
        imports="import numpy as np",
        module="np",
        view="np.reshape({tensor}, {shape}, copy=False)",  # NumPy 2.1 and later
        reductions={"logsumexp": _LOGSUMEXP.replace("keepdims=True", "keepdims=True, initial=-np.inf")},
    ),
    "torch": Spelling(
        imports="import torch",
        module="torch",
        view="{tensor}.view({shape})",
        permute="torch.permute({tensor}, {axes})",
        diagonal="torch.diagonal({tensor}, dim1={axes[0]}, dim2={axes[1]})",
        reduction="torch.{name}({tensor}, dim={axis})",
        reductions={
            "min": "torch.amin({tensor}, dim={axis})",
            "max": "torch.amax({tensor}, dim={axis})",
            "prod": _TORCH_PROD,
            "std": "torch.std({tensor}, dim={axis}, correction=0)",
            "var": "torch.var({tensor}, dim={axis}, correction=0)",
        },
    ),
    "jax": Spelling(
        imports="import jax\nimport jax.numpy as jnp",
        module="jnp",
        reductions={"logsumexp": "jax.nn.logsumexp({tensor}, axis={axis})"},
    ),
    "tensorflow": Spelling(
        imports="import tensorflow as tf",
        module="tf",
        diagonal="tf.linalg.diag_part({tensor})",
        reduction="tf.reduce_{name}({tensor}, axis={axis})",
        reductions={
            "any": "tf.reduce_any(tf.cast({tensor}, tf.bool), axis={axis})",
            "all": "tf.reduce_all(tf.cast({tensor}, tf.bool), axis={axis})",
            "std": "tf.math.reduce_std({tensor}, axis={axis})",
            "var": "tf.math.reduce_variance({tensor}, axis={axis})",
        },
    ),
    "keras": Spelling(imports="import keras", module="keras.ops", shape="keras.ops.shape({tensor})", reductions={}),
    "mlx": Spelling(imports="import mlx.core as mx", module="mx", reductions={}),
    "tinygrad": Spelling(
        imports="",
        module="",
        reshape="{tensor}.reshape({shape})",
        permute="{tensor}.permute({axes})",
        expand="{tensor}.expand({shape})",
        diagonal="{tensor}.reshape((*{tensor}.shape[:-2], {tensor}.shape[-1] ** 2))[..., ::{tensor}.shape[-1] + 1]",
        matmul="{tensor}.matmul({other})",
        not_einsum="",  # it stretches no dimensions of an ellipsis, and mixes up the axes of a diagonal
        reduction="{tensor}.{name}({axis})",
        reductions={
            "std": "{tensor}.std({axis}, correction=0)",
            "var": "{tensor}.var({axis}, correction=0)",
            "logsumexp": _TINYGRAD_LOGSUMEXP,
        },
    ),
    "paddle": Spelling(
        imports="import paddle",
        module="paddle",
        view="paddle.view({tensor}, {shape})",
        not_einsum=r"([a-zA-Z])[a-zA-Z.]*\1",  # a letter twice in a term
        reductions={
            "min": "paddle.amin({tensor}, axis={axis})",
            "max": "paddle.amax({tensor}, axis={axis})",
            "any": 'paddle.any(paddle.cast({tensor}, "bool"), axis={axis})',
            "all": 'paddle.all(paddle.cast({tensor}, "bool"), axis={axis})',
            "std": "paddle.std({tensor}, axis={axis}, unbiased=False)",
            "var": "paddle.var({tensor}, axis={axis}, unbiased=False)",
            "logsumexp": _LOGSUMEXP.replace("max(", "amax(").replace("keepdims", "keepdim", 1),
        },
    ),
    "pytensor": Spelling(
        imports="import pytensor.tensor as pt",
        module="pt",
        shape="{tensor}.type.shape",
        not_einsum=r"\.\.\.",  # it knows no ellipsis
    ),
    "chainer": Spelling(
        imports="import chainer\nimport chainer.functions as F",
        module="F",
        not_einsum=r"\.\.\..*,|,.*\.\.\.",  # it does not broadcast
        reductions={
            "any": "chainer.Variable({tensor}.xp.asarray({tensor}.array.any(axis={axis})))",
            "all": "chainer.Variable({tensor}.xp.asarray({tensor}.array.all(axis={axis})))",
            "var": _CHAINER_APART + "F.mean(apart * apart, axis={axis})",
            "std": _CHAINER_APART + "F.sqrt(F.mean(apart * apart, axis={axis}))",
        },
    ),
    "mxnet": Spelling(imports="from mxnet import np", module="np", reductions={"logsumexp": _MXNET_LOGSUMEXP}),
    "cupy": Spelling(imports="import cupy as cp", module="cp"),
    "dask": Spelling(imports="import dask.array as da", module="da"),
}
"""The frameworks in whose code plait writes functions; none of them needs to be installed."""


def spelling_of(framework: str) -> Spelling:
    """How a framework is written.

    Raises:
        BackendError: PLT501, there is none of that name.
    """
    if framework not in SPELLINGS:
        hint = did_you_mean(str(framework), SPELLINGS)
        raise make_error("PLT501", f"unknown framework {framework!r}{hint}", facts={"known": ", ".join(SPELLINGS)})
    return SPELLINGS[framework]
