"""The backend of Dask: `backend` has its class, `shapes` reshapes of chunked arrays, and `einsum` contractions."""
