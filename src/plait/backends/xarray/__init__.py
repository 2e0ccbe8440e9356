"""The backend of xarray."""
