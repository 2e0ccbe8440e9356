"""Layers of TensorFlow: those of ``tf.keras``, which is Keras 3 on TensorFlow, and at home in a ``tf.Module`` too.

>>> import tensorflow as tf
>>> from plait.layers.tensorflow import EinMix, Reduce
>>> class Classifier(tf.Module):
...     def __init__(self):
...         super().__init__()
...         self.pool = Reduce("b (h 2) (w 2) c -> b (c h w)", "max")
...         self.classify = EinMix("b f -> b k", weight_shape="f k", bias_shape="k", f=256, k=10)
...
...     def __call__(self, images):
...         return self.classify(self.pool(images))
>>> classifier = Classifier()
>>> [tuple(variable.shape) for variable in classifier.trainable_variables]
[(256, 10), (1, 10)]
>>> classifier(tf.zeros([2, 8, 8, 16])).shape
TensorShape([2, 10])

A ``tf.Module`` finds the variables of its attributes where those are variables or modules. A layer of Keras 3 is
neither, and what it should learn would be left out without a word. So the `EinMix` of this file is a layer and a module
in one. Keras knows it by the name of that in `plait.layers.keras`: a model that is saved with either is loaded where
there is only the other.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from plait.errors import make_error
from plait.layers import keras as layers
from plait.layers._spec import PARAMETERS, documented
from plait.layers.keras import Rearrange, Reduce, Repeat

__all__ = ["EinMix", "Rearrange", "Reduce", "Repeat"]

if keras.backend.backend() != "tensorflow":
    _WRONG = f"plait.layers.tensorflow needs Keras on TensorFlow, and it is on {keras.backend.backend()}"
    raise make_error("PLT502", f"{_WRONG}; set KERAS_BACKEND=tensorflow, or take plait.layers.keras")


@keras.saving.register_keras_serializable(package="plait")
@documented(
    {
        "weight": "made at once, as modules do; uniform in ±√3 / √fan_in, where fan_in is the number of elements of the"
        " weight in each sum. To a ``tf.Module`` it stays trainable where the layer's ``trainable`` is false.",
        "bias": PARAMETERS["bias"],
    },
    keywords="the sizes of axes, in elements: of all in the weight and the bias; and every other keyword of"
    " `plait.layers.keras.EinMix`.",
)
class EinMix(layers.EinMix, tf.Module):
    """A general linear layer, and a module: einsum of the input and a weight, and a bias."""

    name = None  # Keras sets it, and that of `tf.Module` cannot be set

    def __init__(self, /, pattern: str, weight_shape: str, bias_shape: str | None = None, **keywords: Any) -> None:
        super().__init__(pattern, weight_shape, bias_shape, **keywords)
        tf.Module.__init__(self)
        self.build()

    def build(self, input_shape: Any = None) -> None:
        """Make the weight and the bias, unless they are there."""
        if self.weight is None:
            super().build(input_shape)
            self._variables = [variable.value for variable in self.weights]  # what tf.Module looks for
