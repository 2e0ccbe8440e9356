"""NumPy."""

import numpy as np

from backends.frameworks.base import Framework


class NumPy(Framework):
    def make(self, array):
        return array

    def shares_memory(self, one, other):
        return np.shares_memory(one, other)


FRAMEWORK = NumPy("numpy", "numpy")
