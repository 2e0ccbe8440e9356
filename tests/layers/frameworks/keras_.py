"""Keras on the backend of the process; `tests/layers_by_framework/test_keras.py` starts a process for each backend."""

import numpy as np

from layers.frameworks.base import Framework


class Keras(Framework):
    def to_tensor(self, array):
        from keras import ops

        return ops.convert_to_tensor(array)

    def to_numpy(self, tensor):
        tensor = getattr(tensor, "value", tensor)
        tensor = tensor.detach() if hasattr(tensor, "detach") else tensor
        return tensor.numpy() if hasattr(tensor, "numpy") else np.array(tensor)

    def build(self, /, kind, *arguments, example, seed=0, **sizes):
        import keras

        keras.utils.set_random_seed(seed)
        layer = self.construct(kind, *arguments, **sizes)
        layer.build([array.shape for array in example] if isinstance(example, list) else example.shape)
        return layer

    def parameters(self, built):
        return {variable.name: self.to_numpy(variable) for variable in built.trainable_variables}

    def parameter_gradients(self, built, tensor):
        import keras

        found = GRADIENT_FUNCTIONS[keras.backend.backend()](built, tensor, built.trainable_variables)
        names = [variable.name for variable in built.trainable_variables]
        return {name: self.to_numpy(gradient) for name, gradient in zip(names, found, strict=True)}


def gradients_by_tensorflow(layer, tensor, variables):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(tensor))
    return tape.gradient(total, [variable.value for variable in variables])


def gradients_by_jax(layer, tensor, variables):
    import jax

    values = [variable.value for variable in variables]
    return jax.grad(lambda values: layer.stateless_call(values, [], tensor)[0].sum())(values)


def gradients_by_torch(layer, tensor, variables):
    import torch

    return torch.autograd.grad(layer(tensor).sum(), [variable.value for variable in variables])


GRADIENT_FUNCTIONS = {"tensorflow": gradients_by_tensorflow, "jax": gradients_by_jax, "torch": gradients_by_torch}

FRAMEWORK = Keras("keras", ("keras", "tensorflow"))
