"""The backend of tensorflow."""
