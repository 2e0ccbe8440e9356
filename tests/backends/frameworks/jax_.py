"""JAX with 64-bit types enabled, since the suite computes in float64."""

import numpy as np

from plait.testing import Framework


class Jax(Framework):
    def module(self):
        jax = super().module()
        jax.config.update("jax_enable_x64", True)  # the documented way to enable 64-bit types
        return jax

    def make(self, array):
        return self.module().numpy.asarray(array)

    def gradient(self, function, array):
        return np.asarray(self.module().grad(lambda tensor: function(tensor).sum())(self.make(array)))


FRAMEWORK = Jax("jax", "jax")
