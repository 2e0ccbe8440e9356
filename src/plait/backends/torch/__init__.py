"""The backend of torch."""
