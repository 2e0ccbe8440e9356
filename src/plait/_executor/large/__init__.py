"""Large tensors: several calls or a compiled kernel instead of one call."""
