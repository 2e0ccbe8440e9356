"""Chainer."""

import numpy as np

from layers.frameworks.base import Framework


class Chainer(Framework):
    def make(self, array):
        return self.module().Variable(array)

    def array(self, tensor):
        return tensor.array

    def build(self, /, kind, *arguments, example, seed=0, **sizes):
        np.random.seed(seed)  # noqa: NPY002  # Chainer draws from this generator
        return self.construct(kind, *arguments, **sizes)

    def parameters(self, built):
        return {parameter.name: parameter.array for parameter in built.params()}

    def gradients(self, built, tensor):
        built.cleargrads()
        self.module().functions.sum(built(tensor)).backward()
        return {parameter.name: parameter.grad for parameter in built.params()}

    def description(self, built):
        return str(built)


FRAMEWORK = Chainer("chainer", ("chainer",))
