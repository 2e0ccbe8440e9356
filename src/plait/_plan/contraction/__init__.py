"""Contractions for given sizes: the path, and the calls by which each pair of tensors is multiplied and summed."""
