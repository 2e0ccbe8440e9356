"""How Keras is written."""

from plait.backends.common.source import Spelling

SPELLING = Spelling(imports="import keras", module="keras.ops", shape="keras.ops.shape({tensor})", reductions={})
