"""The backend of the sparse arrays of `jax.experimental.sparse`."""
