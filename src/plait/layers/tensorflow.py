"""Layers of TensorFlow: layers of ``tf.keras``, which is Keras 3 on TensorFlow, that a ``tf.Module`` can contain too.

A ``tf.Module`` collects the variables of those attributes that are variables or modules. A layer of Keras 3 is neither:
its variables would be left out of training without an error. The `EinMix` of this module is therefore both a layer and
a module. Keras registers it under the same name as that of `plait.layers.keras`: a model that was saved with one of
them can be loaded with the other.

Examples:
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
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from plait.errors import make_error
from plait.layers import keras as layers
from plait.layers._spec import WEIGHT_AND_BIAS_DOCS, complete_docstring
from plait.layers.keras import Rearrange, Reduce, Repeat

__all__ = ["EinMix", "Rearrange", "Reduce", "Repeat"]

if keras.backend.backend() != "tensorflow":
    _BACKEND_MESSAGE = f"plait.layers.tensorflow needs Keras on TensorFlow, and it is on {keras.backend.backend()}"
    raise make_error("PLT502", f"{_BACKEND_MESSAGE}; set KERAS_BACKEND=tensorflow, or use plait.layers.keras")


@keras.saving.register_keras_serializable(package="plait")
@complete_docstring(
    {
        "weight": "a variable of the shape ``weight_shape``, created by the constructor; drawn uniformly from"
        " ±√3 / √fan_in, where fan_in is the number of weight elements in each sum. A ``tf.Module`` counts it as"
        " trainable even if the layer's ``trainable`` is false.",
        "bias": WEIGHT_AND_BIAS_DOCS["bias"],
    },
    keywords="the sizes, in elements, of all axes of the weight and the bias, and the other keywords of"
    " `plait.layers.keras.EinMix`.",
)
class EinMix(layers.EinMix, tf.Module):
    """A general linear layer that is also a ``tf.Module``: the einsum of the input and a weight, plus a bias.

    It takes a tensor with the axes on the left of the pattern, and returns one with the axes on the right. The product
    is summed along the axes that are missing on the right.

    Examples:
        >>> import tensorflow as tf
        >>> from plait.layers.tensorflow import EinMix
        >>> layer = EinMix("b t (h c) -> b t (h d)", "h c d", "h d", h=8, c=4, d=16)
        >>> layer(tf.zeros([2, 10, 32])).shape
        TensorShape([2, 10, 128])
        >>> sorted(tuple(variable.shape) for variable in layer.trainable_variables)
        [(1, 1, 8, 16), (8, 4, 16)]
    """

    name = None  # Keras assigns to it; the property of `tf.Module` cannot be assigned to

    def __init__(self, /, pattern: str, weight_shape: str, bias_shape: str | None = None, **keywords: Any) -> None:
        super().__init__(pattern, weight_shape, bias_shape, **keywords)
        tf.Module.__init__(self)
        self.build()

    def build(self, input_shape: Any = None) -> None:
        """Create the weight and the bias, unless they exist."""
        if self.weight is None:
            super().build(input_shape)
            self._variables = [variable.value for variable in self.weights]  # where tf.Module finds them
