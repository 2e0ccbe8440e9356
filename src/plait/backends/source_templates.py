"""The templates of each framework's source code, which ``Pattern.source`` fills in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from plait.errors import did_you_mean, make_error

_LOGSUMEXP_TEMPLATE = """\
peak = {module}.max({tensor}, axis={axis}, keepdims=True)
peak = {module}.where({module}.isfinite(peak), peak, {module}.zeros_like(peak))
{module}.log({module}.sum({module}.exp({tensor} - peak), axis={axis})) + {module}.squeeze(peak, axis={axis})"""

_IDENTIFIER_REGEX = re.compile(r"(?<![.\w])[^\W\d]\w*")


class SourceTemplates(NamedTuple):
    """The source code of each operation of one framework, as templates of `str.format`.

    A template is any number of statements and then an expression. The defaults are NumPy's functions; ``{module}`` is
    the name of the framework that ``imports`` binds.
    """

    imports: str  # the import statements above the generated function
    module: str  # the name that they bind the framework to
    setup: str = ""  # the first lines of the function; ``{tensor}`` is its first tensor
    shape: str = "{tensor}.shape"
    reshape: str = "{module}.reshape({tensor}, {shape})"
    view: str = ""  # a reshape that never copies; empty if the framework has none
    permute: str = "{module}.transpose({tensor}, {axes})"
    expand: str = "{module}.broadcast_to({tensor}, {shape})"
    writable: str = "{tensor}"  # the result of ``repeat``, which may be a broadcast that a caller must not write into
    diagonal: str = (
        "{module}.diagonal({tensor}, axis1={axes[0]}, axis2={axes[1]})"  # of the last two dimensions, as a new last one
    )
    matmul: str = "{module}.matmul({tensor}, {other})"
    multiply: str = "{tensor} * {other}"
    einsum: str = "{module}.einsum({equation}, {tensors})"
    reduction: str = "{module}.{name}({tensor}, axis={axis})"  # ``{axis}`` is an int where one axis is reduced
    reductions: Mapping[str, str] = {"logsumexp": _LOGSUMEXP_TEMPLATE}  # the reductions with templates of their own
    unsupported_einsum: str = "(?!)"  # a regular expression: the einsum fails on an equation in which it is found

    @property
    def identifiers(self) -> frozenset[str]:
        """The names that the templates use, which the generated code must not bind to anything else."""
        return frozenset(_IDENTIFIER_REGEX.findall(" ".join([*self[:-2], *self.reductions.values()])))

    def supports_einsum_equation(self, equation: str) -> bool:
        """Return whether the framework's einsum can execute an equation."""
        return not re.search(self.unsupported_einsum, equation)

    def format_call(self, template_name: str, operands: Sequence[str], **parts: object) -> str:
        """Return the source code of one operation: the template in that field, filled in with operands."""
        names = {"tensor": operands[0], "other": operands[-1], "tensors": ", ".join(operands), "module": self.module}
        return str(getattr(self, template_name)).format(**names, **parts)

    def format_reduction(self, name: str, tensor: str, axes: tuple[int, ...]) -> str:
        """Return the source code of the reduction ``name`` of a tensor, given by its code, along ``axes``."""
        template = self.reductions.get(name, self.reduction)
        axis = axes[0] if len(axes) == 1 else axes
        return template.format(name=name, tensor=tensor, axes=axes, axis=axis, module=self.module)


_TORCH_PROD_TEMPLATE = """\
for axis in reversed({axes}):
    {tensor} = torch.prod({tensor}, axis)
{tensor}"""

_TINYGRAD_LOGSUMEXP_TEMPLATE = """\
peak = {tensor}.max({axis}, keepdim=True)
peak = peak.isinf().where(0, peak)
total = ({tensor} - peak).exp().sum({axis}).log()
total + peak.reshape(total.shape)"""

_CHAINER_CENTERING_STATEMENT = "deviation = {tensor} - F.mean({tensor}, axis={axis}, keepdims=True)\n"

_MXNET_LOGSUMEXP_TEMPLATE = """\
peak = np.nan_to_num(np.max({tensor}, axis={axis}, keepdims=True), posinf=0.0, neginf=0.0)
np.log(np.sum(np.exp({tensor} - peak), axis={axis})) + np.squeeze(peak, axis={axis})"""

