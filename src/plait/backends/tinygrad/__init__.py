"""The backend of tinygrad."""
