"""The execution of large tensors by several calls or a compiled kernel instead of one call."""
