"""How MXNet's NumPy is written."""

from plait.backends.common.source import Spelling

LOGSUMEXP = """\
peak = np.nan_to_num(np.max({tensor}, axis={axis}, keepdims=True), posinf=0.0, neginf=0.0)
np.log(np.sum(np.exp({tensor} - peak), axis={axis})) + np.squeeze(peak, axis={axis})"""

SPELLING = Spelling(imports="from mxnet import np", module="np", reductions={"logsumexp": LOGSUMEXP})
