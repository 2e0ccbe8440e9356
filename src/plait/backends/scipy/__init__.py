"""The backend of scipy.sparse."""
