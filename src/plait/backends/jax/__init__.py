"""The backend of jax."""
