"""Contractions for one size: in which order tensors meet, and by which calls two of them are multiplied and summed."""
