"""The backend of keras."""
