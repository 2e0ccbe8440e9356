"""How PaddlePaddle is written."""

from plait.backends.common.source import LOGSUMEXP, Spelling

SPELLING = Spelling(
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
        "logsumexp": LOGSUMEXP.replace("max(", "amax(").replace("keepdims", "keepdim", 1),
    },
)
