"""TensorFlow: its layers are those of Keras, and what they learn is looked for by a ``tf.Module`` that holds them."""

import numpy as np

from layers.frameworks.base import Framework


class TensorFlow(Framework):
    def make(self, array):
        import tensorflow as tf

        return tf.constant(array)

    def array(self, tensor):
        return tensor.numpy()

    def build(self, /, kind, *arguments, example, seed=0, **sizes):
        import tensorflow as tf

        tf.keras.utils.set_random_seed(seed)
        holder = tf.Module()
        holder.layer = self.construct(kind, *arguments, **sizes)
        return holder

    def call(self, built, tensor):
        return built.layer(tensor)

    def parameters(self, built):
        return {name_of(variable): self.array(variable) for variable in built.trainable_variables}

    def gradients(self, built, tensor):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            total = tf.reduce_sum(built.layer(tensor))
        variables = built.trainable_variables
        found = tape.gradient(total, variables)
        return {name_of(variable): np.asarray(one) for variable, one in zip(variables, found, strict=True)}

    def description(self, built):
        return repr(built.layer)


def name_of(variable):
    """``weight`` of ``ein_mix/weight:0``."""
    return variable.name.rpartition("/")[2].partition(":")[0]


FRAMEWORK = TensorFlow("tensorflow", ("tensorflow", "keras"))
