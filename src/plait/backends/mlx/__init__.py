"""The backend of mlx."""
