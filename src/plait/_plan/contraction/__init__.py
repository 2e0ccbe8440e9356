"""Contractions for given sizes: the contraction path, and the nodes by which each pair of tensors is contracted."""
