"""Chainer."""

import numpy as np

from layers.frameworks.base import Framework


class Chainer(Framework):
    def to_tensor(self, array):
        return self.import_framework().Variable(array)

    def to_numpy(self, tensor):
        return tensor.array

    def build(self, /, kind, *arguments, example, seed=0, **sizes):
        np.random.seed(seed)  # noqa: NPY002  # Chainer draws from this generator
        return self.construct(kind, *arguments, **sizes)

    def parameters(self, built):
        return {parameter.name: parameter.array for parameter in built.params()}

    def parameter_gradients(self, built, tensor):
        built.cleargrads()
        self.import_framework().functions.sum(built(tensor)).backward()
        return {parameter.name: parameter.grad for parameter in built.params()}

    def describe(self, built):
        return str(built)


FRAMEWORK = Chainer("chainer", ("chainer",))
