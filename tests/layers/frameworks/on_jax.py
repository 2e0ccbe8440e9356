"""What the frameworks on JAX share: arrays, and gradients by the names of the parameters."""

from layers.frameworks.base import Framework


class Jax(Framework):
    def make(self, array):
        import jax.numpy as jnp

        return jnp.asarray(array)

    def example(self, example):
        """Tensors like the example, or a list of them."""
        return [self.make(x) for x in example] if isinstance(example, list) else self.make(example)
