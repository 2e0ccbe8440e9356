"""The backends of MXNet: `backend` has their classes, and `shapes` their permutations, broadcasts and reshapes."""
