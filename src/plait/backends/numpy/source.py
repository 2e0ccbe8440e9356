"""How NumPy is written."""

from plait.backends.common.source import LOGSUMEXP, Spelling

SPELLING = Spelling(
    imports="import numpy as np",
    module="np",
    view="np.reshape({tensor}, {shape}, copy=False)",  # NumPy 2.1 and later
    reductions={"logsumexp": LOGSUMEXP.replace("keepdims=True", "keepdims=True, initial=-np.inf")},
)
