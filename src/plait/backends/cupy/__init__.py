"""The backend of cupy."""
