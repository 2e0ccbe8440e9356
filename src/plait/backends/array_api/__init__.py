"""The backend of array_api."""
