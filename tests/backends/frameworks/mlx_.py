"""MLX on the CPU, the only device on which it has float64."""

import importlib

import numpy as np

from plait.testing import Framework


class MLX(Framework):
    def module(self):
        return importlib.import_module("mlx.core")

    def make(self, array):
        mx = self.module()
        return mx.array(array, getattr(mx, "bool_" if array.dtype == bool else array.dtype.name))

    def gradient(self, function, array):
        mx = self.module()
        return np.asarray(mx.grad(lambda tensor: function(tensor).sum())(self.make(array)))


FRAMEWORK = MLX("mlx", "mlx", unsupported_dtypes={"complex128": "MLX has no such type"})
