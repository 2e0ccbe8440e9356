"""The backend of dask."""
