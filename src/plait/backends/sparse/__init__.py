"""The backend of PyData Sparse."""
