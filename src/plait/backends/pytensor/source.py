"""How PyTensor is written."""

from plait.backends.common.source import LOGSUMEXP, Spelling

SPELLING = Spelling(
    imports="import pytensor.tensor as pt",
    module="pt",
    shape="{tensor}.type.shape",
    not_einsum=r"\.\.\.",  # it knows no ellipsis
    reductions={"logsumexp": LOGSUMEXP},
)
