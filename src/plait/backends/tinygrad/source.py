"""How tinygrad is written."""

from plait.backends.common.source import Spelling

LOGSUMEXP = """\
peak = {tensor}.max({axis}, keepdim=True)
peak = peak.isinf().where(0, peak)
total = ({tensor} - peak).exp().sum({axis}).log()
total + peak.reshape(total.shape)"""

SPELLING = Spelling(
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
        "logsumexp": LOGSUMEXP,
    },
)
