"""Plans: a solved pattern as a graph of nodes, and the schedules of large tensors."""
