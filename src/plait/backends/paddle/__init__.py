"""The backends of PaddlePaddle: `backend` has their classes, and `einsum` an einsum for all element types."""