SOURCE_TEMPLATES = {
    "array_api": SourceTemplates(
        imports="",
        module="xp",
        setup="xp = {tensor}.__array_namespace__()",
        view="xp.reshape({tensor}, {shape}, copy=False)",
        permute="xp.permute_dims({tensor}, {axes})",
        diagonal="xp.reshape({tensor}, (*{tensor}.shape[:-2], {tensor}.shape[-1] ** 2))[..., ::{tensor}.shape[-1] + 1]",
        unsupported_einsum="",  # matches every equation: the standard has no einsum
    ),
    "numpy": SourceTemplates(
        imports="import numpy as np",
        module="np",
        view="np.reshape({tensor}, {shape}, copy=False)",  # NumPy 2.1 and later
        writable='np.require({tensor}, requirements=["WRITEABLE"])',
        reductions={"logsumexp": _LOGSUMEXP_TEMPLATE.replace("keepdims=True", "keepdims=True, initial=-np.inf")},
    ),
    "torch": SourceTemplates(
        imports="import torch",
        module="torch",
        view="{tensor}.view({shape})",
        permute="torch.permute({tensor}, {axes})",
        diagonal="torch.diagonal({tensor}, dim1={axes[0]}, dim2={axes[1]})",
        reduction="torch.{name}({tensor}, dim={axis})",
        reductions={
            "min": "torch.amin({tensor}, dim={axis})",
            "max": "torch.amax({tensor}, dim={axis})",
            "prod": _TORCH_PROD_TEMPLATE,
            "std": "torch.std({tensor}, dim={axis}, correction=0)",
            "var": "torch.var({tensor}, dim={axis}, correction=0)",
        },
    ),
    "jax": SourceTemplates(
        imports="import jax\nimport jax.numpy as jnp",
        module="jnp",
        reductions={"logsumexp": "jax.nn.logsumexp({tensor}, axis={axis})"},
    ),
    "tensorflow": SourceTemplates(
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
    "keras": SourceTemplates(
        imports="import keras", module="keras.ops", shape="keras.ops.shape({tensor})", reductions={}
    ),
    "mlx": SourceTemplates(imports="import mlx.core as mx", module="mx", reductions={}),
    "tinygrad": SourceTemplates(
        imports="",
        module="",
        reshape="{tensor}.reshape({shape})",
        permute="{tensor}.permute({axes})",
        expand="{tensor}.expand({shape})",
        diagonal="{tensor}.reshape((*{tensor}.shape[:-2], {tensor}.shape[-1] ** 2))[..., ::{tensor}.shape[-1] + 1]",
        matmul="{tensor}.matmul({other})",
        unsupported_einsum="",  # every equation: its einsum does not broadcast ``...``, and confuses a diagonal's axes
        reduction="{tensor}.{name}({axis})",
        reductions={
            "std": "{tensor}.std({axis}, correction=0)",
            "var": "{tensor}.var({axis}, correction=0)",
            "logsumexp": _TINYGRAD_LOGSUMEXP_TEMPLATE,
        },
    ),
    "paddle": SourceTemplates(
        imports="import paddle",
        module="paddle",
        view="paddle.view({tensor}, {shape})",
        unsupported_einsum=r"([a-zA-Z])[a-zA-Z.]*\1",  # a letter twice in a term
        reductions={
            "min": "paddle.amin({tensor}, axis={axis})",
            "max": "paddle.amax({tensor}, axis={axis})",
            "any": 'paddle.any(paddle.cast({tensor}, "bool"), axis={axis})',
            "all": 'paddle.all(paddle.cast({tensor}, "bool"), axis={axis})',
            "std": "paddle.std({tensor}, axis={axis}, unbiased=False)",
            "var": "paddle.var({tensor}, axis={axis}, unbiased=False)",
            "logsumexp": _LOGSUMEXP_TEMPLATE.replace("max(", "amax(").replace("keepdims", "keepdim", 1),
        },
    ),
    "pytensor": SourceTemplates(
        imports="import pytensor.tensor as pt",
        module="pt",
        shape="{tensor}.type.shape",
        unsupported_einsum=r"\.\.\.",  # PyTensor's einsum does not support an ellipsis
    ),
    "chainer": SourceTemplates(
        imports="import chainer\nimport chainer.functions as F",
        module="F",
        unsupported_einsum=r"\.\.\..*,|,.*\.\.\.",  # ``...`` and several tensors: Chainer does not broadcast them
        reductions={
            "any": "chainer.Variable({tensor}.xp.asarray({tensor}.array.any(axis={axis})))",
            "all": "chainer.Variable({tensor}.xp.asarray({tensor}.array.all(axis={axis})))",
            "var": _CHAINER_CENTERING_STATEMENT + "F.mean(deviation * deviation, axis={axis})",
            "std": _CHAINER_CENTERING_STATEMENT + "F.sqrt(F.mean(deviation * deviation, axis={axis}))",
        },
    ),
    "mxnet": SourceTemplates(
        imports="from mxnet import np", module="np", reductions={"logsumexp": _MXNET_LOGSUMEXP_TEMPLATE}
    ),
    "cupy": SourceTemplates(imports="import cupy as cp", module="cp", writable="cp.array({tensor})"),
    "dask": SourceTemplates(imports="import dask.array as da", module="da"),
}
"""The templates by framework; to generate source code, the framework need not be installed."""


def source_templates_of(framework: str) -> SourceTemplates:
    """Return the templates of a framework.

    Raises:
        BackendError: PLT501, there are no templates for that name.
    """
    if framework not in SOURCE_TEMPLATES:
        hint = did_you_mean(str(framework), SOURCE_TEMPLATES)
        raise make_error(
            "PLT501", f"unknown framework {framework!r}{hint}", facts={"known": ", ".join(SOURCE_TEMPLATES)}
        )
    return SOURCE_TEMPLATES[framework]
