"""The backend of numpy."""
