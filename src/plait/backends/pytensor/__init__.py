"""The backend of pytensor."""
