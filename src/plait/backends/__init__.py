"""The frameworks: one package each, and the registry that finds them. Knows nothing of patterns or plans."""
