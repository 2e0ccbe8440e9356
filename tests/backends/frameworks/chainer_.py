"""Chainer variables that hold NumPy arrays."""

import numpy as np

from plait.testing import Framework


class Chainer(Framework):
    def make(self, array):
        return self.module().Variable(np.array(array))

    def shares_memory(self, first, second):
        return np.shares_memory(first.array, second.array)

    def gradient(self, function, array):
        tensor = self.make(array)
        self.module().functions.sum(function(tensor)).backward()
        return tensor.grad


FRAMEWORK = Chainer("chainer", "chainer")
