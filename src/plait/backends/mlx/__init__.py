"""The backend of MLX."""
