"""The backend of paddle."""
