"""The backend of CuPy."""
