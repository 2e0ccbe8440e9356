"""TensorFlow; `build` returns a ``tf.Module`` that contains the layer, and collects its variables."""

import numpy as np

from layers.frameworks.base import Framework


class TensorFlow(Framework):
    def to_tensor(self, array):
        import tensorflow as tf

        return tf.constant(array)

    def to_numpy(self, tensor):
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
        return {short_name(variable): self.to_numpy(variable) for variable in built.trainable_variables}

    def parameter_gradients(self, built, tensor):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            total = tf.reduce_sum(built.layer(tensor))
        variables = built.trainable_variables
        found = tape.gradient(total, variables)
        return {short_name(variable): np.asarray(one) for variable, one in zip(variables, found, strict=True)}

    def describe(self, built):
        return repr(built.layer)


def short_name(variable):
    """Return the last part of a variable's name, such as ``weight`` of ``ein_mix/weight:0``."""
    return variable.name.rpartition("/")[2].partition(":")[0]


FRAMEWORK = TensorFlow("tensorflow", ("tensorflow", "keras"))
