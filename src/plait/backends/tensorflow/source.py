"""How TensorFlow is written."""

from plait.backends.common.source import Spelling

SPELLING = Spelling(
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
)
