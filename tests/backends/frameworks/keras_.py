"""Keras variables on TensorFlow, the default backend of Keras.

Symbolic tensors are tested in `tests/tracers/keras_checks.py`.
"""

import os

from plait.testing import Framework


class Keras(Framework):
    def module(self):
        os.environ.setdefault("KERAS_BACKEND", "tensorflow")
        return super().module()

    def make(self, array):
        return self.module().Variable(array, dtype=array.dtype.name, trainable=array.dtype.kind == "f")

    def result_types(self, tensor):
        return type(tensor), type(self.module().ops.zeros(()))

    def gradient(self, function, array):
        import tensorflow as tf

        variable = self.make(array)
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(function(variable))
        return tape.gradient(total, variable.value).numpy()


FRAMEWORK = Keras("keras", "keras")
