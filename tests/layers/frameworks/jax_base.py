"""The base class of the frameworks on JAX."""

from layers.frameworks.base import Framework


class JaxFramework(Framework):
    def to_tensor(self, array):
        import jax.numpy as jnp

        return jnp.asarray(array)

    def example_to_jax(self, example):
        """Convert the example, an array or a list of arrays, to JAX."""
        return [self.to_tensor(x) for x in example] if isinstance(example, list) else self.to_tensor(example)
