"""How Chainer is written."""

from plait.backends.common.source import Spelling

VAR = """\
apart = {tensor} - F.mean({tensor}, axis={axis}, keepdims=True)
F.mean(apart * apart, axis={axis})"""

SPELLING = Spelling(
    imports="import chainer\nimport chainer.functions as F",
    module="F",
    not_einsum=r"\.\.\..*,|,.*\.\.\.",  # it does not broadcast
    diagonal="F.diagonal({tensor}, axis1={axes[0]}, axis2={axes[1]})",
    reductions={
        "any": "chainer.Variable({tensor}.xp.asarray({tensor}.array.any(axis={axis})))",
        "all": "chainer.Variable({tensor}.xp.asarray({tensor}.array.all(axis={axis})))",
        "mean": "F.mean({tensor}, axis={axis})",
        "var": VAR,
        "std": VAR.replace("F.mean(apart * apart, axis={axis})", "F.sqrt(F.mean(apart * apart, axis={axis}))"),
        "logsumexp": "F.logsumexp({tensor}, axis={axis})",
    },
)
